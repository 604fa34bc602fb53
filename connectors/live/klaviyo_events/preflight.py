"""What must be so before an account is pulled: the key, the account, one source of orders, a whole history."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.klaviyo_events.client import (
    KEY,
    SCOPES,
    Account,
    KlaviyoEvents,
    Metric,
    events_query,
)
from connectors.live.klaviyo_events.order_events import EventError, read_order
from connectors.live.klaviyo_events.source import (
    ACTIVE_DAYS,
    PLATFORM,
    READABLE,
    ActiveMetric,
    KlaviyoSource,
    Stream,
    order_metrics,
    recent_start,
    sending_metrics,
    streams_of,
)
from connectors.live.parts import write_private
from connectors.live.records import AccountFacts, JsonObject, Window
from features.tables import DataError

SAMPLE = 200  # newest orders that are read before any pull
MOST_UNREADABLE = 0.05  # share of the sample that may not be understood
SETTLING = timedelta(days=14)  # after the shop was connected, its history may still arrive
BETWEEN_COUNTS = timedelta(hours=20)
MARGIN = timedelta(days=2)  # orders this new are not counted: late ones may still arrive
OBSERVED = "history_counts.json"
PARTIAL_REFUNDS = (
    "Klaviyo has full refunds only: partial refunds and edits of orders are missing, and net revenue is too high by "
    "them"
)


@dataclass(frozen=True)
class Preflight:
    """What a preflight shows.

    Attributes
    ----------
    facts
        For people.
    streams
        What is read, orders first.
    since
        Begin of the day of the first order.
    """

    facts: AccountFacts
    streams: tuple[Stream, ...]
    since: datetime


def check_keys(read_key: str, sync_key: str | None) -> None:
    """Refuse the sync's key: it may write profiles. Klaviyo shows no key's scopes otherwise.

    Raises
    ------
    AccessRefusedError
        Both keys are one.
    """
    if sync_key is not None and read_key == sync_key:
        raise AccessRefusedError(
            f"{KEY} is the key of the sync, which may write. Create a second key with the read scopes "
            f"{' '.join(SCOPES)} only",
            0,
        )


def run_preflight(
    client: KlaviyoEvents, source: KlaviyoSource, now: datetime, folder: Path
) -> Preflight:
    """Check an account, or refuse it.

    Parameters
    ----------
    client
        With the read-only key.
    source
        What is to be read.
    now
        The moment.
    folder
        The account's: counts of the history are kept in it until two agree.

    Raises
    ------
    AccessRefusedError
        The key is of another account, or lacks a scope.
    UnexpectedAnswerError
        The account differs from the settings, its orders come from several integrations or are not understood,
        or its history is still arriving.
    """
    account = client.account()
    _check_account(account, source)
    metrics = client.metrics()
    active = [_active(client, one, now) for one in order_metrics(metrics)]
    sending = sending_metrics(source, active)
    for one in sending:
        _check_readable(client, one.metric)
    first = min((one.first_at for one in sending if one.first_at is not None), default=None)
    if first is None:
        raise UnexpectedAnswerError("The integrations that are named have no Placed Order")
    _check_settled(client, sending, now, folder / OBSERVED)
    since = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    facts = AccountFacts(
        platform=PLATFORM,
        account=account.id,
        name=account.name,
        currency=account.currency,
        timezone=account.timezone,
        first_order_at=first,
        permissions=SCOPES,
        is_test=account.is_test,
        notes=tuple(_notes(account, active, sending)),
    )
    ids = [one.metric.id for one in sending]
    return Preflight(facts, streams_of(source, metrics, ids), since)


def _check_account(account: Account, source: KlaviyoSource) -> None:
    if account.id != source.account:
        raise AccessRefusedError(
            f"{KEY} is of the account {account.id}, and the settings name {source.account}. Use a key of the "
            "account, or change the address in the settings",
            200,
        )
    if source.currency and account.currency and source.currency != account.currency:
        raise UnexpectedAnswerError(
            f"The account's currency is {account.currency}, the store's {source.currency}. Change the one that is "
            "wrong: Klaviyo converts no amounts"
        )
    if source.timezone and account.timezone and not _is_same(source.timezone, account.timezone):
        raise UnexpectedAnswerError(
            f"The account's time zone is {account.timezone}, the store's {source.timezone}. Change the one that is "
            "wrong: the day of an order depends on it"
        )


def _is_same(one: str, other: str) -> bool:
    """Tell whether two time zones have the same clocks; some have several names."""
    try:
        zones = [ZoneInfo(name) for name in (one, other)]
    except (ZoneInfoNotFoundError, ValueError):
        return one == other
    moments = [datetime(year, month, 1, tzinfo=UTC) for year in (2015, 2025) for month in (1, 7)]
    return all(
        len({moment.astimezone(zone).utcoffset() for zone in zones}) == 1 for moment in moments
    )


def _active(client: KlaviyoEvents, metric: Metric, now: datetime) -> ActiveMetric:
    window = Window(recent_start(now, ACTIVE_DAYS), now.replace(microsecond=0))
    recent = client.totals(metric.id, window, has_value=True).count
    oldest = events_query(metric.id, None, size=1)
    ends = [
        client.events(metric.id, oldest | {"sort": sort}).rows
        for sort in ("datetime", "-datetime")
    ]
    first, last = (rows[0].happened_at if rows else None for rows in ends)
    return ActiveMetric(metric, recent, first, last)


def _check_readable(client: KlaviyoEvents, metric: Metric) -> None:
    """Read the newest orders, and refuse an integration whose orders are not understood.

    Raises
    ------
    UnexpectedAnswerError
        More than 5 % of them are not, or the integration is none that is read.
    """
    query = events_query(metric.id, None, size=SAMPLE) | {"sort": "-datetime"}
    problems: dict[str, int] = {}
    rows = client.events(metric.id, query).rows
    for row in rows:
        properties = row.payload["event"]["attributes"].get("event_properties") or {}
        if problem := _problem(properties, metric.integration):
            problems[problem] = problems.get(problem, 0) + 1
    unreadable = sum(problems.values())
    if metric.integration in READABLE and unreadable <= MOST_UNREADABLE * len(rows):
        return
    names = ", ".join(sorted(one.name for one in client.properties(metric.id)))
    causes = "; ".join(f"{cause} ({count})" for cause, count in sorted(problems.items()))
    raise UnexpectedAnswerError(
        f'Orders of the integration "{metric.integration}" are not understood in {unreadable} of its {len(rows)} '
        f"newest Placed Order events: {causes}. Read the orders from the shop instead. Properties of the metric: "
        f"{names}"
    )


def _problem(properties: JsonObject, integration: str) -> str:
    """Return why an order is not understood; empty where it is."""
    try:
        order = read_order(properties, integration)
    except EventError as error:
        return str(error)
    return "there are no lines" if order.lines == () else ""


def _check_settled(
    client: KlaviyoEvents, sending: Sequence[ActiveMetric], now: datetime, path: Path
) -> None:
    """Refuse a history that is still arriving: a shop's past comes as 90 days first, then whole.

    While an integration is new, two counts of the orders before a moment must agree, a day apart.

    Raises
    ------
    UnexpectedAnswerError
        They do not yet.
    """
    observed = _read_counts(path)
    waiting = []
    for one in sending:
        created = one.metric.created
        if created is None or now - created >= SETTLING or one.first_at is None:
            continue
        until, last = (now - MARGIN).replace(microsecond=0), observed.get(one.metric.id)
        if last is not None:
            until = last.until
        count = _count(client, one, until)
        if last is None or last.count != count:
            observed[one.metric.id] = _Count(now, until, count)
            waiting.append(one.metric.integration)
        elif now - last.counted_at < BETWEEN_COUNTS and not last.is_settled:
            waiting.append(one.metric.integration)
        else:
            observed[one.metric.id] = _Count(last.counted_at, until, count, is_settled=True)
    if waiting or observed:
        _write_counts(path, observed)
    if waiting:
        raise UnexpectedAnswerError(
            f"The history of {' and '.join(waiting)} may still be arriving in Klaviyo: it was connected less than "
            f"{SETTLING.days} days ago, and a shop's orders come as 90 days first, then whole. Pull again tomorrow: "
            "two daily counts of the same orders must agree"
        )


@dataclass(frozen=True)
class _Count:
    """Orders before `until`, as counted at a moment."""

    counted_at: datetime
    until: datetime
    count: int
    is_settled: bool = False


def _count(client: KlaviyoEvents, one: ActiveMetric, until: datetime) -> int:
    if one.first_at is None or one.first_at >= until:
        return 0
    return client.totals(one.metric.id, Window(one.first_at, until), has_value=True).count


def _read_counts(path: Path) -> dict[str, _Count]:
    if not path.exists():
        return {}
    try:
        return {
            metric: _Count(
                datetime.fromisoformat(one["counted_at"]),
                datetime.fromisoformat(one["until"]),
                int(one["count"]),
                is_settled=bool(one["is_settled"]),
            )
            for metric, one in json.loads(path.read_text()).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path} cannot be read. Delete it: the history is counted again"
        ) from None


def _write_counts(path: Path, counts: dict[str, _Count]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows = {
        metric: {
            "counted_at": one.counted_at.isoformat(),
            "until": one.until.isoformat(),
            "count": one.count,
            "is_settled": one.is_settled,
        }
        for metric, one in counts.items()
    }
    write_private(path, json.dumps(rows, indent=2) + "\n", lambda _: None)


def _notes(
    account: Account, active: Sequence[ActiveMetric], sending: Sequence[ActiveMetric]
) -> list[str]:
    notes = [PARTIAL_REFUNDS]
    read = {one.metric.id for one in sending}
    others = [one for one in active if one.metric.id not in read and one.first_at is not None]
    if others:
        notes.append(
            f"Placed Order of other integrations is not read: {'; '.join(map(str, others))}. Name a range of days for "
            "each integration to read older orders too"
        )
    missing = [
        name
        for name, value in (("time zone", account.timezone), ("currency", account.currency))
        if not value
    ]
    if missing:
        notes.append(f"The account has no {' and no '.join(missing)}, so it was not compared")
    return notes
