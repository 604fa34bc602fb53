"""From customer states to scores: predict, name the segment, choose the investment."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.klaviyo.erasure import Erasures
from connectors.programs import COMMITMENTS, Programs, write_table
from connectors.store import Store
from features.tables import Commitments, CustomerState, Expected, Scores
from flows.expected import EXPECTED, WINDOWS, expected_table
from flows.forecaster import HISTORY, Forecaster, Told
from flows.ledger import (
    Earlier,
    Standing,
    chosen_of,
    draw_arms,
    explorers,
    list_commitments,
    plan_budget,
    standing,
)
from flows.power import experiment
from flows.prospects import prospects
from flows.purpose import Purpose
from flows.responders import features_of, multiples
from flows.settings import Settings
from flows.signals import read_signals
from flows.steps import step
from models.baselines import rfm_cells
from segments.evidence import Signals, advocates
from segments.investment import Investment, Plan, Prospects, invest
from segments.journey import journey_stage
from segments.lifecycle import SEGMENTS, lifecycle_segments
from segments.loyalty import loyalty_tiers
from segments.newcomers import top_newcomers

FARTHEST_ORDER_DAYS = 3650  # a median further away than ten years is no date
RFM_SCORES = np.array([str(number) for number in range(556)], dtype=object)
CARRIED_OVER = [name for name in Scores.columns() if name in CustomerState.columns()]


@dataclass(frozen=True)
class Decided:
    """What a day decides.

    Attributes
    ----------
    scores
        Table :class:`features.tables.Scores` but for ``model_version`` and ``run_id``.
    commitments
        What is newly committed.
    in_force
        The same, and what earlier days committed to customers who still have the tier.
    assignments
        Who is newly drawn.
    newcomers
        First-time buyers whose second order is worth most, see :mod:`segments.newcomers`.
    expected
        Table :class:`features.tables.Expected`.
    budget
        ``committed`` (today), ``left`` (of the period's, before today), ``next_return`` (what one
        more unit would bring back; None where there is nothing to fund), ``experiment`` (what those newly
        committed can show, see :mod:`flows.power`) and ``curve`` (``budget``, the
        ``gain`` of each net of cost, and what is ``spent``, but for those who are explored).
    """

    scores: pd.DataFrame
    commitments: pd.DataFrame
    in_force: pd.DataFrame
    assignments: pd.DataFrame
    newcomers: pd.DataFrame
    expected: pd.DataFrame
    budget: dict[str, Any]


@step
def decide(
    settings: Settings,
    state: Path,
    model: Path,
    as_of: date,
    work: Path,
    *,
    purpose: Purpose = Purpose.CURRENT,
) -> Path:
    """Predict what each customer will do and choose what to do for them; return the folder of the files.

    The forgotten are no customers: they get no draw and take no budget. Of a day of history nothing
    reaches marketing: its tiers are what would have been chosen, and nothing is committed.
    """
    known = pd.read_parquet(state)
    decided = score_customers(
        settings,
        known[~Erasures(settings.state).covers(known["customer_id"])],
        Forecaster.load(model),
        as_of,
        Earlier.read(settings, as_of),
        Erasures(settings.state),
        read_signals(settings, as_of, work),
    )
    programs = Programs(settings.state, Store(settings.exports))
    # A draw depends on nothing but the customer: should the day fail later, it stays right.
    programs.add_assignments(decided.assignments)
    decided.scores.to_parquet(work / "decided.parquet", index=False)
    committed = decided.commitments
    if purpose is Purpose.HISTORY:
        committed = committed.head(0)
    write_table(committed, Commitments, work / COMMITMENTS)
    write_table(decided.in_force, Commitments, work / "in_force.parquet")
    decided.newcomers.to_parquet(work / "newcomers.parquet", index=False)
    write_table(decided.expected, Expected, work / EXPECTED)
    (work / "budget.json").write_text(json.dumps(decided.budget))
    return work


def score_customers(
    settings: Settings,
    state: pd.DataFrame,
    forecaster: Forecaster,
    as_of: date,
    earlier: Earlier | None = None,
    erased: Erasures | None = None,
    signals: Signals | None = None,
) -> Decided:
    """Score customers in memory.

    Parameters
    ----------
    settings
        The store's.
    state
        Table :class:`features.tables.CustomerState`.
    forecaster
        The model.
    as_of
        Last day whose orders are known.
    earlier
        What earlier days decided; None = nothing.
    erased
        Whose orders are not counted later either; None = nobody.
    signals
        What customers said and did besides buying; None = nothing is known of it.
    """
    earlier = earlier or Earlier()
    state = state.reset_index(drop=True)
    told = forecaster.tell(state)
    day = _Day.predict(settings, as_of, state, forecaster, told)
    held, drawn = draw_arms(settings, state["customer_id"], earlier.assignments, as_of)
    stands = standing(settings, state["customer_id"], earlier.commitments, as_of)
    plan = plan_budget(settings, earlier.commitments, as_of)
    investment = _choose(day, held, stands, plan, earlier)
    scores = _score_table(day, held, stands, investment, signals or Signals())
    new = investment.tier != "none"
    watched = day.prospects(settings.holdout.measure_days, new)
    commitments = list_commitments(
        scores[new], chosen_of(investment, new), watched, settings, as_of
    )
    parts = [part for part in (stands.in_force, commitments) if len(part)]
    return Decided(
        scores,
        commitments,
        pd.concat(parts, ignore_index=True) if parts else commitments,
        drawn,
        top_newcomers(scores, _second_order_margin(day), settings.lifecycle),
        expected_table(
            state,
            day.predicted["expected_orders"],
            forecaster.counts(state, WINDOWS, told),
            as_of,
            None if erased is None else ~erased.covers(state["customer_id"]),
        ),
        {
            "committed": investment.spent,
            "left": plan.budget,
            "next_return": investment.next_return if np.isfinite(investment.next_return) else None,
            "curve": _curve(investment),
            "experiment": experiment(
                settings, forecaster, day.predicted[new], commitments, watched
            ),
        },
    )


@dataclass(frozen=True)
class _Day:
    """What a day's decisions rest on: n customers' states, what they will do, and where they stand."""

    settings: Settings
    as_of: date
    state: pd.DataFrame
    forecaster: Forecaster
    predicted: pd.DataFrame
    segment: NDArray[np.object_]

    @classmethod
    def predict(
        cls,
        settings: Settings,
        as_of: date,
        state: pd.DataFrame,
        forecaster: Forecaster,
        told: Told,
    ) -> "_Day":
        """Say what customers will do, and name their segments."""
        predicted = forecaster.predict(
            state,
            horizon_days=settings.model.horizon_days,
            annual_discount_rate=settings.model.annual_discount_rate,
            told=told,
        )
        x, t_x, T = (state[name] for name in HISTORY)
        segment = lifecycle_segments(
            x,
            t_x,
            T,
            state["revenue"],
            predicted["expected_value"],
            settings.lifecycle,
            cycle_days=settings.kpis.natural_cycle_days,
        )
        return cls(settings, as_of, state, forecaster, predicted, segment)

    @property
    def margin(self) -> "pd.Series[float]":
        """Margin expected within the horizon."""
        return self.predicted["expected_value"] * self.settings.store.margin

    def prospects(self, days: int, rows: NDArray[np.bool_] | slice = slice(None)) -> Prospects:
        """Say what there is to win of some customers within some days."""
        return prospects(
            self.settings,
            self.state[rows],
            self.predicted[rows],
            self.forecaster,
            self.segment[rows],
            days,
        )


def _choose(
    day: _Day, held: NDArray[np.bool_], stands: Standing, plan: Plan, earlier: Earlier
) -> Investment:
    """Choose an investment for each customer who has none in force."""
    settings, responds = day.settings, {}
    if earlier.responders:
        known = day.predicted.assign(**day.state[CARRIED_OVER], expected_margin=day.margin)
        seen = day.prospects(settings.holdout.measure_days)
        responds = multiples(earlier.responders, features_of(known), seen, settings.actions)
    return invest(
        day.prospects(settings.model.horizon_days),
        settings.actions,
        held,
        plan,
        beliefs=earlier.beliefs,
        multiples=responds,
        is_eligible=~stands.is_bound,
        is_explorer=explorers(settings, day.state["customer_id"], day.as_of),
    )


def _score_table(
    day: _Day,
    held: NDArray[np.bool_],
    stands: Standing,
    investment: Investment,
    signals: Signals,
) -> pd.DataFrame:
    """Return :class:`features.tables.Scores` but for the model's version and the run."""
    settings, state, predicted = day.settings, day.state, day.predicted
    x, t_x, T = (state[name] for name in HISTORY)
    is_new = stands.tier == ""
    tier = np.where(is_new, investment.tier, stands.tier).astype(object)
    loyalty = loyalty_tiers(state["orders"], state["revenue"], settings.loyalty.tiers)
    loud = advocates(pd.Index(state["customer_id"]), signals)
    silent_days = state["age_days"] - state["recency_days"]
    return pd.DataFrame(
        {
            **state[CARRIED_OVER],
            **predicted.drop(columns="median_days"),
            "expected_margin": day.margin,
            "next_order_date": _dates(day.as_of, predicted["median_days"]),
            "rfm_score": RFM_SCORES[rfm_cells(silent_days, state["frequency"], state["revenue"])],
            "segment": day.segment,
            "journey_stage": journey_stage(
                x, t_x, T, settings.kpis.natural_cycle_days, loud, settings.journey
            ),
            "investment_tier": tier,
            "expected_return": np.where(
                is_new, investment.expected_return, stands.expected_return
            ),
            "is_holdout": held,
            "loyalty_tier": loyalty.tier,
            "orders_to_next_tier": loyalty.orders_to_next,
            "reason": _reasons(day.segment, tier, held, investment.is_measured),
        }
    )


