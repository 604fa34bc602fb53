"""What a profile is made of, and what investment actions do."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

ACTIONS = ("heavy", "standard", "light")
Dropout = Literal["bg", "mbg", "pareto"]
DROPOUTS = get_args(Dropout)
PRICE_DAY = 540
GAP_DAY = 400


class SimulationError(ValueError):
    """The simulation cannot be made as requested: the message has the problem, the fix and the rule."""


@dataclass(frozen=True)
class Channel:
    """How customers are won.

    Attributes
    ----------
    name
        As in ``customers.acquired_via``.
    share
        Of the customers who were not referred.
    cost
        Of winning a customer, store's currency.
    rate, spend
        Purchase rate and order value beside the usual customer's, as factors.
    leave
        Added to the log-odds of leaving.
    """

    name: str
    share: float
    cost: float
    rate: float = 1.0
    spend: float = 1.0
    leave: float = 0.0


@dataclass(frozen=True)
class Peak:
    """A time of the year when more is bought: middle and width in days of the year, height as a share."""

    middle: int
    width: float
    height: float


def season_on(day: NDArray[np.float64], peaks: tuple[Peak, ...]) -> NDArray[np.float64]:
    """Return how much more is bought than usual on days of the year, 1 to 366, as a share."""
    season = np.zeros(len(day))
    for peak in peaks:
        away = np.abs(day - peak.middle)
        season += peak.height * np.exp(-0.5 * (np.minimum(away, 365 - away) / peak.width) ** 2)
    return season


@dataclass(frozen=True)
class Promotion:
    """A sale that comes back every year.

    Attributes
    ----------
    code
        Discount code; the year is added.
    month, day, days
        When it begins and how long it lasts.
    share
        Discount as a share of the price.
    lift
        Rise of the purchase rate of a customer whose discount response is 1.
    """

    code: str
    month: int
    day: int
    days: int
    share: float
    lift: float


@dataclass(frozen=True)
class Effect:
    """What an investment action does to the usual customer.

    Attributes
    ----------
    lift
        Rise of the purchase rate for :data:`EFFECT_DAYS` days.
    keep
        Chance that a customer who would have left after the last order stays.
    incentive
        Discount on the orders of those days, as a share.
    cost
        Of the action, store's currency.
    """

    lift: float
    keep: float
    incentive: float
    cost: float


EFFECT_DAYS = 60
EFFECTS = {
    "heavy": Effect(lift=0.45, keep=0.28, incentive=0.05, cost=6.0),
    "standard": Effect(lift=0.18, keep=0.10, incentive=0.02, cost=2.0),
    "light": Effect(lift=0.06, keep=0.03, incentive=0.0, cost=0.3),
}

CHANNELS = (
    Channel("organic", 0.30, 0.0, rate=1.15, leave=-0.25),
    Channel("paid_search", 0.30, 26.0),
    Channel("paid_social", 0.28, 34.0, rate=0.9, spend=0.95, leave=0.25),
    Channel("influencer", 0.12, 22.0, rate=0.95, leave=0.1),
)
REFERRAL = Channel("referral", 0.0, 0.0, rate=1.2, spend=1.12, leave=-0.45)

SALES = (
    Promotion("SPRING", 3, 24, 7, 0.15, 0.8),
    Promotion("SUMMER", 7, 12, 6, 0.15, 0.7),
    Promotion("BLACKFRIDAY", 11, 24, 6, 0.25, 2.2),
)
