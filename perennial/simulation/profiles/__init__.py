"""What kind of store is simulated: its products, its seasons and how its customers behave."""

from perennial.simulation.profiles.parts import (
    ACTIONS,
    EFFECT_DAYS,
    EFFECTS,
    GAP_DAY,
    PRICE_DAY,
    REFERRAL,
    SALES,
    Channel,
    Effect,
    Peak,
    Promotion,
    SimulationError,
    season_on,
)
from perennial.simulation.profiles.profile import Profile
from perennial.simulation.profiles.stores import PROFILES, find_profile

__all__ = [
    "ACTIONS",
    "EFFECTS",
    "EFFECT_DAYS",
    "GAP_DAY",
    "PRICE_DAY",
    "PROFILES",
    "REFERRAL",
    "SALES",
    "Channel",
    "Effect",
    "Peak",
    "Profile",
    "Promotion",
    "SimulationError",
    "find_profile",
    "season_on",
]
