"""Klaviyo's totals by interval: the query's rules, and the sums."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.live import klaviyo_events_filters as filters
from tests.live.double import Request
from tests.live.klaviyo_events_records import Event
from tests.live.klaviyo_events_rules import JSON_API, RefusedError, invalid

LONGEST_RANGE = timedelta(days=366)


MEASUREMENTS = ("count", "sum_value", "unique")


INTERVALS = ("hour", "day", "week", "month")


DIMENSIONS = frozenset(
    [
        "$attributed_channel", "$attributed_flow", "$attributed_message", "$attributed_variation",
        "$campaign_channel", "$flow", "$flow_channel", "$message", "$message_send_cohort",
        "$usage_amount", "$value_currency", "$variation", "$variation_send_cohort", "Bot Click",
        "Bounce Type", "Campaign Name", "Client Canonical", "Client Name", "Client Type",
        "Email Domain", "Failure Source", "Failure Type", "From Number", "From Phone Region",
        "Inbox Provider", "List", "Message Format", "Message Name", "Message Type", "Method",
        "Segment Count", "Subject", "To Number", "To Phone Region", "URL", "form_id",
    ]
)  # fmt: skip


@dataclass(frozen=True)
class AggregateQuery:
    """Totals of a metric by interval and dimensions."""

    metric_id: str
    measurements: tuple[str, ...]
    by: tuple[str, ...]
    interval: str
    zone: ZoneInfo
    start: datetime
    end: datetime
    page_size: int
    first: int


def read_query(request: Request) -> AggregateQuery:
    """Return the query that a body asks, or refuse it."""
    content = request.headers.get("content-type", "").partition(";")[0]
    if content not in {JSON_API, "application/json"}:
        raise RefusedError(
            415, "unsupported_media_type", "Unsupported media type.",
            f'Unsupported media type "{content}" in request.',
        )  # fmt: skip
    values = _attributes(request)
    zone = values.get("timezone") or "UTC"
    try:
        zone = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, TypeError, ValueError):
        raise _bad_attribute("timezone") from None
    start, end = _range(values.get("filter"), zone)
    interval = {"interval": [values.get("interval") or "day"]}
    cursor = _checked(values, "page_cursor", str, "0")
    if not cursor.isdecimal():
        raise _bad_attribute("page_cursor")
    return AggregateQuery(
        metric_id=_checked(values, "metric_id", str),
        measurements=_subset(values, "measurements", MEASUREMENTS, least=1),
        by=_subset(values, "by", DIMENSIONS),
        interval=_subset(interval, "interval", INTERVALS)[0],
        zone=zone,
        start=start,
        end=end,
        page_size=_checked(values, "page_size", int, 500),
        first=int(cursor),
    )


def total_rows(query: AggregateQuery, events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return a row per combination of dimensions that has events; without dimensions, one row."""
    groups: dict[tuple[str, ...], list[Event]] = defaultdict(list)
    for event in events:
        if query.start <= event.happened < query.end:
            groups[tuple(_dimension(event, name) for name in query.by)].append(event)
    if not groups and not query.by:
        groups[()] = []
    dates = list(buckets(query))
    return [
        {"dimensions": list(names), "measurements": _measure(query, dates, rows)}
        for names, rows in sorted(groups.items())
    ]


def _attributes(request: Request) -> dict[str, Any]:
    try:
        data = request.json()["data"]
        kind, values = data["type"], data["attributes"]
    except (ValueError, KeyError, TypeError):
        raise invalid("The request body is not valid.", pointer="/data") from None
    if kind != "metric-aggregate" or not isinstance(values, dict):
        raise invalid("The type of the resource is not valid.", pointer="/data/type")
    allowed = {
        "metric_id", "page_cursor", "measurements", "interval", "page_size", "by",
        "return_fields", "filter", "timezone", "sort",
    }  # fmt: skip
    for name in values:
        if name not in allowed:
            raise _bad_attribute(name)
    return values


def _bad_attribute(name: str) -> RefusedError:
    return invalid(f"'{name}' is not valid.", pointer=f"/data/attributes/{name}")


def _checked(values: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = values.get(name)
    value = default if value is None else value
    if not isinstance(value, kind):
        raise _bad_attribute(name)
    if isinstance(value, int) and not 1 <= value <= 500:
        raise _bad_attribute(name)
    return value


def _subset(
    values: Mapping[str, Any], name: str, allowed: Iterable[str], *, least: int = 0
) -> tuple[str, ...]:
    value = values.get(name) or []
    if not isinstance(value, list) or len(value) < least or not set(value) <= set(allowed):
        raise _bad_attribute(name)
    return tuple(value)


def _range(texts: object, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the range of a query, which must have both ends and a year at most."""
    if not isinstance(texts, list):
        raise _bad_attribute("filter")
    try:
        parsed = [filters.parse_filter(text, filters.AGGREGATES, zone) for text in texts]
    except (filters.FilterError, TypeError):
        raise _bad_attribute("filter") from None
    ends = {
        one.operator: filters.moment_of(one.value) for conditions in parsed for one in conditions
    }
    if ends.keys() != {"greater-or-equal", "less-than"}:
        raise _bad_attribute("filter")
    start, end = ends["greater-or-equal"], ends["less-than"]
    if not start < end <= start + LONGEST_RANGE:
        raise _bad_attribute("filter")
    return start, end


def _dimension(event: Event, name: str) -> str:
    """Return the value that an event is grouped by; empty if it has none."""
    value = event.properties.get("$currency_code" if name == "$value_currency" else name)
    return "" if value is None else str(value)


def _bucket(moment: datetime, interval: str, zone: ZoneInfo) -> datetime:
    """Return the begin of the interval in which a moment is, by the clocks of a zone."""
    local = moment.astimezone(zone)
    if interval == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def buckets(query: AggregateQuery) -> Iterator[datetime]:
    """Yield the begins of the intervals of a query."""
    bucket = _bucket(query.start, query.interval, query.zone)
    while bucket.timestamp() < query.end.timestamp():
        yield bucket
        if query.interval == "hour":
            bucket = (bucket.astimezone(UTC) + timedelta(hours=1)).astimezone(query.zone)
        else:
            days = {"day": 1, "week": 7, "month": 32}[query.interval]
            bucket = _bucket(bucket + timedelta(days=days), query.interval, query.zone)


def _measure(
    query: AggregateQuery, dates: Sequence[datetime], events: Sequence[Event]
) -> dict[str, list[float]]:
    by_date: dict[float, list[Event]] = defaultdict(list)  # by second: hours repeat in autumn
    for event in events:
        by_date[_bucket(event.happened, query.interval, query.zone).timestamp()].append(event)
    measures: dict[str, Callable[[Sequence[Event]], float]] = {
        "count": lambda rows: float(len(rows)),
        "sum_value": lambda rows: round(
            sum(float(row.properties.get("$value") or 0) for row in rows), 2
        ),
        "unique": lambda rows: float(len({row.profile_id or row.id for row in rows})),
    }
    return {
        name: [measures[name](by_date[date.timestamp()]) for date in dates]
        for name in query.measurements
    }
