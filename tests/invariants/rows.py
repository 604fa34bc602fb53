"""Rules of each customer's scores: a function returns which rows break the rule that it is named as."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from models.operational_time import MEAN_YEAR_DAYS
from tests.invariants.published import PublishedFigures

Rows = pd.Series
EXACT = 1e-9  # relative error of what is computed in doubles
MEDIAN = 1e-3  # of a chance: medians are found by iteration
LIKELY = 0.25  # chance of an order from which on the interval holds the mean
SOON_DAYS = 90  # of p_order_90d
CHANCES = ("p_alive", "p_order_90d", "churn_probability", "p_second_order")
AMOUNTS = ("expected_orders", "expected_order_value", "expected_value", "expected_margin",
           "value_low", "value_high")  # fmt: skip


def _far(actual: pd.Series, expected: pd.Series, relative: float = EXACT) -> Rows:
    """Return where two columns differ; NaN differs from everything."""
    return ~np.isclose(actual, expected, rtol=relative, atol=1e-12)


def chances_lie_in_0_to_1(day: PublishedFigures) -> Rows:
    given = day.scores[list(CHANCES)]
    given = given.assign(p_second_order=given["p_second_order"].fillna(0))
    return ~((given >= 0) & (given <= 1)).all(axis=1)


def amounts_are_finite_and_not_negative(day: PublishedFigures) -> Rows:
    amounts = day.scores[list(AMOUNTS)]
    return ~(np.isfinite(amounts) & (amounts >= 0)).all(axis=1)


def value_is_orders_by_order_value_by_discount(day: PublishedFigures) -> Rows:
    s = day.scores
    product = s["expected_orders"] * s["expected_order_value"] * day.discount_factor
    return _far(s["expected_value"], product)


def discount_factor_is_within_the_rate(day: PublishedFigures) -> Rows:
    """No order is worth more than today's, none less than one on the horizon's last day."""
    rate = day.settings.model.annual_discount_rate
    least = (1 + rate) ** (-day.horizon_days / MEAN_YEAR_DAYS)
    return ~day.discount_factor.between(least * (1 - EXACT), 1 + EXACT)


def margin_is_the_stores_share_of_value(day: PublishedFigures) -> Rows:
    return _far(
        day.scores["expected_margin"], day.settings.store.margin * day.scores["expected_value"]
    )


def interval_ends_are_in_order(day: PublishedFigures) -> Rows:
    return ~(day.scores["value_low"] <= day.scores["value_high"])


def likely_buyers_mean_lies_in_the_interval(day: PublishedFigures) -> Rows:
    s = day.scores
    slack = EXACT * s["expected_value"]
    inside = s["expected_value"].between(s["value_low"] - slack, s["value_high"] + slack)
    return (day.p_order > LIKELY + EXACT) & ~inside


def unlikely_buyers_interval_begins_at_0(day: PublishedFigures) -> Rows:
    return (day.p_order <= LIKELY - EXACT) & (day.scores["value_low"] != 0)


def chance_of_90_days_is_within_the_horizons(day: PublishedFigures) -> Rows:
    if day.horizon_days < SOON_DAYS:
        return day.scores["p_order_90d"] < day.p_order - EXACT
    return day.scores["p_order_90d"] > day.p_order + EXACT


def nobody_orders_who_has_left(day: PublishedFigures) -> Rows:
    """An order needs a customer who has not left for good, and so does the date of the next one."""
    alive = day.scores["p_alive"]
    return (day.p_order > alive + EXACT) | (day.next_order_days.notna() & (alive < 0.5 - MEDIAN))


def nobody_expects_fewer_orders_than_the_chance_of_any(day: PublishedFigures) -> Rows:
    return day.scores["expected_orders"] < day.p_order * (1 - EXACT) - 1e-12


def nobody_orders_oftener_than_daily(day: PublishedFigures) -> Rows:
    return day.scores["expected_orders"] > day.horizon_days


def order_value_is_at_most_1_5_times_the_largest(day: PublishedFigures) -> Rows:
    return day.scores["expected_order_value"] > 1.5 * day.purchase_days["net_amount"].max()


def order_value_is_no_dust(day: PublishedFigures) -> Rows:
    """Above 0, and without refunds at least a thousandth of the smallest purchase day."""
    amounts = day.purchase_days["net_amount"]
    least = 0.0 if day.has_refunds else 1e-3 * amounts[amounts > 0].min()
    value = day.scores["expected_order_value"]
    return ~((value > 0) & (value >= least))


def order_value_is_near_the_customers_or_the_stores(day: PublishedFigures) -> Rows:
    """At most three times the larger of the means of both, and at least a quarter of the smaller one.

    Where amounts are refunded, the lower bound does not hold.
    """
    amounts = day.purchase_days["net_amount"]
    each = day.purchase_days.groupby("customer_id")["net_amount"].mean()
    own = each.reindex(day.scores["customer_id"]).to_numpy()
    most = 3 * np.maximum(own, max(amounts.mean(), each.mean()))
    least = 0.0 if day.has_refunds else np.minimum(own, amounts.median()) / 4
    value = day.scores["expected_order_value"]
    return (value > most) | (value < least)


def next_order_comes_after_the_day(day: PublishedFigures) -> Rows:
    return day.next_order_days <= 0


def next_order_within_90_days_is_likelier_than_not(day: PublishedFigures) -> Rows:
    """And the other way round: who is likelier than not to order in 90 days has a date in them."""
    return _contradicts(day.next_order_days <= SOON_DAYS, day.scores["p_order_90d"])


def next_order_within_the_horizon_is_likelier_than_not(day: PublishedFigures) -> Rows:
    """And the other way round; so a date is lacking only where no order in the horizon is likelier."""
    return _contradicts(day.next_order_days <= day.horizon_days, day.p_order)


def _contradicts(is_within: pd.Series, chance: pd.Series) -> Rows:
    return (is_within & (chance < 0.5 - MEDIAN)) | (~is_within & (chance > 0.5 + MEDIAN))


def one_time_buyers_have_a_chance_of_a_second_order(day: PublishedFigures) -> Rows:
    """And nobody else."""
    return day.scores["p_second_order"].isna() != (day.scores["frequency"] > 0)


def second_order_of_90_days_is_the_next_order(day: PublishedFigures) -> Rows:
    """Where the second-purchase window is 90 days, both chances are of one event."""
    s = day.scores
    if day.settings.model.second_purchase_days != SOON_DAYS:
        return pd.Series(data=False, index=s.index)
    return (s["frequency"] == 0) & _far(s["p_second_order"], s["p_order_90d"], 1e-6)


def returns_are_of_those_invested_in(day: PublishedFigures) -> Rows:
    return day.scores["expected_return"].isna() != (day.scores["investment_tier"] == "none")


def history_is_the_orders(day: PublishedFigures) -> Rows:
    """What is known of each customer follows from the orders."""
    s = day.scores.set_index("customer_id")
    bought = day.purchase_days.groupby("customer_id")
    dates = bought["order_date"].agg(["min", "max"]).reindex(s.index)
    again = day.purchase_days[~day.purchase_days["is_first"]].groupby("customer_id")["net_amount"]
    revenue = day.orders.groupby("customer_id")["net_amount"].sum().reindex(s.index)
    expected = {
        "frequency": bought.size().reindex(s.index) - 1,
        "recency_days": (dates["max"] - dates["min"]).dt.days,
        "age_days": (day.as_of - dates["min"]).dt.days,
        "monetary_value": again.mean().reindex(s.index).fillna(0.0),
        "orders": bought["orders"].sum().reindex(s.index),
        "revenue": revenue,
    }
    broken = np.zeros(len(s), dtype=bool)
    for name, values in expected.items():
        broken |= ~np.isclose(s[name], values, rtol=1e-6, atol=1e-4)
    for name, values in (("first_order_date", dates["min"]), ("last_order_date", dates["max"])):
        broken |= (pd.to_datetime(s[name]) != values).to_numpy()
    return pd.Series(broken, index=day.scores.index)


def nobody_brings_far_more_than_anybody_did(day: PublishedFigures) -> Rows:
    """At most five times what a customer brought in a time as long as the horizon."""
    lately = day.lately(day.horizon_days).groupby("customer_id")["net_amount"].sum()
    longer = max(1.0, day.horizon_days / day.history_days)
    return day.scores["expected_value"] > 5 * longer * lately.max()


VALUE = ("expected_orders", "expected_order_value", "expected_value", "discount_factor")
INTERVAL = ("value_low", "expected_value", "value_high", "churn_probability")
DATED = ("next_order_date", "p_order_90d", "churn_probability", "p_alive")
STATE = ("frequency", "recency_days", "age_days", "monetary_value", "orders", "revenue")

ROW_RULES: dict[Callable[[PublishedFigures], Rows], tuple[str, ...]] = {
    chances_lie_in_0_to_1: CHANCES,
    amounts_are_finite_and_not_negative: AMOUNTS,
    value_is_orders_by_order_value_by_discount: VALUE,
    discount_factor_is_within_the_rate: VALUE,
    margin_is_the_stores_share_of_value: ("expected_value", "expected_margin"),
    interval_ends_are_in_order: INTERVAL,
    likely_buyers_mean_lies_in_the_interval: INTERVAL,
    unlikely_buyers_interval_begins_at_0: INTERVAL,
    chance_of_90_days_is_within_the_horizons: ("p_order_90d", "churn_probability"),
    nobody_orders_who_has_left: DATED,
    nobody_expects_fewer_orders_than_the_chance_of_any: ("expected_orders", "churn_probability"),
    nobody_orders_oftener_than_daily: ("expected_orders",),
    order_value_is_at_most_1_5_times_the_largest: (*VALUE, "monetary_value"),
    order_value_is_no_dust: (*VALUE, "monetary_value"),
    order_value_is_near_the_customers_or_the_stores: (*VALUE, "monetary_value"),
    next_order_comes_after_the_day: DATED,
    next_order_within_90_days_is_likelier_than_not: DATED,
    next_order_within_the_horizon_is_likelier_than_not: DATED,
    one_time_buyers_have_a_chance_of_a_second_order: ("frequency", "p_second_order"),
    second_order_of_90_days_is_the_next_order: ("p_second_order", "p_order_90d"),
    returns_are_of_those_invested_in: ("investment_tier", "expected_return"),
    history_is_the_orders: STATE,
    nobody_brings_far_more_than_anybody_did: ("expected_value", "revenue"),
}
