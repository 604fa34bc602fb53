"""Orders that several files have, changed in between: the newest file's version counts.

Exports of months overlap, and an order in the overlap may have been paid, corrected or refunded
since. A file is newer than another if its last order is later, or by its name if they are equal. A
column ``updated_at`` goes before the files.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import Engine
from connectors.rules import VOID

PRODUCT = ("product_id", "product_name")
AT = ["source", "row_hash"]


def without_older(
    engine: Engine, judged: ir.Table, as_of: date, *, of_lines: bool
) -> ir.Table | None:
    """Mark the rows that a newer file has again, changed, as older versions.

    Parameters
    ----------
    engine
        Where the rows are.
    judged
        What :func:`connectors.rules.judge_rows` returns, customers linked.
    as_of
        Last day that is known: a version updated later counts only where there is no earlier one.
    of_lines
        Whether an order is several rows: then it is its newest file's, if that has another line of a product.

    Returns
    -------
    ir.Table or None
        The judged rows with ``is_older`` set; None = nothing changed between files.
    """
    good = judged.filter(judged.rule.isnull() | judged.rule.isin(VOID))  # also those voided since
    has_updates = "updated_at" in judged.columns and not of_lines
    files = engine.frame(good.group_by("source").aggregate(last=good.moment.max()))
    if len(files) < 2 and not has_updates:
        return None
    files = files.sort_values(["last", "source"]).reset_index(drop=True)
    ages = engine.table(files[["source"]].assign(age=files.index.astype("int64")), "file_ages")
    ages = ages.rename(of_file="source")
    several = _changed(engine, good, has_updates=has_updates)
    if several is None:
        return None
    if has_updates:
        is_later = engine.is_after(several.updated_at, as_of).fill_null(False)
        several = several.mutate(is_later=is_later)
    dated = several.left_join(ages, several.source == ages.of_file)
    marks = _older_lines(dated) if of_lines else _older_rows(dated, has_updates=has_updates)
    marks = engine.keep(marks.select(*AT).distinct().mutate(is_marked=True), "older_versions")
    if not engine.has_rows(marks):
        return None
    marked = judged.left_join(marks, AT)
    return marked.select(
        *(name for name in judged.columns if name != "is_older"),
        is_older=judged.is_older | marked.is_marked.fill_null(False),
    )


def _changed(engine: Engine, good: ir.Table, *, has_updates: bool) -> ir.Table | None:
    """Return the rows of the orders that several files have, not all of them equal."""
    hashed = good.mutate(order_hash=engine.row_hash(good, ["order_id"]))
    counts = hashed.group_by("order_hash").aggregate(
        rows=hashed.row_hash.nunique(), files=hashed.source.nunique()
    )
    changed = counts.filter((counts.rows > 1) & ((counts.files > 1) | has_updates))
    repeated = engine.keep(changed.select("order_hash"), "changed_orders")
    return hashed.semi_join(repeated, "order_hash") if engine.has_rows(repeated) else None


def _older_rows(dated: ir.Table, *, has_updates: bool) -> ir.Table:
    """Return the rows of orders of which another row is newer: of the same day, or the same customer.

    A row of negative value is a refund, and no version of the order.
    """
    dated = dated.mutate(is_negative=(dated.value < 0).fill_null(False))
    version = ["order_id", "is_negative"]
    newest_first = []
    if has_updates:
        of_version = ibis.window(group_by=version)
        updated_at = ibis.ifelse(dated.is_later, ibis.null("timestamp"), dated.updated_at)
        last = ibis.coalesce(
            updated_at.max().over(of_version), dated.updated_at.min().over(of_version)
        )
        dated = dated.mutate(is_last=(dated.updated_at == last).fill_null(False))
        newest_first = [ibis.desc(dated.is_last)]
    newest = ibis.window(group_by=version, order_by=[*newest_first, ibis.desc(dated.age)])
    first = {name: dated[name].first().over(newest) for name in ("customer_id", "moment", "age")}
    dated = dated.mutate(**{f"newest_{name}": value for name, value in first.items()})
    is_older = dated.age < dated.newest_age
    if has_updates:
        is_older = ibis.ifelse(dated.updated_at.isnull(), is_older, ~dated.is_last)
    return dated.filter(is_older & _is_same(dated))


def _older_lines(dated: ir.Table) -> ir.Table:
    """Return the lines of orders that a newer file has with one of their products."""
    order = ibis.window(group_by="order_id")
    product = ibis.coalesce(
        *(dated[name] for name in PRODUCT if name in dated.columns), dated.read_hash.cast("string")
    )
    dated = dated.mutate(product=product, newest_age=dated.age.max().over(order))
    newest = ibis.window(group_by="order_id", order_by=[ibis.desc(dated.age)])
    first = {name: dated[name].first().over(newest) for name in ("customer_id", "moment")}
    dated = dated.mutate(**{f"newest_{name}": value for name, value in first.items()})
    # Lines that both files have alike are copies, which count once. Only a line that differs from the
    # newest file's of its product tells of a change: an order may just be cut by the end of a file.
    same_row = ibis.window(group_by=["order_id", "row_hash"])
    dated = dated.mutate(is_copy=dated.age.max().over(same_row) == dated.newest_age)
    same_product = ibis.window(group_by=["order_id", "product"])
    is_again = dated.age.max().over(same_product) == dated.newest_age
    dated = dated.mutate(is_changed=is_again & ~dated.is_copy)
    of_file = ibis.window(group_by=["order_id", "source"])
    dated = dated.mutate(is_older=dated.is_changed.any().over(of_file))
    return dated.filter(dated.is_older & ~dated.is_copy & _is_same(dated))


def _is_same(rows: ir.Table) -> ir.BooleanColumn:
    """Tell the rows of the same order; two shops may both have an order 1001."""
    is_near = rows.moment == rows.newest_moment
    return is_near | (rows.customer_id == rows.newest_customer_id).fill_null(False)
