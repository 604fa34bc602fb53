"""The outside world: order histories in, scores out."""
