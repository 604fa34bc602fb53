"""From customer states to scores: predict, name the segment, choose the investment.

Three rounds over the customers, a batch at a time (:mod:`perennial.pipeline.scoring.batches`): what each will do, and what
there is to win; what each action would gain; what is said of each. Between them stands what depends
on all customers at once: segments, the holdout, and who gets the budget.
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
from perennial.pipeline.scoring.batch_predictions import BatchPredictor
from perennial.pipeline.scoring.batches import Batch, BatchCache, States, parallel_map
from perennial.pipeline.scoring.commitments import (
    ActiveCommitments,
    PriorDecisions,
    Standing,
    chosen_of,
    explorers,
    list_commitments,
    plan_budget,
)
from perennial.pipeline.scoring.expected import expected_sums, expected_table
from perennial.pipeline.scoring.population import Population
from perennial.pipeline.scoring.score_table import SCHEMA, CustomerAssignments, score_table
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
    prior = PriorDecisions.read(programs, run.state, run.as_of, days)
    with run.engine() as engine:
        tables = run.settings.optional_tables
        signals = read_signals(engine, tables, run.as_of, files.optional_tables)
    states = States(files.customer_state, Erasures(run.state))
    with (
        TemporaryDirectory(dir=run.folder) as folder,
        pq.ParquetWriter(files.decided_scores, SCHEMA) as writer,
    ):
        predictor = BatchPredictor(
            policy,
            load_forecaster(model),
            prior.uplift_targeting,
            BatchCache(Path(folder)),
            run.as_of,
        )
        day = _Day(policy, run.as_of, states, predictor, prior, signals)
        decided = day.decide(writer.write_table)
    # A draw depends on nothing but the customer: should the day fail later, it stays right.
    programs.add_assignments(decided.assignments)
    decided.write(files, commits=purpose is not Purpose.HISTORY)


def score_customers(
    policy: DecisionPolicy,
    state: pd.DataFrame,
    forecaster: Forecaster,
    as_of: date,
    prior: PriorDecisions | None = None,
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
    prior
        What earlier days decided; None = nothing.
    erased
        The forgotten, who are no customers; None = nobody.
    signals
        What customers said and did besides buying; None = nothing is known of it.
    """
    tables = [SCHEMA.empty_table()]
    prior, states = prior or PriorDecisions(), States(state, erased)
    predictor = BatchPredictor(policy, forecaster, prior.uplift_targeting, BatchCache(), as_of)
    decided = _Day(policy, as_of, states, predictor, prior, signals or Signals()).decide(
        tables.append
    )
    return replace(decided, scores=pa.concat_tables(tables).to_pandas())


@dataclass(frozen=True)
class _BatchDecisions:
    """What is decided for the customers of a batch.

    Attributes
    ----------
    scores
        Table :class:`features.tables.Scores` but for what is known when it is published.
    in_force
        What earlier days committed to its customers.
    new, grants
        Scores of those who are newly committed, their first amounts, and what they get.
    first_time
        First-time buyers of late.
    expected
        Sums of what is expected, by cell.
    """

    scores: pa.Table
    in_force: pd.DataFrame
    new: pd.DataFrame
    grants: pd.DataFrame
    first_time: pd.DataFrame
    expected: Array


