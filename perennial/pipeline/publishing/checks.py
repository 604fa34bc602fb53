"""Check a day before and after it is scored; what is refused is told, and yesterday stays current."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from connectors.engine import Engine
from connectors.kept import read_parquet
from connectors.orders import History
from connectors.published import PublishedFile
from connectors.store import PublishedDay, Store, replace_file
from features.tables import DataError
from models.checks import (
    WARNED,
    Check,
    Source,
    accept,
    check_scores,
    check_source,
    compare_scores,
    refused,
)
from models.checks.source import MOST_WINDOW_DAYS
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.publishing.refusal import Refusal
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.settings.store import SettingsError
from reports.records.run import Budget

NAMES = (
    "orders_are_fresh",
    "orders_of_the_day",
    "customers_stay",
    "history_stays",
    "model_is_young",
    "scores_are_possible",
    "states_are_coherent",
    "budget_is_kept",
    "value_is_steady",
    "segments_are_steady",
    "customers_stay_put",
)
COMPARED = ["customer_id", "segment", "expected_value"]
CHECKS = TypeAdapter(tuple[Check, ...])


class DayRefusedError(DataError):
    """Checks refuse a day; `is_late` where waiting for the source may mend it."""

    def __init__(self, message: str, *, is_late: bool) -> None:
        super().__init__(message)
        self.is_late = is_late


def read_accepted(accepted: Sequence[str], because: str) -> dict[str, str]:
    """Say which checks a person accepts, and why.

    Raises
    ------
    SettingsError
        A check that there is not, or no reason.
    """
    unknown = [name for name in accepted if name not in NAMES]
    if unknown:
        raise SettingsError(
            f"--accept names a check: {', '.join(unknown)} is none. There are {', '.join(NAMES)}"
        )
    if accepted and not because.strip():
        raise SettingsError(
            'a check is accepted for a reason, which is kept: add --because "the store was closed"'
        )
    return dict.fromkeys(accepted, because)


@step
def check_orders(
    run: RunContext, history: History, model_version: str, accepted: Mapping[str, str]
) -> None:
    """Check what came in.

    Raises
    ------
    DayRefusedError
        A check refuses the day, and nobody accepted it.
    """
    before = _published_before(run.store, run.as_of)
    with run.engine() as engine:
        source = _source(engine, history, before, run.as_of)
    trained = run.tracking.tags(model_version)["as_of"]
    source = replace(source, model_age_days=(run.as_of - date.fromisoformat(trained)).days)
    checks = check_source(source, run.settings.checks.source)
    _judge(run.files.checks, run.state, run.as_of, accept(checks, accepted))


@step
def check_decided(run: RunContext, model_version: str, accepted: Mapping[str, str]) -> None:
    """Check what comes out, and that it is like the day before.

    Raises
    ------
    DayRefusedError
        A check refuses the day, and nobody accepted it.
    """
    scores = pd.read_parquet(run.files.decided_scores)
    before, moved = _published_before(run.store, run.as_of), None
    if before is not None:
        trained = run.tracking.tags(model_version)["run_id"]
        moved = compare_scores(
            read_parquet(before.file(PublishedFile.SCORES), COMPARED),
            scores[COMPARED],
            (run.as_of - before.as_of).days,
            is_new_model=read_record(before).trained_run_id != trained,
        )
    budget = Budget.model_validate_json(run.files.budget.read_text())
    checks = check_scores(
        scores,
        moved,
        run.settings.checks.scores,
        committed=budget.committed,
        left=budget.left,
    )
    _judge(run.files.checks, run.state, run.as_of, accept(checks, accepted))


def read_checks(path: Path) -> tuple[Check, ...]:
    """Read the checks of a day; none where there is no file."""
    return CHECKS.validate_json(path.read_text()) if path.exists() else ()


def warnings_of(checks: Sequence[Check]) -> list[str]:
    """Return the problems that a reader must know of, in words."""
    warnings = []
    for check in checks:
        if check.verdict == WARNED:
            warnings.append(f"{check.rule}: {check.problem}")
        elif check.because is not None:
            warnings.append(f"{check.rule}: {check.problem}; accepted, because {check.because}")
    return warnings


def refusal_file(state: Path, as_of: date) -> Path:
    """Return where the refusal of a day is kept until the day is published."""
    return state / "refusals" / f"as_of={as_of.isoformat()}.json"


def forget_refusal(state: Path, as_of: date) -> None:
    """Drop the refusal of a day that is published now."""
    refusal_file(state, as_of).unlink(missing_ok=True)


def refusals(state: Path) -> list[Refusal]:
    """Return the days that are refused and not published, the newest first."""
    paths = sorted((state / "refusals").glob("as_of=*.json"), reverse=True)
    return [Refusal.model_validate_json(path.read_bytes()) for path in paths]


def _judge(path: Path, state: Path, as_of: date, checks: list[Check]) -> None:
    """Keep the checks for the day's record, or refuse the day."""
    names = {check.name for check in checks}
    earlier = [check for check in read_checks(path) if check.name not in names]
    path.write_text(json.dumps([check.to_dict() for check in (*earlier, *checks)], indent=2))
    no = refused(checks)
    if no:
        _refuse(state, no, as_of)


