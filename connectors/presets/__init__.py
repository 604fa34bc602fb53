"""Platforms' exports: one module each says how our columns are read out of theirs."""
