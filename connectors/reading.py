"""A source's rows: each judged, and merged to the orders that they make."""

from dataclasses import dataclass
from datetime import date
from errno import EIO
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from connectors.accounting import Accounting, account, count_orders, orders_of_rows
from connectors.engine import Engine
from connectors.identity import KEYS, link
from connectors.lacking import with_file_notes
from connectors.order_source import OrderSource
from connectors.presets.plain import PLAIN
from connectors.presets.preset import Preset, PresetError, SourceRows
from connectors.rules import (
    ONE_EACH,
    Counts,
    count_rows,
    distinct_rows,
    good_rows,
    judge_rows,
    merge_to_orders,
)
from connectors.sources import SourceError, open_tables
from features.tables import DataError, Orders


@dataclass(frozen=True)
class Reading:
    """A source with every row judged, the good ones once each, and what orders they make.

    Attributes
    ----------
    found
        The source's rows, and what our columns are in them.
    broken
        Lines of files that no row came of; None = no file is of lines.
    judged
        What :func:`connectors.rules.judge_rows` returns, customers linked.
    rows
        The good rows, equal ones once.
    orders
        What :func:`connectors.rules.merge_to_orders` returns.
    accounting
        Where every row went.
    merged_customers
        Identities that turned out to be of another's customer.
    is_written
        Whether the kept orders are already in the file that was named for them.
    """

    found: SourceRows
    broken: ir.Table | None
    judged: ir.Table
    rows: ir.Table
    orders: ir.Table
    accounting: Accounting
    merged_customers: int
    is_written: bool


def read_source(
    engine: Engine,
    preset: Preset,
    source: OrderSource,
    as_of: date,
    scratch: Path,
    *,
    limit: int | None = None,
    into: Path | None = None,
) -> Reading:
    """Judge every row of a source, and say where each goes.

    Parameters
    ----------
    engine
        Opened in the store's time zone.
    preset
        How the source is read.
    source
        Where it is.
    as_of
        Last day that is known.
    scratch
        Folder that a database's rows are copied to.
    limit
        Rows to read of each table of a database; None = all.
    into
        File for the kept orders, where they may be written before all is known of them; None = not.

    Raises
    ------
    SourceError
        Files or columns that are not there, or cannot be read.
    OSError
        The kept orders cannot be written.
    DataError
        The history is in another currency than the store.
    """
    try:
        opened = open_tables(
            engine, source, scratch, names=preset.tables, nested=preset.nested, limit=limit
        )
        found = with_file_notes(preset.read(engine, opened.tables, source, as_of), opened)
        judged = judge_rows(engine, found, source, as_of)
        is_light = preset is PLAIN and not {"email", "phone"} & set(judged.columns)
        # Reading light rows once more costs less than keeping them.
        judged = engine.view(judged, "judged") if is_light else engine.keep(judged, "judged")
        _check_currency(engine, judged, source)
        is_near = engine.local is engine  # elsewhere what is written travels, maybe for nothing
        into = into if is_light and is_near and not found.of_lines else None
        return _merge(engine, found, opened.broken, judged, source, into, is_light=is_light)
    except PresetError as error:
        raise SourceError(str(error)) from error
    except (*engine.errors, duckdb.Error, pa.ArrowException, OSError) as error:
        finding = str(error).strip().split("\n")[0]
        if into is not None and into.name in finding:
            raise OSError(EIO, finding, str(into)) from error  # no fault of the source
        raise SourceError(
            f"orders.source must be readable: {source.location}: {finding}. Export it again as UTF-8, "
            "or mend orders.date_format if one is set"
        ) from error


def kept_orders(orders: ir.Table) -> ir.Table:
    """Return the orders that break no rule, as :class:`features.tables.Orders`."""
    return orders.filter(orders.rule.isnull()).select(*Orders.schema())


