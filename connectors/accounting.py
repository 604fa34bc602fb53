"""Where every row of a source went."""

from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd

from connectors.engine import Engine
from connectors.rules import OLDER_VERSION, RULES, Counts


@dataclass(frozen=True)
class Accounting:
    """Where every source row went: ``rows_in = orders + merged + rejected``.

    Attributes
    ----------
    rows_in
        Rows of the source.
    orders
        Orders kept.
    merged
        Rows that became part of a kept order, by cause.
    rejected
        Rows that did not, by rule.
    """

    rows_in: int
    orders: int
    merged: dict[str, int]
    rejected: dict[str, int]

    @property
    def is_balanced(self) -> bool:
        """Whether every row is accounted for."""
        return self.rows_in == self.orders + sum(self.merged.values()) + sum(
            self.rejected.values()
        )


def count_orders(engine: Engine, merged: ir.Table) -> pd.DataFrame:
    """Count orders, and the rows and lines that they came of, by rule and by whether they are refunds."""
    return engine.frame(
        merged.group_by("rule", "is_refund").aggregate(
            orders=merged.count(), rows=merged.rows.sum(), lines=merged.lines.sum()
        )
    )


def orders_of_rows(rows: Counts, *, keep_zero_amount: bool) -> pd.DataFrame:
    """Return what :func:`count_orders` would, where every good row is an order and none a refund."""
    refused = 0 if keep_zero_amount else rows.worthless
    counts = {None: rows.by_rule.get(None, 0) - refused, "zero_amount": refused}
    return pd.DataFrame(
        [
            {"rule": rule, "is_refund": False, "orders": n, "rows": n, "lines": n}
            for rule, n in counts.items()
        ]
    )


def account(
    engine: Engine, rows: Counts, broken: ir.Table | None, by_order: pd.DataFrame
) -> Accounting:
    """Count where every source row went."""
    counted = dict.fromkeys([*RULES, OLDER_VERSION], 0)
    if broken is not None:
        counted["unreadable_row"] = len(engine.frame(broken.select("file_path")))
    by_rule = zip(by_order["rule"], by_order["rows"], strict=True)
    for rule, count in (*rows.by_rule.items(), *by_rule):
        if rule is not None and not pd.isna(rule):
            counted[rule] += int(count)
    older = counted.pop(OLDER_VERSION)
    kept = by_order[by_order["rule"].isna()]
    numbers = ["orders", "rows", "lines"]
    refunds, bought = (
        kept[kept["is_refund"] == is_one][numbers].sum() for is_one in (True, False)
    )
    return Accounting(
        rows_in=sum(rows.by_rule.values()) + counted["unreadable_row"],
        orders=int(bought["orders"]),
        merged={
            "exact_duplicates": int((kept["rows"] - kept["lines"]).sum()),
            "lines_summed": int(bought["lines"] - bought["orders"]),
        }
        | ({"refunds_netted": int(refunds["lines"])} if refunds["lines"] else {})
        | ({"older_versions": older} if older else {}),
        rejected={rule: rows for rule, rows in counted.items() if rows},
    )
