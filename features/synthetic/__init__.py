"""A whole simulated store, with its truth beside it."""

from features.synthetic.profiles import PROFILES, Profile, SimulationError
from features.synthetic.world import PIECE, World, expected_customers, simulate, simulate_pieces

__all__ = [
    "PIECE",
    "PROFILES",
    "Profile",
    "SimulationError",
    "World",
    "expected_customers",
    "simulate",
    "simulate_pieces",
]
