"""Whom to invest in: ``python -m benchmarks.policies``.

Simulated stores are lived through once as they are, and once for each policy with the actions that it
chooses at one budget on one day: the margin that comes on top in the following year is what the policy
truly brought. The chance of a world is the same with and without the actions. Prints the tables of
docs/investment.md.
"""

import argparse
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc

from connectors.engine import open_engine
from features.tables import HISTORY
from models.forecaster import Forecaster
from perennial.pipeline.ingestion.read import known_customers
from perennial.pipeline.scoring.incremental_value import incremental_value
from perennial.pipeline.settings.store import Settings, build_settings
from perennial.pipeline.training.recipe import fit_recipe
from perennial.simulation import PROFILES, World, simulate
from perennial.simulation.profiles import ACTIONS, EFFECT_DAYS, EFFECTS, Profile
from segments.allocation import allocate
from segments.investment import (
    Action,
    EffectEstimate,
    EffectEstimates,
    IncrementalValue,
    Plan,
    invest,
)
from segments.lifecycle import lifecycle_segments

Array = NDArray[np.float64]

START, DAY = date(2023, 7, 1), date(2025, 8, 31)
HORIZON, SECOND, CUSTOMERS = 365, 90, 4_000
SHARE = 0.05  # budget: heavy for a twentieth of the customers
MARGIN = 0.55
RISKY = replace(PROFILES["apparel"], name="win back", keep_gaps=1000.0)
STORES = {**PROFILES, RISKY.name: RISKY}
LIVED = {name: (profile,) for name, profile in PROFILES.items()} | {
    "apparel": (PROFILES["apparel"], RISKY)  # the same world as long as nothing is done
}
ASSUMED = [
    Action(tier, EFFECTS[tier].cost, EFFECTS[tier].lift, EFFECTS[tier].keep) for tier in ACTIONS
]
TIERS = np.array(["none", *reversed(ACTIONS)], dtype=object)
OURS, RIVALS = ("perennial", "measured"), ("risk first", "value first")
POLICIES = (*OURS, *RIVALS, "oracle")
COLUMNS = {  # kind of figure: what it is called, and whose it is
    "": "lived through",
    " expected": "expected",
    " after cost": "expected, after cost",
}


@dataclass(frozen=True)
class Known:
    """What is known of the customers on the day, and what the models say."""

    state: pd.DataFrame
    predicted: pd.DataFrame
    forecaster: Forecaster

    @property
    def customer_id(self) -> NDArray[np.object_]:
        """Shape (n,)."""
        return self.state["customer_id"].to_numpy(dtype=object)


def known_on_the_day(world: World, profile: Profile) -> Known:
    """Fit the recipe to the orders known on the day, as ``perennial train`` does, and predict."""
    with open_engine(profile.timezone) as engine, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        orders = engine.table(world.orders, "orders")
        lines = engine.table(world.order_lines, "lines") if len(world.order_lines) else None
        forecaster = fit_recipe(engine, orders, lines, DAY, SECOND, HORIZON).forecaster
        customers = known_customers(orders, lines, DAY, SECOND)
        state = engine.frame(customers.order_by("customer_id"))
        predicted = forecaster.predict(state, horizon_days=HORIZON, annual_discount_rate=0.1)
    return Known(state, predicted, forecaster)


def settings_of(profile: Profile) -> Settings:
    """Return the usual settings, but for how long an action works and how long somebody can be kept."""
    choice = {"works_days": EFFECT_DAYS, "reach_gaps": profile.keep_gaps}
    sections = {"orders": {"source": "orders.csv"}, "store": {"margin": MARGIN}}
    return build_settings({**sections, "investment": choice}, Path())


def to_win_of(past: Known, profile: Profile) -> IncrementalValue:
    """Say what there is to win, as ``perennial run`` does; the actions have no offer to redeem."""
    state, settings = past.state, settings_of(profile)
    history = (state[name] for name in HISTORY)
    segment = lifecycle_segments(*history, state["revenue"], past.predicted["expected_value"])
    value = incremental_value(
        settings.policy, state, past.predicted, past.forecaster, segment, HORIZON
    )
    return replace(value, orders_soon=np.zeros(len(state)))


def chosen_by_perennial(
    to_win: IncrementalValue, budget: float, hurdle: float, effects: EffectEstimates | None = None
) -> Array:
    """Return the column of each customer's action, as ``perennial run`` would choose it."""
    nobody = np.zeros(len(to_win.segment), dtype=bool)
    plan = Plan(budget, caution=0.0, hurdle=hurdle)  # the average effects are known
    investment = invest(to_win, ASSUMED, nobody, plan, effects=effects)
    return (investment.tier[:, None] == TIERS).argmax(axis=1)


