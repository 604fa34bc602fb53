"""What every preset makes of a source: its rows, with our columns read out of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import ibis.expr.types as ir

Tables = Mapping[str, ir.Table]


class PresetError(ValueError):
    """A source is not what its preset reads: says the rule, the finding, the next step."""


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
        ``discount_code``, the columns of an order line, and ``void``, the name of the rule by which
        a row is no purchase (null = it may be one).
    of_lines
        Whether the amounts of an order's rows are summed; else an order is one row.
    lines
        Order lines, where they are not the rows themselves: ``order_id`` and columns of
        ``features.tables.OrderLines``, as many as there are.
    found
        ``{ours: theirs}`` in words, for a person to check.
    notes
        What a reader must know of how the source was read.
    """

    rows: ir.Table
    columns: Mapping[str, ir.Value]
    of_lines: bool
    found: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lines: ir.Table | None = None


@dataclass(frozen=True)
class Preset:
    """How a platform's export is read.

    Attributes
    ----------
    name
        As in ``orders.preset``.
    read
        Tables by name (``orders`` where there is one file), the settings' ``{ours: theirs}``, and the
        last day that is known -> rows with our columns. Raises :class:`PresetError`.
    recognize
        Column names of each table -> whether it is this platform's.
    tables
        Tables that the platform's history is made of, where it is more than one.
    """

    name: str
    read: Callable[[Tables, Mapping[str, str], date], SourceRows]
    recognize: Callable[[Mapping[str, tuple[str, ...]]], bool]
    tables: tuple[str, ...] = ()