def _refuse(state: Path, no: list[Check], as_of: date) -> None:
    names = " ".join(f"--accept {check.name}" for check in no)
    error = DayRefusedError(
        f"{as_of} is not published: {'; '.join(str(check) for check in no)}. What was published before "
        f'stays current. To publish it all the same: `perennial run --as-of {as_of} {names} --because "…"`',
        is_late=all(check.is_late for check in no),
    )
    save_refusal(state, as_of, str(error), no)
    raise error


def save_refusal(state: Path, as_of: date, why: str, checks: Sequence[Check] = ()) -> None:
    """Remember why a day was refused until it is published."""
    path = refusal_file(state, as_of)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    refusal = Refusal(as_of=as_of, refused_at=now, why=why, checks=tuple(checks))
    text = json.dumps(refusal.model_dump(mode="json"), indent=2) + "\n"
    replace_file(path, lambda draft: draft.write_text(text))


def _published_before(store: Store, as_of: date) -> PublishedDay | None:
    days = store.published_days(date.min, as_of - timedelta(days=1))
    return days[-1] if days and days[-1].file(PublishedFile.SCORES).exists() else None


def _source(engine: Engine, history: History, before: PublishedDay | None, as_of: date) -> Source:
    orders = engine.parquet(history.orders)
    # Weeks before the last order, so that it is known what a source that fell silent used to bring.
    latest = min(history.last_date, as_of)
    start = max(history.first_date, latest - timedelta(days=MOST_WINDOW_DAYS))
    late = orders.filter(orders.order_date >= start)
    counts = engine.frame(late.group_by("order_date").aggregate(orders=late.count()))
    customers = engine.frame(orders.aggregate(n=orders.customer_id.nunique()))["n"].iloc[0]
    daily = _by_day(counts, start, as_of)
    if before is None:
        return Source(daily, int(customers))
    past = orders.filter(orders.order_date <= before.as_of)
    record = read_record(before)
    return Source(
        daily,
        int(customers),
        customers_before=record.customers,
        orders_then=record.accounting.orders,
        orders_now=int(engine.frame(past.aggregate(n=past.count()))["n"].iloc[0]),
    )


def _by_day(counts: pd.DataFrame, start: date, as_of: date) -> NDArray[np.int64]:
    """Return the orders of each day, those without any as zeros."""
    days = pd.date_range(start, as_of)
    daily = pd.Series(counts["orders"].to_numpy(), pd.to_datetime(counts["order_date"]))
    return np.asarray(daily.reindex(days, fill_value=0), dtype=np.int64)