def measured(to_win: IncrementalValue, gains: Array) -> EffectEstimates:
    """Return what an endless holdout would have measured: each tier's effect by segment, and no more."""
    actual = {}
    for action in ASSUMED:
        orders = to_win.faster * action.assumed_lift + to_win.kept * action.assumed_keep
        column = int(np.flatnonzero(action.tier == TIERS)[0])
        for name in np.unique(to_win.segment.astype(str)):
            inside = to_win.segment == name
            assumed = float((orders * to_win.margin_per_order)[inside].sum())
            if assumed > 0:
                multiple = float(gains[inside, column].sum()) / assumed
                actual[action.tier, name] = EffectEstimate(multiple, 0.0, is_measured=True)
    return actual


def chosen_first(rank: Array, budget: float) -> Array:
    """Give the heavy action to those who rank highest."""
    best = np.argsort(-rank, kind="stable")[: int(budget / EFFECTS["heavy"].cost)]
    column = np.zeros(len(rank), dtype=np.intp)
    column[best] = len(ACTIONS)
    return column


def true_gains(state: pd.DataFrame, truth: pd.DataFrame, reach: float) -> Array:
    """Return the margin that each action is to add, given each customer's true nature and history."""
    pace, k = truth["purchase_rate"].to_numpy(), truth["regularity"].to_numpy(dtype=np.float64)
    p = truth["dropout_chance"].to_numpy(dtype=np.float64)
    silence = (state["age_days"] - state["recency_days"]).to_numpy(dtype=np.float64)
    rate = truth["dropout_rate"].to_numpy(dtype=np.float64)
    by_clock = np.isnan(p)
    p = np.where(by_clock, 1e-9, p)
    waits = gammaincc(k, k * pace * silence)
    free = (state["frequency"].to_numpy() == 0) & ~truth["may_leave_first"].to_numpy(dtype=bool)
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
    gains = [np.zeros(len(pace))]
    for tier in reversed(ACTIONS):
        lift, keep = (truth[f"{tier}_{what}"].to_numpy() for what in ("order_lift", "keep_chance"))
        moved = np.where(
            by_clock,
            lift * orders(EFFECT_DAYS),
            orders(HORIZON + lift * EFFECT_DAYS) - orders(HORIZON),
        )
        kept = np.where(by_clock, 0.0, (1 - alive) * in_reach * keep * orders(HORIZON))
        gains.append((alive * moved + kept) * value)
    return np.column_stack(gains)


def costs_of(gains: Array) -> Array:
    """Return what each action costs, in the shape of the gains."""
    cost = np.array([0.0, *(EFFECTS[tier].cost for tier in reversed(ACTIONS))])
    return np.broadcast_to(cost, gains.shape)


def usual_response(gains: Array, truth: pd.DataFrame) -> Array:
    """Return the gains, were everybody moved as the usual customer."""
    moved = (truth["heavy_order_lift"] / EFFECTS["heavy"].lift).to_numpy()[:, None]
    return np.divide(gains, moved, out=np.zeros_like(gains), where=np.abs(moved) > 1e-9)


def margin_after(world: World) -> float:
    """Return the margin of the year after the day."""
    orders = world.orders.select(["order_date", "net_amount"]).to_pandas()
    return float(orders.loc[orders["order_date"] > DAY, "net_amount"].sum() * MARGIN)


def lived(
    profile: Profile, seed: int, past: Known | None = None, column: Array | None = None
) -> World:
    """Live a store through, with the actions chosen for each customer."""
    rows = None
    if past is not None and column is not None:
        ids, tiers = past.customer_id[column > 0], TIERS[column[column > 0]]
        day = DAY + timedelta(days=1)
        rows = pd.DataFrame({"customer_id": ids, "day": day, "action": tiers})
    end = DAY + timedelta(days=HORIZON + 1)
    return simulate(CUSTOMERS, START, end, seed, profile, assignment=rows)


def one_store(name: str, seed: int) -> list[dict[str, object]]:
    """Return what each policy brought in one simulated store, or in two that differ in response alone."""
    base = lived(LIVED[name][0], seed)
    past = known_on_the_day(base, LIVED[name][0])
    truth = base.truth.to_pandas().set_index("customer_id").loc[past.customer_id]
    return [one_response(profile, seed, base, past, truth) for profile in LIVED[name]]


