"""How to read a table that no preset reads: proposed by its headings and a sample of its values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors import conventions, roles
from connectors.doubts import rows_of, unbalanced
from connectors.known_exports import UNKNOWN, KnownExport, known_export
from connectors.presets.headings import is_data
from connectors.roles import Table
from connectors.sources import SourceError
from connectors.values import Column, plain
from connectors.worth import Worth, propose_worth, varies

SHOWN = 8  # headings or values named to a person
WHO = ("customer_id", "email", "phone")
FIRST = ("order_id", *WHO, "ordered_at")  # of the columns, in the file that is written
VALUE = ("net_amount", "line_amount", "gross_amount", "unit_price")
Setting = str | tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """What only a person can say.

    Attributes
    ----------
    key
        A column of ours, or a setting of ``[orders]``.
    text
        What is missing, in one sentence.
    choices
        Settings that may answer it, one or several together.
    """

    key: str
    text: str
    choices: tuple[Mapping[str, Setting], ...] = ()

    def __str__(self) -> str:
        """Return the question in one line, with what may be the answer."""
        if not self.choices:
            return self.text
        values = [
            [value if isinstance(value, str) else " ".join(value) for value in choice.values()]
            for choice in self.choices
        ]
        shown = dict.fromkeys(" and ".join(texts) for texts in values)
        return f"{self.text} Candidates: {', '.join(shown)}."


@dataclass(frozen=True)
class Recognized:
    """How to read an export.

    Attributes
    ----------
    preset
        The platform's, or ``plain``.
    columns
        ``{ours: theirs}``.
    title
        Of an export that is export.
    settings
        ``{section: {key: value}}`` that the export itself shows.
    notes
        What to look at, in sentences.
    questions
        What must be set by hand.
    """

    preset: str
    columns: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    settings: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


def propose(table: Table, location: str) -> Recognized:
    """Propose how to read a table that no preset reads.

    Parameters
    ----------
    table
        Columns of a sample, by :func:`connectors.values.plain`.
    location
        Its file, for messages.

    Raises
    ------
    SourceError
        No order id, no date and no customer is recognized, or the file has no header row.
    """
    headings = {name: column.name for name, column in table.items()}
    export = known_export(headings) or UNKNOWN
    if export.preset != "plain":
        return Recognized(export.preset, title=export.title, notes=export.notes)
    if not export.title and any(map(is_data, headings.values())):
        raise SourceError(
            f"{location}: no header row, only data. Add a first row that names the {len(headings)} columns"
        )
    by_name = {column.name: column for column in table.values()}
    named = _named_known(export, table) if export.title else _named(table)
    if not {"order_id", "ordered_at", *WHO} & set(named):
        raise SourceError(
            f"{location}: no order number, date or customer column recognized in {', '.join(by_name)}. Map "
            "them under [orders.columns] of the file that `perennial init` writes"
        )
    orders = by_name.get(named.get("order_id", ""))
    worth = _known_worth(export, table, orders) if export.title else propose_worth(table, orders)
    mapped = {**named, **worth.columns}
    columns = {ours: mapped[ours] for ours in (*FIRST, *mapped) if ours in mapped}
    read = Recognized(
        "plain",
        columns,
        export.title,
        notes=(*export.notes, *worth.notes),
        questions=(*_missing(table, columns), *_missing_value(columns, worth)),
    )
    return _with_conventions(read, table, export)


def _named(table: Table) -> dict[str, str]:
    """Return ``{ours: theirs}`` of an unknown table, the value apart."""
    orders = next(iter(roles.order_id(table)), None)
    proposed = {
        "order_id": orders,
        "customer_id": _customer(table, orders),
        "email": next(iter(roles.email(table)), None),
        "phone": next(iter(roles.phone(table)), None),
        "ordered_at": next(iter(roles.ordered_at(table)), None),
        "status": roles.status(table),
        "currency": next((c for c in roles.usual(table, "currency") if c.filled), None),
        **roles.text_columns(table),
    }
    return {ours: column.name for ours, column in proposed.items() if column is not None}


def _customer(table: Table, orders: Column | None) -> Column | None:
    """Return the column of a customer's id; one of which every order has another is none."""
    best = next(iter(roles.customer_id(table, orders)), None)
    if best is None or orders is None or not roles.is_one_per_order(best, orders):
        return best
    has_other = bool(roles.email(table) or roles.phone(table))
    return None if has_other and len(orders.distinct) >= roles.MANY else best


