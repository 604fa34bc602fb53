"""Perennial: which customers deserve heavier retention investment, and whether it paid."""
