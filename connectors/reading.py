"""A source's rows: each judged, and merged to the orders that they make."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from connectors.identity import KEYS, LargestCustomer, link, shared_identities
from connectors.lacking import with_file_notes
from connectors.notation import is_untold_anywhere, readable_tables
from connectors.order_source import OrderSource
from connectors.presets.plain import PLAIN
from connectors.presets.preset import Preset, PresetError, SourceRows
from connectors.rules import (
    ONE_EACH,
    VOID,
    Counts,
    count_rows,
    distinct_rows,
    good_rows,
    judge_rows,
    merge_to_orders,
    with_rules,
)
from connectors.sources import Opened, SourceError, open_tables
from connectors.versions import without_older
from features.tables import DataError, Orders

MOST_RENEWALS = 0.2  # share of the good orders above which a history is one of subscriptions


@dataclass(frozen=True)
class Customers:
    """How the customers were linked.

    Attributes
    ----------
    merged
        Identities that turned out to be of another's customer.
    shared
        Identities that identify nobody: ``kind, value, people, evidence, orders``, the last three
        null where the settings name them.
    largest
        The customer of the most identities, see :class:`connectors.identity.Linked`.
    """

    merged: int
    shared: pd.DataFrame
    largest: LargestCustomer | None = None


@dataclass(frozen=True)
class Reading:
    """A source with every row judged, the good ones once each, and what orders they make.

    Attributes
    ----------
    source_rows
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
    customers
        How the customers were linked, and which identities identify nobody.
    is_written
        Whether the kept orders are already in the file that was named for them.
    """

    source_rows: SourceRows
    broken: ir.Table | None
    judged: ir.Table
    rows: ir.Table
    orders: ir.Table
    accounting: Accounting
    customers: Customers
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
        The history is in another currency than the store, or one of subscriptions.
    """
    try:
        opened = open_tables(
            engine, source, scratch, names=preset.tables, nested=preset.nested, limit=limit
        )
        tables, notes = readable_tables(engine, preset, opened.tables, source, ())
        reading = _read(engine, preset, replace(opened, tables=tables), source, as_of, into)
        unreadable = {"unreadable_date", "unreadable_amount"} & set(reading.accounting.rejected)
        # A row is counted under its first broken rule: amounts are not reached where the dates are odd.
        if unreadable or is_untold_anywhere(engine, preset, opened.tables, source):
            unreadable.add("unreadable_amount")
        # Reading a few histories once more costs less than to look at how each one is written.
        if unreadable:
            tables, notes = readable_tables(engine, preset, opened.tables, source, unreadable)
            if any(table is not opened.tables[name] for name, table in tables.items()):
                opened = replace(opened, tables=tables)
                reading = _read(engine, preset, opened, source, as_of, into)
        source_rows = replace(reading.source_rows, notes=(*notes, *reading.source_rows.notes))
        return replace(reading, source_rows=source_rows)
    except PresetError as error:
        raise SourceError(str(error)) from error
    except (*engine.errors, duckdb.Error, pa.ArrowException, OSError) as error:
        problem = str(error).strip().split("\n")[0]
        if into is not None and into.name in problem:
            raise OSError(EIO, problem, str(into)) from error  # no fault of the source
        raise SourceError(
            f"orders.source must be readable: {source.location}: {problem}. Export it again as UTF-8, "
            "or mend orders.date_format if one is set"
        ) from error


def _read(
    engine: Engine,
    preset: Preset,
    opened: Opened,
    source: OrderSource,
    as_of: date,
    into: Path | None,
) -> Reading:
    """Judge every row of opened tables, and merge the good ones to orders."""
    source_rows = with_file_notes(preset.read(engine, opened.tables, source, as_of), opened)
    judged = judge_rows(engine, source_rows, source, as_of)
    is_near = engine.local is engine
    is_light = is_near and preset is PLAIN and not {"email", "phone"} & set(judged.columns)
    # DuckDB reads light rows once more in less time than it keeps them.
    judged = engine.view(judged, "judged") if is_light else engine.keep(judged, "judged")
    _check_currency(engine, judged, source, source_rows.notes)
    if "is_renewal" in source_rows.columns:
        note = check_renewals(engine, judged, source)
        source_rows = replace(source_rows, notes=(*source_rows.notes, *([note] if note else [])))
    into = into if is_light and not source_rows.of_lines else None
    day = (source, as_of)
    return _merge(
        engine, source_rows, opened.broken, judged, day, into, is_light=is_light, preset=preset
    )