def one_response(
    profile: Profile, seed: int, base: World, past: Known, truth: pd.DataFrame
) -> dict[str, object]:
    """Return what each policy brought: the margin lived through, expected, and expected after its cost."""
    gains = true_gains(past.state, truth, profile.keep_gaps)
    costs = costs_of(gains)
    budget = SHARE * len(gains) * EFFECTS["heavy"].cost
    risk = chosen_first(past.predicted["churn_probability"].to_numpy(), budget)
    value = chosen_first(past.predicted["expected_value"].to_numpy(), budget)
    to_win = to_win_of(past, profile)
    effects = measured(to_win, gains)
    choice = {
        "perennial": chosen_by_perennial(to_win, budget, 0.0),
        "measured": chosen_by_perennial(to_win, budget, 0.0, effects),
        "risk first": risk,
        "value first": value,
        "oracle": allocate(gains, costs, budget),
    }
    stops = {
        "perennial": chosen_by_perennial(to_win, budget, 1.0),
        "measured": chosen_by_perennial(to_win, budget, 1.0, effects),
        "risk first": risk,
        "value first": value,
        "oracle": allocate(gains - costs, costs, budget),
    }
    rows = np.arange(len(gains))
    usual = allocate(usual_response(gains, truth), costs, budget)
    actual: dict[str, object] = {"store": profile.name, "seed": seed, "budget": budget}
    actual["nature"] = gains[rows, usual].sum()
    without = margin_after(base)
    for policy in POLICIES:
        column, stopped = choice[policy], stops[policy]
        actual[policy] = margin_after(lived(profile, seed, past, column)) - without
        actual[f"{policy} expected"] = gains[rows, column].sum()
        actual[f"{policy} after cost"] = (gains - costs)[rows, stopped].sum()
    return actual


def lines(actual: pd.DataFrame) -> Iterator[str]:
    """Yield the tables: medians over the seeds."""
    for kind, title in COLUMNS.items():
        heads = [*POLICIES, *(f"{ours} over the better rival" for ours in OURS)]
        heads += [f"{ours} of the oracle" for ours in OURS]
        yield f"\n| {title} | {' | '.join(heads)} |\n|---|" + "--:|" * len(heads)
        times: dict[str, list[float]] = {ours: [] for ours in OURS}
        for name, rows in actual.groupby("store", sort=False):
            cells = [f"{rows[f'{policy}{kind}'].median():,.0f}" for policy in POLICIES]
            for ours in OURS:
                times[ours].append(_times(rows, ours, kind))
                cells.append(_said(times[ours][-1]))
            for ours in OURS:
                share = rows[f"{ours}{kind}"] / rows[f"oracle{kind}"]
                cells.append(f"{share.median():.0%}")
            yield f"| {name} | {' | '.join(cells)} |"
        middle = " and ".join(f"{_said(float(np.median(times[o])))} ({o})" for o in OURS)
        yield f"\nMedian over the stores, times the better rival: {middle}."
    yield "\n| knows all but the response | over the better rival | of the oracle |\n|---|--:|--:|"
    for name, rows in actual.groupby("store", sort=False):
        rival = rows[[f"{rival} expected" for rival in RIVALS]].max(axis=1)
        over, share = rows["nature"] / rival, rows["nature"] / rows["oracle expected"]
        yield f"| {name} | {over.median():.2f} | {share.median():.0%} |"


def _times(rows: pd.DataFrame, ours: str, kind: str) -> float:
    """Return the median of times the better rival; infinite where one of both loses money."""
    rival = rows[[f"{rival}{kind}" for rival in RIVALS]].max(axis=1)
    if min(rival.median(), rows[f"{ours}{kind}"].median()) <= 0:
        return float(np.inf if rows[f"{ours}{kind}"].median() > 0 else -np.inf)
    return float((rows[f"{ours}{kind}"] / rival).median())


def _said(times: float) -> str:
    if np.isfinite(times):
        return f"{times:.2f}"
    return "the rivals lose" if times > 0 else "loses"


def main() -> None:
    """Run all stores and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stores", nargs="*", default=list(LIVED))
    parser.add_argument("--keep", type=Path, help="CSV of every store and seed, to write to")
    asked = parser.parse_args()
    jobs = [(name, seed) for seed in range(1, asked.seeds + 1) for name in asked.stores]
    with ProcessPoolExecutor(2) as pool:
        each = [row for rows in pool.map(one_store, *zip(*jobs, strict=True)) for row in rows]
    frame = pd.DataFrame(each)
    if asked.keep is not None:
        frame.to_csv(asked.keep, index=False)
    print("\n".join(lines(frame)))


if __name__ == "__main__":
    main()
