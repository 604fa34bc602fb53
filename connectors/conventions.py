"""How a table writes dates, amounts and statuses, and in which currency and time zone it is."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import available_timezones

from connectors.presets.plain import STATUSES
from connectors.presets.statuses import PAID, VOID, plain_word
from connectors.roles import Table, first_amounts, usual
from connectors.values import CURRENCIES, ISO_4217, Column, without_accents

ZONES = {  # part of a zone's usual name: IANA's
    "pacific time": "America/Los_Angeles",
    "mountain time": "America/Denver",
    "central time": "America/Chicago",
    "eastern time": "America/New_York",
    "atlantic time": "America/Halifax",
    "arizona": "America/Phoenix",
    "alaska": "America/Anchorage",
    "hawaii": "Pacific/Honolulu",
    "london": "Europe/London",
    "dublin": "Europe/Dublin",
    "berlin": "Europe/Berlin",
    "paris": "Europe/Paris",
    "sydney": "Australia/Sydney",
    "melbourne": "Australia/Melbourne",
    "brisbane": "Australia/Brisbane",
    "perth": "Australia/Perth",
    "tokyo": "Asia/Tokyo",
    "utc": "UTC",
    "gmt": "UTC",
}
CODE = re.compile(r"^[A-Za-z]{3}$")
IN_HEADING = re.compile(r"[\s_(\[]([A-Z]{3})[)\]]?$")
AMOUNTS = (
    "net_amount",
    "line_amount",
    "gross_amount",
    "discount_amount",
    "refund_amount",
    "unit_price",
)
IN_ZONE = "the shop's time zone: days are counted there."
SHOWN = 8  # values named to a person


@dataclass(frozen=True)
class Day:
    """How the column of an order's day is written.

    Attributes
    ----------
    date_format
        strptime pattern; None = ISO 8601, or to be set by hand.
    timezone
        Of times without an offset, where the export or the heading names one.
    notes
        What to look at.
    problems
        What must be set by hand.
    choices
        Patterns that fit every value, where the values leave it open.
    """

    date_format: str | None = None
    timezone: str | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statuses:
    """The words of a status column."""

    paid: tuple[str, ...]
    void: tuple[str, ...]
    unknown: tuple[str, ...]


def currency(
    table: Table, mapped: Column | None, amounts: Iterable[Column]
) -> tuple[str | None, tuple[str, ...]]:
    """Return the currency that most rows name, or that stands beside the amounts, and what to look at."""
    columns = [mapped] if mapped is not None else usual(table, "currency")
    for column in columns:
        codes = Counter(value.upper() for value in column.filled if CODE.match(value))
        if codes:
            (most, _), *others = codes.most_common()
            if not others:
                return most, ()
            names = ", ".join(code for code, _ in others[:SHOWN])
            return most, (
                f"{column.name} has {most} and {names}: rows of other currencies are refused until "
                "orders.other_currencies is set.",
            )
    named = list(amounts)
    signs = {sign for column in named for sign in column.currency_signs}
    codes_beside = {CURRENCIES.get(sign, sign) for sign in signs} & ISO_4217
    in_headings = {m[1] for c in named if (m := IN_HEADING.search(c.name))} & ISO_4217
    in_headings |= {
        CURRENCIES[s] for c in named for s in CURRENCIES if len(s) == 1 and s in c.name
    }
    shown = codes_beside or in_headings
    if len(shown) != 1:
        return None, ()
    one = shown.pop()
    notes = ("$ is taken as USD: set store.currency for another dollar.",) if "$" in signs else ()
    return one, notes


def zone(table: Table) -> str | None:
    """Return the time zone that a column of zones names, one for all rows."""
    named = {value for column in usual(table, "zone") for value in column.filled}
    if len(named) != 1:
        return None
    name = named.pop()
    if name in available_timezones():
        return name
    return next((iana for part, iana in ZONES.items() if part in name.casefold()), None)


def day(column: Column, usual_form: str | None, *, is_utc: bool) -> Day:
    """Return how the day of an order is written.

    Parameters
    ----------
    column
        Theirs.
    usual_form
        The platform's own pattern, which decides where the values leave it open.
    is_utc
        Whether the platform writes UTC.
    """
    form = column.dates
    if form is None:
        problems = (f"{column.name} is in no usual form.",) if column.filled else ()
        return Day(problems=problems)
    patterns = (usual_form,) if usual_form in form.patterns and usual_form else form.patterns
    notes: tuple[str, ...] = ()
    timezone = None
    if form.offsets:
        offsets = ", ".join(form.offsets[:SHOWN])
        notes = (f"{column.name} states offsets ({offsets}): set store.timezone, {IN_ZONE}",)
    elif is_utc or _names_utc(column):
        timezone = "UTC"
        notes = (f"{column.name} is in UTC: set store.timezone, {IN_ZONE}",)
    if len(patterns) > 1:
        problem = f"{column.name} may have the month or the day first."
        return Day(None, timezone, notes, (problem,), patterns)
    return Day(next(iter(patterns), None), timezone, notes)


def _names_utc(column: Column) -> bool:
    return bool(re.search(r"(?i)(?<![a-z])(utc|gmt)(?![a-z])", column.name))


def decimal(columns: Sequence[Column]) -> str | None:
    """Return the decimal comma, where amounts show it and none a point."""
    marks = {column.decimal for column in columns} - {None}
    return "," if marks == {","} else None


def statuses(column: Column, paid: Sequence[str], void: Sequence[str]) -> Statuses:
    """Sort a column's words into paid, void and unknown; words of the platform go first, usual void ones need no setting."""
    of: dict[str, list[str]] = {"paid": [], "void": [], "unknown": []}
    own = {plain_word(word): "paid" for word in paid} | {plain_word(word): "void" for word in void}
    seen: Mapping[str, str] = {
        plain_word(word): word for word in [*paid, *void, *sorted(column.distinct)]
    }
    for plain, word in seen.items():
        usual_word = without_accents(plain)
        usual_kind = "paid" if usual_word in PAID else "void" if usual_word in VOID else "unknown"
        of[own.get(plain, usual_kind)].append(word)
    own_rule = [
        word for word in of["void"] if plain_word(word) in STATUSES
    ]  # counted under its own rule
    void_words = tuple(word for word in of["void"] if word not in own_rule)
    return Statuses(tuple(of["paid"]), void_words, tuple(of["unknown"]))


def money(table: Table) -> list[Column]:
    """Return the columns of money with usual headings."""
    roles = (
        "net",
        "subtotal",
        "gross",
        "line_total",
        "total",
        "unit_price",
        "shipping",
        "tax",
        "discount",
        "refund",
    )
    columns = [first_amounts(table, role) for role in roles]
    return [column for column in dict.fromkeys(columns) if column is not None]