def _named_known(export: KnownExport, table: Table) -> dict[str, str]:
    """Return ``{ours: theirs}`` of a known export; a customer's id without values, or a name, is none."""
    named = export.named({name: column.name for name, column in table.items()})
    named.pop("customer_id", None)
    theirs = [
        table[plain(name)]
        for name in export.columns.get("customer_id", ())
        if plain(name) in table
    ]
    ids = [c for c in theirs if c.filled and not (c.is_names or c.is_nested or c.is_emails)]
    return named | ({"customer_id": ids[0].name} if ids else {})


def _known_worth(export: KnownExport, table: Table, orders: Column | None) -> Worth:
    """Return the value of a known export, and what its amounts leave open."""
    mapped = export.valued({name: column.name for name, column in table.items()})
    if not mapped:
        proposed = propose_worth(table, orders)
        if not export.hides_value:
            return proposed
        return Worth(candidates=proposed.candidates or (proposed.columns,))
    doubts = [doubt for doubt in export.doubts if rows_of(doubt, export, table)]
    notes = [f"{d.column} (rows: {rows_of(d, export, table):,}): {d.text}" for d in doubts]
    notes += unbalanced(export, table)
    if any(doubt.asks for doubt in doubts):
        return Worth(candidates=(mapped,), notes=tuple(notes))
    net = table.get(plain(mapped.get("net_amount", "")))
    if net is not None and orders is not None and varies(net, orders):
        mapped = {"line_amount": net.name}  # a row per part of an order
    return Worth(mapped, notes=tuple(notes))


def _missing(table: Table, columns: Mapping[str, str]) -> list[Question]:
    """Ask for the order's id, day and customer, where none is recognized."""
    names = [column.name for column in table.values() if column.filled and not column.is_nested]
    money = conventions.money(table)
    ids = [c.name for c in table.values() if c.name in names and not (c.is_names or c in money)]
    questions = []
    if "order_id" not in columns:
        text = "No order number recognized."
        questions.append(Question("order_id", text, _one_of("order_id", names)))
    if "ordered_at" not in columns:
        dated = [column.name for column in table.values() if column.dates is not None]
        questions.append(
            Question(
                "ordered_at", "No order date recognized.", _one_of("ordered_at", dated or names)
            )
        )
    if not set(WHO) & set(columns):
        questions.append(
            Question(
                "customer_id",
                "No customer id, e-mail or phone column recognized (people's names are not unique).",
                _one_of("customer_id", [n for n in ids if n not in columns.values()]),
            )
        )
    return questions


def _one_of(ours: str, theirs: Sequence[str]) -> tuple[Mapping[str, Setting], ...]:
    return tuple({ours: name} for name in theirs[:SHOWN])


def _missing_value(columns: Mapping[str, str], worth: Worth) -> list[Question]:
    if set(VALUE) & set(columns):
        return []
    text = "No net value recognized (goods less discounts and refunds, without tax and shipping)."
    return [Question("net_amount", text, worth.candidates)]


def _with_conventions(read: Recognized, table: Table, export: KnownExport) -> Recognized:
    """Add what the values show of currency, zone, dates, decimal marks and statuses."""
    columns = {ours: table[plain(theirs)] for ours, theirs in read.columns.items()}
    amounts = [columns[ours] for ours in conventions.AMOUNTS if ours in columns]
    currency, notes = conventions.currency(
        table, columns.get("currency"), [*amounts, *conventions.money(table)]
    )
    store = {"currency": currency, "timezone": conventions.zone(table)}
    orders: dict[str, Setting | None] = {"decimal": conventions.decimal(amounts)}
    questions: list[Question] = []
    if "ordered_at" in columns:
        of_day = conventions.day(
            columns["ordered_at"], export.date_format, is_utc=bool(export.timezone)
        )
        orders |= {"timezone": of_day.timezone, "date_format": of_day.date_format}
        notes += of_day.notes
        questions += [
            Question("date_format", text, _forms(of_day.choices)) for text in of_day.problems
        ]
    if "status" in columns:
        words = conventions.statuses(columns["status"], export.paid, export.void)
        orders |= {"paid_statuses": words.paid, "void_statuses": words.void}
        if words.unknown:
            questions.append(_unknown_statuses(columns["status"], words.unknown))
    settings = {
        section: {name: value for name, value in values.items() if value}
        for section, values in (("store", store), ("orders", orders))
    }
    return replace(
        read,
        settings=settings,
        notes=tuple(dict.fromkeys((*read.notes, *notes))),
        questions=(*read.questions, *questions),
    )


def _forms(forms: Sequence[str]) -> tuple[Mapping[str, Setting], ...]:
    return tuple({"date_format": form} for form in forms)


def _unknown_statuses(column: Column, words: tuple[str, ...]) -> Question:
    text = f"{column.name} has words of unknown meaning, which count as purchases: {', '.join(words[:SHOWN])}."
    return Question("paid_statuses", text, ({"paid_statuses": words}, {"void_statuses": words}))
