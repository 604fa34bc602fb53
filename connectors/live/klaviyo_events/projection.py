"""Newest raw events -> the tables that the preset ``klaviyo`` reads, and those of engagement.

======================  ======================================================================
file                    a row is
======================  ======================================================================
placed_orders.parquet   a Placed Order event: who, when, amounts without tax from its lines
placed_lines.parquet    a line of goods
void_events.parquet     a cancellation or a refund, on its own day
refund_lines.parquet    goods given back, as far as events have it
messages.parquet        an e-mail or a text message that somebody got
engagement.parquet      somebody's events of a metric on a day of the store's time zone
======================  ======================================================================

A profile is what the newest of its events has of it: events that were read before a profile changed link all the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.klaviyo_events.engagement import DAYS, MESSAGES, campaign_of, is_meant
from connectors.live.klaviyo_events.order_events import (
    EventError,
    OrderEvent,
    is_redacted,
    is_whole_refund,
    order_id_of,
    read_order,
    value_of,
)
from connectors.live.klaviyo_events.people import Person, person_of
from connectors.live.klaviyo_events.source import (
    OF_SITE,
    Kind,
    KlaviyoSource,
    Range,
    Stream,
    parse_stream,
)
from connectors.live.klaviyo_events.tables import (
    ENGAGEMENT,
    LINES,
    PLACED,
    REFUNDS,
    VOIDS,
    Row,
    TableWriter,
    open_duckdb,
    write_query,
)
from connectors.live.parts import read_batches
from connectors.live.queries import Memory
from connectors.live.raw import RawAccount
from connectors.live.records import JsonObject

ORDER_FILES = ("placed_orders", "placed_lines", "void_events", "refund_lines")
ENGAGEMENT_FILES = ("messages", "engagement")
FLAT = {  # tables before people are resolved
    "placed": PLACED,
    "lines": LINES,
    "voids": VOIDS,
    "refunds": REFUNDS,
    "engagement": ENGAGEMENT,
}

PEOPLE = """
    CREATE TEMP TABLE people AS
    SELECT profile_id, arg_max(email, pull) AS email, arg_max(phone, pull) AS phone,
        arg_max(external_id, pull) AS external_id
    FROM (
        SELECT profile_id, email, phone, external_id, pull FROM placed
        UNION ALL SELECT profile_id, email, phone, external_id, pull FROM engagement
    ) WHERE profile_id IS NOT NULL GROUP BY profile_id
"""
FIRST = """
    CREATE TEMP TABLE numbered AS
    SELECT *, row_number() OVER (
        PARTITION BY integration, order_id ORDER BY ordered_at, klaviyo_event_id
    ) = 1 AS is_first FROM placed
"""
KNOWN_ENGAGEMENT = """
    CREATE TEMP VIEW known_engagement AS
    SELECT happened.kind, happened.happened_at, happened.campaign, people.*
    FROM engagement AS happened JOIN people USING (profile_id)
"""
ORDERS = """
    SELECT klaviyo_event_id, order_id, integration, ordered_at,
        coalesce(shop_customer_id, people.external_id) AS customer_id,
        coalesce(people.email, typed_email) AS email,
        coalesce(people.phone, typed_phone) AS phone,
        name, postal_code, accepts_marketing, currency, channel, discount_code, tags, is_test,
        is_redacted, NOT is_first AS is_repeated, gross_amount, discount_amount, gift_card_amount
    FROM numbered LEFT JOIN people USING (profile_id) ORDER BY ordered_at, klaviyo_event_id
"""
ORDER_LINES = """
    SELECT first.order_id, line_id, product_id, product_name, quantity, lines.net_amount
    FROM lines JOIN (FROM numbered WHERE is_first) AS first USING (klaviyo_event_id)
    ORDER BY ALL
"""
VOID_EVENTS = """
    SELECT DISTINCT first.order_id, voids.rule, voids.voided_at,
        coalesce(is_whole, voids.value >= first.value, false) AS is_whole
    FROM voids JOIN (FROM numbered WHERE is_first) AS first USING (integration, order_id)
    ORDER BY ALL
"""
REFUND_LINES = """
    SELECT DISTINCT first.order_id, refund_id, line_id, refunded_at, net_amount
    FROM refunds JOIN (FROM numbered WHERE is_first) AS first USING (integration, order_id)
    ORDER BY ALL
