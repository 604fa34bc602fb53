"""How things stand, what was sent, and what a command said."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from connectors.klaviyo.records import SyncCounts, SyncOutcome, SyncPlan, read_sync
from models.checks import PASSED
from perennial.cli.facts import DayFacts, Facts
from perennial.cli.shown.words import count, plain, say_text, say_where, show_refused
from perennial.cli.terminal import short_path
from perennial.pipeline.status.records import CurrentDay, ModelStatus, SourceStatus, Status

SENTENCES = ("missing",)  # whose values are sentences, one line each


def show_status(console: Console, facts: Facts) -> None:
    """Show the status of a store, in one screen."""
    status = Status.model_validate(facts)
    if status.current is None or status.model is None:
        console.print("\n[bold red]Nothing is published[/]: perennial run\n")
    else:
        mark = "[bold red]Stale[/]" if status.is_stale else "[bold]Current[/]"
        _show_current(console, mark, status.current, status.model)
        day = DayFacts.model_validate(facts)
        say_where(console, "Page", short_path(str(day.files.page)))
        say_where(console, "MLflow", day.mlflow.ui)
    if status.source is not None:
        _show_source(console, status.source)
    if status.missing:
        say_where(console, "Missing", ", ".join(map(str, status.missing)))
    show_refused(console, {str(one.as_of): one.why for one in status.refused})
    if status.at_work is not None:
        where = f"process {status.at_work.pid} on {status.at_work.host}"
        since = status.at_work.since[:16].replace("T", " ")
        say_where(console, "At work", f"{where}, since {since}")
    console.print()


def _show_current(console: Console, mark: str, current: CurrentDay, model: ModelStatus) -> None:
    """Show the day that readers see: its age, its model and its checks."""
    console.print(
        f"\n{mark}: {current.as_of}, {_days(current.days_behind)}, published "
        f"{current.hours:,.1f} hours ago; {current.customers:,} customers"
    )
    trained = model.trained_as_of or "a day that is not known"
    say_where(console, "Model", f"version {model.version}, trained on orders up to {trained}")
    odd = [check for check in current.checks if check.verdict != PASSED]
    passed = len(current.checks) - len(odd)
    say_where(console, "Checks", f"{passed} of {len(current.checks)} passed")
    for check in odd:
        console.print(f"  {check.verdict}: {plain(check.rule)}: {plain(check.problem)}")


def _show_source(console: Console, source: SourceStatus) -> None:
    """Show how fresh the orders' source is, and what is wrong with it."""
    say_where(console, "Source", "; ".join(_source_parts(source)))
    for warning in source.warnings:
        say_text(console, "Warning", warning)
    if source.problem is not None:
        say_text(console, "Warning", source.problem, style="bold red")
    elif source.error is not None:
        say_text(console, "Warning", f"the last pull failed: {source.error}")


def _source_parts(source: SourceStatus) -> Iterator[str]:
    yield source.account or source.kind
    if source.kind == "live":
        yield (
            "nothing is pulled yet"
            if source.pulled_at is None
            else f"pulled {_minute(source.pulled_at)} ({source.pull_kind})"
        )
    if source.complete_until is not None:
        yield f"complete until {_minute(source.complete_until)}"
    if source.modified_at is not None:
        yield f"newest file {source.file}, written {_minute(source.modified_at)}"
    elif source.kind == "files":
        yield "no file is there"
    if source.newest_order is not None:
        yield f"newest order {source.newest_order}"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _days(behind: int) -> str:
    if behind <= 0:
        return "the last day that is over"
    return f"{behind} day{'s' if behind > 1 else ''} before the last that is over"


def show_backfilled(console: Console, facts: Facts) -> None:
    """Show what a backfill published."""
    console.print(
        f"\n[bold]{len(facts['published'])} days published as history[/], "
        f"{len(facts['already_published'])} were there; nobody was told, and nothing was committed"
    )
    show_refused(console, facts["refused"])


LEFT_ALONE = ". Perennial did not make these and leaves them alone. Rename them in Klaviyo, or yours in [klaviyo]"


def show_synced(console: Console, facts: Facts) -> None:
    """Show what was or would be sent to Klaviyo."""
    sync = read_sync(facts)
    if isinstance(sync, SyncPlan):
        missing = "" if sync.looked_up else ", none of them looked up: no key is set"
        console.print(
            f"\n[bold]A sync of {sync.as_of} would send {count(sync.counts.to_send, 'profile')}[/] in "
            f"{count(sync.jobs, 'job')}{missing}. Nothing was sent: add --apply for that"
        )
        _show_counts(console, sync.counts)
        _show_files(console, sync.files)
    elif isinstance(sync, SyncOutcome):
        rejected = f", {sync.rejected:,} rejected: see Rejects" if sync.rejected else ""
        console.print(
            f"\n[bold]Synced {sync.as_of}[/]: {sync.confirmed:,} of {count(sync.sent, 'profile')} "
            f"confirmed{rejected}"
        )
        _show_counts(console, sync.counts)
        _show_made(console, sync)
        _show_files(console, sync.files)


def _show_counts(console: Console, counts: SyncCounts | None) -> None:
    """Show what happens to how many customers."""
    numbers = {} if counts is None else asdict(counts)
    parts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in numbers.items() if n)
    console.print(f"Customers: {parts or 'see the sync that was resumed'}")


def _show_made(console: Console, sync: SyncOutcome) -> None:
    """Show what a sync did apart from the profiles: events, segments, lists."""
    if sync.events_unverified:
        console.print(
            f"Events: {count(sync.events_unverified, 'event')} accepted, none verified, since Klaviyo reports no "
            "result of events. See the metric in Klaviyo"
        )
    for name, segments in asdict(sync.segments).items():
        if segments:
            hint = LEFT_ALONE if name == "foreign" else ""
            console.print(f"Segments {name}: {plain(', '.join(segments))}{hint}")
    foreign = [name for name, counts in sync.lists.items() if counts.is_foreign]
    if foreign:
        console.print(f"Lists foreign: {plain(', '.join(foreign))}{LEFT_ALONE}")


def _show_files(console: Console, files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        say_where(console, name.replace("_", " ").capitalize(), short_path(str(path)))


def show_said(console: Console, facts: Facts) -> None:
    """Show facts one by one."""
    for name, value in facts.items():
        if isinstance(value, list | tuple):
            for one in value:
                say_text(console, name.rstrip("s").replace("_", " ").capitalize(), str(one))
            continue
        shown = name.replace("_", " ").capitalize()
        if name in SENTENCES and isinstance(value, dict):
            for key, sentence in value.items():
                say_text(console, shown, f"{key}: {sentence}")
        else:
            say_where(console, shown, _listed(value))


def _listed(value: Any) -> str:  # noqa: ANN401  # a JSON value
    """Write a value in one line: what is in it one by one, what is below it in brackets."""
    if isinstance(value, dict):
        parts = [
            f"{key} ({_listed(item)})" if isinstance(item, dict) else f"{key} {_listed(item)}"
            for key, item in value.items()
            if item
        ]
        return ", ".join(parts) or "nothing"
    if isinstance(value, list | tuple):
        return " ".join(_listed(one) for one in value)
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_count else str(value)
