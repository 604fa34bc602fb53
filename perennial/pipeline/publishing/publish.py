"""Publish a scored day: scores, the marketer's segments, the page, and how they were made."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd

from connectors.csv import is_formula, write_csv
from connectors.formats import FORMAT
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.plan import Audience, broken_rules
from connectors.klaviyo.properties import Property, property_table
from connectors.order_source import OrderSource
from connectors.orders import History
from connectors.programs import COMMITMENTS, write_parts, write_portions, write_table
from connectors.store import PublishedDay, Store, copy_file
from connectors.tracking import Tracking
from features.tables import Commitments, DataError, Scores
from models.evaluation import BacktestReport
from perennial.pipeline.experiments.effects import read_readouts
from perennial.pipeline.ingestion.people import Names, customers_of, leave_out, name_customers
from perennial.pipeline.publishing.checks import forget_refusal, warnings_of
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.monitoring_state import monitoring_known_by
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.steps import current_timings, step
from perennial.pipeline.scoring.expected import EXPECTED
from perennial.pipeline.scoring.kpis import KPIS
from perennial.pipeline.scoring.moments import MOMENTS
from perennial.pipeline.scoring.score_table import MADE_LATER, WRITTEN, published_scores
from perennial.pipeline.settings.store import InvestmentSettings
from reports.fit_report import FitReport
from reports.page import render_page
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
PART_CUSTOMERS = 1_000_000  # in a part of the scores that Spark reads
KLAVIYO_KEYS = {"external_id": "External ID", "email": "Email", "phone_number": "Phone Number"}


@step
def find_published(
    run: RunContext,
    history: History,
    model_version: str,
    *,
    force: bool,
    purpose: Purpose = Purpose.CURRENT,
) -> PublishedDay | None:
    """Find the day as published from the same orders, settings and model, and point readers to it.

    A day of history is found whatever it was made from, and readers are pointed to current days only.

    Raises
    ------
    DataError
        The day is published from others, and nobody asked to publish it again.
    """
    store, as_of = run.store, run.as_of
    published = store.days(as_of)
    if purpose is Purpose.HISTORY and published and not force:
        return published[-1]
    wanted = {
        "data_digest": history.digest,
        "settings_digest": run.settings.digest,
        "model_version": model_version,
    }
    for day in reversed(published):
        record = day.record()
        if all(record[name] == value for name, value in wanted.items()):
            if purpose is Purpose.CURRENT:
                store.make_current(day)
            return day
    if published and not force:
        record = published[-1].record()
        names = {
            "data_digest": "orders",
            "settings_digest": "settings",
            "model_version": "models",
        }
        other = [names[name] for name, value in wanted.items() if record[name] != value]
        raise DataError(
            f"a published day is not rewritten: {as_of} was published from other {' and '.join(other)}. "
            "What changed counts from the next day on; to publish this day again, add --force"
        )
    return None


@dataclass(frozen=True)
class _Made:
    """What a run made of a day, the forgotten left out.

    Attributes
    ----------
    history
        Orders and rejects.
    decided, moments, kpis
        Folder of what was decided, and the files of moments and measures.
    erased
        The forgotten.
    scores, newcomers
        Scores but for ``run_id``; first-time buyers whose second order is worth most.
    """

    history: History
    decided: Path
    moments: Path
    kpis: Path
    erased: Erasures
    scores: pd.DataFrame
    newcomers: pd.DataFrame

    @classmethod
    def read(
        cls,
        state: Path,
        history: History,
        files: tuple[Path, Path, Path],
        model_version: str,
    ) -> "_Made":
        """Read what was decided."""
        erased, decided = Erasures(state), files[0]
        scores = pd.read_parquet(decided / WRITTEN).assign(model_version=model_version)
        scores = scores[~erased.covers(scores["customer_id"])].reset_index(drop=True)
        newcomers = pd.read_parquet(decided / "newcomers.parquet")
        return cls(history, *files, erased, scores, newcomers)

    def decisions(self, investment: InvestmentSettings) -> dict[str, Any]:
        """Sum up who gets what."""
        in_force = pd.read_parquet(self.decided / "in_force.parquet")
        return {
            "tiers": tier_table(in_force).to_dict("records"),
            "budget_by_segment": budget_table(in_force).to_dict("records"),
            "budget": {
                "amount": investment.budget,
                "period_days": investment.period_days,
                **json.loads((self.decided / "budget.json").read_text()),
            },
            "newcomers": newcomer_table(self.scores, self.newcomers).to_dict("records"),
            "rfm": rfm_grid(self.scores).to_dict("records"),
            "order_chances": order_matrix(self.scores).to_dict("records"),
        }

    def write(
        self,
        segments: pd.DataFrame,
        record: dict[str, Any],
        source: OrderSource,
        folder: Path,
        *,
        in_parts: bool,
    ) -> None:
        """Write the day's files, the scores in parts where an engine on many machines reads them."""
        made = {name: record[name] for name in MADE_LATER}
        scores = published_scores(self.decided, self.erased, made)
        if in_parts:
            write_parts(scores, Scores, folder / "scores.parquet", PART_CUSTOMERS)
        else:
            write_portions(scores, Scores, folder / "scores.parquet")
        commitments = pd.read_parquet(self.decided / COMMITMENTS)
        kept = commitments[~self.erased.covers(commitments["customer_id"])]
        write_table(kept, Commitments, folder / COMMITMENTS)
        for path, name in ((self.moments, MOMENTS), (self.history.rejects, "rejects.csv")):
            shutil.copyfile(path, folder / name)
            leave_out(folder / name, self.erased, source)
        is_forgotten = self.erased.covers(self.newcomers["customer_id"])
        named = self.newcomers[~self.newcomers["is_holdout"] & ~is_forgotten]
        write_csv(named, folder / "new_customers.csv")
        write_csv(segments, folder / "segments.csv")
        shutil.copyfile(self.kpis, folder / KPIS)
        shutil.copyfile(self.decided / EXPECTED, folder / EXPECTED)
        page = render_page(record, json.loads(self.kpis.read_text()))
        (folder / "report.html").write_text(page, encoding="utf-8")
        (folder / "run.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")


