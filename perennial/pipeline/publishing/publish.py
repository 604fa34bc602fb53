"""Publish a scored day: scores, the marketer's segments, the page, and how they were made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from connectors.csv import is_formula
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.plan import Audience, broken_rules
from connectors.klaviyo.properties import Property, property_table
from connectors.orders import History
from connectors.published import PublishedFile
from connectors.store import PublishedDay, copy_file
from connectors.tracking import Run
from features.tables import DataError
from perennial.pipeline.ingestion.people import customers_of, name_customers
from perennial.pipeline.publishing.checks import forget_refusal
from perennial.pipeline.publishing.decided import DecidedDay
from perennial.pipeline.publishing.records import read_kpis, read_record
from perennial.pipeline.publishing.run_record import Marketing, run_record
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.settings.klaviyo import KlaviyoSettings
from reports.page import render_page
from reports.records import RunRecord

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
    inputs = _Inputs(history.digest, run.settings.digest, model_version)
    for day in reversed(published):
        if not inputs.other_than(read_record(day)):
            if purpose is Purpose.CURRENT:
                store.make_current(day)
            return day
    if published and not force:
        other = inputs.other_than(read_record(published[-1]))
        raise DataError(
            f"a published day is not rewritten: {as_of} was published from other {' and '.join(other)}. "
            "What changed counts from the next day on; to publish this day again, add --force"
        )
    return None


@dataclass(frozen=True)
class _Inputs:
    """What a day is made from."""

    data_digest: str
    settings_digest: str
    model_version: str

    def other_than(self, record: RunRecord) -> list[str]:
        """Name what a published day was made from others of."""
        same = {
            "orders": record.data_digest == self.data_digest,
            "settings": record.settings_digest == self.settings_digest,
            "models": record.model_version == self.model_version,
        }
        return [name for name, is_same in same.items() if not is_same]


@step
def publish(
    run: RunContext, history: History, model_version: str, *, purpose: Purpose = Purpose.CURRENT
) -> PublishedDay:
    """Publish what was decided in one step, as an MLflow run of its own; the forgotten are left out.

    Readers are pointed to it if that is what it is for.
    """
    decided = DecidedDay.read(run.files, Erasures(run.state), history, model_version)
    tags = {"as_of": run.as_of.isoformat(), "kind": "score", "model_version": model_version}
    with run.tracking.run(f"score {run.as_of}", tags) as logged:
        decided.scores["run_id"] = logged.id
        marketing = _marketing(decided, customers_of(run, run.as_of), run.settings.klaviyo)
        record = run_record(run, decided, marketing, run_id=logged.id, purpose=purpose)
        day = _write_day(run, decided, record, marketing.segments)
        forget_refusal(run.state, run.as_of)
        _log(logged, run.settings.orders.source, decided, day)
    return day


def _marketing(
    decided: DecidedDay, customers: pd.DataFrame, klaviyo: KlaviyoSettings
) -> Marketing:
    """Return what marketing gets of a decided day."""
    scores, contacts = decided.scores, decided.history.contacts
    names = name_customers(scores["customer_id"], customers, contacts, klaviyo.identifier)
    audience = Audience(scores, names.key, names.email, klaviyo.identifier)
    segments = marketing_segments(audience, klaviyo.all_properties, decided.erased)
    return Marketing(segments, names, klaviyo.identifier)


def _write_day(
    run: RunContext, decided: DecidedDay, record: RunRecord, segments: pd.DataFrame
) -> PublishedDay:
    """Write a day into its place, and point readers to it if it is the current one."""
    settings, is_current = run.settings, record.purpose == Purpose.CURRENT
    in_parts = settings.engine.backend == "spark"

    def write(folder: Path) -> None:
        decided.write(folder, record, segments, settings.order_source, in_parts=in_parts)

    day = run.store.publish(
        run.as_of, record.run_id, write, is_current=is_current, fence=run.check_lease
    )
    if is_current:
        copy_file(day.file(PublishedFile.REJECTS), settings.home / PublishedFile.REJECTS)
    return day


def _log(logged: Run, source: str, decided: DecidedDay, day: PublishedDay) -> None:
    """Log a published day to its MLflow run; `source` is where its orders came from."""
    scores, record = decided.scores, read_record(day)
    logged.log(
        params={
            "model_version": record.model_version,
            "settings_digest": record.settings_digest,
        },
        metrics={"customers": len(scores), "expected_value": scores["expected_value"].sum()},
    )
    logged.log_data("orders", source, record.data_digest, "scoring")
    logged.log_file(day.file(PublishedFile.REPORT))
    logged.log_file(day.file(PublishedFile.RECORD))


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
    is_listed = ~scores["is_holdout"] & (broken_rules(audience, is_erased) == "") & ~is_erased
    is_listed &= ~is_formula(key)  # as CSV it would name somebody else
    table = property_table(scores, properties)
    table.insert(0, KLAVIYO_KEYS[audience.kind], key)
    if audience.kind != "email" and email.notna().any():
        table.insert(1, KLAVIYO_KEYS["email"], email.mask(is_formula(email)).fillna(""))
    listed: pd.DataFrame = table[is_listed]
    return listed


def page_of(day: PublishedDay) -> str:
    """Render the page of a published day again; one without measures is as it was."""
    if not day.file(PublishedFile.KPIS).is_file():
        return day.file(PublishedFile.REPORT).read_text()
    return render_page(read_record(day), read_kpis(day))
