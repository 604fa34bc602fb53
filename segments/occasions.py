"""When each trigger falls, and for whom: one function a trigger, named as it."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from segments.evidence import Days, Events, Flags, Rows, Signals, good_events, last_asked, spaced
from segments.loyalty import Loyalty

REGULAR = 2  # repeat purchases: the third purchase makes a regular
NEW = 1  # repeat purchases up to which an upgrade is proposed


@dataclass(frozen=True)
class TriggerRules:
    """Triggers: dated reasons to contact a customer.

    Raises
    ------
    ValueError
        Days below 0, or no time at all.
    """

    ahead_days: Annotated[
        int, Field(description="Days ahead for which due triggers are listed.")
    ] = 14
    fresh_days: Annotated[
        int,
        Field(description="Days for which an event (a review, a third order) remains a reason."),
    ] = 14
    delivery_days: Annotated[
        int,
        Field(
            description="Days that a delivery takes; customers are asked for nothing meanwhile."
        ),
    ] = 7
    open_cycles: Annotated[
        float,
        Field(
            description="Cycles of silence after which winning the customer back comes first; a refill stays open as long."
        ),
    ] = 2.0
    referral_period_days: Annotated[
        int, Field(description="Minimum number of days between two requests for a referral.")
    ] = 90
    referral_campaign: Annotated[
        str, Field(description="Campaign, in the table of touches, that asks for a referral.")
    ] = "referral_ask"

    def __post_init__(self) -> None:
        least = {"ahead_days": 0, "fresh_days": 1, "delivery_days": 0, "referral_period_days": 1}
        for name, fewest in least.items():
            if getattr(self, name) < fewest:
                raise ValueError(
                    f"{name} is {fewest} or more; got {getattr(self, name)}. Raise it"
                )
        if not 1 <= self.open_cycles < np.inf:
            raise ValueError(
                f"a refill falls due after one cycle, so open_cycles is 1 or more; got {self.open_cycles:g}. Raise it"
            )


class Due(NamedTuple):
    """Customers' positions, days and reasons: arrays of shape (m,)."""

    who: Rows
    day: Days
    reason: NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Day:
    """What is known at the end of a day of n customers, each array of shape (n,)."""

    index: pd.Index
    as_of: np.datetime64
    rules: TriggerRules
    first: Days
    last: Days
    frequency: NDArray[np.int64]
    in_rhythm: Flags

    @property
    def until(self) -> np.datetime64:
        """Last day that is looked ahead to."""
        return self.as_of + np.timedelta64(self.rules.ahead_days, "D")

    @property
    def delivered(self) -> Days:
        """Return the days on which the last orders have arrived."""
        return self.last + np.timedelta64(self.rules.delivery_days, "D")

    def is_fresh(self, day: Days) -> Flags:
        """Tell the days whose event is a reason now, or comes up."""
        return (day > self.as_of - np.timedelta64(self.rules.fresh_days, "D")) & (
            day <= self.until
        )


def next_order(day: Day, median: Days) -> Due:
    """List the median days of the next order, shape (n,), that lie ahead."""
    return _due(median <= day.until, median, "the next order is as likely as not to come by then")


def refill_due(day: Day, refills: pd.DataFrame | None) -> Due:
    """List the first product of each customer to run out, or to have run out of late.

    Raises
    ------
    ValueError
        A product that lasts no time.
    """
    if refills is None:
        return _due(np.zeros(0, dtype=bool), day.first[:0], "")
    rows = refills[refills["cycle_days"].notna() & refills["last_date"].notna()]
    lasts = rows["cycle_days"].to_numpy(dtype=np.float64)
    if (lasts <= 0).any():
        raise ValueError(
            f"a product lasts more than 0 days; {int((lasts <= 0).sum()):,} do not. Give null for the durable"
        )
    bought = days(rows["last_date"])
    due = bought + np.rint(lasts).astype("timedelta64[D]")
    spent = (day.as_of - bought).astype(np.float64)
    who = day.index.get_indexer(pd.Index(rows["customer_id"]))
    is_open = (who >= 0) & (due <= day.until) & (spent <= day.rules.open_cycles * lasts)
    product = rows["product"].astype(str).to_numpy(dtype=object)  # pandas cannot add to no texts
    words = product + " lasts " + _texts(np.rint(lasts)) + " days"
    listed = pd.DataFrame({"who": who, "due": due, "reason": words})[is_open]
    listed = listed.sort_values(["who", "due", "reason"]).drop_duplicates("who")
    return Due(*(listed[name].to_numpy() for name in ("who", "due", "reason")))


