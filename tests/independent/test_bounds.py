"""The bounds against results that meet them, and results with a planted fault."""

import numpy as np
import pytest

from tests.independent.bounds import PREVIOUS_DISTANCE, Bound, Results, bounds_of
from tests.independent.stores import (
    CHANGING,
    SEASONAL,
    SEEDS,
    STATIONARY,
    STORES,
    default_seeds,
)


@pytest.fixture
def failed(make_result):
    """Return a function that lists the bounds a store's runs do not meet, one run per set of changes."""

    def names(*runs, store="by_order"):
        results = Results({store: [make_result(**changes) for changes in runs]})
        return [bound.name for bound in bounds_of(results) if not bound.is_met]

    return names


def totals(value=100.0, orders=10.0, orders_90=3.0):
    return {"value_365": value, "orders_365": orders, "orders_90": orders_90}


@pytest.mark.parametrize("store", [name for name in STORES if name != "signal"])
def test_perfect_forecasts_meet_every_bound(failed, store):
    assert failed({"seed": 1}, {"seed": 2}, {"seed": 3}, store=store) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"largest_order_value": 1e13}, "largest order value / largest order, by_order"),
        ({"product_error": 1e-6}, "value = orders x order value, relative error"),
        ({"covered": 6_000.0}, "coverage of the 80 % interval, stationary stores"),
        ({"newcomers": {"customers": 100, "above": 18}}, "likely newcomers above value_high"),
        (
            {"gini": {"product": 0.7, "plain": 0.75, "total_past": 0.5, "last_period": 0.6}},
            "Gini, lead over plain, by_order",
        ),
        ({"has_season": True}, "fits with a season index, stationary stores"),
    ],
)
def test_a_planted_fault_is_caught(failed, changes, name):
    assert failed(changes) == [name]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"product": totals(value=89.0)}, "value, season_50_mar, mean of seeds"),
        ({"product": totals(value=111.0)}, "value, season_50_mar, mean of seeds"),
        ({"product": totals(orders=8.9)}, "orders, season_50_mar, mean of seeds"),
        (
            {"product": totals(orders_90=3.4)},
            "orders within 90 days, season_50_mar, mean of seeds",
        ),
        (
            {"next_order": {"customers": 100, "ordered": 57, "ordered_unrounded": 50}},
            "share who order by the next-order date, season_50_mar",
        ),
        (
            {"next_order": {"customers": 0, "ordered": 0, "ordered_unrounded": 0}},
            "share who order by the next-order date, season_50_mar",
        ),
        (
            {"second_order_top": {"customers": 500, "product": 0.24, "true": 0.3}},
            "second orders of the top fifth, season_50_mar",
        ),
    ],
)
def test_a_planted_fault_of_a_seasonal_store_is_caught(failed, changes, name):
    assert failed(changes, store="season_50_mar") == [name]


def test_seasonal_bounds_are_of_the_mean_over_seeds(failed):
    low, high = ({"product": totals(value=value)} for value in (85.0, 115.0))
    assert failed(low, high, store="q4_peak") == []


@pytest.mark.parametrize(
    ("store", "low", "high"),
    [
        ("quality", 0.90, 1.15),
        ("price", 0.90, 1.10),
        ("rising", 0.87, 1.15),
        ("falling", 0.87, 1.15),
        ("sale_recent", None, 1.15),
        ("sale_year_ago", None, 1.15),
        ("wholesale", 0.87, 1.13),
        ("small_700", 0.87, 1.15),
        ("small_250", 0.75, 1.33),
    ],
)
def test_the_value_of_a_store_is_held_to_its_limits(failed, store, low, high):
    def of(ratio):
        return failed({"product": totals(value=100 * ratio)}, store=store)

    name = [f"value, {store}, mean of seeds"]
    assert of(high - 0.001) == []
    assert of(high + 0.001) == name
    assert of(0.5 if low is None else low + 0.001) == []
    assert low is None or of(low - 0.001) == name


def test_subscriptions_are_held_to_their_next_order_dates(failed):
    changes = {"next_order": {"customers": 100, "ordered": 40, "ordered_unrounded": 40}}
    name = "share who order by the next-order date, subscriptions"
    assert failed(changes, store="subscriptions") == [name]
    assert failed(changes) == []


def test_one_of_twenty_flat_fits_may_use_a_season_index(failed):
    with_season, without = {"has_season": True}, {"has_season": False}
    assert failed(with_season, *[without] * 19) == []
    assert failed(with_season, with_season, *[without] * 19) == [
        "fits with a season index, stationary stores"
    ]


def test_one_of_ten_fits_to_random_weekly_orders_may_be_regular(failed):
    assert failed({"k": 2}, *[{"k": 1}] * 9, store="weekly") == []
    assert failed({"k": 2}, {"k": 3}, *[{"k": 1}] * 8, store="weekly") == [
        "fits with random order times, weekly"
    ]


def test_stationary_stores_may_get_worse_by_a_hundredth(failed):
    def of(value):  # the previous distance of by_order is 0.012
        return failed(*({"product": totals(value=value), "seed": seed} for seed in SEEDS))

    assert of(102.1) == of(97.9) == []
    assert of(102.3) == of(97.7) == ["value, by_order, distance from 1"]


def test_the_previous_distance_is_compared_with_the_same_seeds(failed):
    runs = [{"product": totals(orders=10.0), "seed": seed} for seed in SEEDS]
    other = {"product": totals(orders=11.0), "seed": 4}
    assert failed(*runs, other) == []
    assert failed(*[other | {"seed": seed} for seed in (4, 5)]) == [
        "orders, by_order, mean of seeds"
    ]


def test_every_stationary_store_has_a_previous_distance():
    assert set(PREVIOUS_DISTANCE) == set(STATIONARY)


def test_a_bound_on_a_figure_that_is_not_a_number_is_not_met():
    assert not Bound("figure", np.nan, 0.0, 1.0).is_met


def test_a_default_run_has_every_quarter_and_enough_flat_fits():
    quarters = {(3, 31), (6, 30), (9, 30), (12, 31)}
    for shape in ("season_30", "season_50", "q4_peak"):
        days = [STORES[name].as_of for name in SEASONAL if name.startswith(shape)]
        assert {(day.month, day.day) for day in days} == quarters
    assert {"rising", "falling", "sale_recent", "sale_year_ago"} <= set(CHANGING)
    assert sum(len(default_seeds(name)) for name in STATIONARY) >= 20
    assert len(default_seeds("weekly")) == len(default_seeds("small_250")) == 10
    assert default_seeds("by_order") == SEEDS
