"""From customer states to scores: predict, name the segment, choose the investment.

Three rounds over the customers, a portion at a time (:mod:`perennial.pipeline.scoring.portions`): what each will do, and what
there is to win; what each action would gain; what is said of each. Between them stands what can only be
told of all together: segments, the holdout, and who gets the budget.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors.klaviyo.erasure import Erasures
from connectors.programs import Programs, write_table
from features.tables import HISTORY, Commitments, Expected
from models.forecaster import Forecaster
from models.lift import ExperimentPower
from perennial.pipeline.experiments.power import experiment
from perennial.pipeline.ingestion.signals import read_signals
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.files import DayFiles
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.scoring.expected import expected_sums, expected_table
from perennial.pipeline.scoring.ledger import (
    Earlier,
    Standing,
    Standings,
    chosen_of,
    explorers,
    list_commitments,
    plan_budget,
)
from perennial.pipeline.scoring.outlook import Lookout
from perennial.pipeline.scoring.portions import Portion, Shelf, States, side_by_side
from perennial.pipeline.scoring.score_table import SCHEMA, Placed, score_table
from perennial.pipeline.scoring.together import Together
from perennial.pipeline.settings.store import DecisionPolicy
from perennial.pipeline.training.model_files import load_forecaster
from reports.records.run import Budget, BudgetCurve
from segments.evidence import Signals
from segments.investment import Funded, Granted, Offered, Offers, fund
from segments.journey import journey_stage
from segments.loyalty import loyalty_tiers
from segments.newcomers import WINDOW, top_newcomers

Array = NDArray[np.float64]

OF_FIRST_TIME = [
    "customer_id",
    "age_days",
    "first_order_date",
    "expected_order_value",
    "p_second_order",
    "segment",
    "investment_tier",
    "is_holdout",
]


@dataclass(frozen=True)
class Decided:
    """What a day decides.

    Attributes
    ----------
    scores
        Table :class:`features.tables.Scores` but for ``model_version`` and ``run_id``; without rows where
        they were written to a file.
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
        What is decided of the budget.
    """

    scores: pd.DataFrame
    commitments: pd.DataFrame
    in_force: pd.DataFrame
    assignments: pd.DataFrame
    newcomers: pd.DataFrame
    expected: pd.DataFrame
    budget: Budget

    def write(self, files: DayFiles, *, commits: bool) -> None:
        """Write it, the scores apart; with `commits` false, nothing is newly committed."""
        committed = self.commitments if commits else self.commitments.head(0)
        write_table(committed, Commitments, files.commitments)
        write_table(self.in_force, Commitments, files.in_force)
        self.newcomers.to_parquet(files.newcomers, index=False)
        write_table(self.expected, Expected, files.expected)
        files.budget.write_text(json.dumps(self.budget.to_json()))


@step
def decide(run: RunContext, model: Path, *, purpose: Purpose = Purpose.CURRENT) -> None:
    """Predict what each customer will do and choose what to do for them.

    The forgotten are no customers: they get no draw and take no budget. Of a day of history nothing
    reaches marketing: its tiers are what would have been chosen, and nothing is committed.
    """
    policy, files = run.settings.policy, run.files
    days = policy.investment.period_days + policy.investment.rest_days
    programs = Programs(run.state, run.store)
    earlier = Earlier.read(programs, run.state, run.as_of, days)
    with run.engine() as engine:
        tables = run.settings.optional_tables
        signals = read_signals(engine, tables, run.as_of, files.optional_tables)
    states = States(files.customer_state, Erasures(run.state))
    with (
        TemporaryDirectory(dir=run.folder) as folder,
        pq.ParquetWriter(files.decided_scores, SCHEMA) as writer,
    ):
        lookout = Lookout(
            policy, load_forecaster(model), earlier.responders, Shelf(Path(folder)), run.as_of
        )
        day = _Day(policy, run.as_of, states, lookout, earlier, signals)
        decided = day.decide(writer.write_table)
    # A draw depends on nothing but the customer: should the day fail later, it stays right.
    programs.add_assignments(decided.assignments)
    decided.write(files, commits=purpose is not Purpose.HISTORY)


def score_customers(
    policy: DecisionPolicy,
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
    policy
        What the store decides by.
    state
        Table :class:`features.tables.CustomerState`.
    forecaster
        The model.
    as_of
        Last day whose orders are known.
    earlier
        What earlier days decided; None = nothing.
    erased
        The forgotten, who are no customers; None = nobody.
    signals
        What customers said and did besides buying; None = nothing is known of it.
    """
    tables = [SCHEMA.empty_table()]
    earlier, states = earlier or Earlier(), States(state, erased)
    lookout = Lookout(policy, forecaster, earlier.responders, Shelf(), as_of)
    decided = _Day(policy, as_of, states, lookout, earlier, signals or Signals()).decide(
        tables.append
    )
    return replace(decided, scores=pa.concat_tables(tables).to_pandas())


