"""How the simulated store compares with the stores that it stands for: ``python -m benchmarks.simulation``.

Prints each figure beside its target, and how often the textbook's parameters are recovered; draws
``docs/second-purchase.svg``. Exits with 1 if any figure is missed.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from models.cells import distinct
from models.purchases import fit_purchases
from models.spend import fit_spend
from perennial.simulation import PROFILES, Profile, World, facts, simulate
from perennial.simulation.draws import Array

matplotlib.use("svg")

START, END = date(2023, 7, 1), date(2026, 7, 1)
REPEAT_RATES = {  # within 12 months: the guides' category ranges; beauty between its neighbors'
    "coffee": (0.45, 0.65),
    "beauty": (0.40, 0.45),
    "apparel": (0.25, 0.40),
    "electronics": (0.15, 0.25),
}
TEXTBOOK_CUSTOMERS, STANDARD_ERRORS, SEEDS, RECOVERED = 10_000, 3.0, 100, 0.95


@dataclass(frozen=True)
class Figure:
    """Something measured, and the range that it is meant to lie in."""

    what: str
    estimate: float
    low: float
    high: float

    @property
    def is_met(self) -> bool:
        """Whether it lies there."""
        return self.low <= self.estimate <= self.high

    def __str__(self) -> str:
        high = "" if np.isinf(self.high) else f" to {self.high:.2f}"
        low = f"{self.low:.2f}" if high else f"over {self.low:.2f}"
        return f"{self.what:<76} {self.estimate:>7.3f}   {low + high:<14} {'ok' if self.is_met else 'MISSED'}"


def figures(world: World, customers: int) -> Iterator[Figure]:
    """Yield what a profile's world is held to."""
    name = world.profile.name
    steps, returns = facts.second_purchase_steps(world), facts.return_rates(world)
    yield Figure(
        f"{name}: second order within 12 months", facts.repeat_rate(world), *REPEAT_RATES[name]
    )
    yield Figure(
        f"{name}: second orders in the first 90 days over those in the next",
        steps[0] / steps[1],
        1.0,
        np.inf,
    )
    yield Figure(
        f"{name}: least fall from one 90 days to the next", -np.diff(steps).max(), 0.0, np.inf
    )
    yield Figure(
        f"{name}: least rise of the return rate, 1st to 2nd, 2nd to 3rd, 3rd to 4th",
        np.diff(returns[:3]).min(),
        0.0,
        np.inf,
    )
    yield Figure(
        f"{name}: first-year value of the referred over the paid",
        facts.referred_over_paid(world),
        1.0,
        np.inf,
    )
    yield Figure(
        f"{name}: share of value by the fifth worth most", facts.top_fifth_share(world), 0.45, 0.8
    )
    yield Figure(
        f"{name}: new customers of the first year over those asked for",
        facts.arrivals_ratio(world, customers),
        0.97,
        1.03,
    )


@dataclass(frozen=True)
class Recovery:
    """How far fitted parameters lie from the truth, in standard errors."""

    seed: int
    away: dict[str, float]

    @property
    def is_recovered(self) -> bool:
        """Whether all lie near."""
        return all(abs(away) <= STANDARD_ERRORS for away in self.away.values())


def recover(
    seed: int, customers: int = TEXTBOOK_CUSTOMERS, profile: Profile = PROFILES["textbook"]
) -> Recovery:
    """Simulate a store for three years, fit its models, compare with the textbook's parameters."""
    days = facts.purchase_days(simulate(customers, START, END, seed, profile))
    profile = PROFILES["textbook"]
    by_customer = days.groupby("customer_id", sort=False)
    first, last = by_customer["day"].min(), by_customer["day"].max()
    x = by_customer.size().to_numpy() - 1.0
    t_x = (last - first).dt.days.to_numpy(np.float64)
    T = (np.datetime64(END) - first.to_numpy()).astype("timedelta64[D]").astype(np.float64) - 1
    repeats = days[days["nth"] > 0].groupby("customer_id", sort=False)["value"]
    m, n = repeats.mean().to_numpy(), repeats.size().to_numpy(np.float64)

    states, where = distinct(x, t_x, T)
    weight = np.bincount(where).astype(np.float64)
    purchases, spend = fit_purchases(*states, weight), fit_spend(n, m)
    fitted = {**purchases.model.to_dict(), **spend.model.to_dict()}
    errors = {**purchases.standard_errors, **spend.standard_errors}
    truth = {
        "r": profile.r,
        "alpha": profile.r * profile.mean_gap_days,
        "a": profile.a,
        "b": profile.b,
        "p": profile.p,
        "q": profile.q,
        "gamma": profile.mean_spend * (profile.q - 1) / profile.p,
    }
    away = {name: (fitted[name] - true) / errors[name] for name, true in truth.items()}
    return Recovery(seed, away)


def draw(curves: dict[str, Array], path: Path) -> None:
    """Draw the share of customers who came back, by days since the first order."""
    plt.rcParams["svg.hashsalt"] = "perennial"
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for (name, shares), style in zip(curves.items(), ("-", "--", "-.", ":"), strict=True):
        axes.plot(np.arange(len(shares)), 100 * shares, style, label=name)
        axes.annotate(f" {name}", (len(shares) - 1, 100 * shares[-1]), va="center")
    axes.set(xlabel="days since the first order", ylabel="came back, %", xlim=(0, 365), ylim=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    """Print every figure; return 1 if one is missed."""
    customers, missed, curves = 20_000, 0, {}
    for name in REPEAT_RATES:
        world = simulate(customers, START, END, 1, name)
        curves[name] = np.cumsum(np.r_[0, facts.second_purchase_steps(world, step=1)])
        for figure in figures(world, customers):
            print(figure, flush=True)
            missed += not figure.is_met
    draw(curves, Path("docs/second-purchase.svg"))
    with ProcessPoolExecutor(2) as pool:
        recoveries = list(pool.map(recover, range(SEEDS)))
    for name in recoveries[0].away:
        away = np.array([recovery.away[name] for recovery in recoveries])
        print(
            f"textbook: {name}: standard errors from the truth: mean {away.mean():+.2f}, "
            f"spread {away.std():.2f}, largest {np.abs(away).max():.2f}"
        )
    share = sum(recovery.is_recovered for recovery in recoveries) / SEEDS
    last = Figure(f"textbook: seeds with all parameters near, of {SEEDS}", share, RECOVERED, 1.0)
    print(last)
    return int(missed > 0 or not last.is_met)


if __name__ == "__main__":
    sys.exit(main())
