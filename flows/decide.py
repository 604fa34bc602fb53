"""From customer states to scores: predict, name the segment, choose the investment."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.tables import CustomerState, Scores
from flows.forecaster import Forecaster
from flows.settings import Settings
from flows.steps import step
from models.baselines import rfm_cells
from segments.holdout import is_holdout
from segments.investment import invest
from segments.lifecycle import SEGMENTS, lifecycle_segments

FARTHEST_ORDER_DAYS = 3650  # a median further away than ten years is no date
CARRIED_OVER = [name for name in Scores.columns() if name in CustomerState.columns()]


@step
def decide(settings: Settings, state: Path, model: Path, as_of: date, work: Path) -> Path:
    """Predict what each customer will do and choose what to do for them; return the Parquet file."""
    path = work / "decided.parquet"
    scores = score_customers(settings, pd.read_parquet(state), Forecaster.load(model), as_of)
    scores.to_parquet(path, index=False)
    return path


def score_customers(
    settings: Settings, state: pd.DataFrame, forecaster: Forecaster, as_of: date
) -> pd.DataFrame:
    """Score customers in memory.

    Parameters
    ----------
    settings
        The store's.
    state
        Table :class:`features.tables.CustomerState`.
    forecaster
        The model.
    as_of
        Last day whose orders are known.

    Returns
    -------
    DataFrame
        Table :class:`features.tables.Scores` but for ``model_version`` and ``run_id``.
    """
    predicted = forecaster.predict(
        state,
        horizon_days=settings.model.horizon_days,
        annual_discount_rate=settings.model.annual_discount_rate,
    )
    margin = predicted["expected_value"] * settings.store.margin
    held = is_holdout(
        state["customer_id"], share=settings.holdout.share, salt=settings.holdout.salt
    )
    investment = invest(margin, held, settings.actions, budget=settings.investment.budget)
    segment = lifecycle_segments(
        state["frequency"],
        state["recency_days"],
        state["age_days"],
        state["revenue"],
        predicted["expected_value"],
    )
    silent_days = state["age_days"] - state["recency_days"]
    return pd.DataFrame(
        {
            **state[CARRIED_OVER],
            **predicted.drop(columns="median_days"),
            "expected_margin": margin,
            "next_order_date": _dates(as_of, predicted["median_days"]),
            "rfm_score": rfm_cells(silent_days, state["frequency"], state["revenue"]).astype(str),
            "segment": segment,
            "investment_tier": investment.tier,
            "expected_return": investment.expected_return,
            "is_holdout": held,
            "reason": _reasons(segment, investment.tier, held),
        }
    )


def _dates(as_of: date, days: pd.Series) -> Any:  # noqa: ANN401  # array of dates and None
    """Return the days ahead as dates, rounded up; None where there is none within ten years."""
    near = (days <= FARTHEST_ORDER_DAYS).to_numpy()
    ahead = np.ceil(np.where(near, days, 0)).astype(int)
    known, where = np.unique(ahead, return_inverse=True)
    dates = np.array([as_of + timedelta(days=int(n)) for n in known], dtype=object)[where]
    dates[~near] = None
    return dates


def _reasons(segment: Any, tier: Any, held: Any) -> Any:  # noqa: ANN401  # arrays of text
    """Say in one line why a customer is where they are."""
    tiers = {
        "heavy": "heavy investment gains most, if its lift is as assumed",
        "standard": "standard investment gains most, if its lift is as assumed",
        "light": "light investment gains most, if its lift is as assumed",
        "none": "no investment that the budget reaches pays for itself",
    }
    frame = pd.DataFrame({"segment": segment, "tier": tier, "held": held})
    words = frame["segment"].map(SEGMENTS) + "; " + frame["tier"].map(tiers)
    return words + frame["held"].map({True: "; held out to measure what it brings", False: ""})