@step
def publish(
    run: RunContext,
    history: History,
    decided: Path,
    moments: Path,
    kpis: Path,
    checks: Path,
    model_version: str,
    *,
    purpose: Purpose = Purpose.CURRENT,
) -> PublishedDay:
    """Publish what was decided in one step, as an MLflow run of its own; the forgotten are left out.

    Readers are pointed to it if that is what it is for.
    """
    settings, as_of, tracking = run.settings, run.as_of, run.tracking
    made = _Made.read(run.state, history, (decided, moments, kpis), model_version)
    scores, checked = made.scores, json.loads(checks.read_text())
    tags = {"as_of": as_of.isoformat(), "kind": "score", "model_version": model_version}
    with tracking.run(f"score {as_of}", tags) as logged:
        scores["run_id"] = logged.id
        kind = settings.klaviyo.identifier
        names = name_customers(
            scores["customer_id"], customers_of(run, as_of), history.contacts, kind
        )
        audience = Audience(scores, names.key, names.email, kind)
        segments = marketing_segments(audience, settings.klaviyo.all_properties, made.erased)
        model = _told_of_model(tracking, model_version)
        monitored = monitoring_known_by(run.state, as_of)
        warned = [*history.quality.warnings, *warnings_of(checked), *_unnamed(kind, names)]
        record = {
            **_record(run, history, scores),
            **made.decisions(settings.investment),
            **model,
            "readouts": [readout.to_json() for readout in read_readouts(run.state, as_of)],
            "monitoring": None if monitored is None else monitored.to_json(),
            "segments_csv": {
                "rows": len(segments),
                "held_out": int(scores["is_holdout"].sum()),
                "no_key": int(names.key.isna().sum()),
            },
            "checks": checked,
            "purpose": str(purpose),
            "notes": [*warned, *model["notes"]],
        }
        record["figures"] = figures(record, json.loads(kpis.read_text()))
        record |= _earlier(run.store, as_of)
        in_parts = settings.engine.backend == "spark"

        def write(folder: Path) -> None:
            made.write(segments, record, settings.order_source, folder, in_parts=in_parts)

        is_current = purpose is Purpose.CURRENT
        day = run.store.publish(
            as_of, logged.id, write, is_current=is_current, fence=run.check_lease
        )
        if is_current:
            copy_file(day.file("rejects.csv"), settings.home / "rejects.csv")
        forget_refusal(run.state, as_of)
        logged.log(
            params={"model_version": model_version, "settings_digest": settings.digest},
            metrics={"customers": len(scores), "expected_value": scores["expected_value"].sum()},
        )
        logged.log_data("orders", settings.orders.source, history.digest, "scoring")
        logged.log_file(day.file("report.html"))
        logged.log_file(day.file("run.json"))
    return day


