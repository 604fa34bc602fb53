"""Where a customer stands: mutually exclusive segments, judged by their own rhythm.

Silence is counted in cycles, not in days: see :mod:`segments.rhythm`.
"""

from dataclasses import astuple, dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from segments.rhythm import first_case, silent_cycles


@dataclass(frozen=True)
class Segment:
    """A segment in plain words.

    Attributes
    ----------
    definition
        Who is in it, at the default thresholds.
    owner
        Who acts.
    action
        What they do.
    window
        When, counted in cycles.
    """

    definition: str
    owner: str
    action: str
    window: str


SEGMENTS: dict[str, Segment] = {
    "new": Segment(
        "first order within half a cycle",
        "Email marketing",
        "welcome, help with the first use, ask how it went; no offer",
        "from the first order until half a cycle after it",
    ),
    "second_order_window": Segment(
        "one order, up to two cycles ago: the step that matters most",
        "Email marketing",
        "remind when the product runs out, propose what goes with it",
        "from half a cycle to two cycles after the first order",
    ),
    "one_and_done": Segment(
        "one order, more than two cycles ago",
        "Email marketing",
        "one cheap attempt with another product, then the newsletter only",
        "once, from two cycles after the only order on",
    ),
    "promising": Segment(
        "two purchase days, still in rhythm",
        "Loyalty program",
        "make the third order count: show the next tier and the bundle that fits",
        "within one and a half own cycles of the last order",
    ),
    "loyal": Segment(
        "three or more purchase days, still in rhythm",
        "Loyalty program",
        "recognize them, early access, ask for a review and a referral; no discounts",
        "within one and a half own cycles of the last order",
    ),
    "champion": Segment(
        "loyal, and in the top fifth by expected value",
        "Customer care",
        "thank them in person, ask their advice and for referrals; no discounts",
        "within one and a half own cycles of the last order",
    ),
    "needs_attention": Segment(
        "one and a half to three own cycles silent, or returned all that they bought",
        "Email marketing",
        "ask what is missing, remind of what they buy; an offer only after that",
        "from one and a half to three own cycles after the last order, or after the return",
    ),
    "at_risk": Segment(
        "three to six own cycles silent",
        "Email and SMS marketing",
        "win back with one offer",
        "from three to six own cycles after the last order, the earlier the better",
    ),
    "at_risk_high_value": Segment(
        "at risk, and in the top fifth by revenue so far",
        "Customer care",
        "write or call in person, mend what went wrong, then make one good offer",
        "from three to six own cycles after the last order, the earlier the better",
    ),
    "lapsed": Segment(
        "came back before, now over six own cycles silent",
        "Paid media",
        "leave out of whatever costs per contact; news of the season only",
        "from six own cycles after the last order on",
    ),
}


@dataclass(frozen=True)
class LifecycleRules:
    """Thresholds of the lifecycle segments, in cycles: a customer's mean gap between orders, shrunk to the store's.

    Raises
    ------
    ValueError
        Thresholds that are not above 0 and ascending, or a share outside 0 to 1.
    """

    new_cycles: Annotated[float, Field(description="One order: new up to this time after it.")] = (
        0.5
    )
    window_cycles: Annotated[
        float, Field(description="One order: then in the second-order window up to this time.")
    ] = 2.0
    attention_cycles: Annotated[
        float, Field(description="Two or more orders: needs attention from this silence.")
    ] = 1.5
    risk_cycles: Annotated[
        float, Field(description="Two or more orders: at risk from this silence.")
    ] = 3.0
    lapse_cycles: Annotated[
        float, Field(description="Two or more orders: lapsed from this silence.")
    ] = 6.0
    top_share: Annotated[
        float, Field(description="Share of customers that counts as high in value, 0 to 1.")
    ] = 0.20

    def __post_init__(self) -> None:
        *cycles, share = astuple(self)
        if not np.isfinite(cycles).all() or not 0 < self.new_cycles < self.window_cycles:
            raise ValueError(
                "one-time buyers are new before their window ends: needs 0 < new_cycles < window_cycles; "
                f"got {self.new_cycles:g} and {self.window_cycles:g}. Set them in this order"
            )
        if not 0 < self.attention_cycles < self.risk_cycles < self.lapse_cycles:
            raise ValueError(
                "silence needs attention, then is a risk, then a loss: needs 0 < attention_cycles < risk_cycles < "
                f"lapse_cycles; got {self.attention_cycles:g}, {self.risk_cycles:g} and {self.lapse_cycles:g}. "
                "Set them in this order"
            )
        if not 0 <= share <= 1:
            raise ValueError(
                f"top_share lies between 0 and 1; got {share:g}. 0.2 is the top fifth"
            )


def lifecycle_segments(
    frequency: ArrayLike,
    recency_days: ArrayLike,
    age_days: ArrayLike,
    revenue: ArrayLike,
    expected_value: ArrayLike,
    rules: LifecycleRules | None = None,
    *,
    cycle_days: ArrayLike | None = None,
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
    cycle_days
        Days, shape (n,) or one for all: the natural cycle of the customer's category; NaN or None =
        unknown, the store's median gap stands in.

    Returns
    -------
    NDArray
        Shape (n,), keys of :data:`SEGMENTS`.

    Raises
    ------
    ValueError
        Cycles that are none.
    """
    rules = rules or LifecycleRules()
    x = np.asarray(frequency, dtype=np.float64)
    silence = silent_cycles(x, recency_days, age_days, cycle_days)
    once = x == 0
    cases = [
        (once & (silence <= rules.new_cycles), "new"),
        (once & (silence <= rules.window_cycles), "second_order_window"),
        (once, "one_and_done"),
        (silence > rules.lapse_cycles, "lapsed"),
        (
            (silence > rules.risk_cycles) & _is_top(revenue, rules.top_share),
            "at_risk_high_value",
        ),
        (silence > rules.risk_cycles, "at_risk"),
        (silence > rules.attention_cycles, "needs_attention"),
        (np.asarray(revenue, dtype=np.float64) <= 0, "needs_attention"),  # they returned it all
        (x == 1, "promising"),
        (_is_top(expected_value, rules.top_share), "champion"),
    ]
    return first_case(cases, "loyal")


def _is_top(values: ArrayLike, share: float) -> NDArray[np.bool_]:
    values = np.asarray(values, dtype=np.float64)
    return values > np.quantile(values, 1 - share) if len(values) else np.zeros(0, dtype=bool)
