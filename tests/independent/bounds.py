"""What the forecasts are held to, and how results of several seeds are taken together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.independent.measures import BANDS, GROUPS
from tests.independent.product import RULES
from tests.independent.stores import SEASONAL, SEEDS, STATIONARY

Result = dict[str, Any]  # of :func:`tests.independent.measures.measure`
NEW_BANDS = ("0-30", "31-90")  # held to a bound together
WHOLE = 8_000  # customers of a store whose coverage is pooled

VALUE_LIMITS = {  # of predicted / true value in 365 days, mean of seeds
    "quality": (0.90, 1.15),
    "price": (0.90, 1.10),
    "rising": (0.87, 1.15),
    "falling": (0.87, 1.15),
    "sale_recent": (-np.inf, 1.15),
    "sale_year_ago": (-np.inf, 1.15),
    "wholesale": (0.87, 1.13),
    "small_700": (0.87, 1.15),
    "small_250": (0.75, 1.33),
}
SEASONAL_LIMITS = (0.90, 1.10)
HALF_LIMITS = (0.44, 0.56)  # of the share of customers who order by their next-order date
TOP_LIMITS = (0.85, 1.15)
MOST_WITH_SEASON = 0.05  # of the fits to stationary stores
LEAST_RANDOM = 0.9  # of the fits to the weekly store, whose orders are random

# |predicted / true - 1| of value and orders in 365 days, mean of SEEDS, before forecasts had a season index
# and regular order times: distances may grow by no more than MOST_WORSE
PREVIOUS_DISTANCE = {
    "by_order": {"value": 0.012, "orders": 0.003},
    "by_clock": {"value": 0.022, "orders": 0.012},
    "growing": {"value": 0.023, "orders": 0.010},
    "dying": {"value": 0.002, "orders": 0.014},
    "viral": {"value": 0.020, "orders": 0.014},
    "one_time": {"value": 0.002, "orders": 0.004},
    "weekly": {"value": 0.035, "orders": 0.022},
    "eighteen_months": {"value": 0.018, "orders": 0.005},
}
MOST_WORSE = 0.01


@dataclass(frozen=True)
class Bound:
    """A figure and what it must lie between.

    Attributes
    ----------
    name
        What it is.
    figure, low, high
        Its value, and the limits; NaN fails.
    """

    name: str
    figure: float
    low: float = -np.inf
    high: float = np.inf

    @property
    def is_met(self) -> bool:
        """Whether the figure lies within the limits."""
        return bool(self.low <= self.figure <= self.high)


@dataclass(frozen=True)
class Results:
    """Results by store, one per seed."""

    by_store: dict[str, list[Result]]

    @property
    def stationary(self) -> dict[str, list[Result]]:
        """The stores on which nothing changes but arrivals."""
        return {name: runs for name, runs in self.by_store.items() if name in STATIONARY}

    def ratios(self, store: str, what: str, by: str = "product") -> list[float]:
        """Return predicted / true of a store, by seed."""
        return [run[by][what] / run["true"][what] for run in self.by_store[store]]

    def mean_ratio(self, store: str, what: str, by: str = "product") -> float:
        """Return the mean of :meth:`ratios` over seeds."""
        return float(np.mean(self.ratios(store, what, by)))

    def distance(self, store: str, what: str) -> float | None:
        """Return how far predicted / true lies from 1, mean of SEEDS; None where one of them is missing."""
        ratios = dict(
            zip(
                (run["seed"] for run in self.by_store[store]),
                self.ratios(store, what),
                strict=True,
            )
        )
        if not set(SEEDS) <= set(ratios):
            return None
        return float(abs(np.mean([ratios[seed] for seed in SEEDS]) - 1))

    def ordered_share(self, store: str, ordered: str = "ordered") -> float:
        """Return the share of customers who order by their next-order date, mean of seeds.

        Parameters
        ----------
        store
            Its name.
        ordered
            ``ordered`` by the published date, or ``ordered_unrounded`` by the median itself.
        """
        each = [run["next_order"] for run in self.by_store[store]]
        shares = [one[ordered] / one["customers"] if one["customers"] else np.nan for one in each]
        return float(np.mean(shares))

    def second_order_ratio(self, store: str) -> float:
        """Return predicted / true chance of a second order of the top fifth, mean of seeds."""
        each = [run["second_order_top"] for run in self.by_store[store]]
        return float(
            np.mean([one["product"] / one["true"] if one["true"] else np.nan for one in each])
        )

    def season_share(self, *stores: str) -> float:
        """Return the share of fits that use a season index."""
        runs = [run for store in stores for run in self.by_store[store]]
        return float(np.mean([run["has_season"] for run in runs]))

    def random_share(self, store: str) -> float:
        """Return the share of fits in which order times are random (k = 1)."""
        return float(np.mean([run["k"] == 1 for run in self.by_store[store]]))

    def tenure(self, bands: tuple[str, ...], by: str) -> float:
        """Return predicted / true value of tenure bands over the stationary stores, each weighted equally."""
        predicted = true = 0.0
        for runs in self.stationary.values():
            for run in runs:
                weight = 1 / run["true"]["value_365"] / len(runs)
                predicted += weight * sum(run["bands"][band][by] for band in bands)
                true += weight * sum(run["bands"][band]["true"] for band in bands)
        return predicted / true if true else np.nan

    def gini(self, store: str, by: str) -> float:
        """Return the mean Gini of a store's ranking; ``rule`` is the better of the simple rules."""
        if by == "rule":
            return max(self.gini(store, rule) for rule in RULES)
        return float(np.mean([run["gini"][by] for run in self.by_store[store]]))

    def coverage(self, *stores: str) -> float:
        """Return the share of realized values inside the interval."""
        runs = [run for store in stores for run in self.by_store[store]]
        customers = sum(run["customers"] for run in runs)
        return sum(run["covered"] for run in runs) / customers if customers else np.nan

    @property
    def whole_stationary(self) -> tuple[str, ...]:
        """Stationary stores of full size."""
        return tuple(n for n, runs in self.stationary.items() if runs[0]["customers"] == WHOLE)

    def newcomers(self) -> tuple[int, int]:
        """Return how many likely newcomers the stationary stores have, and how many end above the interval."""
        each = [run["newcomers"] for runs in self.stationary.values() for run in runs]
        return sum(one["customers"] for one in each), sum(one["above"] for one in each)

    def group(self, name: str, column: str) -> float:
        """Return a newcomers' group's sum of a column in the store with a planted signal."""
        runs = self.by_store["signal"]
        return sum(run["signal"]["groups"][name][column] for run in runs)

    def signal_gini(self, by: str) -> float:
        """Return the mean Gini of newcomers' value in the store with a planted signal."""
        return float(np.mean([run["signal"]["gini"][by] for run in self.by_store["signal"]]))


