"""Where every row of a source went."""

from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd

from connectors.engine import Engine
from connectors.rules import OLDER_VERSION, RULES


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


def account(
    engine: Engine, judged: ir.Table, broken: ir.Table | None, merged: ir.Table
) -> Accounting:
    """Count where every source row went."""
    by_row = engine.frame(judged.group_by("rule").aggregate(rows=judged.count()))
    by_order = engine.frame(
        merged.group_by("rule", "is_refund").aggregate(
            orders=merged.count(), rows=merged.rows.sum(), lines=merged.lines.sum()
        )
    )
    counted = dict.fromkeys([*RULES, OLDER_VERSION], 0)
    if broken is not None:
        counted["unreadable_row"] = len(engine.frame(broken.select("file_path")))
    for counts in (by_row, by_order):
        for rule, rows in zip(counts["rule"], counts["rows"], strict=True):
            if not pd.isna(rule):
                counted[rule] += int(rows)
    older = counted.pop(OLDER_VERSION)
    kept = by_order[by_order["rule"].isna()]
    numbers = ["orders", "rows", "lines"]
    refunds, bought = (
        kept[kept["is_refund"] == is_one][numbers].sum() for is_one in (True, False)
    )
    return Accounting(
        rows_in=int(by_row["rows"].sum()) + counted["unreadable_row"],
        orders=int(bought["orders"]),
        merged={
            "exact_duplicates": int((kept["rows"] - kept["lines"]).sum()),
            "lines_summed": int(bought["lines"] - bought["orders"]),
        }
        | ({"refunds_netted": int(refunds["lines"])} if refunds["lines"] else {})
        | ({"older_versions": older} if older else {}),
        rejected={rule: rows for rule, rows in counted.items() if rows},
    )
