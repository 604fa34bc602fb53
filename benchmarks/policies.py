"""Whom to invest in: ``python -m benchmarks.policies``.

Simulated stores are lived through once as they are, and once for each policy with the actions that it
chooses at one budget on one day: the margin that comes on top in the following year is what the policy
truly brought. The chance of a world is the same with and without the actions. Writes the table of
docs/investment.md.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc

from features.synthetic import PROFILES, World, simulate
from features.synthetic.profiles import ACTIONS, EFFECT_DAYS, EFFECTS
from models.purchases import BetaGeometric, PurchaseModel, fit_family
from models.purchases.response import response
from models.spend import fit_spend
from segments.allocation import allocate
from segments.investment import Action, Plan, Prospects, invest

Array = NDArray[np.float64]

START, DAY = date(2023, 7, 1), date(2025, 8, 31)
HORIZON, CUSTOMERS, SHARE = 365, 4_000, 0.05  # budget: heavy for a twentieth of the customers
MARGIN = 0.55
PAGE = Path("docs/investment.md")
RISKY = replace(PROFILES["apparel"], name="win back", keep_gaps=1000.0)
STORES = {**PROFILES, RISKY.name: RISKY}
ASSUMED = [
    Action(tier, EFFECTS[tier].cost, EFFECTS[tier].lift, EFFECTS[tier].keep) for tier in ACTIONS
]
POLICIES = ("perennial", "risk first", "value first", "oracle")


@dataclass(frozen=True)
class Known:
    """What is known of the customers on the day: arrays of shape (n,)."""

    customer_id: NDArray[np.object_]
    x: Array
    t_x: Array
    T: Array
    monetary: Array


def known_customers(world: World) -> Known:
    """Sum up the orders known on the day."""
    orders = world.orders.select(["customer_id", "order_date", "net_amount"]).to_pandas()
    orders = orders[orders["order_date"] <= DAY]
    days = orders.groupby(["customer_id", "order_date"], as_index=False)["net_amount"].sum()
    days = days[days["net_amount"] > 0]
    days["day"] = (pd.to_datetime(days["order_date"]) - pd.Timestamp(START)).dt.days
    days["is_repeat"] = days["day"] > days.groupby("customer_id")["day"].transform("min")
    by = days.groupby("customer_id")
    first, last = by["day"].min(), by["day"].max()
    repeat = days[days["is_repeat"]].groupby("customer_id")["net_amount"].mean()
    x = (by.size() - 1).to_numpy(dtype=np.float64)
    age = (DAY - START).days - first
    return Known(
        first.index.to_numpy(dtype=object), x, (last - first).to_numpy(dtype=np.float64),
        age.to_numpy(dtype=np.float64), repeat.reindex(first.index).fillna(0.0).to_numpy(),
    )  # fmt: skip


def chosen_by_perennial(known: Known, budget: float, reach: float) -> pd.DataFrame:
    """Fit the purchase models, and invest by what there is to win."""
    purchases = _fit(known)
    won = response(
        purchases, known.x, known.t_x, known.T,
        horizon_days=HORIZON, works_days=EFFECT_DAYS, reach_gaps=reach,
    )  # fmt: skip
    none = np.zeros(len(known.x))
    segment = np.full(len(known.x), "all", dtype=object)
    prospects = Prospects(_order_value(known) * MARGIN, won.faster, won.kept, none, segment)
    plan = Plan(budget, caution=0.0, hurdle=0.0)
    found = invest(prospects, ASSUMED, np.zeros(len(known.x), dtype=bool), plan)
    is_chosen = found.tier != "none"
    return _assignment(known.customer_id[is_chosen], found.tier[is_chosen])


def chosen_first(known: Known, rank: Array, budget: float) -> pd.DataFrame:
    """Give the heavy action to those who rank highest."""
    best = np.argsort(-rank, kind="stable")[: int(budget / EFFECTS["heavy"].cost)]
    return _assignment(known.customer_id[best], "heavy")


def chosen_by_oracle(known: Known, world: World, budget: float, reach: float) -> pd.DataFrame:
    """Invest by the true nature and response of each customer: all but what only the future shows."""
    gains, costs = true_gains(known, world, reach)
    column = allocate(gains - costs, costs, budget, hurdle=-1.0)
    tier = np.array(["none", *reversed(ACTIONS)], dtype=object)[column]
    return _assignment(known.customer_id[column > 0], tier[column > 0])


def true_gains(known: Known, world: World, reach: float) -> tuple[Array, Array]:
    """Return the margin that each action is to add, given a customer's true nature and history, and costs."""
    truth = world.truth.to_pandas().set_index("customer_id").loc[known.customer_id]
    pace, k = truth["purchase_rate"].to_numpy(), truth["regularity"].to_numpy(dtype=np.float64)
    p, silence = truth["dropout_chance"].to_numpy(dtype=np.float64), known.T - known.t_x
    rate = truth["dropout_rate"].to_numpy(dtype=np.float64)
    by_clock = np.isnan(p)
    p = np.where(by_clock, 1e-9, p)
    waits = gammaincc(k, k * pace * silence)
    free = (known.x == 0) & ~truth["may_leave_first"].to_numpy(dtype=bool)
    may = np.where(free, 0.0, p)
    alive = (1 - may) * waits / ((1 - may) * waits + may)
    with np.errstate(over="ignore", invalid="ignore"):
        odds = rate / (pace + rate) * np.expm1((pace + rate) * silence)
    alive = np.where(by_clock, 1 / (1 + odds), alive)

    def orders(days: Array | float) -> Array:
        by_time = pace / rate * -np.expm1(-rate * np.asarray(days, dtype=np.float64))
        return np.asarray(np.where(by_clock, by_time, -np.expm1(-p * pace * days) / p))

    value = truth["spend_level"].to_numpy() * MARGIN
    in_reach = silence <= reach / pace
    gains, costs = [np.zeros(len(pace))], [0.0]
    for tier in reversed(ACTIONS):
        lift, keep = (truth[f"{tier}_{what}"].to_numpy() for what in ("order_lift", "keep_chance"))
        moved = np.where(
            by_clock,
            lift * orders(EFFECT_DAYS),
            orders(HORIZON + lift * EFFECT_DAYS) - orders(HORIZON),
        )
        kept = np.where(by_clock, 0.0, (1 - alive) * in_reach * keep * orders(HORIZON))
        gains.append((alive * moved + kept) * value)
        costs.append(EFFECTS[tier].cost)
    gain = np.column_stack(gains)
    return gain, np.broadcast_to(np.array(costs), gain.shape)


