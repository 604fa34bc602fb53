"""WooCommerce's orders from WebToffee and the REST API: every trap by hand, then a whole simulated store."""

import csv
import io
import json
from collections import Counter
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.presets.woocommerce import NEEDED, WOOCOMMERCE, recognize
from connectors.sources import SourceError
from perennial.simulation import simulate
from perennial.simulation.forms import FORMS

AS_OF = date(2025, 12, 31)
CENT = 0.0101  # tax on a refund is rounded to a cent
BEANS = "name:Beans|product_id:7|sku:B|quantity:2|total:90.00|sub_total:100.00"
CARD = "name:Gift card $10|product_id:9|sku:|quantity:1|total:10.00|sub_total:10.00"
ANALYTICS = (
    "Date,Order #,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,"
    "Coupon(s),Net Sales,Attribution"
)
PLANTED = {  # the trap's name: the rule that rejects it
    "canceled": "canceled",
    "refunded": "refunded_in_full",
    "free": "zero_amount",
    "test": "deleted",
    "no_customer": "missing_customer",
    "unpaid": "unpaid",
}


def order(number="1", **more):
    """A row of WebToffee's: 100.00 of beans less 10.00, 7.20 tax, 5.00 shipping."""
    return {
        "order_id": number,
        "order_date": "2025-06-01 12:00:00",
        "status": "completed",
        "shipping_total": "5.00",
        "tax_total": "7.20",
        "discount_total": "10.00",
        "order_total": "102.20",
        "order_subtotal": "100.00",
        "order_currency": "USD",
        "customer_id": "0",
        "customer_email": "",
        "billing_email": "ann@shop.org",
        "billing_phone": "",
        "coupon_items": "code:WELCOME10|amount:10.00",
        "refund_items": "",
        "line_item_1": BEANS,
        "line_item_2": "",
    } | more


def rest(number=1, **more):
    """The same as the REST API gives it."""
    return {
        "id": number,
        "status": "completed",
        "currency": "USD",
        "date_created": "2025-06-01T12:00:00",
        "date_created_gmt": "2025-06-01T16:00:00",
        "discount_total": "10.00",
        "shipping_total": "5.00",
        "total": "102.20",
        "total_tax": "7.20",
        "customer_id": 0,
        "billing": {"email": "ann@shop.org", "phone": ""},
        "line_items": [{"name": "Beans", "product_id": 7, "quantity": 2, "total": "90.00"}],
        "refunds": [],
    } | more


KEPT = order("99", billing_email="kept@shop.org")  # so that a history is left


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class Reading:
    """What came of a file: WebToffee's CSV by default."""

    def __init__(self, folder, content, name="wt_orders.csv", zone="UTC", as_of=AS_OF, **how):
        (folder / "in").mkdir(parents=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, folder / "in" / name)
        else:
            (folder / "in" / name).write_text(content)
        source = OrderSource(
            location=str(folder / "in"), preset="woocommerce", **{"most_unreadable": 1.0} | how
        )
        with open_engine(zone) as engine:
            self.history = read_orders(engine, source, as_of, folder / "out")
        self.orders = (
            pd.read_parquet(self.history.orders)
            .sort_values(["order_date", "order_id"])
            .set_index("order_id")
        )
        self.rejected = self.history.accounting.rejected
        self.notes = self.history.quality.warnings

    @property
    def lines(self):
        return pd.read_parquet(self.history.order_lines).set_index("order_id")

    @property
    def amounts(self):
        return self.orders["net_amount"].to_dict()


@pytest.fixture
def read(tmp_path):
    return lambda *rows, **how: Reading(tmp_path, as_csv(rows), **how)


@pytest.fixture
def read_rest(tmp_path):
    def reading(*rows, **how):
        return Reading(tmp_path, json.dumps(rows), name="orders.json", **how)

    return reading


