"""The retention page: one file, no network, no script, readable on a phone and in the dark."""

from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from features.tables import Scores

METRICS = {
    "gini_value": ("ranking of value", "1 = perfect, 0 = by chance", "{:.3f}", max),
    "capture_top20": (
        "value in the top fifth",
        "share that the best fifth brought",
        "{:.1%}",
        max,
    ),
    "mae_orders": ("miss in orders", "mean absolute error per customer", "{:.3f}", min),
    "orders_ratio": ("orders, actual / expected", "1 = level is right", "{:.2f}", None),
    "value_ratio": ("value, actual / expected", "1 = level is right", "{:.2f}", None),
    "auc_active": ("who orders again", "AUC; 0.5 = by chance", "{:.3f}", max),
}
MODELS = {
    "champion": "this model",
    "last_period": "same as the period before",
    "rfm": "average of the RFM cell",
}

RULES = {
    "last_period": "what each brought in the period before",
    "total_past": "what each has brought so far",
    "rfm": "the average of the RFM cell",
    "hiatus": "days since the last order",
}


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes
    ----------
    record
        What ``run.json`` says of a published day.
    tiles
        Headline figures: label, value, what it is.
    holdout
        The backtest's metrics by model, in words; None where the history was too short.
    """

    record: dict[str, Any]
    tiles: list[tuple[str, str, str]]
    holdout: dict[str, Any] | None

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Page":
        """Choose what to show of a published day.

        Parameters
        ----------
        record
            What ``run.json`` says.
        """
        return cls(record, _tiles(record), _holdout(record["backtest"]))


def render_page(page: Page) -> str:
    """Render the page as one HTML file; text from data is escaped."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = lambda value: money(value, page.record["currency"])
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    environment.filters["count"] = lambda value: f"{value:,.0f}"
    definitions = {name: column.meaning for name, column in Scores.columns().items()}
    return environment.get_template("page.html.j2").render(page=page, definitions=definitions)


def money(value: float, currency: str) -> str:
    """Write an amount with its currency: whole units from 100 on, else two decimals."""
    return f"{currency} {value:,.0f}" if abs(value) >= 100 else f"{currency} {value:,.2f}"


def _tiles(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    totals, currency = record["totals"], record["currency"]
    gain, cost = (sum(tier[name] for tier in record["tiers"]) for name in ("gain", "cost"))
    share = totals["orderers_90d"] / record["customers"]
    return [
        (
            "Customers",
            f"{record['customers']:,}",
            f"{totals['share_once']:.0%} of them bought once",
        ),
        (
            "Will order in 90 days",
            f"{totals['orderers_90d']:,.0f}",
            f"expected, {share:.1%} of all",
        ),
        (
            f"Revenue, next {record['horizon_days']} days",
            money(totals["expected_value"], currency),
            "expected from today's customers, discounted",
        ),
        (
            "Retention budget used",
            money(cost, currency),
            f"of {money(record['budget']['amount'], currency)} for {record['budget']['period_days']} days",
        ),
        (
            "Back per unit spent",
            f"{gain / cost:.2f}" if cost else "nothing spent",
            "margin, if the lift is as assumed",
        ),
    ]


def _holdout(backtest: dict[str, Any] | None) -> dict[str, Any] | None:
    """Write the metrics of the last cutoff; the best of each row is marked."""
    if backtest is None:
        return None
    cutoff = backtest["cutoffs"][-1]
    rows: list[dict[str, Any]] = []
    for name, (label, meaning, pattern, better) in METRICS.items():
        values = {model: cutoff["models"][model][name] for model in MODELS}
        known = [value for value in values.values() if value is not None]
        best = better(known) if better and known else None
        cells = [
            {
                "text": "not made" if v is None else pattern.format(v),
                "is_best": v is not None and v == best,
            }
            for v in values.values()
        ]
        rows.append({"label": label, "meaning": meaning, "cells": cells})
    won = sum(row["cells"][0]["is_best"] for row in rows)
    rated = sum(better is not None for *_, better in METRICS.values())
    return {
        "as_of": cutoff["as_of"],
        "horizon_days": backtest["horizon_days"],
        "customers": cutoff["customers"],
        "models": list(MODELS.values()),
        "rows": rows,
        "verdict": f"This model is best in {won} of {rated} rated figures.{_beaten(cutoff)}",
    }


def _beaten(cutoff: dict[str, Any]) -> str:
    """Say which simple rules ranked value better, beyond noise."""
    ends = {
        words: cutoff.get("differences", {}).get(rule, {}).get("gini_value", {}).get("high", 0.0)
        for rule, words in RULES.items()
    }
    better = [words for words, high in ends.items() if high < 0]
    return f" Value was ranked better by a simple rule: {', '.join(better)}." if better else ""