@dataclass(frozen=True)
class _Told:
    """What the last round tells of a portion.

    Attributes
    ----------
    scores
        Table :class:`features.tables.Scores` but for what is known when it is published.
    in_force
        What earlier days committed to its customers.
    new, chosen
        Scores of those who are newly committed, their first amounts, and what they get.
    first_time
        First-time buyers of late.
    expected
        Sums of what is expected, by cell.
    """

    scores: pa.Table
    in_force: pd.DataFrame
    new: pd.DataFrame
    chosen: pd.DataFrame
    first_time: pd.DataFrame
    expected: Array


@dataclass(frozen=True)
class _Day:
    """A day to decide: customers, what is known of them and what was decided before."""

    policy: DecisionPolicy
    as_of: date
    states: States
    lookout: Lookout
    earlier: Earlier
    signals: Signals

    def decide(self, write: Callable[[pa.Table], None]) -> Decided:
        """Decide, and hand the scores over, portion by portion."""
        policy, earlier = self.policy, self.earlier
        seen = list(side_by_side(self.lookout.look, self.states))
        together = Together.of(policy, self.as_of, seen, earlier.assignments, self.signals)
        del seen
        stands = Standings.of_day(policy.investment, earlier.commitments, self.as_of)
        offers = Offers.of(
            policy.actions,
            together.segments,
            plan_budget(policy.investment, earlier.commitments, self.as_of),
            earlier.beliefs,
        )
        funded = self._fund(together, stands, offers)

        def tell(portion: Portion) -> _Told:
            return self._tell(portion, together, stands, offers, funded)

        told = []
        for one in side_by_side(tell, self.states):
            write(one.scores)
            told.append(replace(one, scores=SCHEMA.empty_table()))
        commitments, power = self._commitments(told)
        return Decided(
            scores=SCHEMA.empty_table().to_pandas(),
            commitments=commitments,
            in_force=_joined([*(one.in_force for one in told), commitments]),
            assignments=together.drawn,
            newcomers=self._newcomers(told),
            expected=expected_table(
                np.sum([one.expected for one in told], axis=0), together.starts, self.as_of
            ),
            budget=Budget(
                committed=funded.spent,
                left=offers.plan.budget,
                next_return=funded.next_return if np.isfinite(funded.next_return) else None,
                curve=_curve(funded),
                experiment=power,
            ),
        )

    def _fund(self, together: Together, stands: Standings, offers: Offers) -> Funded:
        """Weigh every action for every customer, and choose within the budget."""
        n, k = len(together.customers), len(offers.tiers)
        net, costs = np.empty((n, k)), np.empty((n, k))
        explores = np.zeros(n, dtype=bool)

        def weigh(number: int) -> None:
            rows = together.rows(number)
            customers = together.customers.iloc[rows]
            if offers.plan.exploration > 0:
                explores[rows] = explorers(self.policy.investment, customers, self.as_of)
            offered = self._offered(number, together, offers)
            net[rows], costs[rows] = offered.net(explores[rows]), offered.costs
            net[rows][stands.of(customers).is_bound, 1:] = -1.0

        list(side_by_side(weigh, range(len(together.begins) - 1)))
        return fund(net, costs, offers, held=together.is_held, explores=explores)

    def _offered(self, number: int, together: Together, offers: Offers) -> Offered:
        outlook = self.lookout.outlook(number)
        segment = together.segment[together.rows(number)].astype(np.intp)
        return offers.to(outlook.to_win, segment, outlook.moved(self.lookout.responders))

    def _tell(
        self,
        portion: Portion,
        together: Together,
        stands: Standings,
        offers: Offers,
        funded: Funded,
    ) -> _Told:
        """Lay out the scores of a portion, and list who is newly committed."""
        state, outlook = portion.numbers, self.lookout.outlook(portion.number)
        standing = stands.of(portion.customers)
        chosen = funded.chosen[together.rows(portion.number)].astype(np.intp)
        granted = self._offered(portion.number, together, offers).granted(chosen)
        scores = score_table(
            portion,
            self.as_of,
            outlook.predicted,
            outlook["expected_value"] * self.policy.margin,
            self._placed(portion, together, standing, granted),
        )
        is_new = granted.tier != "none"
        new = scores.filter(pa.array(is_new)).to_pandas()
        first_time = scores.select(OF_FIRST_TIME).filter(
            pc.is_in(scores["segment"], pa.array(WINDOW))
        )
        return _Told(
            scores,
            standing.in_force,
            new.assign(first_amount=state["first_amount"].to_numpy()[is_new]),
            chosen_of(granted, is_new),
            first_time.to_pandas(),
            expected_sums(
                state["age_days"], outlook["expected_orders"], outlook.counts, together.starts
            ),
        )

    def _placed(
        self, portion: Portion, together: Together, standing: Standing, granted: Granted
    ) -> Placed:
        """Say where a portion's customers stand."""
        policy, state, rows = self.policy, portion.numbers, together.rows(portion.number)
        x, t_x, T = (state[name] for name in HISTORY)
        loyalty = loyalty_tiers(state["orders"], state["revenue"], policy.loyalty)
        is_new = standing.tier == ""
        return Placed(
            segment=together.segment[rows],
            segments=together.segments,
            rfm=together.rfm[rows],
            journey_stage=journey_stage(
                x,
                t_x,
                T,
                together.cycle_days,
                together.is_advocate[rows],
                policy.journey,
            ),
            loyalty_tier=loyalty.tier,
            investment_tier=np.where(is_new, granted.tier, standing.tier).astype(object),
            orders_to_next_tier=loyalty.orders_to_next,
            expected_return=np.where(is_new, granted.expected_return, standing.expected_return),
            is_holdout=together.is_held[rows],
            is_measured=granted.is_measured,
        )

    def _commitments(self, told: Sequence[_Told]) -> tuple[pd.DataFrame, ExperimentPower | None]:
        """List what is newly committed, and say what an experiment can show of it."""
        new, chosen = _joined([one.new for one in told]), _joined([one.chosen for one in told])
        watched = self.lookout.prospects(new, new, self.policy.holdout.measure_days)
        commitments = list_commitments(new, chosen, watched, self.policy.actions, self.as_of)
        return commitments, experiment(
            self.policy.holdout,
            self.policy.model.horizon_days,
            self.lookout.forecaster.spend,
            new["expected_orders"].to_numpy(),
            watched.margin_per_order,
            commitments,
        )

    def _newcomers(self, told: Sequence[_Told]) -> pd.DataFrame:
        """Name first-time buyers by the margin of a second order today, and of what is expected after it."""
        found = _joined([one.first_time for one in told])
        time = self.lookout.forecaster.time(self.as_of)
        T = time.before(found["age_days"])
        after = self.lookout.forecaster.purchases.expected_orders(
            time.after(self.policy.model.horizon_days), np.ones_like(T), T, T
        )
        margin = found["expected_order_value"].to_numpy() * self.policy.margin
        return top_newcomers(found, margin * (1 + after), self.policy.lifecycle)


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else parts[0]


def _curve(funded: Funded) -> BudgetCurve | None:
    curve = funded.curve
    if curve is None:
        return None
    return BudgetCurve(
        budget=tuple(curve.budget.tolist()),
        gain=tuple(curve.gain.tolist()),
        spent=funded.curve_spent,
    )