def near_tier(day: Day, loyalty: Loyalty, usual_amount: NDArray[np.float64]) -> Due:
    """List who is an order of the usual amount, shape (n,), away from the next tier."""
    by_orders, by_revenue = (
        loyalty.orders_to_next == 1,
        loyalty.amount_to_next <= usual_amount,
    )
    is_near = (by_orders | by_revenue) & day.in_rhythm & (day.delivered <= day.until)
    words = np.where(by_orders, "one order from ", "one usual order from ").astype(object)
    return _due(is_near, day.delivered, (words + loyalty.next_tier)[is_near])


def graduation(day: Day) -> Due:
    """List who has just bought for the third time."""
    return _due((day.frequency == REGULAR) & day.is_fresh(day.last), day.last, "third order")


def anniversary(day: Day) -> Due:
    """List the anniversaries of the first order; of February 29 on the last day of February."""
    month = day.first.astype("datetime64[M]")
    in_month = day.first - month.astype("datetime64[D]")
    passed = (day.as_of.astype("datetime64[Y]") - day.first.astype("datetime64[Y]")).astype(
        np.int64
    )

    def falls(years: NDArray[np.int64]) -> Days:
        then = month + 12 * years
        last = (then + np.timedelta64(1, "M")).astype("datetime64[D]") - then.astype(
            "datetime64[D]"
        )
        return np.asarray(
            then.astype("datetime64[D]") + np.minimum(in_month, last - np.timedelta64(1, "D"))
        )

    years = passed + (falls(passed) <= day.as_of)
    on = falls(years)
    comes = on <= day.until
    words = np.where(years == 1, " year since the first order", " years since the first order")
    return _due(comes, on, _texts(years[comes]) + words[comes].astype(object))


def referral_ask(day: Day, signals: Signals, is_unhappy: Flags) -> Due:
    """List whom to ask for a referral: after a good event, else after the third order; at most once in a period."""
    good = good_events(day.index, signals, day.as_of)
    third = np.flatnonzero(day.frequency == REGULAR)
    events = Events(
        np.r_[good.who, third],
        np.r_[good.day, day.delivered[third]],
        np.r_[good.kind, np.full(len(third), "third order", dtype=object)],
    )
    asked = last_asked(day.index, signals.touches, day.rules.referral_campaign)
    rests = asked > day.as_of - np.timedelta64(day.rules.referral_period_days, "D")  # NaT is not
    listed = spaced(events, day.rules.referral_period_days) & day.is_fresh(events.day)
    listed &= ~(is_unhappy | rests)[events.who]
    # A period shorter than the days that a reason stays fresh leaves two: the later one counts.
    order = np.lexsort((events.day, events.who))
    order = order[listed[order]]
    who = events.who[order]
    order = order[np.r_[who[1:] != who[:-1], True][: len(who)]]
    return Due(events.who[order], events.day[order], events.kind[order])


def upgrade_ready(day: Day, upgrades: pd.DataFrame | None, is_content: Flags) -> Due:
    """List who is content with one or two purchases, and has not bought the bundle that they lead to."""
    if upgrades is None:
        return _due(np.zeros(0, dtype=bool), day.first[:0], "")
    open_ones = upgrades[~upgrades["is_owned"].to_numpy(dtype=bool) & upgrades["bundle"].notna()]
    at = pd.Index(open_ones["customer_id"]).get_indexer(day.index)
    is_ready = (at >= 0) & (day.frequency <= NEW) & is_content & day.in_rhythm
    is_ready &= day.delivered <= day.until
    words = open_ones["bundle"].astype(str).to_numpy(dtype=object)[at[is_ready]]
    often = np.where(day.frequency[is_ready] == 0, "bought once", "bought twice").astype(object)
    return _due(is_ready, day.delivered, often + ", leads to " + words)


def days(dates: pd.Series) -> Days:
    """Return dates of any kind as days; NaT where there is none."""
    return np.asarray(dates.to_numpy(), dtype="datetime64[D]")


def _due(selected: Flags, day: Days, reason: str | NDArray[np.object_]) -> Due:
    who = np.flatnonzero(selected)
    return Due(who, day[who], np.broadcast_to(np.asarray(reason, dtype=object), who.shape))


def _texts(numbers: NDArray[np.generic]) -> NDArray[np.object_]:
    """Write whole numbers."""
    distinct, where = np.unique(numbers.astype(np.int64), return_inverse=True)
    return np.array([str(n) for n in distinct.tolist()], dtype=object)[where]
