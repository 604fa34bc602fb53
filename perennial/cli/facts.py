"""What ``--json`` prints of a published day, of a status and of a source that was checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.klaviyo.records import SyncPlan, SyncRefusal
from connectors.orders import SourceReport
from models.evaluation import BacktestReport
from models.lift import ExperimentPower
from reports.records.run import Accounting, SegmentRow, TierRow

Facts = dict[str, Any]  # JSON values by name


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


@dataclass(frozen=True)
class DayPaths:
    """The files of a published day that people open."""

    page: Path
    scores: Path
    segments: Path
    triggers: Path
    moments: Path  # the same with its old column; removed in 0.3
    rejects: Path
    record: Path
    current: Path


@dataclass(frozen=True)
class TrackingPlace:
    """Where MLflow keeps the runs.

    Attributes
    ----------
    tracking_uri
        Without credentials.
    ui
        Address of its pages, or the command that serves them.
    """

    tracking_uri: str
    ui: str


class DayFacts(_Record):
    """A published day, from its record.

    Attributes
    ----------
    as_of, run_id, model_version
        The day, its MLflow run and its model.
    customers
        Number of customers.
    accounting
        Where every source row went.
    zero_amount
        How orders of no value are treated, in a sentence.
    currency
        The store's.
    segments, tiers
        Where customers stand, and who gets the budget.
    experiment
        What an experiment can show; None = nothing.
    backtest
        The backtest of the day's model; None = it has none.
    notes
        What a reader must know, a sentence each.
    files, mlflow
        Where things are.
    """

    as_of: date
    run_id: str
    model_version: str
    customers: int
    accounting: Accounting
    zero_amount: str
    currency: str
    segments: tuple[SegmentRow, ...]
    tiers: tuple[TierRow, ...]
    experiment: ExperimentPower | None
    backtest: BacktestReport | None
    notes: tuple[str, ...]
    files: DayPaths
    mlflow: TrackingPlace

    def to_dict(self) -> Facts:
        """Return the facts as JSON values."""
        return self.model_dump(mode="json")


class PrefectPlace(_Record):
    """Where flows run.

    Attributes
    ----------
    api_url
        Address of Prefect's API; None = they run in this process.
    ui
        Address of its pages, or the command that serves them.
    """

    api_url: str | None
    ui: str | None


class DayOutcome(DayFacts):
    """A published day, and what the run did.

    Attributes
    ----------
    status
        Whether this run published the day.
    caught_up, refused
        Missed days that were published, and those that are still refused; only of the daily run.
    sync
        What a sync would send; None = no account is set.
    timings
        Seconds of each step.
    prefect
        Where the flow ran.
    seconds
        Of the whole command; only of the demo.
    """

    status: Literal["published", "already_published"]
    caught_up: tuple[date, ...] | None = None
    refused: Mapping[date, str] | None = None
    sync: Annotated[SyncPlan | SyncRefusal, Field(discriminator="status")] | None
    timings: Mapping[str, float]
    prefect: PrefectPlace
    seconds: float | None = None

    def to_dict(self) -> Facts:
        """Return the facts as JSON values, without what only other runs have."""
        optional = {"caught_up", "refused", "seconds"}
        return self.model_dump(
            mode="json", exclude={name for name in optional if getattr(self, name) is None}
        )


class CheckFacts(SourceReport):
    """A source that was checked.

    Attributes
    ----------
    as_of
        The day.
    currency
        The store's.
    tables
        Rows of the optional tables, by table.
    next
        What to do next.
    """

    as_of: date
    currency: str
    tables: Mapping[str, Facts]
    next: str
