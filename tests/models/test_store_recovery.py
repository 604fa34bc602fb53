"""Fits, chances and intervals against simulated stores: their truth is known, and so is their future.

The textbook's customers are BG/NBD and Gamma-Gamma by construction. What the models said of each on
a day is compared with what the simulation let them do in the year after it.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from connectors.engine import open_engine
from features.labels import outcomes
from features.rfm import customer_state
from features.window import outcome_window
from models.evaluation import decile_table
from models.history import CustomerHistory
from models.intervals import Outcomes, covered_share
from models.purchases import BGNBD, PurchasesFit, fit_purchases
from models.spend import SpendFit, fit_spend
from perennial.simulation import PROFILES, Profile, simulate

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

START, KNOWN, YEAR = date(2023, 7, 1), date(2025, 6, 30), 365
CUSTOMERS, SEED = 8_000, 1  # new customers a year
LOW, HIGH = 0.1, 0.9
TEXTBOOK = PROFILES["textbook"]
# The chance of no order in a year is over .1 for 98 % of the textbook's best tenth, here for 9 %.
FREQUENT = replace(TEXTBOOK, name="frequent", r=2.0, mean_gap_days=60.0, b=40.0)


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

    @cached_property
    def forecast(self) -> "Said":
        """What the fits say of the year."""
        return Said(self, YEAR)

    def if_all_were(self, faster: float) -> "Said":
        """Return what they would say if everybody's rate were so many times what it is."""
        return Said(self, faster * YEAR)


@dataclass(frozen=True)
class Said:
    """What a store's fits say of a window after the day.

    Attributes
    ----------
    store
        The store.
    days
        Length of the window.
    """

    store: Store
    days: float

    @property
    def _outcomes(self) -> Outcomes:
        return Outcomes(self.store.purchases.model, self.store.spend.model, self.days)

    @property
    def _history(self) -> CustomerHistory:
        return CustomerHistory.of(self.store.x, self.store.t_x, self.store.T, self.store.m)

    @cached_property
    def p_order(self) -> Array:
        """Chance of an order, shape (n,)."""
        return self.store.purchases.model.p_order(self.days, *self._history.times)

    @cached_property
    def is_best(self) -> Flags:
        """Who is of the tenth of highest expected value, shape (n,)."""
        orders = self.store.purchases.model.expected_orders(self.days, *self._history.times)
        value = orders * self.store.spend.model.expected_order_value(self.store.x, self.store.m)
        return np.asarray(value >= np.quantile(value, 0.9))

    @cached_property
    def position(self) -> tuple[Array, Array]:
        """Where the outcomes lay in their distributions: chances of less, and of less or equal."""
        return self._outcomes.position(self._history, self.store.value)

    @cached_property
    def ends(self) -> tuple[Array, Array]:
        """The ends of the interval."""
        return self._outcomes.interval(self._history, LOW, HIGH)

    @property
    def promised(self) -> Array:
        """Chance that an outcome lies between the ends, both included: more than .8 where one is 0."""
        low, high = self.ends
        below, _ = self._outcomes.position(self._history, low)
        _, up_to = self._outcomes.position(self._history, high)
        return up_to - below

    @property
    def is_inside(self) -> Flags:
        """Whose outcome lies between the ends, both included."""
        low, high = self.ends
        return np.asarray((low <= self.store.value) & (self.store.value <= high))

    def covered(self, of: Flags | slice = slice(None)) -> float:
        """Return the share of outcomes that the interval covers, by the randomized transform."""
        below, up_to = self.position
        return covered_share(below[of], up_to[of], LOW, HIGH)

    def missed(self) -> list[float]:
        """Return how far from its chances each tenth of customers ordered, in standard errors."""
        table = decile_table(self.p_order, self.store.orders > 0)
        return [
            (row.actual - row.expected)
            / np.sqrt(row.expected * (1 - row.expected) / row.customers)
            for row in table
        ]


def watch(profile: Profile, folder: Path) -> Store:
    """Simulate a store, fit the models to what was known on the day, and see the year after."""
    window = outcome_window(KNOWN, YEAR)
    world = simulate(CUSTOMERS, START, window.end, SEED, profile)
    pq.write_table(world.orders, folder / "orders.parquet")
    with open_engine(profile.timezone) as engine:
        orders = engine.parquet(folder / "orders.parquet")
        state = customer_state(orders, KNOWN)
        frame = engine.frame(state.order_by("customer_id"))
        later = engine.frame(outcomes(orders, state, window).order_by("customer_id"))
    assert (frame["customer_id"] == later["customer_id"]).all()
    names = ("frequency", "recency_days", "age_days", "monetary_value")
    x, t_x, T, m = (frame[name].to_numpy(np.float64) for name in names)
    count, value = (later[n].to_numpy(np.float64) for n in ("later_orders", "later_value"))
    repeat = x > 0
    purchases = fit_purchases(x, t_x, T, model=BGNBD)
    return Store(x, t_x, T, m, count, value, purchases, fit_spend(x[repeat], m[repeat]))