"""


@dataclass(frozen=True)
class _Stored:
    """A stored event, read back."""

    key: str
    pull: str
    happened_at: datetime
    payload: JsonObject

    @property
    def properties(self) -> JsonObject:
        properties: JsonObject = self.payload["event"]["attributes"].get("event_properties") or {}
        return properties

    @property
    def person(self) -> Row:
        """Who it is about; nobody of an event that is redacted."""
        person = Person() if is_redacted(self.properties) else person_of(self.payload)
        return {**vars(person), "pull": self.pull}


def project_account(
    account: RawAccount, source: KlaviyoSource, folder: Path, memory: Memory | None = None
) -> list[Path]:
    """Write the projection of an account's newest events; return the files.

    Raises
    ------
    UnexpectedAnswerError
        Orders of several integrations are stored, and no range of days is named for each.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    streams = [one for one in map(parse_stream, account.streams()) if one is not None]
    placed = _placed(streams, source)
    with TemporaryDirectory(dir=folder) as scratch:
        work = _Projection(account, source, placed, Path(scratch))
        keys = {one.integration for one in placed}
        later = (Kind.CANCELLED, Kind.REFUNDED)
        voids = [one for one in streams if one.kind in later and one.integration in keys]
        work.flatten(placed, voids, [one for one in streams if not one.kind.is_of_orders])
        with open_duckdb(memory, folder / ".spill") as connection:
            return work.write(connection, folder)


