"""Each system writes orders as it really does: columns, refunds, moments."""

import numpy as np
import pandas as pd
import pytest

from perennial.simulation.forms import stripe
from perennial.simulation.forms.shopify import COLUMNS
from perennial.simulation.forms.woocommerce import COLUMNS as WEBTOFFEE

CENT = 0.0101  # tax on a refund is rounded to a cent


def test_shopifys_export_has_its_79_columns_and_order_columns_on_first_rows_only(forms, counts):
    first, second = forms["shopify"].files.values()
    assert list(first.columns) == list(second.columns) == COLUMNS
    assert len(COLUMNS) == 79
    has_order = first["Financial Status"] != ""
    assert (has_order == ~first["Name"].duplicated()).all()
    assert (first.loc[~has_order, ["Total", "Currency", "Id"]] == "").all().all()
    both = set(first["Name"]) & set(second["Name"])
    assert len(both) == counts(forms["shopify"])["duplicate"] > 0
    assert first["Created at"].str[-5:].nunique() == 2  # summer and winter


def test_webtoffees_csv_has_its_columns_in_their_order(forms):
    (rows,) = forms["woocommerce"].files.values()
    lines = [column for column in rows if column.startswith("line_item_")]
    assert list(rows) == [*WEBTOFFEE, *lines]
    assert lines == [f"line_item_{turn}" for turn in range(1, len(lines) + 1)]
    past = ["order_id", "order_number", "order_date", "paid_date", "status", "shipping_total"]
    assert list(rows)[:6] == past
    assert list(rows)[52:55] == ["refund_items", "order_notes", "download_permissions"]
    assert (rows["transaction_id"] == "").all()


def test_what_webtoffee_says_was_given_back_is_goods_and_their_tax_or_everything(forms):
    (rows,) = forms["woocommerce"].files.values()
    result = rows["refund_items"].str.extract(r"^amount:([\d.]+)\|reason:\|date:(.+)$")
    lines = rows.filter(like="line_item_").melt(ignore_index=False)["value"]
    goods = lines.str.extract(r"\|refunded:([\d.]+)$")[0].astype(float).groupby(level=0).sum()
    total, tax = rows["order_total"].astype(float), rows["tax_total"].astype(float)
    given = result[0].astype(float)
    whole = rows["status"] == "refunded"
    assert whole.any()
    assert (given[whole] == total[whole]).all()
    shipping = rows["shipping_total"].astype(float)
    assert np.abs(goods + tax + shipping - given)[whole].max() < CENT
    part = given.notna() & ~whole
    assert set(rows.loc[part, "status"]) == {"completed"}
    assert np.abs(goods * 1.08 - given)[part].max() < 2 * CENT
    assert ((goods > 0) == given.notna()).all()


def test_webtoffees_refunds_come_some_days_after_the_order_and_before_the_end(forms, counts):
    (rows,) = forms["woocommerce"].files.values()
    at = pd.to_datetime(rows["refund_items"].str.extract(r"date:(.+)$")[0])
    wait = (at - pd.to_datetime(rows["order_date"])).dropna() / pd.Timedelta(days=1)
    assert at.max() < pd.Timestamp("2025-07-01")
    assert wait.min() > -1 / 24  # a clock that is put back
    assert wait.mean() == pytest.approx(9, abs=4 * 9 / np.sqrt(len(wait)))
    assert counts(forms["woocommerce"])["refund_not_known"] > 0


@pytest.mark.parametrize("name", ["woocommerce", "fivetran"])
def test_a_refund_from_after_the_end_is_not_expected(name, forms, apparel, counts):
    expected = forms[name].expected.sort_values(["ordered_at", "customer_id"])
    orders = apparel.orders.to_pandas().sort_values(["ordered_at", "customer_id"])
    more = expected["net_amount"].to_numpy() - orders["net_amount"].to_numpy()
    late = more > 0.001
    assert late.sum() == counts(forms[name])["refund_not_known"]
    assert np.abs(more - orders["refund_amount"].to_numpy())[late].max() < 0.001
    assert np.abs(more[~late]).max() < 0.001