def kept_orders(orders: ir.Table) -> ir.Table:
    """Return the orders that break no rule, as :class:`features.tables.Orders`."""
    return orders.filter(orders.rule.isnull()).select(*Orders.schema())


def _merge(
    engine: Engine,
    source_rows: SourceRows,
    broken: ir.Table | None,
    judged: ir.Table,
    day: tuple[OrderSource, date],
    into: Path | None,
    *,
    is_light: bool,
    preset: Preset,
) -> Reading:
    """Merge judged rows to orders, written already where `into` is a file and each row is one."""
    source, as_of = day
    judged, customers = _link_customers(engine, judged, source_rows, source, as_of)
    counts = (
        count_rows(engine, judged)
        if into is None
        else _write_at_once(engine, source_rows, judged, source, into)
    )
    if preset is PLAIN and (not counts.is_one_each or set(VOID) & set(counts.by_rule)):
        marked = without_older(engine, judged, as_of, of_lines=source_rows.of_lines)
        if marked is not None:
            marked = with_rules(engine, marked, source_rows, source, as_of)
            judged, into = engine.keep(marked, "newest_versions"), None
            counts = count_rows(engine, judged)
    rows = good_rows(judged)
    if not counts.is_one_each and not (source_rows.of_lines and source.keep_duplicates):
        rows = distinct_rows(engine, rows, of_lines=source_rows.of_lines)
    orders = merge_to_orders(engine, rows, source_rows, source, counts)
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
    return Reading(source_rows, broken, judged, rows, orders, accounting, customers, is_written)


def _write_at_once(
    engine: Engine, source_rows: SourceRows, judged: ir.Table, source: OrderSource, path: Path
) -> Counts:
    """Write every good row as an order, which most histories' are; return what a look at all rows tells.

    Where as many are written as there are rows, no row broke a rule, and what was written tells
    the rest: the rows need not be judged twice.
    """
    orders = merge_to_orders(engine, good_rows(judged), source_rows, source, ONE_EACH)
    engine.write_parquet(kept_orders(orders), path)
    written = engine.parquet(path)
    if _length(engine, written) < _length(engine, judged):
        return count_rows(engine, judged)
    return count_rows(engine, written.mutate(rule=ibis.null("string"), value=written.net_amount))


def _length(engine: Engine, table: ir.Table) -> int:
    """Count rows, of a file by what it says of itself."""
    return int(engine.frame(table.aggregate(rows=table.count()))["rows"].iloc[0])


def _link_customers(
    engine: Engine, judged: ir.Table, source_rows: SourceRows, source: OrderSource, as_of: date
) -> tuple[ir.Table, Customers]:
    """Name the customer of each good row, linked over ids, e-mails and phones."""
    if not {"email", "phone"} & set(judged.columns):
        if source.ignored_identities and "customer_id" in judged.columns:
            judged = _without(judged, _ignored(source))
            judged = engine.view(with_rules(engine, judged, source_rows, source, as_of), "named")
        return judged, Customers(0, _nobody())
    missing = {key: ibis.null("string") for key in KEYS if key not in judged.columns}
    judged = judged.mutate(**missing)
    good = judged.filter(judged.rule.isnull())
    shared = pd.concat([shared_identities(engine, good), _ignored(source)], ignore_index=True)
    if len(shared):
        judged = _without(judged, shared)
        judged = with_rules(engine, judged, source_rows, source, as_of)
        judged = engine.keep(judged, "identified")
        good = judged.filter(judged.rule.isnull())
    seen = good.group_by(*KEYS).aggregate(
        first_at=good.moment.min(), first_order=good.order_id.argmin(good.moment)
    )
    linked = link(engine.frame(seen))
    names = engine.table(linked.names, "customer_names")
    pairs = [judged[key].identical_to(names[key]) for key in KEYS]
    named = judged.left_join(names.select(*KEYS, "known_as"), pairs)
    columns = [name for name in judged.columns if name != "customer_id"]
    whole = named.select(*columns, customer_id=named.known_as, own_id=named.customer_id)
    return engine.keep(whole, "linked"), Customers(linked.merged, shared, linked.largest)


