"""Orders of Shopify's API as JSON or Parquet: each trap by hand, refunds as known on the day."""

import json
from datetime import date

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.presets.shopify import SHOPIFY
from connectors.presets.shopify_api import KEYS, is_of_api, is_whole
from connectors.sources import SourceError

AS_OF = date(2025, 12, 31)


def item(title="Mug", price="50.00", quantity=2, gift_card=False, discount="0.00"):
    return {
        "id": 1,
        "title": title,
        "sku": "M1",
        "product_id": 900,
        "price": price,
        "quantity": quantity,
        "total_discount": discount,
        "gift_card": gift_card,
    }


def refund(day="2025-06-20T03:00:00Z", subtotal=20.0, gift_card=False):
    each = {"quantity": 1, "subtotal": subtotal, "line_item": {"gift_card": gift_card}}
    return {"id": 5, "created_at": day, "refund_line_items": [each]}


def order(number=1, **more):
    """100.00 of mugs, 8.00 of tax on top, 5.00 of shipping."""
    return {
        "id": number,
        "name": f"#{1000 + number}",
        "email": "ann@shop.org",
        "phone": None,
        "created_at": "2025-06-01T12:00:00-04:00",
        "updated_at": "2025-06-01T12:00:00-04:00",
        "cancelled_at": None,
        "currency": "USD",
        "financial_status": "paid",
        "test": False,
        "taxes_included": False,
        "subtotal_price": "100.00",
        "total_tax": "8.00",
        "total_price": "113.00",
        "source_name": "web",
        "tags": "",
        "customer": {"id": 701, "email": "ann@shop.org"},
        "billing_address": {"name": "Ann Lee", "zip": "02139"},
        "line_items": [item()],
        "refunds": [refund(subtotal=0.0)],
    } | more


class Reading:
    def __init__(self, folder, rows, *, ending="jsonl", zone="UTC", as_of=AS_OF, **how):
        (folder / "in").mkdir(parents=True, exist_ok=True)
        path = folder / "in" / f"orders.{ending}"
        if ending == "parquet":
            pd.DataFrame(rows).to_parquet(path)
        else:
            lines = "\n".join(json.dumps(row) for row in rows)
            path.write_text(lines if ending == "jsonl" else json.dumps(rows))
        source = OrderSource(
            location=str(path), preset="shopify", **{"most_unreadable": 1.0} | how
        )
        with open_engine(zone) as engine:
            self.history = read_orders(engine, source, as_of, folder / "out")
        self.orders = pd.read_parquet(self.history.orders).set_index("order_id").sort_index()
        self.rejected = self.history.accounting.rejected
        self.notes = self.history.quality.warnings

    @property
    def amounts(self):
        return self.orders["net_amount"].round(4).to_dict()

    @property
    def lines(self):
        return pd.read_parquet(self.history.order_lines).set_index("order_id")


@pytest.fixture
def read(tmp_path):
    return lambda *rows, **how: Reading(tmp_path, rows, **how)


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_goods_count_without_tax_and_shipping_in_every_format(read, ending):
    got = read(
        order(),
        order(
            2,
            line_items=[item(), item("Card", "30.00", 1, gift_card=True)],
            subtotal_price="130.00",
        ),
        ending=ending,
    )
    assert got.amounts == {"1": 100, "2": 100}
    assert got.orders["customer_id"].to_list() == ["701", "701"]
    assert (
        got.lines[["product_id", "quantity", "net_amount"]].to_numpy().tolist()
        == [["900", 2, 100]] * 2
    )


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"test": True}, "test_order"),
        ({"cancelled_at": "2025-06-02T10:00:00Z"}, "canceled"),
        ({"financial_status": "voided"}, "canceled"),
        ({"financial_status": "pending"}, "unpaid"),
        ({"financial_status": "AUTHORIZED"}, "unpaid"),
        ({"financial_status": "refunded"}, "refunded_in_full"),
        ({"financial_status": "on_credit"}, "unknown_status"),
        ({"subtotal_price": "much"}, "unreadable_amount"),
        ({"created_at": "soon"}, "unreadable_date"),
        ({"subtotal_price": "100.00", "line_items": [item(gift_card=True)]}, "gift_card_only"),
        ({"customer": None, "email": None, "billing_address": None}, "missing_customer"),
    ],
)
def test_an_order_that_is_no_purchase_is_counted_under_its_rule(read, more, rule):
    got = read(order(), order(2, **more))
    assert (got.amounts, got.rejected) == ({"1": 100}, {rule: 1})


