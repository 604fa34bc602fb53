"""Where a customer is on the journey after a purchase: what to talk about, and what not yet."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from segments.rhythm import first_case, silent_cycles

STAGES: dict[str, str] = {
    "in_transit": "the last order is on its way: reassure, and ask for nothing",
    "first_use": "the order has arrived, the next is not yet near: help to get the best out of it",
    "reorder_window": "one or two purchases, and around the time of the next: remind, propose what pairs",
    "loyalty_graduation": "third purchase or later, still in rhythm: treat as a regular",
    "advocate": "still in rhythm, and recommends the store or buys often: make sharing easy",
    "past_window": "the time of the next order has passed without one: win back before anything else",
}


@dataclass(frozen=True)
class JourneyRules:
    """Thresholds of the stages between two orders; cycles are those of [lifecycle].

    Raises
    ------
    ValueError
        Thresholds below 0 or not ascending.
    """

    delivery_days: Annotated[float, Field(description="Days that a delivery takes.")] = 7.0
    reorder_opens: Annotated[
        float, Field(description="Cycles after the order from which the next one is near.")
    ] = 0.5
    reorder_closes: Annotated[
        float, Field(description="Cycles after the order from which the next one is overdue.")
    ] = 2.0
    graduation_purchases: Annotated[
        int, Field(description="Purchase days from which a customer is a regular.")
    ] = 3
    advocate_purchases: Annotated[
        int,
        Field(
            description="Purchase days from which a regular is an advocate without other evidence."
        ),
    ] = 6

    def __post_init__(self) -> None:
        if not 0 <= self.delivery_days < np.inf:
            raise ValueError(
                f"a delivery takes 0 days or more; got delivery_days = {self.delivery_days:g}"
            )
        if not 0 < self.reorder_opens < self.reorder_closes < np.inf:
            raise ValueError(
                "a reorder window opens before it closes: needs 0 < reorder_opens < reorder_closes; got "
                f"{self.reorder_opens:g} and {self.reorder_closes:g}. Set them in this order"
            )
        if not 1 < self.graduation_purchases < self.advocate_purchases:
            raise ValueError(
                "regulars come before advocates: needs 1 < graduation_purchases < advocate_purchases; got "
                f"{self.graduation_purchases} and {self.advocate_purchases}. Set them in this order"
            )


def journey_stage(
    frequency: ArrayLike,
    recency_days: ArrayLike,
    age_days: ArrayLike,
    cycle_days: ArrayLike | None = None,
    is_advocate: ArrayLike | None = None,
    rules: JourneyRules | None = None,
) -> NDArray[np.object_]:
    """Name each customer's stage: the first that applies.

    1. ``in_transit``: up to a delivery time after the last order, whoever placed it. Nobody is
       asked for anything while they wait.
    2. ``past_window``: silent for longer than the window, whatever they were before. The five
       stages of the journey lead from order to order; who left it needs a name, too.
    3. ``advocate``: evidence of advocacy, or many purchases.
    4. ``loyalty_graduation``: third purchase and later.
    5. ``first_use``: first or second purchase, until the window opens.
    6. ``reorder_window``: everybody else.

    Of one-time buyers ``past_window`` are those whom :mod:`segments.lifecycle` calls one-and-done,
    as long as both close at two cycles.

    Parameters
    ----------
    frequency, recency_days, age_days
        Arrays of shape (n,): the customers' state.
    cycle_days
        Days, shape (n,) or one for all: the natural cycle of the customer's category; NaN or None =
        unknown, the store's median gap stands in.
    is_advocate
        Shape (n,): whether there is evidence (a referral, a promoter score, a five-star review);
        None = no evidence of anybody.
    rules
        Thresholds; the defaults are a start.

    Returns
    -------
    NDArray
        Shape (n,), keys of :data:`STAGES`.

    Raises
    ------
    ValueError
        Cycles that are none, or evidence of another number of customers.
    """
    rules = rules or JourneyRules()
    x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (frequency, recency_days, age_days))
    silence, purchases = silent_cycles(x, t_x, T, cycle_days), x + 1
    advocates = np.asarray(np.zeros(len(x)) if is_advocate is None else is_advocate, dtype=bool)
    if advocates.shape != x.shape:
        raise ValueError(f"is_advocate is one per customer ({len(x)}); got {advocates.shape}")
    cases = [
        (rules.delivery_days >= T - t_x, "in_transit"),
        (silence > rules.reorder_closes, "past_window"),
        (advocates | (purchases >= rules.advocate_purchases), "advocate"),
        (purchases >= rules.graduation_purchases, "loyalty_graduation"),
        (silence < rules.reorder_opens, "first_use"),
    ]
    return first_case(cases, "reorder_window")