@pytest.fixture(scope="module")
def textbook(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return watch(TEXTBOOK, tmp_path_factory.mktemp("textbook"))


@pytest.fixture(scope="module")
def frequent(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return watch(FREQUENT, tmp_path_factory.mktemp("frequent"))


@pytest.fixture(params=["textbook", "frequent"])
def store(request: pytest.FixtureRequest) -> Store:
    actual: Store = request.getfixturevalue(request.param)
    return actual


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
    assert all(0 < errors[name] < 0.2 * true for name, true in truth.items()), errors
    return {name: (fitted[name] - true) / errors[name] for name, true in truth.items()}


def test_all_seven_parameters_are_recovered_within_three_standard_errors(textbook: Store) -> None:
    assert len(textbook.x) > 15_000
    assert not textbook.purchases.notes + textbook.spend.notes
    away = away_from(TEXTBOOK, textbook)
    assert len(away) == 7
    assert max(map(abs, away.values())) <= 3, away


@pytest.mark.parametrize(
    ("name", "value"), [("r", 1.0), ("mean_gap_days", 300.0), ("a", 1.4), ("p", 9.0), ("q", 5.0)]
)
def test_the_parameters_of_another_store_are_not(textbook: Store, name: str, value: float) -> None:
    other: Profile = replace(TEXTBOOK, **{name: value})  # type: ignore[arg-type]
    assert max(map(abs, away_from(other, textbook).values())) > 3


def test_so_many_of_each_tenth_order_as_their_chances_say(store: Store) -> None:
    missed = store.forecast.missed()
    assert len(missed) == 10
    assert max(map(abs, missed)) <= 4, missed


@pytest.mark.parametrize("faster", [1.3, 1 / 1.3])
def test_chances_of_customers_thought_to_be_faster_or_slower_are_found_out(
    store: Store, faster: float
) -> None:
    assert max(map(abs, store.if_all_were(faster).missed())) > 4


def test_four_of_five_outcomes_are_covered_by_the_randomized_transform(store: Store) -> None:
    assert 0.78 <= store.forecast.covered() <= 0.82
    assert 0.76 <= store.forecast.covered(store.forecast.is_best) <= 0.84


def test_each_tenth_of_the_distributions_has_a_tenth_of_the_outcomes(store: Store) -> None:
    error = np.sqrt(0.1 * 0.9 / len(store.x))
    for low in np.arange(10) / 10:
        assert covered_share(*store.forecast.position, low, low + 0.1) == (
            pytest.approx(0.1, abs=4 * error)
        )


@pytest.mark.parametrize("group", ["sure to order", "best"])
def test_four_of_five_lie_plainly_inside_where_nearly_all_order(
    frequent: Store, group: str
) -> None:
    forecast = frequent.forecast
    some = forecast.is_best if group == "best" else forecast.p_order > 1 - LOW
    assert some.sum() > 1_500
    assert 0.76 <= forecast.is_inside[some].mean() <= 0.84


def test_of_the_textbooks_best_as_many_lie_plainly_inside_as_the_ends_promise(
    textbook: Store,
) -> None:
    """Nine in ten: whoever buys nothing with a chance of over .1 lies on the lower end, 0."""
    forecast = textbook.forecast
    low, high = forecast.ends
    may_buy_nothing = forecast.p_order < 1 - LOW
    assert (low[may_buy_nothing] == 0).all()
    promised = forecast.promised
    assert promised[~may_buy_nothing] == pytest.approx(HIGH - LOW, abs=2e-3)
    assert promised[may_buy_nothing & (high > 0)] == pytest.approx(HIGH, abs=2e-3)
    assert may_buy_nothing[forecast.is_best].mean() > 0.95
    best = forecast.is_best
    assert forecast.is_inside[best].mean() == pytest.approx(promised[best].mean(), abs=0.03)


def test_intervals_of_customers_thought_to_be_slower_cover_too_few(store: Store) -> None:
    assert store.if_all_were(1 / 1.5).covered() < 0.78


def test_intervals_of_frequent_customers_thought_to_be_slower_hold_too_few(
    frequent: Store,
) -> None:
    slower = frequent.if_all_were(1 / 1.5)
    assert slower.is_inside[frequent.forecast.is_best].mean() < 0.76
    assert slower.is_inside[frequent.forecast.p_order > 1 - LOW].mean() < 0.76
