"""What will happen -> who gets which investment, and the holdout. Pure policy."""
