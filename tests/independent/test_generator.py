"""The generator against closed forms, and what its truth may depend on."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.independent.generator import (
    StoreSpec,
    customer_ids,
    draw_people,
    multipliers,
    simulate,
    walk_history,
)
from tests.independent.stores import STORES

CLOCK = StoreSpec("clock", dropout="by_clock", customers=40_000, days=720)
ORDERS = StoreSpec("orders", customers=20_000, days=720)


def history(spec):
    """Return people and later orders, without futures."""
    rng = np.random.default_rng(spec.seed)
    people = draw_people(rng, spec)
    return people, walk_history(rng, spec, people)


def test_mean_purchases_of_pareto_nbd_are_those_of_the_paper():
    people, walk = history(CLOCK)
    T = CLOCK.days - people.arrival
    r, alpha, s, beta = CLOCK.r, CLOCK.alpha, CLOCK.s, CLOCK.beta
    expected = r * beta / (alpha * (s - 1)) * (1 - (beta / (beta + T)) ** (s - 1))
    assert len(walk.who) / expected.sum() == pytest.approx(1, abs=0.03)
    active = (beta / (beta + T)) ** s
    assert walk.is_active.mean() == pytest.approx(active.mean(), abs=0.01)


@pytest.mark.parametrize("leaves_after_first", [True, False])
def test_purchases_after_which_customers_leave_are_geometric_in_the_long_run(leaves_after_first):
    spec = replace(ORDERS, b=4.0, r=30.0, alpha=3.0, leaves_after_first=leaves_after_first)
    people, walk = history(replace(spec, days=3_000))
    x = np.bincount(walk.who, minlength=spec.customers)
    is_over = people.arrival < 2_000  # ten orders a day: all but the most faithful have left
    p_none = spec.a / (spec.a + spec.b) if leaves_after_first else 0.0
    assert (x[is_over] == 0).mean() == pytest.approx(p_none, abs=0.01)
    stays = spec.b / (spec.a + spec.b)
    p_one = stays * spec.a / (spec.a + spec.b + 1)  # E[(1 - p) p]
    if not leaves_after_first:
        p_one = 1 - stays
    assert (x[is_over] == 1).mean() == pytest.approx(p_one, abs=0.01)


def test_mean_spend_is_that_of_gamma_gamma():
    spec = replace(ORDERS, q=8.0, gamma=58.0, alpha=1e6)  # nobody returns
    amounts = simulate(spec, futures=1).orders["net_amount"]
    assert amounts.mean() == pytest.approx(spec.p * spec.gamma / (spec.q - 1), rel=0.02)


def test_order_values_of_a_customer_vary_as_a_gamma_with_that_shape():
    store = simulate(replace(ORDERS, b=30.0, customers=3_000), futures=1)
    scaled = store.orders["net_amount"] / store.orders["customer_id"].map(
        store.latent["mean_order"]
    )
    assert scaled.mean() == pytest.approx(1, abs=0.01)
    assert scaled.var() == pytest.approx(1 / store.spec.p, rel=0.05)


def test_the_peak_has_its_share_of_repeat_orders():
    spec = replace(ORDERS, q4_peak=2.2, a=0.001, b=1_000.0, days=730)
    people, walk = history(spec)
    index = multipliers(spec)
    days = np.arange(spec.days)
    exposed = index[: spec.days] * (people.arrival[:, None] < days).sum(axis=0)
    is_peak = index[: spec.days] > 1
    share = is_peak[walk.when.astype(int)].mean()
    assert share == pytest.approx(exposed[is_peak].sum() / exposed.sum(), abs=0.005)
    assert index.max() / index.min() == pytest.approx(2.2)


def test_subscriptions_have_regular_gaps_that_season_and_start_do_not_shift():
    spec = replace(ORDERS, r=5_000.0, alpha=150_000.0, regularity=10, a=0.001, b=1_000.0)
    _, walk = history(replace(spec, customers=2_000))
    gaps = pd.Series(walk.when).groupby(walk.who).diff().dropna()
    assert gaps.mean() == pytest.approx(30, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(10**-0.5, rel=0.05)


def test_arrivals_grow_by_what_is_asked():
    arrival = np.sort(draw_people(np.random.default_rng(1), replace(ORDERS, growth=5.0)).arrival)
    tenth = ORDERS.days / 10
    late, early = (arrival > 9 * tenth).sum(), (arrival < tenth).sum()
    assert late / early == pytest.approx(5**0.9, rel=0.1)


def test_the_same_seed_gives_the_same_store_and_another_one_another():
    spec = replace(ORDERS, customers=300, signal_keep=0.3)
    one, same, other = simulate(spec), simulate(spec), simulate(replace(spec, seed=2))
    pd.testing.assert_frame_equal(one.orders, same.orders)
    pd.testing.assert_frame_equal(one.lines, same.lines)
    pd.testing.assert_frame_equal(one.truth, same.truth)
    assert not one.truth.equals(other.truth)


def test_the_history_and_the_realized_future_do_not_depend_on_how_the_truth_is_simulated():
    spec = replace(ORDERS, customers=2_000)
    few, many = simulate(spec, futures=2), simulate(spec, futures=40)
    pd.testing.assert_frame_equal(few.orders, many.orders)
    pd.testing.assert_frame_equal(few.future, many.future)
    assert few.orders["ordered_at"].max() < pd.Timestamp(spec.as_of) + pd.Timedelta(days=1)
    assert set(few.orders["customer_id"]) == set(few.truth.index)


def test_the_truth_is_the_closed_form_of_who_never_leaves():
    spec = replace(ORDERS, customers=2_000, a=0.001, b=1_000.0, alpha=1_200.0)
    store = simulate(spec, futures=100)
    a_day = 1 - np.exp(-store.latent["rate"])  # several orders on a day are one purchase
    assert (store.truth["orders_365"] / (365 * a_day)).mean() == pytest.approx(1, abs=0.02)
    total = (365 * store.latent["rate"] * store.latent["mean_order"]).sum()
    assert store.truth["value_365"].sum() == pytest.approx(total, rel=0.02)
    assert (store.truth["orders_90"].sum() / store.truth["orders_365"].sum()) == pytest.approx(
        90 / 365, rel=0.02
    )


def test_the_phase_of_a_subscription_carries_into_its_futures():
    spec = replace(ORDERS, r=5_000.0, alpha=750_000.0, regularity=50, a=0.001, b=1_000.0)
    store = simulate(replace(spec, customers=2_000), futures=10)  # an order about every 150 days
    late, early = (store.latent["phase"] > 45), (store.latent["phase"] < 10)
    assert store.truth["orders_90"][late].mean() == pytest.approx(1, abs=0.01)
    assert store.truth["orders_90"][early].mean() < 0.05


def test_a_planted_signal_is_in_the_lines_and_discounts():
    store = simulate(replace(ORDERS, signal_keep=0.25, b=19.0), futures=1)
    first = store.orders.merge(store.lines, on="order_id").groupby("customer_id").first()
    assert ((first["category"] == "good") == store.latent["is_good"]).all()
    assert ((first["discount_amount"] > 0) == store.latent["is_discounted"]).all()
    assert set(store.lines["product_id"]) == {f"p{i}" for i in range(8)}
    stays = 1 - store.latent["leave_first"]
    means = stays.groupby([store.latent["is_good"], store.latent["is_discounted"]]).mean()
    assert means.to_list() == pytest.approx([0.25, 0.125, 0.5, 0.25])


def test_prices_rise_half_a_year_before_the_end():
    store = simulate(replace(ORDERS, price_rise=1.35, b=30.0, customers=4_000), futures=20)
    scaled = store.orders["net_amount"] / store.orders["customer_id"].map(
        store.latent["mean_order"]
    )
    is_late = store.orders["ordered_at"] >= pd.Timestamp(date(2025, 12, 31)) - pd.Timedelta(
        181, "D"
    )
    assert scaled[is_late].mean() / scaled[~is_late].mean() == pytest.approx(1.35, rel=0.02)
    by_order = store.truth["value_365"].sum() / (
        (store.truth["orders_365"] * store.latent["mean_order"]).sum()
    )
    assert by_order == pytest.approx(1.35, rel=0.03)


def test_customers_are_named_by_row():
    assert customer_ids(2).to_list() == ["c00000", "c00001"]


LOYAL = replace(ORDERS, customers=4_000, a=0.001, b=1_000.0)  # nobody leaves


def test_multipliers_are_one_where_nothing_is_planted():
    assert (multipliers(StoreSpec("flat")) == 1).all()


def test_a_pace_trend_is_exponential_up_to_the_as_of_day_and_constant_after_it():
    index = multipliers(StoreSpec("trend", days=5, pace_trend=16.0))
    assert index[:5] == pytest.approx([1, 2, 4, 8, 16])
    assert (index[5:] == 16).all()


@pytest.mark.parametrize("trend", [1.6, 0.6])
def test_repeat_orders_follow_the_integral_of_the_pace_trend(trend):
    spec = replace(LOYAL, pace_trend=trend)
    people, walk = history(spec)
    slope = np.log(trend) / spec.days
    exposed = (trend - np.exp(slope * people.arrival)) / slope
    assert len(walk.who) / (people.rate * exposed).sum() == pytest.approx(1, abs=0.02)


def test_the_future_keeps_the_last_pace():
    store = simulate(replace(LOYAL, pace_trend=1.6, alpha=1_200.0))
    a_day = 1 - np.exp(-1.6 * store.latent["rate"])
    assert store.truth["orders_365"].sum() / (365 * a_day).sum() == pytest.approx(1, abs=0.02)


def test_a_sale_lifts_its_days_and_no_others():
    index = multipliers(StoreSpec("sale", days=10, sale_days_ago=6, sale_length=3, sale_lift=2.0))
    assert index[:10].tolist() == [1, 1, 1, 2, 2, 2, 1, 1, 1, 1]  # day 9 is the as-of day
    assert (index[10:] == 1).all()


def test_repeat_orders_of_a_sale_are_lifted_and_the_future_is_not():
    spec = replace(LOYAL, sale_days_ago=60)
    _, walk = history(spec)
    day = walk.when.astype(int) - (spec.days - 1 - 60)
    before, during = ((day >= -14) & (day < 0)).sum(), ((day >= 0) & (day < 14)).sum()
    assert during / before == pytest.approx(3, rel=0.1)
    store = simulate(replace(spec, alpha=1_200.0))
    a_day = 1 - np.exp(-store.latent["rate"])
    assert store.truth["orders_365"].sum() / (365 * a_day).sum() == pytest.approx(1, abs=0.02)


def test_the_weekly_store_has_random_orders_a_week_apart():
    spec = STORES["weekly"]
    assert spec.regularity == 1
    assert spec.r / spec.alpha == pytest.approx(1 / 7)
    _, walk = history(
        replace(spec, customers=500, r=4e6, alpha=28e6, a=0.001, b=1_000.0)
    )  # all loyal, at the mean rate
    gaps = pd.Series(walk.when).groupby(walk.who).diff().dropna()
    assert gaps.mean() == pytest.approx(7, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(1, rel=0.02)


def test_chances_and_first_orders_of_who_never_leaves_are_exponential():
    store = simulate(replace(LOYAL, alpha=240.0), futures=50)
    rate = store.latent["rate"]
    expected = (1 - np.exp(-90 * rate)).mean()
    assert store.truth["p_order_90"].mean() == pytest.approx(expected, abs=0.003)
    for days in (1, 30, 365):
        share = (store.future["first_order_day"] <= days).mean()
        assert share == pytest.approx((1 - np.exp(-days * rate)).mean(), abs=0.02)


def test_chances_and_first_orders_agree_with_the_orders_of_the_same_futures():
    store = simulate(replace(ORDERS, customers=2_000))
    truth, future = store.truth, store.future
    assert ((truth["p_order_90"] > 0) == (truth["orders_90"] > 0)).all()
    assert (truth["p_order_90"] <= np.minimum(truth["orders_90"], 1)).all()
    assert (truth.loc[~store.latent["is_active"], "p_order_90"] == 0).all()
    day, time = future["first_order_day"], future["first_order_time"]
    assert (np.isfinite(day) == (future["orders_365"] > 0)).all()
    assert ((day <= 90) == (future["orders_90"] > 0)).all()
    assert (future["p_order_90"] == (day <= 90)).all()
    assert (np.ceil(time) == day).all()
    assert day.min() >= 1
    assert day[np.isfinite(day)].max() <= 365
