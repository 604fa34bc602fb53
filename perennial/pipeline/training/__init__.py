"""From customer states to a registered model."""