def test_tax_shipping_and_discounts_do_not_count(read):
    got = read(order())
    assert got.amounts == {"1": 90.0}
    parts = ["gross_amount", "discount_amount", "refund_amount", "discount_code"]
    assert list(got.orders.loc["1", parts]) == [100.0, 10.0, 0.0, "WELCOME10"]


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"status": "failed"}, "unpaid"),
        ({"status": "wc-pending"}, "unpaid"),
        ({"status": "on-hold"}, "unpaid"),
        ({"status": "checkout-draft"}, "unpaid"),
        ({"status": ""}, "unpaid"),
        ({"status": "wc-cancelled"}, "canceled"),
        ({"status": "trash"}, "deleted"),
        ({"status": "refunded"}, "refunded_in_full"),
        ({"order_subtotal": "10.00", "discount_total": "10.00"}, "zero_amount"),
        (
            {"order_subtotal": "10.00", "discount_total": "0.00", "line_item_1": CARD},
            "gift_card_only",
        ),
        ({"order_subtotal": "many"}, "unreadable_amount"),
        ({"order_date": "2025-06-31"}, "unreadable_date"),
        ({"billing_email": ""}, "missing_customer"),
    ],
)
def test_an_order_that_is_no_purchase_is_rejected(read, columns, rule):
    got = read(order(**columns), KEPT)
    assert got.rejected == {rule: 1}
    assert got.amounts == {"99": 90.0}


@pytest.mark.parametrize("status", ["completed", "processing", "wc-completed", "wc-processing"])
def test_paid_orders_are_purchases_with_or_without_the_prefix(read, status):
    assert read(order(status=status)).amounts == {"1": 90.0}


def test_gift_cards_sold_are_taken_off_and_are_no_lines(read):
    got = read(order(order_subtotal="110.00", order_total="112.20", line_item_2=CARD))
    assert got.amounts == {"1": 90.0}
    line = got.lines.loc["1"]
    assert list(line[["product_name", "product_id", "quantity", "net_amount"]]) == [
        "Beans",
        "7",
        2,
        90.0,
    ]


REFUND = "amount:{}|reason:broken; sorry|date:{} 09:00:00"
EARLY, LATE = "2025-06-05", "2026-01-01"


@pytest.mark.parametrize(
    ("columns", "net"),
    [
        # What the lines say is of goods; the amount has their tax.
        ({"refund_items": REFUND.format("32.40", EARLY), "line_item_1": "|refunded:30.00"}, 60.0),
        # Without the lines: 32.40 are 30.00 of goods with 8 % tax.
        ({"refund_items": REFUND.format("32.40", EARLY)}, 60.0),
        ({"refund_items": REFUND.format("-32.40", EARLY)}, 60.0),
        ({"refund_items": REFUND.format("102.20", EARLY)}, 0.0),
        ({"refund_items": REFUND.format("99.00", EARLY)}, 0.0),
        ({"refund_items": REFUND.format("32.40", LATE)}, 90.0),
        ({"refund_items": REFUND.format("32.40", LATE), "line_item_1": "|refunded:30.00"}, 90.0),
        ({"refund_items": REFUND.format("32.40", AS_OF)}, 60.0),
        (
            {"refund_items": f"{REFUND.format('10.80', EARLY)};{REFUND.format('21.60', LATE)}"},
            80.0,
        ),
        (
            {
                "refund_items": f"{REFUND.format('10.80', EARLY)};{REFUND.format('21.60', LATE)}",
                "line_item_1": "|refunded:30.00",
            },
            80.0,
        ),
        ({"refund_items": "amount:32.40|reason:|date:"}, 60.0),
        # Refunded in full, and not yet known.
        ({"refund_items": REFUND.format("102.20", LATE), "status": "refunded"}, 90.0),
    ],
)
def test_refunds_of_goods_count_once_they_are_known(read, columns, net):
    more = columns | {"line_item_1": BEANS + columns.get("line_item_1", "")}
    got = read(order(**more), keep_zero_amount=True)
    assert got.amounts["1"] == pytest.approx(net, abs=1e-4)
    assert got.lines["net_amount"].sum() == pytest.approx(net, abs=1e-4)


def test_an_order_refunded_in_full_is_no_purchase_from_that_day_on(tmp_path):
    text = as_csv([order(status="refunded", refund_items=REFUND.format("102.20", EARLY)), KEPT])
    before = Reading(tmp_path / "before", text, as_of=date(2025, 6, 4))
    after = Reading(tmp_path / "after", text, as_of=date(2025, 6, 5))
    assert before.amounts == {"1": 90.0, "99": 90.0}
    assert after.amounts == {"99": 90.0}
    assert after.rejected == {"refunded_in_full": 1}


