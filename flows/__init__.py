"""When it happens: flows, settings and the command line. The only place that wires the rest."""

import os

# Threads that wait for each other give way instead of spinning: on a busy machine the boosted trees
# took 39.9 s with spinning, 2.7 s without. Read by OpenMP when scikit-learn loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