def _ignored(source: OrderSource) -> pd.DataFrame:
    """Return the identities that the settings name, as each of the three kinds."""
    texts = [one.strip() for one in source.ignored_identities]
    digits = [re.sub(r"[^0-9]", "", re.sub("^00", "", one)) for one in texts]
    phones = [mark + one for one in digits if len(one) >= 7 for mark in ("", "+")]
    values = {"customer_id": texts, "email": [one.lower() for one in texts], "phone": phones}
    rows = [{"kind": kind, "value": one} for kind, them in values.items() for one in them]
    return pd.concat([_nobody(), pd.DataFrame(rows, dtype="str")])


def _nobody() -> pd.DataFrame:
    return pd.DataFrame(columns=["kind", "value", "people", "evidence", "orders"])


def _without(judged: ir.Table, shared: pd.DataFrame) -> ir.Table:
    """Empty the identities that identify nobody."""
    emptied = {}
    for kind, rows in shared.groupby("kind"):
        if kind in judged.columns:
            is_shared = _is_in(judged[kind], rows["value"].astype("str").tolist())
            emptied[str(kind)] = ibis.ifelse(is_shared, ibis.null("string"), judged[kind])
    return judged.mutate(**emptied)


def _is_in(column: ir.Column, values: list[str]) -> ir.BooleanColumn:
    return column.isin(values).fill_null(False)


def check_renewals(engine: Engine, judged: ir.Table, source: OrderSource) -> str | None:
    """Refuse a history of subscriptions, or note how many orders renew one.

    Parameters
    ----------
    engine
        Where the rows are.
    judged
        What :func:`connectors.rules.judge_rows` returns.
    source
        Its ``renewals`` decides.

    Returns
    -------
    str or None
        A note of renewals that count as purchases; None = there are none, or they are left out.

    Raises
    ------
    DataError
        More than a fifth of the good orders are renewals, and ``renewals`` is ``"refuse"``.
    """
    if source.renewals == "exclude":
        return None
    good = judged.filter(judged.rule.isnull())
    counts = engine.frame(
        good.aggregate(
            orders=good.order_id.nunique(), renewals=good.order_id.nunique(where=good.is_renewal)
        )
    ).iloc[0]
    orders, renewals = int(counts["orders"]), int(counts["renewals"])
    if source.renewals == "refuse" and renewals > MOST_RENEWALS * orders:
        raise DataError(
            f"{renewals:,} of {orders:,} orders renew a subscription. Purchase models are for customers "
            "who return or stay away without notice; a contract ends by cancellation. Set orders.renewals "
            '= "exclude" to leave renewals out, or "count" to count them as purchases; "refuse" is the '
            "default"
        )
    if not renewals:
        return None
    return (
        f"{renewals:,} of {orders:,} orders renew a subscription and count as purchases; a contract ends "
        'by cancellation, so set orders.renewals = "exclude" to leave them out'
    )


def _check_currency(
    engine: Engine, judged: ir.Table, source: OrderSource, notes: Sequence[str]
) -> None:
    """Refuse a history in several currencies: their amounts do not add up."""
    if source.other_currencies == "reject" or "currency" not in judged.columns:
        return
    usable = judged.filter(judged.rule.isnull() | (judged.rule == "other_currency"))
    counts = engine.frame(
        usable.group_by("currency", "rule").aggregate(rows=usable.count()).order_by("currency")
    )
    if counts["rule"].notna().any():
        currencies = ", ".join(
            f"{rows:,} in {'none' if pd.isna(currency) else currency}"
            for currency, rows in zip(counts["currency"], counts["rows"], strict=True)
        )
        causes = "".join(f". {note}" for note in notes if "another currency" in note)
        raise DataError(
            f"orders need one currency, the store's {source.currency}: rows are {currencies}. Set "
            "store.currency, convert the amounts, or leave the others out with "
            f'orders.other_currencies = "reject"{causes}'
        )