def _second_order_margin(day: _Day) -> NDArray[np.float64]:
    """Return the margin of a second order today, and of what is expected after it."""
    T = day.state["age_days"].to_numpy(dtype=np.float64)
    after = day.forecaster.purchases.expected_orders(
        day.settings.model.horizon_days, np.ones_like(T), T, T
    )
    margin = day.predicted["expected_order_value"].to_numpy() * day.settings.store.margin
    return np.asarray(margin * (1 + after))


def _curve(investment: Investment) -> dict[str, Any] | None:
    curve = investment.curve
    if curve is None:
        return None
    return {
        "budget": curve.budget.tolist(),
        "gain": curve.gain.tolist(),
        "spent": investment.curve_spent,
    }


def _dates(as_of: date, days: pd.Series) -> Any:  # noqa: ANN401  # array of dates and None
    """Return the days ahead as dates, rounded up; None where there is none within ten years."""
    near = (days <= FARTHEST_ORDER_DAYS).to_numpy()
    ahead = np.ceil(np.where(near, days, 0)).astype(int)
    dates = np.array(
        [as_of + timedelta(days=n) for n in range(int(ahead.max(initial=0)) + 1)], dtype=object
    )[ahead]
    dates[~near] = None
    return dates


def _reasons(segment: Any, tier: Any, held: Any, is_measured: Any) -> Any:  # noqa: ANN401  # arrays
    """Say in one line why a customer is where they are; there are few reasons, each told once."""
    where, segments = pd.factorize(segment)
    what, tiers = pd.factorize(tier)
    known, held = np.asarray(is_measured, dtype=np.intp), np.asarray(held, dtype=np.intp)
    code = ((where * max(len(tiers), 1) + what) * 2 + known) * 2 + held
    said = [
        _reason(name, chosen, is_held=is_held, is_measured=measured)
        for name, chosen, measured, is_held in product(
            segments, tiers, (False, True), (False, True)
        )
    ]
    return np.array(said, dtype=object)[code]


def _reason(segment: str, tier: str, *, is_held: bool, is_measured: bool) -> str:
    basis = "as measured" if is_measured else "if its effect is as assumed"
    chosen = f"{tier} investment gains most per unit of cost, {basis}"
    if tier == "none":
        chosen = "no investment that the budget reaches pays for itself"
    held = "; held out to measure what it brings" if is_held else ""
    return f"{SEGMENTS[segment].definition}; {chosen}{held}"