def marketing_segments(
    audience: Audience, properties: Sequence[Property], erased: Erasures
) -> pd.DataFrame:
    """Return what marketing gets: one row per customer who is not held out and whom Klaviyo can find.

    Parameters
    ----------
    audience
        Scores, and what their customers are called in Klaviyo.
    properties
        What is said of customers.
    erased
        Who is left out.

    Returns
    -------
    DataFrame
        Klaviyo's key columns, then the same properties that a sync sends.
    """
    scores, key, email = audience.scores, audience.key, audience.email
    is_erased = erased.covers(scores["customer_id"], key, email)
    is_told = ~scores["is_holdout"] & (broken_rules(audience, is_erased) == "") & ~is_erased
    is_told &= ~is_formula(key)  # as CSV it would name somebody else
    table = property_table(scores, properties)
    table.insert(0, KLAVIYO_KEYS[audience.kind], key)
    if audience.kind != "email" and email.notna().any():
        table.insert(1, KLAVIYO_KEYS["email"], email.mask(is_formula(email)).fillna(""))
    told: pd.DataFrame = table[is_told]
    return told


def _told_of_model(tracking: Tracking, version: str) -> dict[str, Any]:
    """Return what the page tells of a model: its run, its backtest, its fit, and what to know of it."""
    trained = tracking.tags(version)["run_id"]
    return {
        "trained_run_id": trained,
        "backtest": _artifact(tracking, trained, "backtest.json"),
        "frequency_fit": _artifact(tracking, trained, "pictures/frequency_fit.json"),
        "notes": list(
            FitReport.model_validate(_artifact(tracking, trained, "fits.json") or {}).notes
        ),
    }


def _unnamed(kind: str, names: Names) -> list[str]:
    """Say how many customers marketing cannot reach, if it is many or few."""
    missing = int(names.key.isna().sum())
    if not missing:
        return []
    return [
        f"{missing:,} of {len(names.key):,} customers have no known {kind} and are not in "
        "segments.csv: map it in orders.columns, give tables.customers, or choose another klaviyo.identifier"
    ]


def past_ratios(tracking: Tracking, model_version: str) -> list[float]:
    """Return how much more revenue came in past windows than a model's recipe expected."""
    backtest = _artifact(tracking, tracking.tags(model_version)["run_id"], "backtest.json")
    if backtest is None:
        return []
    cutoffs = BacktestReport.model_validate(backtest).cutoffs
    ratios = [cutoff.models["champion"].value_ratio for cutoff in cutoffs]
    return [ratio for ratio in ratios if ratio]


def page_of(day: PublishedDay) -> str:
    """Render the page of a published day again; one without measures is as it was."""
    if not day.file(KPIS).is_file():
        return day.file("report.html").read_text()
    return render_page(day.record(), json.loads(day.file(KPIS).read_text()))


def _earlier(store: Store, as_of: date) -> dict[str, Any]:
    """Return the headline figures of the day published before, and where earlier pages are."""
    days = store.published_days(date.min, as_of - timedelta(days=1))[-PAGES:][::-1]
    previous = days[0].record() if days else {}
    return {
        "previous": {name: previous[name] for name in ("as_of", "figures") if name in previous},
        "history": [
            {
                "as_of": day.as_of.isoformat(),
                "path": f"../../as_of={day.as_of}/{day.folder.name}/report.html",
            }
            for day in days
        ],
    }


def _record(run: RunContext, history: History, scores: pd.DataFrame) -> dict[str, Any]:
    """Say what went in, what came out and how long it took."""
    settings = run.settings
    counted = "count" if settings.orders.keep_zero_amount else "do not count"
    return {
        "format": FORMAT,
        "store": settings.store.name,
        "currency": settings.store.currency,
        "locale": settings.store.locale,
        "as_of": run.as_of.isoformat(),
        "run_id": scores["run_id"].iloc[0],
        "model_version": scores["model_version"].iloc[0],
        "data_digest": history.digest,
        "settings_digest": settings.digest,
        "customers": len(scores),
        "first_order_date": history.first_date.isoformat(),
        "last_order_date": history.last_date.isoformat(),
        "accounting": asdict(history.accounting),
        "zero_amount": f"Orders of no value {counted} as purchases.",
        "horizon_days": settings.model.horizon_days,
        "holdout_share": settings.holdout.share,
        "totals": totals(scores),
        "segments": segment_table(scores).to_dict("records"),
        "timings": {name: round(seconds, 3) for name, seconds in current_timings().items()},
        "published_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "perennial_version": installed("perennial"),
    }


def _artifact(tracking: Tracking, run_id: str, name: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return a JSON artifact of a run; None where it has none."""
    path = tracking.run_artifact(run_id, name)
    return None if path is None else json.loads(path.read_text())
