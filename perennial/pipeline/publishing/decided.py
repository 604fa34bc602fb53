"""A decided day as it is published: its files, without the erased customers."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from connectors.csv import copy_csv, write_csv
from connectors.klaviyo.erasure import Erasures
from connectors.order_source import OrderSource
from connectors.orders import History
from connectors.programs import write_batches, write_parts, write_table
from connectors.published import PublishedFile
from features.renamed import FILES
from features.tables import Commitments, Scores
from models.checks import Check
from perennial.pipeline.ingestion.people import leave_out
from perennial.pipeline.publishing.checks import read_checks
from perennial.pipeline.runtime.files import DayFiles
from perennial.pipeline.scoring.score_table import published_scores
from perennial.pipeline.settings.decisions import InvestmentSettings
from reports.page import render_page
from reports.records import KpiReport, RunRecord
from reports.records.run import Budget, PeriodBudget

PART_CUSTOMERS = 1_000_000  # in a part of the scores that Spark reads


@dataclass(frozen=True)
class DecidedDay:
    """What a run decided for a day, without the erased customers.

    Attributes
    ----------
    history
        Orders and rejects.
    files
        What the steps left.
    erased
        Who is left out.
    scores
        Table :class:`features.tables.Scores` but for ``run_id``.
    newcomers
        First-time buyers whose second order is worth most.
    kpis, checks
        Measures and checks.
    """

    history: History
    files: DayFiles
    erased: Erasures
    scores: pd.DataFrame
    newcomers: pd.DataFrame
    kpis: KpiReport
    checks: tuple[Check, ...]

    @classmethod
    def read(
        cls, files: DayFiles, erased: Erasures, history: History, model_version: str
    ) -> "DecidedDay":
        """Read what the steps of a run left."""
        scores = pd.read_parquet(files.decided_scores).assign(model_version=model_version)
        return cls(
            history=history,
            files=files,
            erased=erased,
            scores=scores[~erased.covers(scores["customer_id"])].reset_index(drop=True),
            newcomers=pd.read_parquet(files.newcomers),
            kpis=KpiReport.model_validate_json(files.kpis.read_text()),
            checks=read_checks(files.checks),
        )

    @property
    def in_force(self) -> pd.DataFrame:
        """Table :class:`features.tables.Commitments`: what is in force."""
        return pd.read_parquet(self.files.in_force)

    def budget(self, investment: InvestmentSettings) -> PeriodBudget:
        """Return the period's budget, and what the day decided of it."""
        decided = Budget.model_validate_json(self.files.budget.read_text())
        return PeriodBudget(
            amount=investment.budget,
            period_days=investment.period_days,
            committed=decided.committed,
            left=decided.left,
            next_return=decided.next_return,
            curve=decided.curve,
            experiment=decided.experiment,
        )

    def write(
        self,
        folder: Path,
        record: RunRecord,
        segments: pd.DataFrame,
        source: OrderSource,
        *,
        in_parts: bool,
    ) -> None:
        """Write the day's files.

        Parameters
        ----------
        folder
            Where they are written.
        record
            Of the day.
        segments
            What marketing gets.
        source
            Where the orders come from: names the columns of rejected rows.
        in_parts
            Whether the scores are written in parts, for an engine on many machines.
        """
        self._write_scores(folder, record, in_parts=in_parts)
        commitments = pd.read_parquet(self.files.commitments)
        remaining = commitments[~self.erased.covers(commitments["customer_id"])]
        write_table(remaining, Commitments, folder / PublishedFile.COMMITMENTS)
        for path, name in (
            (self.files.triggers, PublishedFile.TRIGGERS),
            (self.history.rejects, PublishedFile.REJECTS),
        ):
            shutil.copyfile(path, folder / name)
            leave_out(folder / name, self.erased, source)
        for renamed in FILES:
            old_columns = {new: old for old, new in renamed.columns.items()}
            copy_csv(folder / renamed.new, folder / renamed.old, old_columns)
        is_erased = self.erased.covers(self.newcomers["customer_id"])
        write_csv(
            self.newcomers[~self.newcomers["is_holdout"] & ~is_erased],
            folder / PublishedFile.NEW_CUSTOMERS,
        )
        write_csv(segments, folder / PublishedFile.SEGMENTS)
        shutil.copyfile(self.files.kpis, folder / PublishedFile.KPIS)
        shutil.copyfile(self.files.expected, folder / PublishedFile.EXPECTED)
        (folder / PublishedFile.REPORT).write_text(
            render_page(record, self.kpis), encoding="utf-8"
        )
        text = json.dumps(record.to_json(), indent=2, allow_nan=False) + "\n"
        (folder / PublishedFile.RECORD).write_text(text)

    def _write_scores(self, folder: Path, record: RunRecord, *, in_parts: bool) -> None:
        made = {"model_version": record.model_version, "run_id": record.run_id}
        scores = published_scores(self.files.decided_scores, self.erased, made)
        if in_parts:
            write_parts(scores, Scores, folder / PublishedFile.SCORES, PART_CUSTOMERS)
        else:
            write_batches(scores, Scores, folder / PublishedFile.SCORES)