def _fit(known: Known) -> PurchaseModel:
    """Fit the family; the best model in which customers leave after an order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = fit_family(known.x, known.t_x, known.T)
    return next(fit.model for fit in fits if isinstance(fit.model, BetaGeometric))


def _order_value(known: Known) -> Array:
    came_back = known.x > 0
    spend = fit_spend(known.x[came_back], known.monetary[came_back]).model
    return spend.expected_order_value(known.x, known.monetary)


def _assignment(customer_id: NDArray[np.object_], tier: NDArray[np.object_] | str) -> pd.DataFrame:
    day = DAY + timedelta(days=1)
    return pd.DataFrame({"customer_id": customer_id, "day": day, "action": tier})


def margin_after(world: World) -> float:
    """Return the margin of the year after the day."""
    orders = world.orders.select(["order_date", "net_amount"]).to_pandas()
    return float(orders.loc[orders["order_date"] > DAY, "net_amount"].sum() * MARGIN)


def one_store(name: str, seed: int) -> dict[str, object]:
    """Return what each policy brought in one simulated store."""
    profile = STORES[name]
    live: Callable[..., World] = lambda assignment=None: simulate(  # noqa: E731
        CUSTOMERS, START, DAY + timedelta(days=HORIZON + 1), seed, profile, assignment=assignment
    )
    base = live()
    known = known_customers(base)
    budget = SHARE * len(known.x) * EFFECTS["heavy"].cost
    purchases = _fit(known)
    history = (known.x, known.t_x, known.T)
    value = purchases.expected_orders(HORIZON, *history) * _order_value(known)
    chosen = {
        "perennial": chosen_by_perennial(known, budget, profile.keep_gaps),
        "risk first": chosen_first(known, -purchases.p_order(HORIZON, *history), budget),
        "value first": chosen_first(known, value, budget),
        "oracle": chosen_by_oracle(known, base, budget, profile.keep_gaps),
    }
    without = margin_after(base)
    gains, _ = true_gains(known, base, profile.keep_gaps)
    at = {customer: row for row, customer in enumerate(known.customer_id)}
    column = {tier: place + 1 for place, tier in enumerate(reversed(ACTIONS))}
    found: dict[str, object] = {"store": name, "seed": seed, "budget": budget}
    for policy, rows in chosen.items():
        found[policy] = margin_after(live(rows)) - without
        found[f"{policy} expected"] = sum(
            gains[at[who], column[tier]]
            for who, tier in zip(rows["customer_id"], rows["action"], strict=True)
        )
    return found


def lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the table: medians over the seeds."""
    yield "| store | " + " | ".join(POLICIES) + " | over the better rival | of the oracle |"
    yield "|---|" + "--:|" * (len(POLICIES) + 2)
    for kind in ("", " expected"):
        for name, rows in found.groupby("store", sort=False):
            medians = [rows[f"{policy}{kind}"].median() for policy in POLICIES]
            rival = rows[[f"risk first{kind}", f"value first{kind}"]].max(axis=1)
            ours, best = rows[f"perennial{kind}"], rows[f"oracle{kind}"]
            cells = [f"{median:,.0f}" for median in medians]
            yield (
                f"| {name}{kind} | {' | '.join(cells)} | {(ours / rival).median():.2f} | "
                f"{(ours / best).median():.0%} |"
            )


def main() -> None:
    """Run all stores and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stores", nargs="*", default=list(STORES))
    asked = parser.parse_args()
    jobs = [(name, seed) for name in asked.stores for seed in range(1, asked.seeds + 1)]
    with ProcessPoolExecutor(2) as pool:
        found = pd.DataFrame(list(pool.map(one_store, *zip(*jobs, strict=True))))
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
