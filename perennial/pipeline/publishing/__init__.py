"""From decisions to a published day."""
