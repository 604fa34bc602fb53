"""The rows that became no part of an order, as they were, with the rule that they broke."""

from collections.abc import Iterable, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from connectors.engine import FILE_COLUMN, Engine
from connectors.notation import as_it_was
from connectors.presets.preset import SourceRows
from connectors.rules import RULES, UNWRITTEN, their_columns

COLUMNS = ("rule", "reason", "source", "line", "error_message")


def rejected_rows(
    engine: Engine,
    source_rows: SourceRows,
    judged: ir.Table,
    orders: ir.Table,
    broken: ir.Table | None,
) -> Iterable[pd.DataFrame]:
    """Yield every rejected row, in parts: the rule, its words, the source, and the row as it was.

    Rows dated after the as-of day, and older versions of rows, are not among them.

    Parameters
    ----------
    engine
        Where the tables are.
    source_rows
        The source's rows.
    judged, orders
        Rows and orders with the rules that they break.
    broken
        Lines of files that no row came of.
    """
    rows = _of_rules(engine, source_rows, judged, orders)
    if broken is not None:
        lines = broken.select(
            rule=ibis.literal("unreadable_row"),
            source="file_path",
            line="csv_line",
            error_message="error_message",
        )
        every = {**rows.schema(), **lines.schema()}
        rows = _with(rows, every).union(_with(lines, every))
    words = ibis.cases(*((rows.rule == rule, reason) for rule, reason in RULES.items()))
    theirs = [name for name in rows.columns if name not in ("rule", "source")]
    rejects = rows.select("rule", "source", *theirs, reason=words).relocate("reason", after="rule")
    return engine.frames(rejects.order_by("rule", "source", *theirs))


def _with(table: ir.Table, columns: Mapping[str, Any]) -> ir.Table:
    """Return a table with all of some columns; those that it lacks are empty."""
    lacking = {name: kind for name, kind in columns.items() if name not in table.columns}
    return table.mutate(**{name: ibis.null(kind) for name, kind in lacking.items()}).select(
        *columns
    )


def _of_rules(
    engine: Engine, source_rows: SourceRows, judged: ir.Table, orders: ir.Table
) -> ir.Table:
    """Return the rows that broke a rule, or whose order did."""
    by_row = judged.filter(judged.rule.notnull() & ~judged.rule.isin(UNWRITTEN))
    refused = orders.filter(orders.rule.notnull()).select("order_id", order_rule="rule")
    by_order = judged.filter(judged.rule.isnull()).join(refused, "order_id")
    broken = by_row.select(perennial_hash="row_hash", perennial_rule="rule").union(
        by_order.select(perennial_hash="row_hash", perennial_rule="order_rule")
    )
    rows, theirs = source_rows.rows, their_columns(source_rows.rows)
    with_rule = rows.mutate(perennial_hash=engine.row_hash(rows, theirs)).join(
        broken.distinct(), "perennial_hash"
    )
    return with_rule.select(
        rule=with_rule.perennial_rule,
        source=with_rule[FILE_COLUMN],
        **{_raw_name(name): as_it_was(with_rule, name).cast("string") for name in theirs},
    )


def _raw_name(name: str) -> str:
    """Name a raw column so that it does not hide what we say of the row."""
    return f"raw.{name}" if name.lower() in COLUMNS else name