def test_guests_are_known_by_email_or_phone_and_accounts_by_their_id(read):
    rows = [
        order("1", customer_id="12", customer_email="ann@home.org", billing_phone="+15552010001"),
        order("2", billing_email="ANN@shop.org "),
        order("3", billing_email="", billing_phone="+1 (555) 201-0001"),
        order("4", billing_email="", customer_id="0", customer_email="bob@home.org"),
        order("5", billing_email="cy@home.org"),
    ]
    who = read(*rows).orders["customer_id"]
    assert who.to_dict() == {
        "1": "12",
        "2": "12",
        "3": "12",
        "4": "bob@home.org",
        "5": "cy@home.org",
    }


def test_times_are_the_shops_before_and_after_the_clocks_change(read):
    at = {"1": "2025-11-01 23:30:00", "2": "2025-11-02 23:30:00"}
    rows = [order(number, order_date=moment) for number, moment in at.items()]
    got = read(*rows, zone="America/Los_Angeles").orders["ordered_at"]
    assert [str(moment) for moment in got] == ["2025-11-02 06:30:00", "2025-11-03 07:30:00"]


def test_an_order_that_is_there_twice_counts_once(read):
    got = read(order(), order())
    assert got.amounts == {"1": 90.0}
    assert got.history.accounting.merged["exact_duplicates"] == 1
    assert len(got.lines) == 1


def test_the_line_columns_are_read_to_the_last(read):
    more = {f"line_item_{i}": BEANS.replace("Beans", f"Beans {i}") for i in range(1, 13)}
    assert len(read(order(**more)).lines) == 12


@pytest.mark.parametrize(
    ("columns", "net"),
    [
        ({}, 90.0),
        ({"refunds": [{"id": 3, "reason": "", "total": "-32.40"}]}, 60.0),
        ({"refunds": [{"total": "-10.80"}, {"total": "-21.60"}]}, 60.0),
        ({"refunds": [{"total": "-102.20"}]}, 0.0),
        (
            {
                "total": "112.20",
                "line_items": [
                    *rest()["line_items"],
                    {"name": "GIFT CARD", "product_id": 9, "quantity": 1, "total": "10.00"},
                ],
            },
            90.0,
        ),
    ],
)
def test_the_rest_apis_orders_have_the_same_value(read_rest, columns, net):
    got = read_rest(rest(**columns), keep_zero_amount=True)
    assert got.amounts["1"] == pytest.approx(net, abs=1e-4)
    assert got.lines["net_amount"].sum() == pytest.approx(net, abs=1e-4)
    assert list(got.lines["product_name"]) == ["Beans"]
    assert (got.lines["quantity"] == 2).all()
    assert bool([note for note in got.notes if "REST" in note]) == ("refunds" in columns)


def test_the_rest_apis_orders_are_judged_like_webtoffees(read_rest):
    rows = [
        rest(1, status="pending"),
        rest(2, status="cancelled"),
        rest(3, status="trash"),
        rest(4, status="refunded", refunds=[{"total": "-102.20"}]),
        rest(5, billing={"email": "", "phone": ""}),
        rest(6, billing={"email": "", "phone": "+15552010001"}),
        rest(7, customer_id=12),
    ]
    got = read_rest(*rows)
    assert set(got.rejected) == {
        "unpaid",
        "canceled",
        "deleted",
        "refunded_in_full",
        "missing_customer",
    }
    assert got.orders["customer_id"].to_dict() == {"6": "+15552010001", "7": "12"}


