"""When it happens: flows, settings and the command line. The only place that wires the rest."""
