"""An experiment in a simulated world: the treated differ by the effect alone."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from perennial.simulation import PROFILES, SimulationError, simulate
from perennial.simulation.baskets import PROMOTION, THANKS, Orders, discounts
from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Draws
from perennial.simulation.profiles import EFFECTS, Effect

START, END = date(2023, 7, 1), date(2025, 7, 10)
DAY = date(2024, 9, 1)
PLAIN = {"promotions": (), "peaks": (), "price_rise": 0.0, "gap_days": 0}
PLAIN |= {"refund_share": 0.0, "wholesale_share": 0.0}


def half(world) -> pd.DataFrame:
    """Give the heavy action to half of those who were customers."""
    orders = world.orders.to_pandas()
    past = orders.loc[orders["order_date"] < DAY, "customer_id"].unique()[::2]
    return pd.DataFrame({"customer_id": past, "day": DAY, "action": "heavy"})


@pytest.fixture(scope="module")
def worlds(world_of):
    base = world_of("coffee", 2_000, START, END)
    assignment = half(base)
    return base, simulate(2_000, START, END, 1, "coffee", assignment), assignment


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        one.reset_index(drop=True), two.reset_index(drop=True), check_exact=True
    )


def test_nothing_changes_before_the_first_action(worlds):
    base, treated, _ = worlds
    one, two = (w.orders.to_pandas().query("order_date < @DAY") for w in (base, treated))
    assert len(one) > 1_000
    same(one, two)


def test_nothing_changes_for_those_whom_no_action_reached(worlds):
    base, treated, assignment = worlds

    def untouched(world, name):
        """Rows of customers who were not treated, nor brought by a friend who was."""
        referrer = world.customers.to_pandas().set_index("customer_id")["referred_by"]
        reached = set(assignment["customer_id"])
        while more := set(referrer.index[referrer.isin(reached)]) - reached:
            reached |= more
        table = world.tables[name].to_pandas()
        return table[~table["customer_id"].isin(reached)]

    for name in ("orders", "customers", "nps", "reviews", "loyalty_events", "touches", "truth"):
        one = untouched(base, name)
        assert len(one) > 50, name
        same(one, untouched(treated, name))


def test_the_treated_order_more_and_use_the_incentive(worlds):
    base, treated, assignment = worlds
    own = set(assignment["customer_id"])

    def later(world):
        orders = world.orders.to_pandas()
        return orders[orders["customer_id"].isin(own) & (orders["order_date"] >= DAY)]

    assert len(later(treated)) > 1.05 * len(later(base))
    thanked = later(treated)[later(treated)["discount_code"] == "THANKYOU"]
    assert len(thanked) > 50
    assert not (later(base)["discount_code"] == "THANKYOU").any()
    share = thanked["discount_amount"] / thanked["gross_amount"]
    assert share.max() == pytest.approx(EFFECTS["heavy"].incentive, abs=0.01)
    days = (pd.to_datetime(thanked["order_date"]) - pd.Timestamp(DAY)).dt.days
    assert days.between(0, 59).all()


def test_every_action_is_a_touch_with_its_cost(worlds):
    _, treated, assignment = worlds
    touches = treated.touches.to_pandas()
    sent = touches[touches["action"].notna()]
    assert sorted(sent["customer_id"]) == sorted(assignment["customer_id"])
    assert set(sent["action"]) == {"heavy"}
    assert set(sent["cost_amount"]) == {EFFECTS["heavy"].cost}


# Everybody earns alike, and the electronics store's customers come often enough to be counted on.
WATCHED = {
    "coffee": (6_000, {}),
    "apparel": (6_000, {}),
    "electronics": (6_000, {"mean_gap_days": 150.0}),
    "textbook": (12_000, {}),
}


@pytest.mark.parametrize("profile", WATCHED)
def test_the_truth_is_the_effect_that_worlds_with_and_without_the_action_show(profile):
    customers, more = WATCHED[profile]
    store = replace(PROFILES[profile], **PLAIN, **more, cost_share=0.45)
    world = simulate(customers, START, END, 5, store)
    days = world.orders.to_pandas().sort_values("ordered_at")
    turn = 1 if store.dropout == "bg" else 0  # after the first order nobody leaves in BG/NBD
    asked = days[days.groupby("customer_id").cumcount() == turn]
    asked = asked[asked["order_date"] < date(2024, 7, 1)].set_index("customer_id")["order_date"]
    asked = pd.to_datetime(asked)
    truth = world.truth.to_pandas().set_index("customer_id").loc[asked.index]
    treated = pd.DataFrame({"customer_id": asked.index, "day": asked + pd.Timedelta(days=1)})
    treated = treated.assign(action="heavy")
    before = in_the_year_after(asked, world)
    after = in_the_year_after(asked, simulate(customers, START, END, 5, store, treated))
    for what, unit in (("orders", 1.0), ("margin", truth["spend_level"])):
        gain = (after[what] - before[what]) / unit
        result = (truth[f"heavy_extra_{what}"] / unit).mean()
        tolerance = 4 * gain.std() / np.sqrt(len(gain))
        assert tolerance < 0.3 * result, what
        assert gain.mean() == pytest.approx(result, abs=tolerance), what


def in_the_year_after(asked: pd.Series, world) -> pd.DataFrame:
    orders = world.orders.to_pandas()
    cost = world.order_lines.to_pandas().groupby("order_id")["cost_amount"].sum()
    orders["margin"] = orders["net_amount"] - orders["order_id"].map(cost)
    since = (pd.to_datetime(orders["order_date"]) - orders["customer_id"].map(asked)).dt.days
    year = orders[since.between(1, 365)].groupby("customer_id")
    actual = year.agg(orders=("margin", "size"), margin=("margin", "sum"))
    return actual.reindex(asked.index).fillna(0)


def test_a_later_action_ends_the_effect_of_the_one_before(world_of):
    base = world_of("coffee", 2_000, START, END)
    once = half(base)
    again = pd.concat([once, once.assign(day=date(2024, 9, 2), action="light")])
    orders = simulate(2_000, START, END, 1, "coffee", again).orders.to_pandas()
    thanked = orders[orders["discount_code"] == "THANKYOU"]
    assert set(thanked["order_date"]) <= {DAY}


def test_an_action_takes_no_chance_to_be_kept_from_a_later_one(world_of, monkeypatch):
    monkeypatch.setitem(EFFECTS, "light", Effect(lift=0.0, keep=0.0, incentive=0.0, cost=0.3))
    base = world_of("coffee", 2_000, START, END)
    heavy = half(base).assign(day=date(2024, 9, 2))
    both = pd.concat([heavy, heavy.assign(day=DAY, action="light")])
    one, two = (simulate(2_000, START, END, 1, "coffee", given) for given in (heavy, both))
    assert one.orders.num_rows > base.orders.num_rows
    same(one.orders.to_pandas(), two.orders.to_pandas())


def test_whoever_is_kept_comes_back_on_the_first_day_that_wins(world_of, monkeypatch):
    monkeypatch.setitem(EFFECTS, "standard", EFFECTS["heavy"])
    base = world_of("coffee", 2_000, START, END)
    heavy = half(base)
    later = date(2024, 9, 20)
    both = pd.concat([heavy, heavy.assign(day=later, action="standard")])
    one, two = (simulate(2_000, START, END, 1, "coffee", given) for given in (heavy, both))
    one, two = (w.orders.to_pandas() for w in (one, two))
    same(*(orders[orders["order_date"] < later] for orders in (one, two)))


def test_an_action_never_replaces_a_larger_sale(somebody):
    calendar, draws = Calendar(PROFILES["coffee"], START, END), Draws(1)
    people = somebody(calendar, 5_000)
    time = (date(2023, 11, 24) - START).days + 0.5
    orders = Orders(np.arange(5_000), np.full(5_000, 2), np.full(5_000, time), people.key)
    plain = discounts(orders, people, np.zeros(5_000), calendar, draws)
    on_sale = plain.code == PROMOTION
    assert 0.2 < on_sale.mean() < 0.9
    for incentive in (0.05, 0.4):
        given = discounts(orders, people, np.full(5_000, incentive), calendar, draws)
        assert (given.share == np.maximum(plain.share, incentive)).all()
        assert ((given.code == PROMOTION) == (on_sale & (incentive < 0.25))).all()
        assert (given.code[given.code != PROMOTION] == THANKS).all()


def test_actions_for_those_who_are_no_customers_yet_do_nothing(world_of):
    base = world_of("coffee", 300, START, END)
    last = base.customers.to_pandas()["customer_id"].iloc[[-1]]
    past = base.customers.to_pandas()["customer_id"].iloc[[0]]
    early = pd.DataFrame(
        {"customer_id": [*last, *past], "day": date(2023, 9, 1), "action": "light"}
    )
    world = simulate(300, START, END, 1, "coffee", early)
    actions = world.touches.to_pandas().dropna(subset="action")
    assert list(actions["customer_id"]) == list(past)


GOOD = {"customer_id": ["c" + "0" * 16], "day": [DAY], "action": ["heavy"]}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"action": ["huge"]}, "one of heavy, standard, light: 'huge'"),
        ({"day": [date(2022, 1, 1)]}, "from 2023-07-01 to before 2025-07-10: 1 of 1"),
        ({"day": ["soon"]}, "customers and days"),
        ({"customer_id": ["17850"]}, "'17850' is no simulated customer's id"),
        ({"customer_id": ["c" + "z" * 16]}, "customers and days"),
        ({"customer_id": ["c+23456789abcdef0"]}, "is no simulated customer's id"),
        ({"customer_id": ["C" + "0" * 16]}, "is no simulated customer's id"),
        ({"customer_id": ["c" + "F" * 16]}, "is no simulated customer's id"),
        ({"customer_id": ["c-0000000000000001"]}, "is no simulated customer's id"),
        ({"customer_id": [None]}, "is no simulated customer's id"),
        ({"day": [pd.Timestamp(DAY, tz="UTC")]}, "store's own: .* in the time zone UTC"),
        ({"day": [pd.Timestamp(DAY, tz="Asia/Tokyo")]}, r"tz_convert\('America/New_York'\)"),
        ({}, "none of 1 actions is"),
    ],
)
def test_a_bad_assignment_says_what_is_wrong(wrong, words):
    with pytest.raises(SimulationError, match=words):
        simulate(50, START, END, 1, "coffee", pd.DataFrame(GOOD | wrong))


def test_an_assignment_without_its_columns_says_which():
    with pytest.raises(SimulationError, match="day, action is missing"):
        simulate(50, START, END, 1, "coffee", pd.DataFrame({"customer_id": ["c1"]}))


@pytest.mark.parametrize("action", ["heavy", "light"])
def test_two_actions_for_a_customer_on_a_day_are_refused(action):
    one, other = pd.DataFrame(GOOD), pd.DataFrame(GOOD | {"action": [action]})
    more = pd.concat([one, other.assign(day="2024-09-01"), one.assign(day=date(2024, 9, 2))])
    words = "one action a day at most: 1 of 3 rows .* c0000000000000000 on 2024-09-01. Keep one"
    with pytest.raises(SimulationError, match=words):
        simulate(50, START, END, 1, "coffee", more)
