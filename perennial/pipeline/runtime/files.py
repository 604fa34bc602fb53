"""The files that the steps of a run leave to each other, each named once."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connectors.published import PublishedFile

FITS, BACKTEST, VERDICT = "fits.json", "backtest.json", "gate.json"  # also as artifacts of MLflow


@dataclass(frozen=True)
class DayFiles:
    """The files of a run for a day.

    Attributes
    ----------
    folder
        The run's.
    as_of
        The day.
    """

    folder: Path
    as_of: date

    @property
    def orders(self) -> Path:
        """Folder of the orders that are known at the end of the day."""
        return self.folder / f"orders_{self.as_of.isoformat()}"

    @property
    def rejects(self) -> Path:
        """Rows of the source that are no orders, each with its rule, as CSV."""
        return self.orders / PublishedFile.REJECTS

    @property
    def customer_state(self) -> Path:
        """Table :class:`features.tables.CustomerState`."""
        return self.folder / f"customer_state_{self.as_of.isoformat()}.parquet"

    @property
    def decided_scores(self) -> Path:
        """Table :class:`features.tables.Scores` but for what is known when it is published."""
        return self.folder / "decided.parquet"

    @property
    def commitments(self) -> Path:
        """Table :class:`features.tables.Commitments`: what is newly committed."""
        return self.folder / PublishedFile.COMMITMENTS

    @property
    def in_force(self) -> Path:
        """The same, and what earlier days committed that still holds."""
        return self.folder / "in_force.parquet"

    @property
    def newcomers(self) -> Path:
        """First-time buyers whose second order is worth most."""
        return self.folder / "newcomers.parquet"

    @property
    def expected(self) -> Path:
        """Table :class:`features.tables.Expected`."""
        return self.folder / PublishedFile.EXPECTED

    @property
    def budget(self) -> Path:
        """Record :class:`reports.records.run.Budget`."""
        return self.folder / "budget.json"

    @property
    def checks(self) -> Path:
        """The day's checks, each a :class:`models.checks.Check`."""
        return self.folder / f"{self.as_of.isoformat()}-checks.json"

    @property
    def kpis(self) -> Path:
        """Record :class:`reports.records.KpiReport`."""
        return self.folder / PublishedFile.KPIS

    @property
    def refills(self) -> Path:
        """Whom a refill is due for; there is none without order lines."""
        return self.folder / "refills.parquet"

    @property
    def triggers(self) -> Path:
        """Dated triggers of customers who are not held out, as CSV."""
        return self.folder / PublishedFile.TRIGGERS

    @property
    def optional_tables(self) -> Path:
        """Folder of the store's optional tables."""
        return self.folder / "tables"


@dataclass(frozen=True)
class TrainingFiles:
    """The files of a training.

    Attributes
    ----------
    folder
        The run's.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """Folder of the fitted model, as it is registered."""
        return self.folder / "model"

    @property
    def fits(self) -> Path:
        """Record :class:`reports.fit_report.FitReport`."""
        return self.model / FITS

    @property
    def backtest(self) -> Path:
        """Record :class:`models.evaluation.BacktestReport`."""
        return self.folder / BACKTEST

    @property
    def held_out(self) -> Path:
        """The same of the recipe that is trained, or why there is none."""
        return self.folder / "held_out.json"

    @property
    def verdict(self) -> Path:
        """Record :class:`models.gate.GateVerdict`."""
        return self.folder / VERDICT
