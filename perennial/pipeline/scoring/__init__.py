"""From customer states and a model to scores, segments and decisions."""
