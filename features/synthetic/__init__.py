"""A whole simulated store, with its truth beside it."""

from features.synthetic.profiles import PROFILES, Profile, SimulationError
from features.synthetic.world import World, simulate, simulate_pieces

__all__ = ["PROFILES", "Profile", "SimulationError", "World", "simulate", "simulate_pieces"]
