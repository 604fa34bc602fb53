"""Triggers: the days on which a customer is worth a message, and why.

A trigger keeps its day from run to run, so that what is triggered by it is triggered once. Only the
day of the next order moves, with the forecast.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from features.tables import HISTORY
from segments.evidence import Signals, moods
from segments.loyalty import Loyalty
from segments.occasions import (
    Day,
    Due,
    TriggerRules,
    anniversary,
    days,
    graduation,
    near_tier,
    next_order,
    referral_ask,
    refill_due,
    upgrade_ready,
)
from segments.rhythm import silent_cycles

__all__ = ["TRIGGERS", "Missing", "Signals", "TriggerRules", "find_triggers", "missing_triggers"]

TRIGGERS: dict[str, str] = {
    "next_order": "the day by which the next order is as likely as not to have come",
    "refill_due": "a product bought runs out by its own cycle",
    "one_order_from_next_tier": "one more order, of the usual amount, reaches the next loyalty tier",
    "third_order_graduation": "has just bought for the third time: from occasional buyer to regular",
    "purchase_anniversary": "some years to the day since the first order; of February 29 on the last of February",
    "referral_ask": "a good time to ask for a referral: after a five-star review, a promoter score, a tier "
    "reached, a ticket resolved; otherwise after the third order. Once in a period, never of the unhappy",
    "upgrade_ready": "bought once or twice, is content, and has not yet bought the bundle that the first "
    "product leads to",
}
COLUMNS = ("customer_id", "trigger", "due_date", "reason")
ABSENT: tuple[tuple[str, str, str, str], ...] = (
    ("refills", "order_lines", "refill_due", "the day on which a product runs out"),
    ("upgrades", "order_lines", "upgrade_ready", "the bundle that a first product leads to"),
    ("reviews", "reviews", "referral_ask", "an ask after a five-star review"),
    ("nps", "nps", "referral_ask", "an ask after a promoter score of 9 or 10"),
    ("loyalty_events", "loyalty_events", "referral_ask", "an ask after a tier is reached"),
    ("tickets", "tickets", "referral_ask", "an ask after a resolved service ticket"),
    ("touches", "touches", "referral_ask", "asks that were sent, so that none comes too soon after"),
)  # fmt: skip


class Missing(NamedTuple):
    """What a table that was not given would bring."""

    table: str
    trigger: str
    brings: str


def find_triggers(
    customers: pd.DataFrame,
    loyalty: Loyalty,
    as_of: date,
    *,
    cycle_days: ArrayLike | None = None,
    signals: Signals | None = None,
    has_refund: ArrayLike | None = None,
    rules: TriggerRules | None = None,
) -> pd.DataFrame:
    """List the triggers that fall in the days ahead, or are open now.

    Parameters
    ----------
    customers
        n rows with the columns ``customer_id, frequency, recency_days, age_days, first_order_date,
        last_order_date, orders, revenue, next_order_date`` of :class:`features.tables.Scores`.
    loyalty
        The customers' tiers, in the same order.
    as_of
        Last day that is known.
    cycle_days
        Days, shape (n,) or one for all: the natural cycle of the customer's category; NaN or None =
        unknown, the store's median gap stands in.
    signals
        Optional tables; :func:`missing_triggers` says what each would bring.
    has_refund
        Shape (n,): whether something was refunded; None = of nobody as far as is known.
    rules
        How far ahead, and how long.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`: at most one row per customer and trigger, in the order of the customers and
        of :data:`TRIGGERS`. ``due_date`` is the day (a Python date) on which the trigger falls or, if
        that has passed, fell; ``reason`` says why in plain words.

    Raises
    ------
    ValueError
        A customer who comes twice, tiers of others, or cycles that are none.
    """
    signals = signals or Signals()
    day = _day(customers, as_of, cycle_days, rules or TriggerRules())
    n = len(customers)
    refunded = np.asarray(np.zeros(n) if has_refund is None else has_refund, dtype=bool)
    if len(loyalty.tier) != n or refunded.shape != (n,):
        raise ValueError(
            f"triggers need the tiers and refunds of the same {n:,} customers; got {len(loyalty.tier):,} "
            f"and {len(refunded):,}. Take all from the same rows"
        )
    mood = moods(day.index, signals)
    occasions = (
        next_order(day, days(customers["next_order_date"])),
        refill_due(day, signals.refills),
        near_tier(day, loyalty, customers["revenue"].to_numpy() / customers["orders"].to_numpy()),
        graduation(day),
        anniversary(day),
        referral_ask(day, signals, mood.is_bad & ~mood.is_mended),
        upgrade_ready(day, signals.upgrades, mood.is_good | (mood.is_silent & ~refunded)),
    )
    return _listed(day.index, occasions)


def missing_triggers(signals: Signals | None = None) -> list[Missing]:
    """Say which table would bring which trigger.

    Parameters
    ----------
    signals
        The optional tables that there are.

    Returns
    -------
    list
        One entry per table and trigger, in the order of :data:`TRIGGERS`.
    """
    missing = (signals or Signals()).missing()
    return [Missing(*entry) for name, *entry in ABSENT if name in missing]


def _day(
    customers: pd.DataFrame, as_of: date, cycle_days: ArrayLike | None, rules: TriggerRules
) -> Day:
    index = pd.Index(customers["customer_id"])
    if not index.is_unique:
        twice = index[index.duplicated()]
        raise ValueError(
            f"triggers are of customers who come once: {twice[0]!r} and {len(twice) - 1:,} others come again. "
            "Merge them"
        )
    x, t_x, T = (customers[name] for name in HISTORY)
    return Day(
        index=index,
        as_of=np.datetime64(as_of, "D"),
        rules=rules,
        first=days(customers["first_order_date"]),
        last=days(customers["last_order_date"]),
        frequency=customers["frequency"].to_numpy(dtype=np.int64),
        in_rhythm=silent_cycles(x, t_x, T, cycle_days) <= rules.open_cycles,
    )


def _listed(index: pd.Index, occasions: Sequence[Due]) -> pd.DataFrame:
    """List what each trigger found, customer by customer."""
    who = np.concatenate([due.who for due in occasions])
    trigger = np.repeat(np.arange(len(occasions)), [len(due.who) for due in occasions])
    order = np.lexsort((trigger, who))
    columns = (
        index.to_numpy()[who],
        np.array(list(TRIGGERS), dtype=object)[trigger],
        np.concatenate([due.day for due in occasions]).astype("datetime64[D]").astype(object),
        np.concatenate([due.reason for due in occasions]),
    )
    return pd.DataFrame(
        {name: values[order] for name, values in zip(COLUMNS, columns, strict=True)}
    )