@pytest.mark.parametrize(
    ("columns", "moment"),
    [
        ({"date_created_gmt": "2025-11-03T07:30:00"}, "2025-11-03 07:30:00"),
        ({"date_created_gmt": "2025-11-03T07:30:00Z"}, "2025-11-03 07:30:00"),
        ({"date_created": "2025-11-02T23:30:00"}, "2025-11-03 07:30:00"),
        ({"date_created_gmt": pd.Timestamp("2025-11-03 07:30")}, "2025-11-03 07:30:00"),
        ({"date_created_gmt": pd.Timestamp("2025-11-03 07:30", tz="UTC")}, "2025-11-03 07:30:00"),
    ],
)
def test_a_rest_table_says_when_in_utc_or_in_the_shops_time(tmp_path, columns, moment):
    row = {
        n: v for n, v in rest().items() if n not in ("date_created", "date_created_gmt", "refunds")
    }
    row |= columns
    row["billing_email"] = row.pop("billing")["email"]
    del row["line_items"]
    table = pa.Table.from_pandas(pd.DataFrame([row]))
    got = Reading(tmp_path, table, "orders.parquet", zone="America/Los_Angeles")
    assert str(got.orders["ordered_at"].iloc[0]) == moment
    assert str(got.orders["order_date"].iloc[0])[:10] == "2025-11-02"
    assert got.orders["customer_id"].iloc[0] == "ann@shop.org"
    assert got.amounts == {"1": 90.0}


def test_the_settings_name_a_column_of_another_name(tmp_path):
    text = as_csv([order(created_via="pos")])
    got = Reading(tmp_path / "a", text, columns={"channel": "created_via"})
    assert list(got.orders["channel"]) == ["pos"]
    with pytest.raises(SourceError, match="channel = 'made_by' is not there"):
        Reading(tmp_path / "b", text, columns={"channel": "made_by"})


def test_the_analytics_export_has_no_buyer(tmp_path):
    text = ANALYTICS + "\n2025-06-01,1,$90.00,completed,Ann,new,Beans,2,,90.00,Direct\n"
    assert recognize({"orders": tuple(ANALYTICS.split(","))})
    with pytest.raises(SourceError, match=r"orders need a customer.*WebToffee.*REST"):
        Reading(tmp_path, text)


@pytest.mark.parametrize(
    ("missing", "finding"),
    [
        (["order_subtotal"], "Export again"),
        (["order_id"], "orders need an id and a customer"),
        (["billing_email", "billing_phone", "customer_id", "customer_email"], "and a customer"),
    ],
)
def test_what_is_not_there_is_asked_for(read, missing, finding):
    with pytest.raises(SourceError, match=finding):
        read({name: value for name, value in order().items() if name not in missing})


def test_both_shapes_are_recognized_and_others_are_not():
    assert recognize({"orders": tuple(order())})
    assert recognize({"orders": tuple(rest())})
    assert not recognize({"orders": ("order_id", "customer_id", "ordered_at", "net_amount")})
    assert not recognize({"orders": ("status", "total", "total_tax")})


DATED = [  # 21.60 of 102.20 typed as an amount, then a line given back without its tax
    {"id": 1, "total": "-21.60", "date_created_gmt": "2025-07-01T03:00:00", "goods": None},
    {"id": 2, "total": "-10.80", "date_created_gmt": "2025-08-01T12:00:00", "goods": "10.00"},
]


@pytest.mark.parametrize(
    ("as_of", "net"),
    [
        (date(2025, 6, 29), 90.0),
        (date(2025, 6, 30), 70.0),  # 23:00 in New York
        (date(2025, 7, 31), 70.0),
        (date(2025, 8, 1), 60.0),
    ],
)
def test_refunds_with_days_count_from_them_on(tmp_path, as_of, net):
    got = Reading(
        tmp_path,
        json.dumps([rest(refunds=DATED)]),
        "orders.json",
        zone="America/New_York",
        as_of=as_of,
    )
    assert got.orders["net_amount"].tolist() == [net]
    assert not any("refunded" in warning for warning in got.history.quality.warnings)


def test_an_order_that_is_refunded_whole_later_is_a_purchase_until_then(tmp_path):
    whole = [{"id": 1, "total": "-102.20", "date_created_gmt": "2025-08-01T12:00:00"}]
    orders = [rest(status="refunded", refunds=whole), rest(2)]
    for day, count in ((date(2025, 7, 31), 2), (date(2025, 8, 1), 1)):
        got = Reading(tmp_path / str(day), json.dumps(orders), "orders.json", as_of=day)
        assert len(got.orders) == count


def test_refunds_without_days_are_told(tmp_path):
    refunds = [*DATED, {"id": 3, "total": "-1.00"}]
    got = Reading(tmp_path, json.dumps([rest(refunds=refunds)]), "orders.json")
    assert any("refunded" in warning for warning in got.history.quality.warnings)


