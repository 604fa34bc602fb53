"""Fits, chances and intervals against simulated stores: their truth is known, and so is their future.

The textbook's customers are BG/NBD and Gamma-Gamma by construction. What the models said of each on
a day is compared with what the simulation let them do in the year after it.
"""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from connectors.engine import open_engine
from features.labels import outcomes
from features.rfm import customer_state
from features.synthetic import PROFILES, Profile, simulate
from features.window import outcome_window
from models.evaluation import decile_table
from models.intervals import Outcomes, covered_share
from models.purchases import PurchaseModel, PurchasesFit, fit_purchases
from models.spend import SpendFit, fit_spend

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

START, KNOWN, HORIZON = date(2023, 7, 1), date(2025, 6, 30), 365
CUSTOMERS, SEED = 8_000, 1  # new ones a year; any seed
TEXTBOOK = PROFILES["textbook"]
# The textbook's best customers may still leave: one in three is not sure to order within a year.
FREQUENT = replace(TEXTBOOK, name="frequent", r=2.0, mean_gap_days=60.0, b=40.0)
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Store:
    """What was known of customers on a day, the fits to it, and what they did in the year after.

    Attributes
    ----------
    x, t_x, T, m
        Arrays of shape (n,): the customers' state.
    orders, value
        Arrays of shape (n,): purchase days in the year after, and what they were worth.
    purchases, spend
        The fits.
    """

    x: Array
    t_x: Array
    T: Array
    m: Array
    orders: Array
    value: Array
    purchases: PurchasesFit
    spend: SpendFit

    @property
    def history(self) -> tuple[Array, Array, Array]:
        """What a purchase model knows."""
        return self.x, self.t_x, self.T

    @property
    def state(self) -> tuple[Array, Array, Array, Array]:
        """What both models know."""
        return *self.history, self.m

    @property
    def outcomes(self) -> Outcomes:
        """What both fits say of the year."""
        return Outcomes(self.purchases.model, self.spend.model, HORIZON)

    @property
    def is_inside(self) -> Flags:
        """Who brought something between the ends of the interval, both included."""
        low, high = self.outcomes.interval(*self.state, LOW, HIGH)
        return np.asarray((low <= self.value) & (self.value <= high))

    @property
    def is_best(self) -> Flags:
        """The tenth of highest expected value."""
        orders = self.purchases.model.expected_orders(HORIZON, *self.history)
        expected = orders * self.spend.model.expected_order_value(self.x, self.m)
        return np.asarray(expected >= np.quantile(expected, 0.9))

    @property
    def surely_orders(self) -> Flags:
        """Whose chance of no order is below one in ten."""
        return self.purchases.model.p_order(HORIZON, *self.history) > 1 - LOW


def watch(profile: Profile, folder: Path) -> Store:
    """Simulate a store, fit the models to what was known of it, and look at the year after."""
    window = outcome_window(KNOWN, HORIZON)
    world = simulate(CUSTOMERS, START, window.end, SEED, profile)
    pq.write_table(world.orders, folder / "orders.parquet")
    with open_engine(profile.timezone) as engine:
        orders = engine.parquet(folder / "orders.parquet")
        state = customer_state(orders, KNOWN)
        known = engine.frame(state.order_by("customer_id"))
        later = engine.frame(outcomes(orders, state, window).order_by("customer_id"))
    columns = ("frequency", "recency_days", "age_days", "monetary_value")
    x, t_x, T, m = (known[name].to_numpy(np.float64) for name in columns)
    orders_later, value = (later[n].to_numpy(np.float64) for n in ("later_orders", "later_value"))
    purchases, spend = fit_purchases(x, t_x, T), fit_spend(x[x > 0], m[x > 0])
    return Store(x, t_x, T, m, orders_later, value, purchases, spend)


@pytest.fixture(scope="module")
def textbook(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return watch(TEXTBOOK, tmp_path_factory.mktemp("textbook"))


@pytest.fixture(scope="module")
def frequent(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return watch(FREQUENT, tmp_path_factory.mktemp("frequent"))


@pytest.fixture(params=["textbook", "frequent"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


def away_from(profile: Profile, store: Store) -> dict[str, float]:
    """Return how far each fitted parameter lies from a profile's, in standard errors."""
    truth = {
        "r": profile.r,
        "alpha": profile.r * profile.mean_gap_days,
        "a": profile.a,
        "b": profile.b,
        "p": profile.p,
        "q": profile.q,
        "gamma": profile.mean_spend * (profile.q - 1) / profile.p,
    }
    fitted = store.purchases.model.to_dict() | store.spend.model.to_dict()
    errors = store.purchases.standard_errors | store.spend.standard_errors
    return {name: (fitted[name] - true) / errors[name] for name, true in truth.items()}


def missed_by(model: PurchaseModel, store: Store) -> list[float]:
    """Return how far each tenth of chances of an order is from what happened, in standard errors."""
    chance = model.p_order(HORIZON, *store.history)
    return [
        (row["actual"] - row["expected"])
        / np.sqrt(row["expected"] * (1 - row["expected"]) / row["customers"])
        for row in decile_table(chance, store.orders > 0)
    ]


def share_covered(said: Outcomes, store: Store, of: Flags | slice = slice(None)) -> float:
    """Return the share of outcomes that the interval covers, by the randomized transform."""
    below, up_to = said.position(*store.state, store.value)
    return covered_share(below[of], up_to[of], LOW, HIGH)


def faster(store: Store, by: float) -> PurchaseModel:
    """Return the store's purchase model with everybody's rate multiplied."""
    model = store.purchases.model
    return type(model)(**(model.to_dict() | {"alpha": model.to_dict()["alpha"] / by}))


def test_all_seven_parameters_are_recovered_within_three_standard_errors(textbook):
    away = away_from(TEXTBOOK, textbook)
    assert len(textbook.x) > 15_000
    assert not textbook.purchases.notes + textbook.spend.notes
    for name, error in (
        textbook.purchases.standard_errors | textbook.spend.standard_errors
    ).items():
        assert 0 < error < 0.25 * getattr(TEXTBOOK, name, np.inf), name
    assert {name for name, far in away.items() if not abs(far) <= 3} == set(), away
