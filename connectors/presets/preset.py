"""What every preset makes of a source: its rows, with our columns read out of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import Engine
from connectors.order_source import OrderSource

Tables = Mapping[str, ir.Table]
OURS = "perennial_"  # columns that are added to the source's own


class PresetError(ValueError):
    """A source is not what its preset reads: the message has the problem, the fix and the rule."""


@dataclass(frozen=True)
class SourceRows:
    """A source's rows, one for each that counts, and what our columns are in them.

    Attributes
    ----------
    rows
        The source's rows as they are, with the file or table of each.
    columns
        Our columns as expressions over `rows`: ``order_id``, ``ordered_at``, who ordered
        (``customer_id``, ``email``, ``phone``), amounts, ``currency``, ``channel``,
        ``discount_code``, the columns of an order line, ``void``, the name of the rule by which a
        row is no purchase (null = it may be one), and ``is_older``, see :func:`is_older`. Also
        ``status``, the source's own word for the order's state; ``is_renewal``, whether it renews a
        subscription; ``name`` and ``postal_code`` of who was billed; ``accepts_marketing``.
    of_lines
        Whether the amounts of an order's rows are summed; else an order is one row.
    lines
        Order lines, where they are not the rows themselves: ``order_id`` and columns of
        ``features.tables.OrderLines``, as many as there are.
    headings
        ``{ours: theirs}`` in words, for a person to check.
    notes
        What a reader must know of how the source was read.
    """

    rows: ir.Table
    columns: Mapping[str, ir.Value]
    of_lines: bool
    headings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lines: ir.Table | None = None


def is_older(rows: ir.Table, of: ir.Value, newest_first: Sequence[ir.Value]) -> ir.Value:
    """Tell the rows that are there again as they became later: overlapping exports have both.

    Parameters
    ----------
    rows
        The source's rows.
    of
        Whose versions they are; null = nobody's.
    newest_first
        What the newest version sorts first by. Equal rows are of one age.
    """
    theirs = [name for name in rows.columns if not name.startswith(OURS)]
    row = ibis.struct({name: rows[name] for name in theirs}).hash()
    newest = row.first().over(ibis.window(group_by=of, order_by=[*newest_first, row]))
    return of.notnull() & (row != newest)


def _none(names: Sequence[str]) -> Sequence[str]:
    del names
    return ()


@dataclass(frozen=True)
class Preset:
    """How a platform's export is read.

    Attributes
    ----------
    name
        As in ``orders.preset``.
    read
        The engine, its tables by name (``orders`` where there is one file), how to read them, and
        the last day that is known -> rows with our columns. Raises :class:`PresetError`.
    recognize
        Column names of each table -> whether it is this platform's.
    tables
        Tables that the platform's history is made of, where it is more than one.
    nested
        Ibis types of keys of JSON records that stay nested, with texts inside; all others are texts.
    amounts, moments
        Which of their column names are amounts, and which are dates or times.
    people
        Their headings of customers' ids, e-mails and phone numbers, besides those of the settings.
    """

    name: str
    read: Callable[[Engine, Tables, OrderSource, date], SourceRows]
    recognize: Callable[[Mapping[str, tuple[str, ...]]], bool]
    tables: tuple[str, ...] = ()
    nested: Mapping[str, str] = field(default_factory=dict)
    amounts: Callable[[Sequence[str]], Sequence[str]] = _none
    moments: Callable[[Sequence[str]], Sequence[str]] = _none
    people: tuple[str, ...] = ()
