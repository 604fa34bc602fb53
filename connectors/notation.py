"""Rewrite what people and spreadsheets write as what presets read: plain numbers and ISO 8601."""

from collections.abc import Collection, Iterable, Mapping

import ibis.expr.types as ir

from connectors.amounts import is_untold, plain_amounts
from connectors.dates import iso_dates
from connectors.engine import Engine
from connectors.order_source import OrderSource
from connectors.presets.preset import OURS, Preset

AMOUNTS = (
    "net_amount",
    "line_amount",
    "quantity",
    "unit_price",
    "gross_amount",
    "discount_amount",
    "refund_amount",
    "cost_amount",
)
MOMENTS = ("ordered_at", "updated_at")
RAW = f"{OURS}raw_"  # a rewritten column as it was


def readable_tables(
    engine: Engine,
    preset: Preset,
    tables: Mapping[str, ir.Table],
    source: OrderSource,
    unreadable: Collection[str],
) -> tuple[dict[str, ir.Table], list[str]]:
    """Rewrite the amounts and dates of a source's text columns, by its settings or as its rows tell.

    Parameters
    ----------
    engine
        Where the tables are.
    preset, source
        Which columns are amounts and dates, and what the settings say of them.
    tables
        The source's tables by name.
    unreadable
        Rules that rows broke, of which ``unreadable_amount`` and ``unreadable_date`` matter here.

    Returns
    -------
    tuple
        The tables, and what a person should know. A rewritten column stands beside as it was.

    Raises
    ------
    DataError
        Nothing tells how the dates or amounts are to be read.
    """
    rewritten, notes = {}, list[str]()
    for name, rows in tables.items():
        values: dict[str, ir.Value] = {}
        if source.decimal is not None or "unreadable_amount" in unreadable:
            amounts = _named(rows, preset.amounts(rows.columns), source, AMOUNTS)
            counts = [source.columns.get("quantity", "quantity")]
            new, of_amounts = plain_amounts(
                engine, rows, amounts, source.decimal, source.currency, counts
            )
            values |= new
            notes += of_amounts
        if source.date_format is None and "unreadable_date" in unreadable:
            for column in _named(rows, preset.moments(rows.columns), source, MOMENTS):
                if rows[column].type().is_string():
                    dates, of_dates = iso_dates(engine, rows, column, "orders.date_format")
                    values |= {} if dates is None else {column: dates}
                    notes += of_dates
        rewritten[name] = rows
        if values:
            raw = {f"{RAW}{column}": rows[column] for column in values}
            rewritten[name] = engine.stage(rows.mutate(**raw, **values), "readable")
    return rewritten, notes


def as_it_was(rows: ir.Table, name: str) -> ir.Column:
    """Return a source's column before it was rewritten."""
    raw = f"{RAW}{name}"
    return rows[raw] if raw in rows.columns else rows[name]


def is_untold_anywhere(
    engine: Engine, preset: Preset, tables: Mapping[str, ir.Table], source: OrderSource
) -> bool:
    """Tell whether some column of amounts may have been misread without a row being refused."""
    if source.decimal is not None:
        return False
    return any(
        is_untold(engine, rows, _named(rows, preset.amounts(rows.columns), source, AMOUNTS))
        for rows in tables.values()
    )


def _named(
    rows: ir.Table, theirs: Iterable[str], source: OrderSource, ours: Iterable[str]
) -> list[str]:
    """Return the columns that a preset or the settings name, and the table has."""
    mapped = [source.columns.get(name, name) for name in ours]
    return [name for name in dict.fromkeys([*theirs, *mapped]) if name in rows.columns]
