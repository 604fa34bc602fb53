"""Tables whose cells are shaded by what they say."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.words import Words

MOST_AGES = 13  # months of the cohort table
MOST_COHORTS = 18
Rows = Sequence[Mapping[str, Any]]


def rfm(rows: Rows, words: Words) -> dict[str, Any]:
    """Arrange :func:`reports.tables.rfm_grid` as rows of cells.

    Parameters
    ----------
    rows
        ``recency, frequency, customers, expected_margin``.
    words
        How figures are written.
    """
    most = max((row["expected_margin"] or 0.0) for row in rows) or 1.0

    def cell(row: Mapping[str, Any]) -> dict[str, Any] | None:
        if not row["customers"]:
            return None
        margin = row["expected_margin"]
        return {
            "heat": max(margin, 0.0) / most,
            "text": words.count(row["customers"]),
            "small": words.money(margin),
        }

    return _grid(rows, "recency", "frequency", cell)


def chances(rows: Rows, least: int, words: Words) -> dict[str, Any]:
    """Arrange :func:`reports.tables.order_matrix` as rows of cells; those of too few are empty.

    Parameters
    ----------
    rows
        ``orders, silent_days, customers, p_order_90d``.
    least
        Customers that a cell needs to be shown.
    words
        How figures are written.
    """

    def cell(row: Mapping[str, Any]) -> dict[str, Any] | None:
        if row["customers"] < least:
            return None
        chance = row["p_order_90d"]
        return {
            "heat": chance,
            "text": words.percent(chance, 0),
            "small": words.count(row["customers"]),
        }

    return _grid(rows, "orders", "silent_days", cell)


def _grid(rows: Rows, down: str, across: str, cell: Any) -> dict[str, Any]:  # noqa: ANN401  # function
    columns = list(dict.fromkeys(row[across] for row in rows))
    labels = list(dict.fromkeys(row[down] for row in rows))
    cells = {(row[down], row[across]): cell(row) for row in rows}
    return {
        "columns": columns,
        "rows": [
            {"label": label, "cells": [cells[label, column] for column in columns]}
            for label in labels
        ],
    }


def cohorts(found: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Arrange the newest cohorts by month and age.

    Parameters
    ----------
    found
        The section ``cohorts`` of ``kpis.json``.
    words
        How figures are written.
    """
    months = found["months"][-MOST_COHORTS:]
    ages = range(min(MOST_AGES, max((len(m["ages"]) for m in months), default=0)))
    later = [a["active"]["value"] for m in months for a in m["ages"][1:MOST_AGES]]
    most = max((value for value in later if value is not None), default=1.0) or 1.0

    def shade(value: float, age: int) -> float | None:
        return None if age == 0 else min(value / most, 1.0)

    rows = [
        {
            "month": m["month"],
            "customers": m["customers"],
            "cac": "" if m["cac"] is None else words.money(m["cac"]),
            "payback": "" if m["payback_month"] is None else f"month {m['payback_month']}",
            "cells": [_cell(a, shade, words) for a in m["ages"][: len(ages)]]
            + [None] * (len(ages) - len(m["ages"])),
        }
        for m in months
    ]
    average = [
        {"heat": shade(a["active"], k) or 0.0, "text": words.percent(a["active"], 0)}
        for k, a in enumerate(found["average"][: len(ages)])
        if a["active"] is not None
    ]
    costs = [(m["cac"], m["customers"]) for m in found["months"] if m["cac"] is not None]
    n = sum(weight for _, weight in costs)
    cost = sum(c * weight for c, weight in costs) / n if n else None
    note = "Every cohort in grey, all together in color."
    if cost is None:
        note += " Needs marketing_spend for what a new customer cost."
    return {
        "ages": list(ages),
        "rows": rows,
        "customers": sum(m["customers"] for m in months),
        "average": average,
        "cost": cost,
        "margin_note": note,
    }


def _cell(age: Mapping[str, Any], shade: Any, words: Words) -> dict[str, Any] | None:  # noqa: ANN401
    rate = age["active"]
    if rate["value"] is None:
        return None
    return {
        "heat": shade(rate["value"], age["age"]),
        "text": words.percent(rate["value"], 0),
        "title": f"{words.count(rate['count'])} of {words.count(rate['n'])}",
        "is_partial": bool(age.get("is_partial")),
    }
