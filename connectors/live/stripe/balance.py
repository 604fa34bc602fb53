"""Compare payments and refunds with the balance, day by day: Stripe's own books are a second list of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from connectors.live.newest import NewestField, NewestFields
from connectors.live.raw import RawStore
from connectors.live.stripe.api import BALANCE
from connectors.live.stripe.client import Range, StripeClient

CATEGORIES = {"charge": "charges", "refund": "refunds"}
MOST_DAYS = 5  # that a warning names


@dataclass(frozen=True)
class _Entry:
    """A balance transaction: its day and what it is of."""

    day: date
    source: str


def compare_with_balance(
    client: StripeClient, stores: Mapping[str, RawStore], fields: NewestFields, since: datetime
) -> list[str]:
    """Return a warning for each stream that differs from the balance on some day.

    Parameters
    ----------
    client
        Stripe's.
    stores
        Raw rows by stream.
    fields
        Reads their newest versions.
    since
        Where the history begins.
    """
    entries: dict[str, dict[str, _Entry]] = {name: {} for name in CATEGORIES.values()}
    for page in client.pages(BALANCE, Range(since)):
        for row in page.rows:
            name = CATEGORIES.get(str(row.get("reporting_category") or row.get("type")))
            if name is not None:
                day = datetime.fromtimestamp(row["created"], UTC).date()
                entries[name][str(row["id"])] = _Entry(day, str(row.get("source")))
    warnings = (_warning(name, entries[name], stores[name], fields) for name in entries)
    return [one for one in warnings if one is not None]


def _warning(
    name: str, entries: Mapping[str, _Entry], store: RawStore, fields: NewestFields
) -> str | None:
    ours = dict(_booked(store, fields))
    live = set(ours.values())
    by_day: defaultdict[date, int] = defaultdict(int)
    for transaction, entry in entries.items():
        if transaction not in ours and entry.source not in live:
            by_day[entry.day] += 1
    if not by_day:
        return None
    days = ", ".join(f"{day} ({by_day[day]})" for day in sorted(by_day)[:MOST_DAYS])
    more = f", and {len(by_day) - MOST_DAYS} more days" if len(by_day) > MOST_DAYS else ""
    return (
        f"The balance has {sum(by_day.values())} {name} that Stripe's list of {name} does not have: on {days}{more}. "
        "Compare those days in the dashboard"
    )


def _booked(store: RawStore, fields: NewestFields) -> Iterator[tuple[str, str]]:
    """Yield the balance transaction of each object that has one, and the object's id."""
    for one in fields.read(store, "$.balance_transaction"):
        if not one.is_deleted:
            yield _transaction(one), one.key


def _transaction(one: NewestField) -> str:
    value = one.fields[0]
    if isinstance(value, dict):
        return str(value.get("id"))
    return str(value) if value else f"none of {one.key}"
