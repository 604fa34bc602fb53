"""Tables that a store may give beside its orders, judged row by row like them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import ibis.expr.types as ir
import pyarrow.dataset as ds

from connectors.csv import write_csv
from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.headings import close_heading
from connectors.sources import SourceError, open_tables
from connectors.texts import clean_text
from features import tables
from features.tables import Table

TABLES: Mapping[
    str, tuple[type[Table], tuple[str, ...]]
] = {  # with the columns that a row must have
    "order_lines": (tables.OrderLines, ("order_id", "product_id")),
    "customers": (tables.Customers, ("customer_id",)),
    "marketing_spend": (tables.MarketingSpend, ("date", "channel", "amount")),
    "referrals": (tables.Referrals, ("referrer_id", "occurred_at", "event")),
    "nps": (tables.Nps, ("customer_id", "answered_at", "score")),
    "reviews": (tables.Reviews, ("customer_id", "reviewed_at", "rating")),
    "loyalty_events": (tables.LoyaltyEvents, ("customer_id", "occurred_at", "event")),
    "touches": (tables.Touches, ("customer_id", "sent_at")),
}
RAW = "raw."  # before the name of a value as it was given
RULES = {
    "missing_value": "a row has a value in each required column",
    "unreadable_value": "numbers are plain numbers, days and moments ISO 8601, flags true or false",
    "after_as_of": "dated after the as-of day, so not yet known; nothing to do",
}


@dataclass(frozen=True)
class TableRead:
    """A table on disk, as known at the end of a day.

    Attributes
    ----------
    path
        Parquet file with the contract's columns; one that the source lacks is null.
    rows_in, rows, merged
        Rows of the source, rows kept, and exact duplicates of them.
    rejected
        Rows that were not, by rule; ``rows_in = rows + merged + rejected``.
    """

    path: Path
    rows_in: int
    rows: int
    merged: int
    rejected: Mapping[str, int]


def read_table(engine: Engine, name: str, location: str, as_of: date, folder: Path) -> TableRead:
    """Read an optional table as known at the end of a day.

    Parameters
    ----------
    engine
        Opened in the store's time zone.
    name
        One of :data:`TABLES`.
    location
        File, glob or folder, or a database's URL, whose table has the same name.
    as_of
        Rows dated later are set aside.
    folder
        Where ``NAME.parquet`` and ``NAME_rejects.csv`` are written.

    Raises
    ------
    SourceError
        Nothing is there, or columns are missing: every one at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contract, required = TABLES[name]
    with TemporaryDirectory(dir=folder) as scratch:
        opened = open_tables(engine, OrderSource(location, table=name), Path(scratch))
        (rows,) = opened.tables.values()
        _check_columns(name, contract, required, rows)
        judged = engine.keep(_judge(engine, rows, contract, required, as_of), f"judged_{name}")
        counts = engine.frame(judged.group_by("rule").aggregate(rows=judged.count()))
        good = judged.filter(judged.rule.isnull()).select(*contract.schema()).distinct()
        path = folder / f"{name}.parquet"
        engine.write_parquet(good.order_by(*good.columns), path)
        kept = ds.dataset(path, format="parquet").count_rows()
        bad = judged.filter(judged.rule.notnull() & (judged.rule != "after_as_of"))
        raw = {n.removeprefix(RAW): bad[n] for n in bad.columns if n.startswith(RAW)}
        rejects = engine.frame(bad.select(rule=bad.rule, **raw))
        rejects.insert(1, "reason", rejects["rule"].map(RULES))
        write_csv(rejects, folder / f"{name}_rejects.csv")
        broken = 0 if opened.broken is None else len(engine.frame(opened.broken))
    by_rule = {rule: int(n) for rule, n in counts.itertuples(index=False) if isinstance(rule, str)}
    if broken:
        by_rule["unreadable_row"] = broken
    rows_in = int(counts["rows"].sum()) + broken
    return TableRead(path, rows_in, kept, rows_in - kept - sum(by_rule.values()), by_rule)


def _check_columns(
    name: str, contract: type[Table], required: tuple[str, ...], rows: ir.Table
) -> None:
    missing = [column for column in required if column not in rows.columns]
    if missing:
        unused = [column for column in rows.columns if column not in contract.schema()]
        close = close_heading(missing[0], unused)
        hint = f" (is it {close!r}?)" if close else ""
        raise SourceError(
            f"tables.{name} has the columns {', '.join(required)}: {', '.join(missing)} is missing{hint}. "
            "Rename the columns in the file or in a view"
        )


def _judge(
    engine: Engine, rows: ir.Table, contract: type[Table], required: tuple[str, ...], as_of: date
) -> ir.Table:
    """Read each value, and name the first rule that a row breaks."""
    raw = {RAW + n: rows[n].cast("string") for n in rows.columns if n != FILE_COLUMN}
    has = [name for name in contract.schema() if name in rows.columns]
    given = {f"given.{name}": clean_text(rows[name]).notnull() for name in has}
    read = {name: _read(engine, rows[name], contract.schema()[name]) for name in has}
    table = rows.select(**read, **given, **raw)
    lacking = {
        name: ibis.null(kind) for name, kind in contract.schema().items() if name not in has
    }
    table = table.mutate(**lacking)
    later = [
        engine.store_day(table[n]) > ibis.date(as_of)
        for n, kind in contract.schema().items()
        if kind in ("timestamp", "date")
    ]
    broken = [(is_later.fill_null(False), "after_as_of") for is_later in later]
    broken += [(~table[f"given.{name}"], "missing_value") for name in required]
    broken += [(table[f"given.{n}"] & table[n].isnull(), "unreadable_value") for n in has]
    return table.mutate(rule=ibis.cases(*broken, else_=ibis.null("string")))


def _read(engine: Engine, column: ir.Column, kind: str) -> ir.Column:
    """Read a column as the contract's type; null where it is not one."""
    if kind == "timestamp":
        return engine.moment(column)
    if kind == "date":
        return engine.store_day(engine.moment(column))
    if kind == "string":
        return clean_text(column)
    return (clean_text(column) if column.type().is_string() else column).try_cast(kind)
