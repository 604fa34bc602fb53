"""Order history -> what is known about a customer on a day. Ibis expressions in and out, no I/O."""
