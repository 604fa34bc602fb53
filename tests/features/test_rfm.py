"""Customer state by hand, against lifetimes, and blind to the future."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifetimes.utils import summary_data_from_transaction_data

from features.rfm import customer_state, spend_cells, state_cells
from features.tables import CustomerState

AS_OF = date(2024, 3, 31)
START = date(2024, 1, 1)

histories = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cem", "dua"]),
        st.integers(0, 120).map(lambda n: START + timedelta(days=n)),
        st.integers(1, 50_000).map(lambda cents: cents / 100),
    ),
    min_size=1,
    max_size=40,
)


def state_of(engine, orders, as_of=AS_OF):
    return engine.frame(customer_state(orders, as_of).order_by("customer_id"))


def test_state_of_a_hand_made_history(engine, orders_of):
    """Ann buys on 1, 11 (twice) and 31 January; Bob once; as of 10 February."""
    orders = orders_of(
        [
            ("ann", date(2024, 1, 1), 10.0),
            ("ann", date(2024, 1, 11), 20.0),
            ("ann", date(2024, 1, 11), 5.0),
            ("ann", date(2024, 1, 31), 35.0),
            ("bob", date(2024, 2, 10), 7.5),
            ("bob", date(2024, 2, 11), 99.0),
        ]
    )
    ann, bob = state_of(engine, orders, date(2024, 2, 10)).to_dict("records")
    assert (ann["frequency"], ann["recency_days"], ann["age_days"]) == (2, 30, 40)
    assert (ann["monetary_value"], ann["revenue"], ann["orders"]) == (30.0, 70.0, 4)
    assert ann["first_amount"] == 10.0
    assert (bob["frequency"], bob["recency_days"], bob["age_days"]) == (0, 0, 0)
    assert (bob["monetary_value"], bob["revenue"], bob["orders"]) == (0.0, 7.5, 1)
    assert pd.Timestamp(bob["last_order_date"]).date() == date(2024, 2, 10)


def test_the_discount_share_is_of_the_first_day(engine, orders_of):
    row = {"customer_id": "ann", "net_amount": 15.0, "gross_amount": 20.0, "discount_amount": 5.0}
    later = {**row, "order_date": date(2024, 1, 9), "discount_amount": 20.0}
    orders = orders_of([{**row, "order_date": date(2024, 1, 5)}, later])
    assert state_of(engine, orders)["first_discount_share"].tolist() == [0.25]


def test_a_discount_that_is_not_given_has_no_share(engine, orders_of):
    actual = state_of(engine, orders_of([("ann", START, 10.0)]))
    assert actual["first_discount_share"].isna().all()


def test_columns_are_those_of_the_contract(engine, orders_of):
    state = customer_state(orders_of([("ann", START, 10.0)]), AS_OF)
    assert {name: str(kind) for name, kind in state.schema().items()} == CustomerState.schema()


@settings(deadline=None, max_examples=60)
@given(histories)
def test_state_equals_lifetimes_summary(engine, orders_of, rows):
    past = [row for row in rows if row[1] <= AS_OF]
    if not past:
        return
    ours = state_of(engine, orders_of(rows)).set_index("customer_id")
    frame = pd.DataFrame(past, columns=["id", "at", "amount"])
    theirs = summary_data_from_transaction_data(
        frame, "id", "at", "amount", observation_period_end=pd.Timestamp(AS_OF)
    )
    assert ours["frequency"].tolist() == theirs["frequency"].astype(int).tolist()
    assert ours["recency_days"].tolist() == theirs["recency"].astype(int).tolist()
    assert ours["age_days"].tolist() == theirs["T"].astype(int).tolist()
    assert ours["monetary_value"].tolist() == pytest.approx(theirs["monetary_value"].tolist())
    assert ours.index.tolist() == theirs.index.tolist()


@settings(deadline=None, max_examples=30)
@given(histories, histories)
def test_what_comes_later_changes_nothing(engine, orders_of, rows, others):
    past = [row for row in rows if row[1] <= AS_OF]
    if not past:
        return
    later = [(who, day + timedelta(days=365), amount) for who, day, amount in others]
    before = state_of(engine, orders_of(past))
    after = state_of(engine, orders_of(past + later))
    pd.testing.assert_frame_equal(before, after, check_exact=True)


@settings(deadline=None, max_examples=20)
@given(histories, st.randoms())
def test_row_order_changes_nothing(engine, orders_of, rows, random):
    shuffled = random.sample(rows, len(rows))
    before, after = state_of(engine, orders_of(rows)), state_of(engine, orders_of(shuffled))
    pd.testing.assert_frame_equal(before, after, check_exact=True)


@settings(deadline=None, max_examples=30)
@given(histories, st.booleans())
def test_what_a_history_has_none_of_need_not_be_summed(engine, orders_of, rows, has_zero):
    free = [("ann", START, 0.0), ("eve", START, 0.0)] if has_zero else []
    orders = orders_of(rows + free)
    less = orders.drop("gross_amount", "discount_amount")
    state = customer_state(less, AS_OF, has_refunds=False)
    frame = engine.frame(state.order_by("customer_id"))
    pd.testing.assert_frame_equal(frame, state_of(engine, orders), check_exact=True)


def test_a_refund_is_told_apart_where_there_are_any(engine, orders_of):
    """Taken for a purchase, Bob's refund would be his second."""
    orders = orders_of([("bob", START, 10.0), ("bob", date(2024, 1, 9), -4.0)])
    assert state_of(engine, orders)[["frequency", "revenue"]].to_numpy().tolist() == [[0.0, 6.0]]
    state = engine.frame(customer_state(orders, AS_OF, has_refunds=False))
    assert state["frequency"].tolist() == [1]


def test_cents_add_up_exactly(engine, orders_of):
    """As floats, ten times 0.1 is not 1."""
    rows = [("ann", START + timedelta(days=n), 0.1) for n in range(10)]
    assert state_of(engine, orders_of(rows))["revenue"].tolist() == [1.0]


@settings(deadline=None, max_examples=20)
@given(histories)
def test_cells_count_every_customer_once(engine, orders_of, rows):
    state = customer_state(orders_of(rows), date(2024, 12, 31))
    customers = engine.frame(state)
    cells, spends = engine.frame(state_cells(state)), engine.frame(spend_cells(state))
    assert cells["customers"].sum() == len(customers)
    assert not cells.duplicated(["frequency", "recency_days", "age_days"]).any()
    assert spends["customers"].sum() == (customers["frequency"] > 0).sum()
