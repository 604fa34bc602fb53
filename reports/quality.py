"""How the forecast did on past days, compared with simple rules."""

from dataclasses import dataclass

from models.evaluation import BacktestReport, CutoffReport

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


@dataclass(frozen=True, kw_only=True)
class HoldoutCell:
    """A metric of a model as the page shows it, and whether it is the best of its row."""

    text: str
    is_best: bool


@dataclass(frozen=True, kw_only=True)
class HoldoutRow:
    """A metric: its name and meaning in words, and a cell per model."""

    label: str
    meaning: str
    cells: tuple[HoldoutCell, ...]


@dataclass(frozen=True, kw_only=True)
class HoldoutTable:
    """The last cutoff as the page shows it.

    Attributes
    ----------
    as_of
        The cutoff, ISO 8601.
    horizon_days
        Length of the window after it.
    customers
        Customers known at the cutoff.
    models
        Names of the columns.
    rows
        A row per metric.
    verdict
        The table in a sentence.
    """

    as_of: str
    horizon_days: int
    customers: int
    models: tuple[str, ...]
    rows: tuple[HoldoutRow, ...]
    verdict: str


def holdout_table(backtest: BacktestReport | None) -> HoldoutTable | None:
    """Write the metrics of the last cutoff; the best of each row is marked."""
    if backtest is None:
        return None
    cutoff = backtest.cutoffs[-1]
    rows = tuple(_row(cutoff, name) for name in METRICS)
    best = sum(row.cells[0].is_best for row in rows)
    rated = sum(better is not None for *_, better in METRICS.values())
    return HoldoutTable(
        as_of=cutoff.as_of.isoformat(),
        horizon_days=backtest.horizon_days,
        customers=cutoff.customers,
        models=tuple(MODELS.values()),
        rows=rows,
        verdict=f"This model is best in {best} of {rated} rated figures.{_beaten(cutoff)}",
    )


def _row(cutoff: CutoffReport, name: str) -> HoldoutRow:
    label, meaning, pattern, better = METRICS[name]
    values = [cutoff.models[model].value(name) for model in MODELS]
    measured = [value for value in values if value is not None]
    best = better(measured) if better and measured else None
    cells = tuple(
        HoldoutCell(
            text="not made" if value is None else pattern.format(value),
            is_best=value is not None and value == best,
        )
        for value in values
    )
    return HoldoutRow(label=label, meaning=meaning, cells=cells)


def _beaten(cutoff: CutoffReport) -> str:
    """Say which simple rules ranked value better, beyond noise."""
    better = []
    for rule, words in RULES.items():
        comparison = cutoff.differences.get(rule)
        lead = None if comparison is None else comparison.gini_value
        if lead is not None and lead.high < 0:
            better.append(words)
    return f" Value was ranked better by a simple rule: {', '.join(better)}." if better else ""
