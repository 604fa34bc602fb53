"""Deviations from a customer's mean order value, by hand and compared with pandas."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from features.price_changes import DEVIATIONS, PERIOD_DAYS, price_changes, shared_periods

AS_OF = date(2024, 12, 31)


def day(ago):
    return AS_OF - timedelta(days=ago)


def tables(engine, orders, as_of=AS_OF):
    changes = engine.frame(price_changes(orders, as_of)).set_index("period")
    shared = engine.frame(shared_periods(orders, as_of))
    return changes, shared.set_index(["period", "other_period"])["weight"]


def by_pandas(rows):
    """Compute both tables from (customer, day, net amount) rows, one per customer and day."""
    days = pd.DataFrame(rows, columns=["customer", "day", "amount"]).sort_values(
        ["customer", "day"]
    )
    days["period"] = [(AS_OF - d).days // PERIOD_DAYS for d in days["day"]]
    customers = days.groupby("customer")
    days["number"] = customers.cumcount() + 1
    days["count"] = customers["day"].transform("size")
    days["log_amount"], days["log_number"] = np.log(days["amount"]), np.log(days["number"])
    days["is_first"] = (days["number"] == 1).astype(float)
    days["repeat_days"] = days["number"] > 1
    days = days[days["count"] > 1]
    names = list(DEVIATIONS)
    deviations = days[names] - days.groupby("customer")[names].transform("mean")
    for place, name in enumerate(names):
        for other in names[place:]:
            deviations[f"{name}_{other}"] = deviations[name] * deviations[other]
    sums = deviations.assign(repeat_days=days["repeat_days"]).groupby(days["period"]).sum()
    both = days.merge(days, on="customer")
    weight = (1 / both["count_x"]).groupby([both["period_x"], both["period_y"]]).sum()
    return sums, weight


def test_periods_are_counted_back_from_the_as_of_day(engine, orders_of):
    """Day 29 ago belongs to the last period and day 30 to the one before: each has half the customer."""
    changes, weight = tables(engine, orders_of([("ann", day(30), 10.0), ("ann", day(29), 40.0)]))
    assert changes["log_amount"].to_dict() == pytest.approx(
        {0: np.log(2), 1: -np.log(2)}, abs=1e-6
    )
    assert changes["repeat_days"].to_dict() == {0: 1, 1: 0}
    assert changes["is_first"].to_dict() == {0: -0.5, 1: 0.5}
    assert changes["number"].to_dict() == {0: 0.5, 1: -0.5}
    assert changes["log_amount_is_first"].sum() == pytest.approx(-np.log(2), abs=1e-6)
    assert weight.to_dict() == {(0, 0): 0.5, (0, 1): 0.5, (1, 0): 0.5, (1, 1): 0.5}


def test_one_time_buyers_days_without_a_positive_amount_and_later_orders_are_left_out(
    engine, orders_of
):
    rows = [
        ("ann", day(70), 10.0),
        ("ann", day(70), 5.0),  # of the same day: one purchase
        ("ann", day(50), 0.0),
        ("ann", day(10), 30.0),
        ("bob", day(40), 99.0),
        ("cem", day(40), 20.0),
        ("cem", day(-1), 20.0),
    ]
    changes, weight = tables(engine, orders_of(rows))
    assert changes["log_amount"].to_dict() == pytest.approx(
        {0: np.log(2) / 2, 2: -np.log(2) / 2}, abs=1e-6
    )
    assert changes["number"].to_dict() == {0: 0.5, 2: -0.5}
    assert weight.sum() == 2


def test_a_store_without_returning_customers_has_no_rows(engine, orders_of):
    changes, weight = tables(engine, orders_of([("ann", day(3), 10.0), ("bob", day(3), 10.0)]))
    assert (len(changes), len(weight)) == (0, 0)


def test_sums_equal_those_of_pandas_and_weights_add_up_to_purchase_days(engine, orders_of):
    rng = np.random.default_rng(5)
    keys = {(int(who), int(ago)) for who, ago in rng.integers(0, [40, 400], (300, 2))}
    rows = [(f"c{who:02}", day(ago), round(rng.gamma(6, 5), 2)) for who, ago in sorted(keys)]
    changes, weight = tables(engine, orders_of(rows))
    sums, expected_weight = by_pandas(rows)
    pd.testing.assert_frame_equal(
        changes[sums.columns], sums, check_dtype=False, check_names=False, atol=1e-4
    )
    np.testing.assert_allclose(weight, expected_weight, atol=1e-5)
    assert list(weight.index) == list(expected_weight.index)
    bought = pd.Series([who for who, *_ in rows]).value_counts()
    returning = bought[bought > 1].sum()
    assert weight.sum() == pytest.approx(returning, abs=1e-3)
