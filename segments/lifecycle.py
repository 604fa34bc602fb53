"""Where a customer stands: mutually exclusive segments, judged by their own rhythm.

Silence is counted in cycles, not in days. The store's cycle is the median gap between purchases of
its repeat customers; a repeat customer's own cycle is the mean gap so far, drawn towards the
store's where there are few gaps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SEGMENTS: dict[str, str] = {
    "new": "first order within half a cycle",
    "second_order_window": "one order, up to two cycles ago: the step that matters most",
    "one_and_done": "one order, more than two cycles ago",
    "promising": "two purchase days, still in rhythm",
    "loyal": "three or more purchase days, still in rhythm",
    "champion": "loyal, and in the top fifth by expected value",
    "needs_attention": "one and a half to three own cycles silent",
    "at_risk": "three to six own cycles silent",
    "at_risk_high_value": "at risk, and in the top fifth by revenue so far",
    "lapsed": "came back before, now over six own cycles silent",
}


@dataclass(frozen=True)
class LifecycleRules:
    """Thresholds of the segments.

    Attributes
    ----------
    new_cycles, window_cycles
        One-time buyers: up to how many store cycles after the order they are new, and in the
        second-order window.
    attention_cycles, risk_cycles, lapse_cycles
        Repeat customers: own cycles of silence from which they need attention, are at risk, and
        have lapsed.
    top_share
        Share of customers that counts as high in value.
    """

    new_cycles: float = 0.5
    window_cycles: float = 2.0
    attention_cycles: float = 1.5
    risk_cycles: float = 3.0
    lapse_cycles: float = 6.0
    top_share: float = 0.20


def store_cycle_days(frequency: ArrayLike, recency_days: ArrayLike) -> float:
    """Median over repeat customers of the mean gap between their purchases.

    Parameters
    ----------
    frequency, recency_days
        Arrays of shape (n,).

    Returns
    -------
    float
        Days; 30 where nobody came back.
    """
    x, t_x = np.asarray(frequency, dtype=np.float64), np.asarray(recency_days, dtype=np.float64)
    repeat = x > 0
    return float(np.median(t_x[repeat] / x[repeat])) if repeat.any() else 30.0


def lifecycle_segments(
    frequency: ArrayLike,
    recency_days: ArrayLike,
    age_days: ArrayLike,
    revenue: ArrayLike,
    expected_value: ArrayLike,
    rules: LifecycleRules | None = None,
) -> NDArray[np.object_]:
    """Name each customer's segment.

    Parameters
    ----------
    frequency, recency_days, age_days
        Arrays of shape (n,): the customers' state.
    revenue, expected_value
        Arrays of shape (n,): net amount so far and expected, store's currency.
    rules
        Thresholds; the defaults are a start.

    Returns
    -------
    NDArray
        Shape (n,), keys of :data:`SEGMENTS`.
    """
    rules = rules or LifecycleRules()
    x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (frequency, recency_days, age_days))
    cycle = store_cycle_days(x, t_x)
    own_cycle = (t_x + cycle) / (x + 1)  # as if one more gap of the store's length had been seen
    silence = (T - t_x) / own_cycle
    once = x == 0
    high_revenue = _is_top(revenue, rules.top_share)
    high_value = _is_top(expected_value, rules.top_share)
    cases = [
        (once & (rules.new_cycles * cycle >= T), "new"),
        (once & (rules.window_cycles * cycle >= T), "second_order_window"),
        (once, "one_and_done"),
        (silence > rules.lapse_cycles, "lapsed"),
        ((silence > rules.risk_cycles) & high_revenue, "at_risk_high_value"),
        (silence > rules.risk_cycles, "at_risk"),
        (silence > rules.attention_cycles, "needs_attention"),
        (x == 1, "promising"),
        (high_value, "champion"),
    ]
    return np.select([c for c, _ in cases], [name for _, name in cases], "loyal").astype(object)


def _is_top(values: ArrayLike, share: float) -> NDArray[np.bool_]:
    values = np.asarray(values, dtype=np.float64)
    return values > np.quantile(values, 1 - share) if len(values) else np.zeros(0, dtype=bool)