@pytest.mark.parametrize(
    ("zone", "as_of", "net"),
    [
        ("UTC", date(2025, 6, 19), 100),
        ("UTC", date(2025, 6, 20), 80),
        ("America/New_York", date(2025, 6, 19), 80),  # 03:00 UTC is the evening before
    ],
)
def test_a_refund_counts_from_its_day_on(read, zone, as_of, net):
    got = read(order(refunds=[refund()]), zone=zone, as_of=as_of)
    assert got.amounts == {"1": net}
    assert got.lines["net_amount"].to_list() == [net]


def test_what_is_refunded_or_canceled_later_was_a_purchase_until_then(read):
    late = "2025-07-01T10:00:00Z"
    rows = [
        order(1, financial_status="refunded", refunds=[refund(late, 100.0)]),
        order(2, cancelled_at=late),
        order(3),
    ]
    assert read(*rows, as_of=date(2025, 6, 30)).amounts == {"1": 100, "2": 100, "3": 100}
    got = read(*rows, as_of=date(2025, 7, 1))
    assert (got.amounts, got.rejected) == ({"3": 100}, {"refunded_in_full": 1, "canceled": 1})


def test_a_gift_card_given_back_is_no_refund_of_goods(read):
    lines = [item(), item("Card", "30.00", 1, gift_card=True)]
    more = {"subtotal_price": "130.00", "line_items": lines}
    assert read(order(refunds=[refund(subtotal=30.0, gift_card=True)], **more)).amounts == {
        "1": 100
    }


@pytest.mark.parametrize(
    ("more", "net"),
    [
        # 119.00 include 19.00 of tax.
        ({"subtotal_price": "119.00", "total_tax": "19.00", "total_price": "119.00"}, 100),
        # With 5.00 of tip, which is in the total and has no tax.
        (
            {
                "subtotal_price": "119.00",
                "total_tax": "19.00",
                "total_price": "124.00",
                "total_tip_received": "5.00",
            },
            100,
        ),
        # Of 119.00 a refund of 59.50 takes half.
        (
            {
                "subtotal_price": "119.00",
                "total_tax": "19.00",
                "total_price": "119.00",
                "refunds": [refund(subtotal=59.5)],
            },
            50,
        ),
    ],
)
def test_tax_in_the_prices_is_taken_off(read, more, net):
    assert read(order(taxes_included=True, **more)).amounts == {"1": net}


def test_without_refunds_the_current_subtotal_tells_them_without_a_day(read):
    row = order(current_subtotal_price="75.00")
    row.pop("refunds")
    got = read(row)
    assert got.amounts == {"1": 75}
    assert [note for note in got.notes if note.startswith("refunds is missing")]


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_versions_the_later_counts(read, turn):
    rows = [
        order(),
        order(updated_at="2025-06-05T12:00:00-04:00", subtotal_price="90.00"),
        order(2),
    ]
    got = read(*rows[::turn])
    assert got.amounts == {"1": 90, "2": 100}
    assert got.history.accounting.merged["older_versions"] == 1


