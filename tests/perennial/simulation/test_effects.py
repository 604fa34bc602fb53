"""What an action is said to add is what a simulation of single customers adds, order by order."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import product

import numpy as np
import pytest
from scipy.stats import gamma

from perennial.simulation import PROFILES
from perennial.simulation.calendar import Calendar
from perennial.simulation.people import People
from perennial.simulation.profiles import EFFECT_DAYS, EFFECTS, Effect
from perennial.simulation.purchases import action_effects, expected_orders

MARGIN, INCENTIVE, SPEND, YEAR, LIVES = 0.55, 0.05, 40.0, 365.0, 60_000


@dataclass(frozen=True)
class Customer:
    """Nature of one customer who has just ordered, and what an action does to it."""

    rate: float
    leave: float
    life_rate: float
    regularity: int
    lift: float
    keep: float


@pytest.fixture
def as_people(somebody) -> Callable[[Customer], People]:
    """Put a customer in the shape that the truth is computed of."""
    calendar = Calendar(PROFILES["coffee"], date(2024, 1, 1), date(2025, 1, 1))

    def shape(customer: Customer) -> People:
        by_clock = customer.life_rate > 0
        nature = {
            "rate": customer.rate,
            "leave": np.nan if by_clock else customer.leave,
            "life_rate": customer.life_rate if by_clock else np.nan,
            "spend": SPEND,
            "responsiveness": 1.0,
            "discount": 1.0,
        }
        return replace(somebody(calendar), **{n: np.array([value]) for n, value in nature.items()})

    return shape


def live(customer: Customer, *, treated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Live a year after an order many times: orders, and orders while the action works.

    Every life has the same luck with and without the action.
    """
    rng = np.random.default_rng(7)
    lift, keep = (customer.lift, customer.keep) if treated else (0.0, 0.0)
    leaves, stays = rng.random(LIVES) < customer.leave, rng.random(LIVES) < keep
    alive = np.flatnonzero(~leaves | stays)
    over = np.full(LIVES, YEAR)
    if customer.life_rate:
        over = np.minimum(over, rng.exponential(1 / customer.life_rate, LIVES))
    now, orders, early = np.zeros(LIVES), np.zeros(LIVES), np.zeros(LIVES)
    while len(alive):
        for _ in range(customer.regularity):
            work = rng.exponential(1 / (customer.regularity * customer.rate), LIVES)[alive]
            left = np.maximum(EFFECT_DAYS - now[alive], 0)  # days of the action to come
            is_soon = work < left * (1 + lift)
            now[alive] += np.where(is_soon, work / (1 + lift), left + work - left * (1 + lift))
        alive = alive[now[alive] < over[alive]]
        orders[alive] += 1
        early[alive] += now[alive] < EFFECT_DAYS
        alive = alive[rng.random(LIVES)[alive] >= customer.leave]
    return orders, early


AFTER_ORDERS = [
    Customer(rate, leave, 0.0, regularity, lift, keep)
    for rate, regularity, (leave, lift, keep) in product(
        (1 / 120, 1 / 25),
        (1, 2),
        (
            (0.05, 0.45, 0.28),
            (0.5, 0.45, 0.28),
            (0.5, 0.0, 0.4),
            (0.2, 0.9, 0.0),
            (0.05, -0.3, 0.0),
        ),
    )
]
BY_THE_CLOCK = [
    Customer(rate, 0.0, life_rate, 1, lift, 0.0)
    for rate, life_rate, lift in product((1 / 120, 1 / 25), (1 / 400, 1 / 60), (-0.45, 0.7))
]


def in_words(customer: Customer) -> str:
    given = ("leave", "life_rate", "regularity", "lift", "keep")
    return f"every {1 / customer.rate:.0f} days " + " ".join(
        f"{name}={getattr(customer, name):.3g}" for name in given if getattr(customer, name)
    )


@pytest.mark.parametrize("customer", AFTER_ORDERS + BY_THE_CLOCK, ids=in_words)
def test_an_action_adds_what_living_the_year_again_and_again_adds(
    customer, as_people, monkeypatch
):
    effect = Effect(customer.lift, customer.keep, INCENTIVE, cost=1.0)
    monkeypatch.setitem(EFFECTS, "heavy", effect)
    truth = action_effects(as_people(customer), customer.regularity, MARGIN)
    before, _ = live(customer, treated=False)
    after, early = live(customer, treated=True)
    gain = after - before
    for what, actual in (
        ("orders", gain),
        ("margin", SPEND * (MARGIN * gain - INCENTIVE * early)),
    ):
        result = float(truth[f"heavy_extra_{what}"][0])
        tolerance = 4 * actual.std() / np.sqrt(LIVES)
        assert tolerance < 0.1 * abs(result), what
        assert actual.mean() == pytest.approx(result, abs=tolerance), what


@pytest.mark.parametrize("regularity", [1, 2])
def test_who_never_leaves_makes_a_renewal_process(regularity, as_people):
    # Orders by t of an Erlang renewal process: sum over j of P(gamma(j k) < t) (Cox 1962, ch. 3).
    for leave in (0.0, 1e-15, 1e-9):
        customer = Customer(1 / 40, leave, 0.0, regularity, 0.0, 0.0)
        actual = expected_orders(as_people(customer), regularity, YEAR, np.zeros(1))
        orders = regularity * np.arange(1, 400)
        expected = gamma.cdf(YEAR, orders, scale=1 / (regularity * customer.rate)).sum()
        assert actual[0] == pytest.approx(expected, rel=1e-6)


def test_who_never_leaves_by_the_clock_orders_all_year(as_people):
    actual = expected_orders(
        as_people(Customer(1 / 40, 0.0, 1e-300, 1, 0.0, 0.0)), 1, YEAR, np.zeros(1)
    )
    assert actual[0] == pytest.approx(YEAR / 40)
