"""Each dirty form holds the clean history: read by its documented rules, the orders come back."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from perennial.simulation import PROFILES, simulate
from perennial.simulation.forms import FORMS, stripe, woocommerce

CENT = 0.0101  # tax on a refund is rounded to a cent


def read_shopify(form) -> pd.DataFrame:
    rows = pd.concat(form.files.values()).drop_duplicates()
    first = rows[rows["Financial Status"] != ""].set_index("Name")
    amounts = first[["Subtotal", "Taxes", "Refunded Amount"]].astype(float)
    gifts = rows[rows["Lineitem name"] == "Gift Card"].set_index("Name")["Lineitem price"]
    goods = amounts["Subtotal"] - gifts.astype(float).reindex(first.index).fillna(0)
    untaxed = amounts["Refunded Amount"] / (1 + amounts["Taxes"] / goods.where(goods > 0, 1))
    keep = (
        (first["Cancelled at"] == "")
        & (first["Payment Method"] != "bogus")
        & ~first["Financial Status"].isin(["refunded", "voided"])
        & (goods > 0)
        & ((first["Email"] != "") | (first["Phone"] != ""))
    )
    frame = pd.DataFrame(
        {
            "net_amount": goods - untaxed,
            "at": pd.to_datetime(first["Created at"], utc=True),
            "who": first["Email"].str.strip().str.lower(),
            "phone": first["Phone"],
        }
    )
    return frame[keep]


def read_woocommerce(form) -> pd.DataFrame:
    (rows,) = form.files.values()
    rows = rows[rows["status"].isin(["completed", "processing"])].set_index("order_id")
    lines = rows.filter(like="line_item_").melt(ignore_index=False)["value"]
    parts = lines.str.extract(
        r"name:(.*?)\|.*\|total:([\d.]+)\|sub_total:[\d.]+(?:\|refunded:(.*))?"
    )
    parts = parts[parts[0] != "Gift Card"].fillna({2: 0})
    goods, refund = (parts[part].astype(float).groupby(level=0).sum() for part in (1, 2))
    goods, refund = goods.reindex(rows.index), refund.reindex(rows.index)
    at = pd.to_datetime(rows["order_date"]).dt.tz_localize("America/Los_Angeles", ambiguous=True)
    past = (goods > 0) & ((rows["billing_email"] != "") | (rows["customer_id"] != "0"))
    frame = pd.DataFrame(
        {
            "net_amount": goods - refund,
            "at": at.dt.tz_convert("UTC"),
            "who": rows["billing_email"].str.strip().str.lower(),
            "phone": rows["billing_phone"],
        }
    )
    return frame[past]


def read_stripe(form) -> pd.DataFrame:
    (rows,) = form.files.values()
    rows = rows[(rows["Status"] == "Paid") & (rows["Mode"] == "Live")].set_index(
        "PaymentIntent ID"
    )
    money = rows[["Converted Amount", "Converted Amount Refunded", "Tax"]].astype(float)
    goods = money["Converted Amount"] - money["Tax"]
    untaxed = money["Converted Amount Refunded"] / (1 + money["Tax"] / goods.where(goods > 0, 1))
    frame = pd.DataFrame(
        {
            "net_amount": goods - untaxed,
            "at": pd.to_datetime(rows["Created (UTC)"], utc=True),
            "who": rows["Customer Email"].str.strip().str.lower(),
            "phone": "",
        }
    )
    return frame[(goods > 0) & (rows["Customer Email"] != "")]


def read_fivetran(form) -> pd.DataFrame:
    files = form.files
    orders = files["order.parquet"]
    orders = orders[~orders["_fivetran_deleted"] & ~orders["test"] & orders["cancelled_at"].isna()]
    orders = orders[~orders["financial_status"].isin(["refunded", "voided"])].set_index("id")
    lines = files["order_line.parquet"]
    goods = lines[~lines["gift_card"]].assign(
        net=lambda t: t["price"] * t["quantity"] - t["total_discount"]
    )
    goods = goods.groupby("order_id")["net"].sum().reindex(orders.index)
    refunds = files["order_line_refund.parquet"].merge(
        files["refund.parquet"], left_on="refund_id", right_on="id"
    )
    back = refunds.groupby("order_id")["subtotal"].sum().reindex(orders.index).fillna(0)
    frame = pd.DataFrame(
        {
            "net_amount": goods - back,
            "at": orders["created_at"],
            "who": orders["email"].str.strip().str.lower(),
            "phone": orders["phone"].fillna(""),
        }
    )
    frame.index = frame.index.astype(str)
    past = (goods > 0.001) & (orders["email"].notna() | orders["phone"].notna())
    return frame[past.to_numpy()]


READERS = {
    "shopify": read_shopify,
    "woocommerce": read_woocommerce,
    "stripe": read_stripe,
    "fivetran": read_fivetran,
}


@pytest.mark.parametrize("name", FORMS)
def test_read_by_its_rules_a_form_gives_the_expected_orders(name, forms):
    actual = READERS[name](forms[name])
    expected = forms[name].expected.set_index("order_id")
    assert set(actual.index) == set(expected.index)
    assert actual.index.is_unique
    actual = actual.reindex(expected.index)
    assert np.abs(actual["net_amount"] - expected["net_amount"]).max() < CENT
    assert (actual["at"] == expected["ordered_at"].dt.floor("s")).all()


@pytest.mark.parametrize("name", FORMS)
def test_the_expected_customers_are_those_that_e_mail_and_phone_can_tell(name, forms):
    actual = READERS[name](forms[name])
    expected = forms[name].expected.set_index("order_id")
    actual["known_as"] = expected["known_as"].reindex(actual.index)
    # One e-mail or one phone never belongs to two of the expected customers ...
    assert actual.groupby("who")["known_as"].nunique().max() == 1
    phones = actual[actual["phone"] != ""]
    assert phones.groupby("phone")["known_as"].nunique().le(1).all()
    # ... and each of them is held together by one or the other.
    names = actual.groupby("known_as")["who"].nunique()
    apart = actual[actual["known_as"].isin(names.index[names > 1])]
    assert (apart["phone"] != "").all()
    assert (names > 1).any() == (name != "stripe")


@pytest.mark.parametrize("name", FORMS)
def test_the_expected_orders_are_the_worlds_own(name, forms, apparel, counts):
    expected = forms[name].expected
    orders = apparel.orders.to_pandas()
    assert len(expected) == len(orders)
    assert set(expected["customer_id"]) == set(orders["customer_id"])
    late = counts(forms[name]).get("refund_not_known", 0)
    more = expected["net_amount"].sum() - orders["net_amount"].sum()
    assert more == pytest.approx(0, abs=0.01) if not late else more > 0


@pytest.mark.parametrize("name", FORMS)
def test_every_trap_was_planted(name, forms, counts):
    planted = counts(forms[name])
    assert all(count > 0 for count in planted.values()), planted
    common = {"canceled", "refunded", "test", "no_customer", "partly_refunded"}
    assert set(planted) >= common | {"email_spelling", "guest_unknown", "guest_other_email"}
    assert ("free" in planted) == (name != "stripe")  # nobody is charged nothing


def test_a_careless_reader_is_caught(forms):
    # What the traps are for: summing a Shopify export's Total over rows, or keeping every order.
    rows = pd.concat(forms["shopify"].files.values())
    totals = pd.to_numeric(rows["Total"]).sum()
    assert totals > 1.1 * forms["shopify"].expected["net_amount"].sum()
    assert rows["Name"].nunique() > len(forms["shopify"].expected)


NOBODY, DAY = date(2024, 1, 1), date(2024, 1, 2)


@pytest.mark.parametrize("name", FORMS)
def test_a_world_without_orders_has_every_form(name, forms, counts):
    world = simulate(1, NOBODY, DAY, 1, "apparel")
    assert not world.orders.num_rows
    form = FORMS[name](world)
    assert not len(form.expected)
    assert list(form.expected) == list(forms[name].expected)
    assert set(counts(form).values()) == {0}
    for file, frame in form.files.items():
        full = forms[name].files[file]
        full = full.drop(columns=[column for column in full if column.startswith("line_item_")])
        assert not len(frame)
        pd.testing.assert_series_equal(frame.dtypes, full.dtypes)
        assert pa.Schema.from_pandas(frame).types == pa.Schema.from_pandas(full[:0]).types, file


@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_worlds_have_every_form(seed):
    world = simulate(20, NOBODY, date(2024, 3, 1), seed, "textbook")
    for name, make in FORMS.items():
        form = make(world)
        assert set(READERS[name](form).index) == set(form.expected["order_id"]), name


def test_in_the_hour_that_comes_twice_orders_are_of_the_first_time():
    form = woocommerce(simulate(400_000, date(2024, 11, 3), date(2024, 11, 4), 1, "apparel"))
    actual, expected = read_woocommerce(form), form.expected.set_index("order_id")
    twice = expected["ordered_at"].between("2024-11-03 08:00Z", "2024-11-03 08:59:59Z")
    assert twice.any()
    assert (actual["at"].reindex(expected.index) == expected["ordered_at"]).all()


@pytest.mark.parametrize(("home", "other"), [("EUR", "usd"), ("CHF", "eur"), ("JPY", "eur")])
def test_a_store_may_be_paid_in_any_currency(home, other):
    store = replace(PROFILES["coffee"], currency=home)
    form = stripe(simulate(100, NOBODY, date(2024, 12, 1), 1, store))
    (rows,) = form.files.values()
    assert set(rows["Currency"]) == {home.lower(), other}
    assert set(rows["Converted Currency"]) == {home.lower()}
    assert set(read_stripe(form).index) == set(form.expected["order_id"])
