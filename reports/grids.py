"""Tables whose cells are shaded by what they say."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.words import Words

MOST_AGES = 13  # months of the cohort table
MOST_COHORTS = 18
MARGIN_AGES = (3, 6, 12)  # months by which margin is written
Rows = Sequence[Mapping[str, Any]]


def rfm(rows: Rows, least: int, words: Words) -> dict[str, Any]:
    """Arrange :func:`reports.tables.rfm_grid` as rows of cells.

    Parameters
    ----------
    rows
        ``recency, frequency, customers, expected_margin``.
    least
        Customers below whom the margin is not said.
    words
        How figures are written.
    """
    told = [row["expected_margin"] for row in rows if row["customers"] >= max(least, 1)]
    most = max(told, default=1.0) or 1.0

    def cell(row: Mapping[str, Any]) -> dict[str, Any] | None:
        if not row["customers"]:
            return None
        if row["customers"] < least:
            return {"heat": 0.0, "text": words.count(row["customers"]), "small": ""}
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
    oldest = max((len(m["ages"]) for m in months), default=0)
    ages = range(1, min(MOST_AGES, oldest))
    margins = [age for age in MARGIN_AGES if age < oldest]
    later = [a["active"]["value"] for m in months for a in m["ages"][1:MOST_AGES]]
    most = max((value for value in later if value is not None), default=1.0) or 1.0

    def cells(row: Rows) -> list[dict[str, Any] | None]:
        known = [_cell(a, most, words) for a in row[1 : len(ages) + 1]]
        return known + [None] * (len(ages) - len(known))

    rows = [
        {
            "month": m["month"],
            "customers": m["customers"],
            "cac": "" if m["cac"] is None else words.money(m["cac"]),
            "payback": _payback(m),
            "cells": cells(m["ages"]),
            "margins": [_margin(m["ages"], age, words) for age in margins],
        }
        for m in months
    ]
    average = [
        {**a, "active": {"value": a["active"], "count": a["active"] * a["n"], "n": a["n"]}}
        for a in found["average"]
    ]
    paid = [(m["spend"], m["customers"]) for m in found["months"] if m["spend"] is not None]
    n = sum(customers for _, customers in paid)
    cost = sum(spend for spend, _ in paid) / n if n else None
    note = "Every cohort in grey, all together in color."
    if cost is None:
        note += " What a new customer cost is not available: needs marketing_spend."
    return {
        "ages": list(ages),
        "margins": margins,
        "rows": rows,
        "all": {
            "customers": sum(m["customers"] for m in found["months"]),
            "cells": cells(average),
            "margins": [_margin(average, age, words) for age in margins],
        },
        "cost": cost,
        "margin_note": note,
    }


def _cell(age: Mapping[str, Any], most: float, words: Words) -> dict[str, Any] | None:
    rate = age["active"]
    if rate["value"] is None:
        return None
    return {
        "heat": min(rate["value"] / most, 1.0),
        "text": words.percent(rate["value"], 0),
        "title": f"{words.count(rate['count'])} of {words.count(rate['n'])}",
        "is_partial": bool(age.get("is_partial")),
    }


def _margin(ages: Rows, age: int, words: Words) -> str:
    """Write the margin by an age that a cohort has lived whole."""
    if age >= len(ages) or ages[age].get("is_partial") or ages[age]["margin"] is None:
        return ""
    return words.money(ages[age]["margin"])


def _payback(month: Mapping[str, Any]) -> str:
    if month["cac"] is None:
        return ""
    age = month["payback_month"]
    if age is None:
        return "not yet"
    return "at once" if age == 0 else f"in month {age}"