@dataclass(frozen=True)
class _Day:
    """A day to decide: customers, what is known of them and what was decided before."""

    policy: DecisionPolicy
    as_of: date
    states: States
    predictor: BatchPredictor
    prior: PriorDecisions
    signals: Signals

    def decide(self, write: Callable[[pa.Table], None]) -> Decided:
        """Decide, and hand the scores over, batch by batch."""
        policy, prior = self.policy, self.prior
        seen = list(parallel_map(self.predictor.look, self.states))
        population = Population.of(policy, self.as_of, seen, prior.assignments, self.signals)
        del seen
        active = ActiveCommitments.of_day(policy.investment, prior.commitments, self.as_of)
        offers = Offers.of(
            policy.actions,
            population.segments,
            plan_budget(policy.investment, prior.commitments, self.as_of),
            prior.effects,
        )
        funded = self._fund(population, active, offers)

        def score(batch: Batch) -> _BatchDecisions:
            return self._score(batch, population, active, offers, funded)

        decisions = []
        for one in parallel_map(score, self.states):
            write(one.scores)
            decisions.append(replace(one, scores=SCHEMA.empty_table()))
        commitments, power = self._commitments(decisions)
        return Decided(
            scores=SCHEMA.empty_table().to_pandas(),
            commitments=commitments,
            in_force=_joined([*(one.in_force for one in decisions), commitments]),
            assignments=population.drawn,
            newcomers=self._newcomers(decisions),
            expected=expected_table(
                np.sum([one.expected for one in decisions], axis=0), population.starts, self.as_of
            ),
            budget=Budget(
                committed=funded.spent,
                left=offers.plan.budget,
                next_return=funded.next_return if np.isfinite(funded.next_return) else None,
                curve=_curve(funded),
                experiment=power,
            ),
        )

    def _fund(self, population: Population, active: ActiveCommitments, offers: Offers) -> Funded:
        """Weigh every action for every customer, and choose within the budget."""
        n, k = len(population.customers), len(offers.tiers)
        net, costs = np.empty((n, k)), np.empty((n, k))
        explores = np.zeros(n, dtype=bool)

        def weigh(number: int) -> None:
            rows = population.rows(number)
            customers = population.customers.iloc[rows]
            if offers.plan.exploration > 0:
                explores[rows] = explorers(self.policy.investment, customers, self.as_of)
            offered = self._offered(number, population, offers)
            net[rows], costs[rows] = offered.net(explores[rows]), offered.costs
            net[rows][active.of(customers).is_bound, 1:] = -1.0

        list(parallel_map(weigh, range(len(population.begins) - 1)))
        return fund(net, costs, offers, held=population.is_held, explores=explores)

    def _offered(self, number: int, population: Population, offers: Offers) -> Offered:
        predictions = self.predictor.predictions(number)
        segment = population.segment[population.rows(number)].astype(np.intp)
        return offers.to(
            predictions.to_win, segment, predictions.moved(self.predictor.uplift_targeting)
        )

    def _score(
        self,
        batch: Batch,
        population: Population,
        active: ActiveCommitments,
        offers: Offers,
        funded: Funded,
    ) -> _BatchDecisions:
        """Lay out the scores of a batch, and list who is newly committed."""
        state, predictions = batch.numbers, self.predictor.predictions(batch.number)
        standing = active.of(batch.customers)
        choice = funded.choice[population.rows(batch.number)].astype(np.intp)
        granted = self._offered(batch.number, population, offers).granted(choice)
        scores = score_table(
            batch,
            self.as_of,
            predictions.predicted,
            predictions["expected_value"] * self.policy.margin,
            self._customer_assignments(batch, population, standing, granted),
        )
        is_new = granted.tier != "none"
        new = scores.filter(pa.array(is_new)).to_pandas()
        first_time = scores.select(OF_FIRST_TIME).filter(
            pc.is_in(scores["segment"], pa.array(WINDOW))
        )
        return _BatchDecisions(
            scores,
            standing.in_force,
            new.assign(first_amount=state["first_amount"].to_numpy()[is_new]),
            chosen_of(granted, is_new),
            first_time.to_pandas(),
            expected_sums(
                state["age_days"],
                predictions["expected_orders"],
                predictions.counts,
                population.starts,
            ),
        )

    def _customer_assignments(
        self, batch: Batch, population: Population, standing: Standing, granted: Granted
    ) -> CustomerAssignments:
        """Assign a batch's customers to segments, tiers and arms."""
        policy, state, rows = self.policy, batch.numbers, population.rows(batch.number)
        x, t_x, T = (state[name] for name in HISTORY)
        loyalty = loyalty_tiers(state["orders"], state["revenue"], policy.loyalty)
        is_new = standing.tier == ""
        return CustomerAssignments(
            segment=population.segment[rows],
            segments=population.segments,
            rfm=population.rfm[rows],
            journey_stage=journey_stage(
                x,
                t_x,
                T,
                population.cycle_days,
                population.is_advocate[rows],
                policy.journey,
            ),
            loyalty_tier=loyalty.tier,
            investment_tier=np.where(is_new, granted.tier, standing.tier).astype(object),
            orders_to_next_tier=loyalty.orders_to_next,
            expected_return=np.where(is_new, granted.expected_return, standing.expected_return),
            is_holdout=population.is_held[rows],
            is_measured=granted.is_measured,
        )

    def _commitments(
        self, decisions: Sequence[_BatchDecisions]
    ) -> tuple[pd.DataFrame, ExperimentPower | None]:
        """List what is newly committed, and say what an experiment can show of it."""
        new, grants = (
            _joined([one.new for one in decisions]),
            _joined([one.grants for one in decisions]),
        )
        watched = self.predictor.incremental_value(new, new, self.policy.holdout.measure_days)
        commitments = list_commitments(new, grants, watched, self.policy.actions, self.as_of)
        return commitments, experiment(
            self.policy.holdout,
            self.policy.model.horizon_days,
            self.predictor.forecaster.spend,
            new["expected_orders"].to_numpy(),
            watched.margin_per_order,
            commitments,
        )

    def _newcomers(self, decisions: Sequence[_BatchDecisions]) -> pd.DataFrame:
        """Name first-time buyers by the margin of a second order today, and of what is expected after it."""
        buyers = _joined([one.first_time for one in decisions])
        time = self.predictor.forecaster.time(self.as_of)
        T = time.before(buyers["age_days"])
        after = self.predictor.forecaster.purchases.expected_orders(
            time.after(self.policy.model.horizon_days), np.ones_like(T), T, T
        )
        margin = buyers["expected_order_value"].to_numpy() * self.policy.margin
        return top_newcomers(buyers, margin * (1 + after), self.policy.lifecycle)


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