def test_the_first_coupon_is_the_discount_code(tmp_path):
    orders = [
        rest(coupon_lines=[{"code": "welcome10"}, {"code": "two"}]),
        rest(2, coupon_lines=[]),
    ]
    got = Reading(tmp_path, json.dumps(orders), "orders.json")
    assert got.orders["discount_code"].fillna("").to_dict() == {"1": "welcome10", "2": ""}


@pytest.fixture(scope="module", params=["coffee", "apparel"])
def store(request, tmp_path_factory):
    world = simulate(400, date(2024, 1, 1), date(2025, 1, 1), 3, request.param)
    form = FORMS["woocommerce"](world)
    (rows,) = form.files.values()
    # The simulated customers' addresses are of example.com, which no real customer's is.
    text = rows.replace(r"(?i)@example\.", "@mailbox.", regex=True).to_csv(index=False)
    zone, currency = world.profile.timezone, world.profile.currency
    folder = tmp_path_factory.mktemp("woocommerce")
    return form, Reading(folder, text, zone=zone, as_of=date(2024, 12, 31), currency=currency)


def test_a_simulated_stores_orders_come_back(store):
    form, got = store
    expected = form.expected.set_index("order_id")
    assert set(got.orders.index) == set(expected.index)
    both = got.orders.join(expected, rsuffix="_true")
    assert (both["net_amount"] - both["net_amount_true"]).abs().max() <= CENT
    days = pd.to_datetime(both["order_date"]), pd.to_datetime(both["order_date_true"])
    assert (days[0] == days[1]).all()
    assert both.groupby("customer_id")["known_as"].nunique().eq(1).all()
    assert both.groupby("known_as")["customer_id"].nunique().eq(1).all()
    sums = got.lines.groupby(level=0)["net_amount"].sum()
    assert (sums - both["net_amount"]).abs().max() < 1e-6


def test_a_simulated_stores_traps_are_rejected_for_what_they_are(store):
    form, got = store
    accounting = got.history.accounting
    assert accounting.is_balanced
    assert accounting.orders == len(form.expected)
    counts = {trap.trap: trap.count for trap in form.planted}
    assert accounting.rejected == {PLANTED[trap]: counts[trap] for trap in PLANTED if counts[trap]}
    refused = pd.read_csv(got.history.rejects, dtype=str)
    assert Counter(refused["rule"]) == accounting.rejected
    assert sum(counts[trap] for trap in PLANTED) > 10


def with_lines(folder, orders, count):
    """Write an export whose orders have at most so many lines, as WebToffee does: a column for each."""
    folder.mkdir(parents=True, exist_ok=True)
    none = [f"line_item_{i + 1}" for i in range(count, 2)]
    rows = [{name: cell for name, cell in one.items() if name not in none} for one in orders]
    (folder / f"{count}_lines.csv").write_text(as_csv(rows))


def read_all(folder):
    source = OrderSource(location=str(folder / "in"), preset="woocommerce")
    with open_engine() as engine:
        return read_orders(engine, source, AS_OF, folder / "out")


def test_exports_whose_orders_have_more_lines_or_fewer_are_one_history(tmp_path):
    mug = "name:Mug|product_id:8|sku:M|quantity:1|total:10.00|sub_total:10.00"
    big = order("2", billing_email="bob@shop.org", line_item_2=mug, order_subtotal="110.00")
    with_lines(tmp_path / "in", [order("1")], 1)
    with_lines(tmp_path / "in", [order("1"), big], 2)
    history = read_all(tmp_path)
    amounts = (
        pd.read_parquet(history.orders)
        .sort_values(["order_date", "order_id"])
        .set_index("order_id")["net_amount"]
    )
    assert amounts.to_dict() == {"1": 90.0, "2": 100.0}
    assert history.accounting.merged["exact_duplicates"] == 1
    lines = pd.read_parquet(history.order_lines)
    assert sorted(lines["product_name"]) == ["Beans", "Beans", "Mug"]


def test_exports_with_more_columns_are_one_history(tmp_path):
    with_lines(tmp_path / "in", [order("1")], 1)
    with_lines(tmp_path / "in", [order("2") | {"colour": "red"}], 2)
    assert read_all(tmp_path).accounting.orders == 2


