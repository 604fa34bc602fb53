"""How the forecast did on past days, beside simple rules."""

from typing import Any

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


def holdout_table(backtest: dict[str, Any] | None) -> dict[str, Any] | None:
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