def bounds_of(results: Results) -> list[Bound]:
    """Return every bound that the results can be held to."""
    return [
        *_totals(results),
        *_previous(results),
        *_seasonal(results),
        *_choices(results),
        *_tenure(results),
        *_order_values(results),
        *_rankings(results),
        *_signal(results),
        *_intervals(results),
    ]


def _totals(results: Results) -> Iterator[Bound]:
    for store in results.stationary:
        for what in ("value", "orders"):
            ratios = results.ratios(store, f"{what}_365")
            yield Bound(f"{what}, {store}, mean of seeds", float(np.mean(ratios)), 0.92, 1.08)
            worst = max(ratios, key=lambda ratio: abs(np.log(ratio)))
            yield Bound(f"{what}, {store}, worst seed", worst, 0.87, 1.13)
    for store, limits in VALUE_LIMITS.items():
        if store in results.by_store:
            mean = results.mean_ratio(store, "value_365")
            yield Bound(f"value, {store}, mean of seeds", mean, *limits)


def _previous(results: Results) -> Iterator[Bound]:
    for store in results.stationary:
        for what, previous in PREVIOUS_DISTANCE[store].items():
            distance = results.distance(store, f"{what}_365")
            if distance is not None:
                name = f"{what}, {store}, distance from 1"
                yield Bound(name, distance, high=previous + MOST_WORSE)


def _seasonal(results: Results) -> Iterator[Bound]:
    columns = {"value": "value_365", "orders": "orders_365", "orders within 90 days": "orders_90"}
    for store in (name for name in SEASONAL if name in results.by_store):
        for name, column in columns.items():
            mean = results.mean_ratio(store, column)
            yield Bound(f"{name}, {store}, mean of seeds", mean, *SEASONAL_LIMITS)
        yield _next_order(results, store)
        ratio = results.second_order_ratio(store)
        yield Bound(f"second orders of the top fifth, {store}", ratio, *TOP_LIMITS)


def _next_order(results: Results, store: str) -> Bound:
    share = results.ordered_share(store)
    return Bound(f"share who order by the next-order date, {store}", share, *HALF_LIMITS)


def _choices(results: Results) -> Iterator[Bound]:
    if "subscriptions" in results.by_store:
        yield _next_order(results, "subscriptions")
    if results.stationary:
        share = results.season_share(*results.stationary)
        yield Bound("fits with a season index, stationary stores", share, high=MOST_WITH_SEASON)
    if "weekly" in results.by_store:
        share = results.random_share("weekly")
        yield Bound("fits with random order times, weekly", share, low=LEAST_RANDOM)


def _tenure(results: Results) -> Iterator[Bound]:
    if results.stationary:
        others = [(band,) for band in BANDS if band not in NEW_BANDS]
        for bands in (NEW_BANDS, *others):
            name = "0-90" if bands == NEW_BANDS else bands[0]
            yield Bound(f"value, age {name} days", results.tenure(bands, "product"), 0.93, 1.07)


def _order_values(results: Results) -> Iterator[Bound]:
    for store, runs in results.by_store.items():
        largest = max(run["largest_order_value"] / run["largest_order"] for run in runs)
        yield Bound(f"largest order value / largest order, {store}", largest, high=1.5)
    error = max(run["product_error"] for runs in results.by_store.values() for run in runs)
    yield Bound("value = orders x order value, relative error", error, high=1e-9)


def _rankings(results: Results) -> Iterator[Bound]:
    for store in results.by_store:
        ours = results.gini(store, "product")
        room = (0.03, 0.03) if store.startswith("small") else (0.005, 0.01)
        for rival, least in zip(("plain", "rule"), room, strict=True):
            lead = ours - results.gini(store, rival)
            yield Bound(f"Gini, lead over {rival}, {store}", lead, low=-least)


def _signal(results: Results) -> Iterator[Bound]:
    if "signal" in results.by_store:
        for name in GROUPS:
            ratio = results.group(name, "product") / results.group(name, "true")
            yield Bound(f"value of newcomers, {name}", ratio, 0.8, 1.2)
        lead = results.signal_gini("product") - results.signal_gini("unclassified")
        yield Bound("Gini of newcomers, lead over no classifier", lead, low=0.1)


def _intervals(results: Results) -> Iterator[Bound]:
    if results.whole_stationary:
        coverage = results.coverage(*results.whole_stationary)
        yield Bound("coverage of the 80 % interval, stationary stores", coverage, 0.78, 0.82)
    newcomers, above = results.newcomers()
    if newcomers:
        yield Bound("likely newcomers above value_high", above / newcomers, high=0.12)