def in_pages(folder, *pages):
    (folder / "in").mkdir(parents=True)
    for number, page in enumerate(pages):
        (folder / "in" / f"page{number}.json").write_text(json.dumps(page))
    history = read_all(folder)
    return pd.read_parquet(history.orders).set_index("order_id")["net_amount"].to_dict()


@pytest.mark.parametrize("first", [[], None], ids=["empty", "null"])
def test_pages_with_and_without_refunds_are_one_history(tmp_path, first):
    refunded = rest(2, refunds=[{"id": 3, "reason": None, "total": "-32.40"}])
    amounts = in_pages(tmp_path, [rest(1, refunds=first)], [refunded])
    assert amounts == {"1": 90.0, "2": pytest.approx(60.0)}


def test_meta_data_of_any_shape_breaks_no_page(tmp_path):
    shapes = [[], {"a": 1}, [{"id": 1, "value": {"x": [1]}}], "text", None, 5]
    pages = [[rest(i, meta_data=shape)] for i, shape in enumerate(shapes)]
    assert len(in_pages(tmp_path, *pages)) == len(shapes)


def test_numbers_and_texts_of_one_key_are_the_same(tmp_path):
    as_numbers = rest(2, total=102.20, total_tax=7.2, shipping_total=5, customer_id="0")
    line = {"name": "Beans", "product_id": "7", "quantity": "2", "total": 90}
    pages = [rest(1)], [as_numbers | {"line_items": [line]}]
    assert in_pages(tmp_path, *pages) == {"1": 90.0, "2": pytest.approx(90.0)}


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("before", "after", "rejected"),
    [
        ({"status": "pending"}, {}, {}),
        ({"status": "processing"}, {}, {}),
        ({}, {"status": "cancelled"}, {"canceled": 1}),
        ({}, {"status": "trash"}, {"deleted": 1}),
    ],
)
def test_of_two_versions_of_an_order_the_newer_counts(tmp_path, before, after, rejected, turn):
    (tmp_path / "in").mkdir()
    for i, text in enumerate([before, after][::turn]):
        (tmp_path / "in" / f"{i}.csv").write_text(as_csv([order("1", **text), KEPT]))
    history = read_all(tmp_path)
    orders = pd.read_parquet(history.orders).sort_values(["order_date", "order_id"])
    assert sorted(orders["order_id"]) == (["99"] if rejected else ["1", "99"])
    assert history.accounting.rejected == rejected
    assert history.accounting.merged["older_versions"] == 1
    assert history.accounting.merged["exact_duplicates"] == 1
    assert len(pd.read_parquet(history.order_lines)) == len(orders)


def test_of_two_versions_of_the_rest_interface_the_one_changed_last_counts(read_rest):
    given = {"date_modified_gmt": "2025-06-02T00:00:00"}
    later = {"date_modified_gmt": "2025-06-09T00:00:00", "total": "57.20", "status": "processing"}
    got = read_rest(rest(1, **given), rest(1, **later))
    assert got.amounts == {"1": 45.0}
    assert got.history.accounting.merged["older_versions"] == 1
    assert len(got.lines) == 1


@pytest.mark.parametrize("status", ["wc-shipped", "Awaiting shipment", "partial-payment"])
def test_an_unknown_status_is_named_until_the_settings_name_it(tmp_path, status):
    text = as_csv([KEPT, order(status=status)])
    assert Reading(tmp_path / "1", text).rejected == {"unknown_status": 1}
    paid = Reading(tmp_path / "2", text, paid_statuses=(status,))
    assert paid.amounts == {"1": 90.0, "99": 90.0}
    assert Reading(tmp_path / "3", text, void_statuses=(status,)).rejected == {"unpaid": 1}


@pytest.mark.parametrize("status", ["on-hold", "wc-pending", "failed"])
def test_the_settings_go_before_the_statuses_of_woocommerce(read, status):
    got = read(order(status=status), order("2", status="completed"), paid_statuses=(status,))
    assert got.amounts == {"1": 90.0, "2": 90.0}