def test_stripes_failed_and_foreign_charges_are_there(forms, counts):
    (rows,) = forms["stripe"].files.values()
    assert (rows["Status"] == "Failed").sum() == counts(forms["stripe"])["retry"]
    assert rows["PaymentIntent ID"].duplicated().sum() == counts(forms["stripe"])["retry"]
    assert set(rows["Currency"]) == {"usd", "eur"}
    assert set(rows["Converted Currency"]) == {"usd"}
    assert (rows["Amount"].astype(float) > 0).all()
    failed = rows["Status"] == "Failed"
    assert set(rows.loc[failed, "Fee"]) == {"0.00"}
    assert (rows.loc[~failed, "Fee"].astype(float) > 0).all()
    at = pd.to_datetime(rows["Created (UTC)"])
    tried, paid = (
        at[which].set_axis(rows.loc[which, "PaymentIntent ID"]) for which in (failed, ~failed)
    )
    wait = paid.reindex(tried.index) - tried
    assert wait.between(pd.Timedelta(minutes=1), pd.Timedelta(minutes=21)).all()
    assert wait.nunique() > 20


def test_stripe_can_be_asked_for_subscriptions(apparel):
    (rows,) = stripe(apparel, subscription_share=0.5).files.values()
    renewed = rows["Description"] == "Subscription update"
    assert renewed.mean() == pytest.approx(0.5, abs=0.05)
    assert (rows.loc[renewed, "Invoice ID"] != "").all()


def test_fivetran_knows_no_refund_from_after_the_end(forms, apparel):
    made = forms["fivetran"].files["refund.parquet"]["created_at"]
    assert made.max() < pd.Timestamp("2025-07-01", tz=apparel.profile.timezone)


def test_fivetrans_deleted_orders_have_lines_and_numbers_of_their_own(forms, counts):
    orders, lines = (
        forms["fivetran"].files[f"{name}.parquet"] for name in ("order", "order_line")
    )
    gone = orders[orders["_fivetran_deleted"]]
    assert len(gone) == counts(forms["fivetran"])["deleted"] > 0
    assert orders["id"].is_unique
    assert set(orders["id"]) == set(lines["order_id"])
    value = (lines["price"] * lines["quantity"] - lines["total_discount"]).groupby(
        lines["order_id"]
    )
    assert (
        np.abs(value.sum().reindex(orders["id"]).to_numpy() - orders["subtotal_price"]).max()
        < CENT
    )


def test_fivetrans_moments_follow_each_other(forms):
    files = forms["fivetran"].files
    orders, refunds = files["order.parquet"].set_index("id"), files["refund.parquet"]
    refunded = refunds.set_index("order_id")["created_at"].reindex(orders.index)
    canceled = orders["cancelled_at"]
    assert (canceled.dropna() >= orders["created_at"][canceled.notna()]).all()
    both = canceled.notna() & refunded.notna()
    assert both.any()
    assert (refunded[both] >= canceled[both]).all()
    last = pd.concat([orders["processed_at"], canceled, refunded], axis=1).max(axis=1)
    assert (orders["updated_at"] == last).all()
    end = pd.Timestamp("2025-07-01", tz="America/Los_Angeles")
    assert canceled.max() < end


def test_fivetrans_whole_refunds_are_of_all_units(forms):
    files = forms["fivetran"].files
    lines = files["order_line_refund.parquet"].merge(
        files["order_line.parquet"], left_on="order_line_id", right_on="id", suffixes=("", "_sold")
    )
    status = files["order.parquet"].set_index("id")["financial_status"]
    whole = lines["order_id"].map(status) == "refunded"
    assert (lines["quantity"] == lines["quantity_sold"])[whole].all()
    assert lines.loc[whole, "quantity"].max() > 1
    assert set(lines.loc[~whole, "quantity"]) == {1}
    assert set(lines.loc[~whole, "order_id"].map(status)) == {"partially_refunded"}
