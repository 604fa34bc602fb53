"""What a known export leaves open: rows with a coupon, a refund or a total that does not add up."""

import re

from connectors.known_exports import Doubt, KnownExport
from connectors.roles import Table
from connectors.values import plain
from connectors.worth import CENT

NOTHING = re.compile(r"(?i)^(|false|no|[^\d\w]*0*[.,]?0*)$")  # no value, zero or false


def rows_of(doubt: Doubt, export: KnownExport, table: Table) -> int:
    """Count the rows that raise a doubt, those of no purchase apart."""
    column = table.get(plain(doubt.column))
    if column is None:
        return 0
    other = table.get(plain(doubt.unlike)) if doubt.unlike else None
    void = _void_rows(export, table)
    return sum(
        not NOTHING.match(value) and (other is None or value != other.values[row])
        for row, value in enumerate(column.values)
        if row not in void
    )


def _void_rows(export: KnownExport, table: Table) -> frozenset[int]:
    """Return the rows whose status makes them no purchase."""
    theirs = [
        table[plain(name)] for name in export.columns.get("status", ()) if plain(name) in table
    ]
    void = {plain(word) for word in export.void}
    return frozenset(
        row
        for column in theirs[:1]
        for row, word in enumerate(column.values)
        if plain(word) in void
    )


def unbalanced(export: KnownExport, table: Table) -> list[str]:
    """Count the orders whose total is not the sum of its parts."""
    columns = [table.get(plain(name)) for name in export.total]
    amounts = [column.amounts for column in columns if column is not None and column.amounts]
    if len(amounts) < 2 or len(amounts) < len(export.total):
        return []
    total, *parts = amounts
    rows = [row for row, value in enumerate(total) if value is not None]
    off = [row for row in rows if abs((total[row] or 0) - sum(p[row] or 0 for p in parts)) >= CENT]
    if not off:
        return []
    whole, *names = export.total
    return [
        f"{whole} is not {' + '.join(names)} in {len(off):,} of {len(rows):,} rows: discounts or tax that no "
        "column states are in the value."
    ]
