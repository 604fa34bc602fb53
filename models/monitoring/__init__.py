"""Whether forecasts that have matured were right: cells and bands, the rule, and how inputs moved."""

from models.monitoring.bands import (
    Band,
    Slope,
    band,
    ratio,
    slope_through,
)
from models.monitoring.bins import Bins, bin_shares, measure_bins, psi
from models.monitoring.drift import Drift, MovedFigure
from models.monitoring.expectation import (
    TENURES,
    Counts,
    cell_sums,
    cells_of,
    expected_counts,
    tenth_starts,
    tenure_places,
)
from models.monitoring.rule import (
    OF_LAST,
    Rule,
    Week,
    is_frozen,
    is_retrain_due,
    is_silence,
    standing,
)

__all__ = [
    "OF_LAST",
    "TENURES",
    "Band",
    "Bins",
    "Counts",
    "Drift",
    "MovedFigure",
    "Rule",
    "Slope",
    "Week",
    "band",
    "bin_shares",
    "cell_sums",
    "cells_of",
    "expected_counts",
    "is_frozen",
    "is_retrain_due",
    "is_silence",
    "measure_bins",
    "psi",
    "ratio",
    "slope_through",
    "standing",
    "tenth_starts",
    "tenure_places",
]
