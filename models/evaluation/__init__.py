"""How good a forecast was, and how a backtest reports it."""

from models.evaluation.metrics import (
    METRICS,
    Prediction,
    calibration_slope,
    coverage_table,
    decile_table,
    evaluate,
    mean_metrics,
)
from models.evaluation.ranking import (
    GAIN_SHARES,
    capture,
    gain_curve,
    normalized_gini,
    paired_differences,
)
from models.evaluation.report import (
    BacktestReport,
    Comparison,
    CoverageRow,
    Curves,
    CutoffReport,
    Decile,
    Lead,
    Metrics,
    NotBacktested,
    WeekRow,
    read_backtest,
)

__all__ = [
    "GAIN_SHARES",
    "METRICS",
    "BacktestReport",
    "Comparison",
    "CoverageRow",
    "Curves",
    "CutoffReport",
    "Decile",
    "Lead",
    "Metrics",
    "NotBacktested",
    "Prediction",
    "WeekRow",
    "calibration_slope",
    "capture",
    "coverage_table",
    "decile_table",
    "evaluate",
    "gain_curve",
    "mean_metrics",
    "normalized_gini",
    "paired_differences",
    "read_backtest",
]