@pytest.mark.parametrize(
    "renewal",
    [
        {"source_name": "subscription_contract"},
        {"source_name": "subscription_contract_checkout_one"},
        {"tags": "appstle_subscription_recurring_order"},
    ],
)
def test_renewals_are_left_out(read, renewal):
    got = read(order(1, tags="Subscription First Order"), order(2, **renewal), renewals="exclude")
    assert (list(got.amounts), got.rejected) == (["1"], {"renewal": 1})


@pytest.mark.parametrize("who", ["customer.id", "customer_id"])
def test_flat_columns_are_read_as_objects_are(read, who):
    row = order() | {who: "701", "billing_address.zip": "02139"}
    for name in ("customer", "billing_address"):
        row.pop(name)
    got = read(
        {
            name: str(v) if name != "line_items" and name != "refunds" else v
            for name, v in row.items()
            if v is not None
        }
    )
    assert got.orders["customer_id"].to_list() == ["701"]


GRAPHQL = {
    "id": "gid://shopify/Order/77",
    "name": "#1077",
    "email": None,
    "createdAt": "2025-06-01T16:00:00Z",
    "cancelledAt": None,
    "displayFinancialStatus": "PAID",
    "test": False,
    "taxesIncluded": False,
    "sourceName": "web",
    "tags": ["vip", "Subscription Recurring Order"],
    "currencyCode": "USD",
    "subtotalPriceSet": {"shopMoney": {"amount": "40.00", "currencyCode": "USD"}},
    "customer": {"id": "gid://shopify/Customer/9"},
}


def test_orders_of_the_graphql_api_are_read(read):
    other = GRAPHQL | {"id": "gid://shopify/Order/78", "displayFinancialStatus": "VOIDED"}
    got = read(GRAPHQL, other, renewals="count")
    assert (got.amounts, got.rejected) == ({"77": 40}, {"canceled": 1})
    assert got.orders["customer_id"].to_list() == ["9"]
    assert [note for note in got.notes if note.startswith("1 of 1 orders renew")]


@pytest.mark.parametrize(
    ("missing", "setting"),
    [("id", "order_id"), ("created_at", "ordered_at"), ("subtotal_price", "subtotal")],
)
def test_a_needed_key_is_named_with_the_setting_that_replaces_it(tmp_path, missing, setting):
    row = {"other" if name == missing else name: value for name, value in order().items()}
    with pytest.raises(SourceError, match=rf"no column '{missing}'.*orders\.columns\.{setting}"):
        Reading(tmp_path / "1", [row])
    assert Reading(tmp_path / "2", [row], columns={setting: "other"}).amounts == {"1": 100}


NEEDED = ("id", "created_at", "subtotal_price", "financial_status")


@pytest.mark.parametrize("gone", [name for name in order() if name not in NEEDED])
def test_no_other_key_is_needed(read, gone):
    row = {name: value for name, value in order().items() if name != gone}
    assert read(row).amounts == {"1": 100}


def test_who_was_billed_is_evidence(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(order()))
    with open_engine() as engine:
        rows = engine.read_rows([tmp_path / "a.jsonl"]).rows
        actual = SHOPIFY.read(engine, {"orders": rows}, OrderSource(""), AS_OF)
        names = ("name", "postal_code", "status")
        frame = engine.frame(actual.rows.select(**{n: actual.columns[n] for n in names}))
    assert frame.iloc[0].to_list() == ["Ann Lee", "02139", "paid"]


def test_the_apis_keys_are_told_from_other_tables():
    assert is_whole(tuple(order()))
    assert is_whole(tuple(GRAPHQL))
    assert SHOPIFY.recognize({"orders": tuple(order())})
    assert not is_of_api((*order(), "_fivetran_synced"))
    assert not is_of_api(("Id", "Name", "Created at", "Financial Status", "Subtotal"))
    assert not is_of_api(("id", "date_created", "status", "total", "line_items", "refunds"))
    assert not is_whole(tuple(name for name in order() if name != "id"))
    assert {"customer.id", "customer_id"} <= set(KEYS["customer_id"])
