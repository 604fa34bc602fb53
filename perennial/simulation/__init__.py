"""A whole simulated store, with its truth beside it."""

from perennial.simulation.profiles import PROFILES, Profile, SimulationError
from perennial.simulation.world import PIECE, World, expected_customers, simulate, simulate_pieces

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
