"""The record of a day that is being published: what went in, what was decided, how long it took."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version as installed
from typing import TypeVar

import pandas as pd
from pydantic import TypeAdapter

from connectors.formats import FORMAT
from connectors.store import Store
from connectors.tracking import Tracking
from models.evaluation import BacktestReport
from perennial.pipeline.experiments.effects import read_readouts
from perennial.pipeline.ingestion.people import Names
from perennial.pipeline.publishing.checks import warnings_of
from perennial.pipeline.publishing.decided import DecidedDay
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.files import BACKTEST, FITS
from perennial.pipeline.runtime.monitoring_state import monitoring_known_by
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.steps import current_timings
from reports.fit_report import FitReport
from reports.records import RunRecord
from reports.records.run import (
    Accounting,
    BudgetRow,
    ChanceCell,
    EarlierPage,
    FrequencyRow,
    NewcomerRow,
    PreviousDay,
    RfmCell,
    SegmentRow,
    SegmentsFile,
    TierRow,
)
from reports.tables import (
    budget_table,
    newcomer_table,
    order_matrix,
    rfm_grid,
    segment_table,
    tier_table,
    totals,
)
from reports.tiles import figures

PAGES = 30  # earlier ones that a page names

_Form = TypeVar("_Form")
_BACKTEST = TypeAdapter(BacktestReport)
_FITS = TypeAdapter(FitReport)
_ROWS = TypeAdapter(tuple[FrequencyRow, ...])


@dataclass(frozen=True)
class ModelFacts:
    """What a page shows of the model.

    Attributes
    ----------
    version
        Of the registered model.
    run_id
        MLflow run that trained it.
    backtest, frequency_fit
        None where the run has no such artifact.
    notes
        What to know of its fit.
    """

    version: str
    run_id: str
    backtest: BacktestReport | None
    frequency_fit: tuple[FrequencyRow, ...] | None
    notes: tuple[str, ...]

    @classmethod
    def read(cls, tracking: Tracking, version: str) -> "ModelFacts":
        """Read the artifacts of the run that trained a model."""
        run_id = tracking.tags(version)["run_id"]
        fits = _artifact(tracking, run_id, FITS, _FITS)
        return cls(
            version=version,
            run_id=run_id,
            backtest=_backtest(tracking, run_id),
            frequency_fit=_artifact(tracking, run_id, "pictures/frequency_fit.json", _ROWS),
            notes=() if fits is None else tuple(fits.notes),
        )


@dataclass(frozen=True)
class Marketing:
    """What marketing gets.

    Attributes
    ----------
    segments
        Rows of ``segments.csv``.
    names
        What customers are called in Klaviyo.
    kind
        By which identifier.
    """

    segments: pd.DataFrame
    names: Names
    kind: str

    @property
    def without_key(self) -> int:
        """Customers whom Klaviyo cannot find."""
        return int(self.names.key.isna().sum())

    def notes(self) -> list[str]:
        """Say how many customers marketing cannot reach, if there are any."""
        if not self.without_key:
            return []
        return [
            f"{self.without_key:,} of {len(self.names.key):,} customers have no known {self.kind} and are not in "
            "segments.csv: map it in orders.columns, give tables.customers, or choose another klaviyo.identifier"
        ]


def run_record(
    run: RunContext, decided: DecidedDay, marketing: Marketing, *, run_id: str, purpose: Purpose
) -> RunRecord:
    """Put the record of a day together.

    Parameters
    ----------
    run
        That publishes it.
    decided
        What was decided.
    marketing
        What marketing gets.
    run_id
        Of the publication.
    purpose
        Why the day is published.
    """
    settings, history, scores = run.settings, decided.history, decided.scores
    model = ModelFacts.read(run.tracking, str(scores["model_version"].iloc[0]))
    in_force, sums = decided.in_force, totals(scores)
    tiers = TierRow.rows_of(tier_table(in_force))
    previous, earlier = _earlier(run.store, run.as_of)
    return RunRecord(
        format=FORMAT,
        store=settings.store.name,
        currency=settings.store.currency,
        locale=settings.store.locale,
        as_of=run.as_of,
        run_id=run_id,
        model_version=model.version,
        data_digest=history.digest,
        settings_digest=settings.digest,
        customers=len(scores),
        first_order_date=history.first_date,
        last_order_date=history.last_date,
        accounting=Accounting.model_validate(asdict(history.accounting)),
        zero_amount=_zero_amount(keep=settings.orders.keep_zero_amount),
        horizon_days=settings.model.horizon_days,
        holdout_share=settings.holdout.share,
        totals=sums,
        segments=SegmentRow.rows_of(segment_table(scores)),
        timings={name: round(seconds, 3) for name, seconds in current_timings().items()},
        published_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        perennial_version=installed("perennial"),
        tiers=tiers,
        budget_by_segment=BudgetRow.rows_of(budget_table(in_force)),
        budget=decided.budget(settings.investment),
        newcomers=NewcomerRow.rows_of(newcomer_table(scores, decided.newcomers)),
        rfm=RfmCell.rows_of(rfm_grid(scores)),
        order_chances=ChanceCell.rows_of(order_matrix(scores)),
        trained_run_id=model.run_id,
        backtest=model.backtest,
        frequency_fit=model.frequency_fit,
        notes=_notes(decided, marketing, model),
        readouts=tuple(read_readouts(run.state, run.as_of)),
        monitoring=monitoring_known_by(run.state, run.as_of),
        segments_csv=SegmentsFile(
            rows=len(marketing.segments),
            held_out=int(scores["is_holdout"].sum()),
            no_key=marketing.without_key,
        ),
        checks=decided.checks,
        purpose=str(purpose),
        figures=figures(sums, tiers, decided.kpis),
        previous=previous,
        history=earlier,
    )


def _notes(decided: DecidedDay, marketing: Marketing, model: ModelFacts) -> tuple[str, ...]:
    return (
        *decided.history.quality.warnings,
        *warnings_of(decided.checks),
        *marketing.notes(),
        *model.notes,
    )


def _zero_amount(*, keep: bool) -> str:
    return f"Orders of no value {'count' if keep else 'do not count'} as purchases."


def _earlier(store: Store, as_of: date) -> tuple[PreviousDay, tuple[EarlierPage, ...]]:
    """Return the headline figures of the day published before, and where earlier pages are."""
    days = store.published_days(date.min, as_of - timedelta(days=1))[-PAGES:][::-1]
    if not days:
        return PreviousDay(), ()
    before = read_record(days[0])
    return PreviousDay(as_of=before.as_of, figures=before.figures or None), tuple(
        EarlierPage(as_of=day.as_of, path=f"../../as_of={day.as_of}/{day.folder.name}/report.html")
        for day in days
    )


def past_ratios(tracking: Tracking, model_version: str) -> list[float]:
    """Return how much more revenue came in past windows than a model's recipe expected."""
    backtest = _backtest(tracking, tracking.tags(model_version)["run_id"])
    if backtest is None:
        return []
    ratios = [cutoff.models["champion"].value_ratio for cutoff in backtest.cutoffs]
    return [ratio for ratio in ratios if ratio]


def _backtest(tracking: Tracking, run_id: str) -> BacktestReport | None:
    return _artifact(tracking, run_id, BACKTEST, _BACKTEST)


def _artifact(
    tracking: Tracking, run_id: str, name: str, form: TypeAdapter[_Form]
) -> _Form | None:
    """Return a JSON artifact of a run; None where it has none."""
    path = tracking.run_artifact(run_id, name)
    return None if path is None else form.validate_json(path.read_bytes())