@pytest.mark.parametrize(
    "renewal",
    [
        {"created_via": "subscription"},
        {"meta_data": [{"id": 4, "key": "_subscription_renewal", "value": "812"}]},
        {"meta_data": '[{"id": 4, "key": "_subscription_renewal", "value": "812"}]'},
    ],
)
def test_renewals_of_woocommerce_subscriptions_are_left_out(read_rest, renewal):
    other = {"created_via": "checkout", "meta_data": [{"id": 1, "key": "_vat", "value": "1"}]}
    if isinstance(renewal.get("meta_data"), str):
        other["meta_data"] = "[]"
    got = read_rest(rest(1, **other), rest(2, **(other | renewal)), renewals="exclude")
    assert (list(got.amounts), got.rejected) == (["1"], {"renewal": 1})


@pytest.mark.parametrize(
    "name", ["meta:_subscription_renewal", "created_via", "_subscription_renewal"]
)
def test_renewals_are_told_by_a_column_of_the_csv(read, name):
    renewal = "subscription" if name == "created_via" else "812"
    got = read(order(**{name: ""}), order("2", **{name: renewal}), renewals="exclude")
    assert (list(got.amounts), got.rejected) == (["1"], {"renewal": 1})


def columns_of(path, *names):
    with open_engine() as engine:
        rows = engine.read_rows([path]).rows
        actual = WOOCOMMERCE.read(engine, {"orders": rows}, OrderSource(""), AS_OF)
        return (
            engine.frame(actual.rows.select(**{n: actual.columns[n] for n in names}))
            .iloc[0]
            .to_list()
        )


def test_who_was_billed_is_evidence_and_the_status_is_kept(tmp_path):
    who = {"billing_first_name": "Ann", "billing_last_name": "Lee", "billing_postcode": "02139"}
    (tmp_path / "a.csv").write_text(as_csv([order(**who)]))
    billing = {"email": "ann@shop.org", "phone": "", "first_name": "Ann", "last_name": "Lee"}
    one = rest(billing=billing | {"postcode": "02139"})
    (tmp_path / "b.json").write_text(json.dumps([one]))
    for path in tmp_path.iterdir():
        reported = columns_of(path, "name", "postal_code", "status")
        assert reported == ["Ann Lee", "02139", "completed"]


@pytest.mark.parametrize(
    ("missing", "setting"),
    [
        ("order_date", "ordered_at"),
        ("status", "status"),
        ("order_subtotal", "order_subtotal"),
        ("order_total", "order_total"),
    ],
)
def test_a_needed_column_is_named_with_the_setting_that_replaces_it(tmp_path, missing, setting):
    row = order()
    text = as_csv([{"Other" if name == missing else name: value for name, value in row.items()}])
    with pytest.raises(SourceError, match=rf"no column '{missing}'.*orders\.columns\.{setting}"):
        Reading(tmp_path / "1", text)
    assert Reading(tmp_path / "2", text, columns={setting: "Other"}).amounts == {"1": 90.0}


@pytest.mark.parametrize(
    ("missing", "what"),
    [("discount_total", "before discounts"), ("refund_items", "before refunds")],
)
def test_what_follows_of_a_column_that_is_missing_is_noted(read, missing, what):
    row = {name: value for name, value in order().items() if name != missing}
    assert [n for n in read(row).notes if missing in n and what in n and "orders.columns" in n]


@pytest.mark.parametrize("gone", [n for n in order() if n not in NEEDED["webtoffee"]])
def test_no_other_column_is_needed(tmp_path, gone):
    row = {name: value for name, value in order().items() if name != gone}
    if gone in ("order_id", "billing_email"):
        with pytest.raises(SourceError, match="id and a customer"):
            Reading(
                tmp_path,
                as_csv(
                    [
                        {
                            n: v
                            for n, v in row.items()
                            if n not in ("customer_id", "customer_email", "billing_phone")
                        }
                    ]
                ),
            )
    else:
        assert set(Reading(tmp_path, as_csv([row])).amounts) == {"1"}


def test_amounts_and_moments_are_listed():
    names = ["order_id", "order_total", "order_date", "tax_total", "line_item_1"]
    assert WOOCOMMERCE.amounts(names) == ["order_total", "tax_total"]
    assert WOOCOMMERCE.moments(names) == ["order_date"]