def _merge(
    engine: Engine,
    found: SourceRows,
    broken: ir.Table | None,
    judged: ir.Table,
    source: OrderSource,
    into: Path | None,
    *,
    is_light: bool,
) -> Reading:
    """Merge judged rows to orders, written already where `into` is a file and each row is one."""
    judged, merged_customers = _link_customers(engine, judged)
    counts = (
        count_rows(engine, judged)
        if into is None
        else _write_at_once(engine, found, judged, source, into)
    )
    rows = good_rows(judged)
    if not counts.is_one_each and not (found.of_lines and source.keep_duplicates):
        rows = distinct_rows(engine, rows)
    orders = merge_to_orders(engine, rows, found, source, counts)
    is_plain = is_light and counts.is_one_each and not counts.has_reductions
    if is_plain:
        orders = engine.view(orders, "merged")
        by_order = orders_of_rows(counts, keep_zero_amount=source.keep_zero_amount)
    else:
        orders = engine.keep(orders, "merged")
        by_order = count_orders(engine, orders)
    accounting = account(engine, counts, broken, by_order)
    if not accounting.is_balanced:
        raise AssertionError(f"every source row is accounted for: {accounting} does not add up")
    is_written = is_plain and into is not None
    return Reading(found, broken, judged, rows, orders, accounting, merged_customers, is_written)


def _write_at_once(
    engine: Engine, found: SourceRows, judged: ir.Table, source: OrderSource, path: Path
) -> Counts:
    """Write every good row as an order, which most histories' are; return what a look at all rows tells.

    Where as many are written as there are rows, no row broke a rule, and what was written tells
    the rest: the rows need not be judged twice.
    """
    orders = merge_to_orders(engine, good_rows(judged), found, source, ONE_EACH)
    engine.write_parquet(kept_orders(orders), path)
    written = engine.parquet(path)
    if _length(engine, written) < _length(engine, judged):
        return count_rows(engine, judged)
    return count_rows(engine, written.mutate(rule=ibis.null("string"), value=written.net_amount))


def _length(engine: Engine, table: ir.Table) -> int:
    """Count rows, of a file by what it says of itself."""
    return int(engine.frame(table.aggregate(rows=table.count()))["rows"].iloc[0])


def _link_customers(engine: Engine, judged: ir.Table) -> tuple[ir.Table, int]:
    """Name the customer of each good row, linked over ids, e-mails and phones; say how many were merged."""
    if not {"email", "phone"} & set(judged.columns):
        return judged, 0
    missing = {key: ibis.null("string") for key in KEYS if key not in judged.columns}
    judged = judged.mutate(**missing)
    good = judged.filter(judged.rule.isnull())
    seen = good.group_by(*KEYS).aggregate(
        first_at=good.moment.min(), first_order=good.order_id.argmin(good.moment)
    )
    linked = link(engine.frame(seen))
    names = engine.table(linked.names, "customer_names")
    pairs = [judged[key].identical_to(names[key]) for key in KEYS]
    named = judged.left_join(names.select(*KEYS, "known_as"), pairs)
    columns = [name for name in judged.columns if name != "customer_id"]
    whole = named.select(*columns, customer_id=named.known_as)
    return engine.keep(whole, "linked"), linked.merged


def _check_currency(engine: Engine, judged: ir.Table, source: OrderSource) -> None:
    """Refuse a history in several currencies: their amounts do not add up."""
    if source.other_currencies == "reject" or "currency" not in judged.columns:
        return
    usable = judged.filter(judged.rule.isnull() | (judged.rule == "other_currency"))
    counts = engine.frame(
        usable.group_by("currency", "rule").aggregate(rows=usable.count()).order_by("currency")
    )
    if counts["rule"].notna().any():
        found = ", ".join(
            f"{rows:,} in {'none' if pd.isna(currency) else currency}"
            for currency, rows in zip(counts["currency"], counts["rows"], strict=True)
        )
        raise DataError(
            f"orders need one currency, the store's {source.currency}: rows are {found}. Set "
            "store.currency, convert the amounts, or leave the others out with "
            'orders.other_currencies = "reject"'
        )
