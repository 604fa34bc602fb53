"""Each dirty form holds the clean history: read by its documented rules, the orders come back."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from features.synthetic import simulate
from features.synthetic.forms import FORMS, stripe
from features.synthetic.forms.shopify import COLUMNS

CENT = 0.0101  # tax on a refund is rounded to a cent


@pytest.fixture(scope="module")
def world():
    return simulate(1_500, date(2024, 1, 1), date(2025, 7, 1), 2, "apparel")


@pytest.fixture(scope="module")
def forms(world):
    return {name: make(world) for name, make in FORMS.items()}


def counts(form) -> dict[str, int]:
    return {trap.trap: trap.count for trap in form.planted}


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
    found = pd.DataFrame(
        {
            "net_amount": goods - untaxed,
            "at": pd.to_datetime(first["Created at"], utc=True),
            "who": first["Email"].str.strip().str.lower(),
            "phone": first["Phone"],
        }
    )
    return found[keep]


def read_woocommerce(form) -> pd.DataFrame:
    (rows,) = form.files.values()
    rows = rows[rows["status"].isin(["completed", "processing"])].set_index("order_id")
    lines = rows.filter(like="line_item_").melt(ignore_index=False)["value"]
    totals = lines.str.extract(r"name:(.*?)\|.*\|total:([\d.]+)")
    gifts = totals[totals[0] == "Gift Card"][1].astype(float).groupby(level=0).sum()
    goods = (rows["order_subtotal"].astype(float) - rows["discount_total"].astype(float)).sub(
        gifts, fill_value=0
    )
    refund = rows["refund_items"].str.extract(r"amount:([\d.]+)")[0].astype(float).fillna(0)
    at = pd.to_datetime(rows["order_date"]).dt.tz_localize("America/Los_Angeles", ambiguous=False)
    known = (goods > 0) & ((rows["billing_email"] != "") | (rows["customer_id"] != "0"))
    found = pd.DataFrame(
        {
            "net_amount": goods - refund,
            "at": at.dt.tz_convert("UTC"),
            "who": rows["billing_email"].str.strip().str.lower(),
            "phone": rows["billing_phone"],
        }
    )
    return found[known]


def read_stripe(form) -> pd.DataFrame:
    (rows,) = form.files.values()
    rows = rows[(rows["Status"] == "Paid") & (rows["Mode"] == "Live")].set_index(
        "PaymentIntent ID"
    )
    money = rows[["Converted Amount", "Converted Amount Refunded", "Tax"]].astype(float)
    goods = money["Converted Amount"] - money["Tax"]
    untaxed = money["Converted Amount Refunded"] / (1 + money["Tax"] / goods.where(goods > 0, 1))
    found = pd.DataFrame(
        {
            "net_amount": goods - untaxed,
            "at": pd.to_datetime(rows["Created (UTC)"], utc=True),
            "who": rows["Customer Email"].str.strip().str.lower(),
            "phone": "",
        }
    )
    return found[(goods > 0) & (rows["Customer Email"] != "")]


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
    found = pd.DataFrame(
        {
            "net_amount": goods - back,
            "at": orders["created_at"],
            "who": orders["email"].str.strip().str.lower(),
            "phone": orders["phone"].fillna(""),
        }
    )
    found.index = found.index.astype(str)
    known = (goods > 0.001) & (orders["email"].notna() | orders["phone"].notna())
    return found[known.to_numpy()]


READERS = {
    "shopify": read_shopify,
    "woocommerce": read_woocommerce,
    "stripe": read_stripe,
    "fivetran": read_fivetran,
}


@pytest.mark.parametrize("name", FORMS)
def test_read_by_its_rules_a_form_gives_the_expected_orders(name, forms):
    found = READERS[name](forms[name])
    expected = forms[name].expected.set_index("order_id")
    assert set(found.index) == set(expected.index)
    assert found.index.is_unique
    found = found.reindex(expected.index)
    assert np.abs(found["net_amount"] - expected["net_amount"]).max() < CENT
    assert (found["at"] == expected["ordered_at"].dt.floor("s")).all()


@pytest.mark.parametrize("name", FORMS)
def test_the_expected_customers_are_those_that_e_mail_and_phone_can_tell(name, forms):
    found = READERS[name](forms[name])
    expected = forms[name].expected.set_index("order_id")
    found["known_as"] = expected["known_as"].reindex(found.index)
    # One e-mail or one phone never belongs to two of the expected customers ...
    assert found.groupby("who")["known_as"].nunique().max() == 1
    phones = found[found["phone"] != ""]
    assert phones.groupby("phone")["known_as"].nunique().le(1).all()
    # ... and each of them is held together by one or the other.
    names = found.groupby("known_as")["who"].nunique()
    apart = found[found["known_as"].isin(names.index[names > 1])]
    assert (apart["phone"] != "").all()
    assert (names > 1).any() == (name != "stripe")


@pytest.mark.parametrize("name", FORMS)
def test_the_expected_orders_are_the_worlds_own(name, forms, world):
    expected = forms[name].expected
    orders = world.orders.to_pandas()
    assert len(expected) == len(orders)
    assert set(expected["customer_id"]) == set(orders["customer_id"])
    late = counts(forms[name]).get("refund_not_known", 0)
    more = expected["net_amount"].sum() - orders["net_amount"].sum()
    assert more == pytest.approx(0, abs=0.01) if not late else more > 0


@pytest.mark.parametrize("name", FORMS)
def test_every_trap_was_planted(name, forms):
    planted = counts(forms[name])
    assert all(count > 0 for count in planted.values()), planted
    common = {"canceled", "refunded", "free", "test", "no_customer", "partly_refunded"}
    assert set(planted) >= common | {"email_spelling", "guest_unknown", "guest_other_email"}


def test_a_careless_reader_is_caught(forms):
    # What the traps are for: summing a Shopify export's Total over rows, or keeping every order.
    rows = pd.concat(forms["shopify"].files.values())
    totals = pd.to_numeric(rows["Total"]).sum()
    assert totals > 1.1 * forms["shopify"].expected["net_amount"].sum()
    assert rows["Name"].nunique() > len(forms["shopify"].expected)


def test_shopifys_export_has_its_79_columns_and_order_columns_on_first_rows_only(forms):
    first, second = forms["shopify"].files.values()
    assert list(first.columns) == list(second.columns) == COLUMNS
    assert len(COLUMNS) == 79
    has_order = first["Financial Status"] != ""
    assert (has_order == ~first["Name"].duplicated()).all()
    assert (first.loc[~has_order, ["Total", "Currency", "Id"]] == "").all().all()
    both = set(first["Name"]) & set(second["Name"])
    assert len(both) == counts(forms["shopify"])["duplicate"] > 0
    assert first["Created at"].str[-5:].nunique() == 2  # summer and winter


def test_stripes_failed_and_foreign_charges_are_there(forms):
    (rows,) = forms["stripe"].files.values()
    assert (rows["Status"] == "Failed").sum() == counts(forms["stripe"])["retry"]
    assert rows["PaymentIntent ID"].duplicated().sum() == counts(forms["stripe"])["retry"]
    assert set(rows["Currency"]) == {"usd", "eur"}
    assert set(rows["Converted Currency"]) == {"usd"}


def test_stripe_can_be_asked_for_subscriptions(world):
    (rows,) = stripe(world, subscription_share=0.5).files.values()
    renewed = rows["Description"] == "Subscription update"
    assert renewed.mean() == pytest.approx(0.5, abs=0.05)
    assert (rows.loc[renewed, "Invoice ID"] != "").all()


def test_fivetran_knows_no_refund_from_after_the_end(forms, world):
    made = forms["fivetran"].files["refund.parquet"]["created_at"]
    assert made.max() < pd.Timestamp("2025-07-01", tz=world.profile.timezone)
