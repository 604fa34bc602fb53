"""Which day is current, how old it is, and what was refused."""
