"""What the forecasts are held to, and how results of several seeds are taken together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.independent.measures import BANDS, GROUPS
from tests.independent.product import RULES
from tests.independent.stores import STATIONARY

Result = dict[str, Any]  # of :func:`tests.independent.measures.measure`
NEW_BANDS = ("0-30", "31-90")  # held to a bound together
WHOLE = 8_000  # customers of a store whose coverage is pooled


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
    for store, low, high in (("quality", -np.inf, 1.15), ("small_700", 0.87, 1.15)):
        if store in results.by_store:
            mean = float(np.mean(results.ratios(store, "value_365")))
            yield Bound(f"value, {store}, mean of seeds", mean, low, high)


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