class _Projection:
    """Tables while they are written."""

    def __init__(
        self,
        account: RawAccount,
        source: KlaviyoSource,
        placed: Sequence[Stream],
        scratch: Path,
    ) -> None:
        self._account, self._source, self._scratch = account, source, scratch
        self._ranges = {one.metric_id: _ranges_of(one, source) for one in placed}
        self._prefixes = _prefixes(placed, self._ranges)

    def flatten(
        self, placed: Sequence[Stream], voids: Sequence[Stream], engagement: Sequence[Stream]
    ) -> None:
        """Write what events have, a table for each kind of row."""
        with ExitStack() as stack:
            tables = {
                name: stack.enter_context(TableWriter(self._scratch / f"{name}.parquet", columns))
                for name, columns in FLAT.items()
            }
            for stream in (*placed, *voids):
                for event in self._stored(stream):
                    order = _read(event, stream)
                    if stream.kind is Kind.PLACED:
                        tables["placed"].add([self._placed_row(event, stream, order)])
                        tables["lines"].add(_line_rows(event, order))
                    tables["voids"].add(self._void_rows(event, stream, order))
                    tables["refunds"].add(self._refund_rows(event, stream, order))
            for stream in engagement:
                for event in self._stored(stream):
                    tables["engagement"].add(_engagement_rows(event, stream))

    def write(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> list[Path]:
        """Resolve people, and write the tables."""
        for name in FLAT:
            path = str(self._scratch / f"{name}.parquet").replace("'", "''")
            connection.execute(f"CREATE TEMP VIEW {name} AS FROM read_parquet('{path}')")
        for query in (PEOPLE, FIRST, KNOWN_ENGAGEMENT):
            connection.execute(query)
        files = []
        for name, query in zip(
            ORDER_FILES, (ORDERS, ORDER_LINES, VOID_EVENTS, REFUND_LINES), strict=True
        ):
            files.append(folder / f"{name}.parquet")
            write_query(connection, query, files[-1])
        for name, query in zip(ENGAGEMENT_FILES, (MESSAGES, DAYS), strict=True):
            files.append(folder / f"{name}.parquet")
            zone = {"zone": str(self._source.zone)} if "$zone" in query else None
            write_query(connection, query, files[-1], zone)
        return files

    def _stored(self, stream: Stream) -> Iterator[_Stored]:
        """Yield a stream's newest events; orders outside of their range of days are left out."""
        path = self._scratch / "latest"
        self._account.stream(stream.name).latest(path)
        ranges, zone = self._ranges.get(stream.metric_id), self._source.zone
        for batch in read_batches(path):
            for row in batch.to_pylist():
                moment = row["happened_at"]
                if ranges is None or any(days.has(moment, zone) for days in ranges):
                    payload = json.loads(row["payload"])
                    yield _Stored(row["key"], row["pull"], moment, payload)

    def _order_id(self, event: _Stored, stream: Stream) -> str | None:
        try:
            order_id = order_id_of(event.properties, stream.integration)
        except EventError:
            return None
        return self._prefixes.get(stream.integration, "") + order_id

    def _placed_row(self, event: _Stored, stream: Stream, order: OrderEvent | None) -> Row:
        row = {
            "klaviyo_event_id": event.key,
            "order_id": self._order_id(event, stream),
            "integration": stream.integration,
            "ordered_at": event.happened_at,
            "is_redacted": is_redacted(event.properties),
            "value": _value(event),
            **event.person,
        }
        return row if order is None else {**row, **_of_order(order)}

    def _void_rows(
        self, event: _Stored, stream: Stream, order: OrderEvent | None
    ) -> Iterator[Row]:
        row = {"order_id": self._order_id(event, stream), "integration": stream.integration}
        if stream.kind is not Kind.PLACED:
            is_cancelled = stream.kind is Kind.CANCELLED
            whole = True if is_cancelled else is_whole_refund(event.properties, stream.integration)
            yield row | {
                "rule": "canceled" if is_cancelled else "refunded_in_full",
                "voided_at": event.happened_at,
                "is_whole": whole,
                "value": _value(event),
            }
        if order is not None and order.cancelled_at is not None:
            yield row | {"rule": "canceled", "voided_at": order.cancelled_at, "is_whole": True}

    def _refund_rows(
        self, event: _Stored, stream: Stream, order: OrderEvent | None
    ) -> Iterator[Row]:
        for one in order.refunds if order is not None else ():
            yield {
                "order_id": self._order_id(event, stream),
                "integration": stream.integration,
                "refund_id": one.refund_id,
                "line_id": one.line_id,
                "refunded_at": one.refunded_at,
                "net_amount": one.net,
            }


def _line_rows(event: _Stored, order: OrderEvent | None) -> Iterator[Row]:
    for line in (order.lines if order is not None else None) or ():
        if not line.is_gift_card:
            yield {
                "klaviyo_event_id": event.key,
                "line_id": line.line_id,
                "product_id": line.product_id,
                "product_name": line.product_name,
                "quantity": line.quantity,
                "net_amount": line.net,
            }


def _engagement_rows(event: _Stored, stream: Stream) -> Iterator[Row]:
    if is_meant(event.properties, stream.kind):
        is_visit = stream.kind in OF_SITE
        yield {
            "kind": "visited_site" if is_visit else stream.kind.value,
            "happened_at": event.happened_at,
            "campaign": campaign_of(event.properties),
            **event.person,
        }


def _read(event: _Stored, stream: Stream) -> OrderEvent | None:
    """Read an order's event; None where it is not understood: its amounts are then unreadable."""
    try:
        return read_order(event.properties, stream.integration)
    except EventError:
        return None


def _value(event: _Stored) -> Decimal | None:
    try:
        return value_of(event.properties)
    except EventError:
        return None


def _of_order(order: OrderEvent) -> Row:
    goods = [one for one in order.lines or () if not one.is_gift_card]
    cards = [one for one in order.lines or () if one.is_gift_card]
    amounts: Row = {}
    if order.lines is not None:
        amounts = {
            "gross_amount": sum((one.gross for one in goods), Decimal()),
            "discount_amount": sum((one.discount for one in goods), Decimal()),
            "gift_card_amount": sum((one.gross for one in cards), Decimal()),
        }
    return {
        "shop_customer_id": order.customer_id,
        "typed_email": order.email.lower() if order.email else None,
        "typed_phone": order.phone,
        "name": order.name,
        "postal_code": order.postal_code,
        "accepts_marketing": order.accepts_marketing,
        "currency": order.currency,
        "channel": order.channel,
        "discount_code": order.discount_code,
        "tags": order.tags,
        "is_test": order.is_test,
        **amounts,
    }


def _placed(streams: Sequence[Stream], source: KlaviyoSource) -> list[Stream]:
    """Return the streams of placed orders that are read."""
    placed = [one for one in streams if one.kind is Kind.PLACED]
    if source.ranges:
        keys = {one.key for one in source.ranges}
        return [one for one in placed if {one.integration, one.metric_id} & keys]
    if len(placed) > 1:
        raise UnexpectedAnswerError(
            "Orders of several integrations are stored: "
            f"{', '.join(f'{one.integration} ({one.metric_id})' for one in placed)}. Name a range of days for each, "
            "so that no order counts twice"
        )
    return placed


def _ranges_of(stream: Stream, source: KlaviyoSource) -> tuple[Range, ...]:
    """Return the days whose orders a stream gives; all, where none are named."""
    keys = (stream.integration, stream.metric_id)
    named = tuple(one for one in source.ranges if one.key in keys)
    return named or (Range(stream.integration),)


def _prefixes(placed: Sequence[Stream], ranges: Mapping[str, tuple[Range, ...]]) -> dict[str, str]:
    """Return what goes before the order ids of every integration but the newest: ids may be equal by chance.

    The newest has none, so that its ids stay when an older range is added.
    """

    def end(stream: Stream) -> date:
        return max(one.end or date.max for one in ranges[stream.metric_id])

    newest = max(placed, key=end).integration if placed else ""
    keys = {one.integration for one in placed} - {newest}
    return {key: f"{key}:" for key in keys}
