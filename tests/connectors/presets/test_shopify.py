"""Shopify's order export: every trap by hand, then a whole simulated store."""

import csv
import io
from collections import Counter
from datetime import date

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.presets.shopify import HEADINGS, SHOPIFY, recognize
from connectors.sources import SourceError
from perennial.simulation import simulate
from perennial.simulation.forms import FORMS
from perennial.simulation.forms.shopify import COLUMNS

AS_OF = date(2025, 12, 31)
CENT = 0.0101  # tax on a refund is rounded to a cent
SHORT = [
    "Name",
    "Email",
    "Created at",
    "Subtotal",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
]
PLANTED = {  # the trap's name: the rule that rejects it
    "canceled": "canceled",
    "refunded": "refunded_in_full",
    "free": "zero_amount",
    "test": "test_order",
    "no_customer": "missing_customer",
}


def first(name="#1", **more):
    """An order's first row: 100.00 of beans, 8.00 tax, 5.00 shipping."""
    row = {
        "Name": name,
        "Email": "ann@shop.org",
        "Financial Status": "paid",
        "Currency": "USD",
        "Subtotal": "100.00",
        "Shipping": "5.00",
        "Taxes": "8.00",
        "Total": "113.00",
        "Created at": "2025-10-02 17:09:34 -0300",
        "Payment Method": "Shopify Payments",
        "Refunded Amount": "0.00",
        "Id": f"5000000000{name.strip('#'):>03}",
    }
    return row | line("Beans", "100.00", name=name) | more


def line(product, price, quantity="1", name="#1", **more):
    return {
        "Name": name,
        "Lineitem name": product,
        "Lineitem price": price,
        "Lineitem quantity": quantity,
    } | more


def as_csv(rows, columns=COLUMNS):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class Reading:
    """What came of files ``{name: text}``."""

    def __init__(self, folder, files, zone="UTC", as_of=AS_OF, **how):
        (folder / "in").mkdir(parents=True)
        for name, text in files.items():
            (folder / "in" / name).write_text(text)
        source = OrderSource(
            location=str(folder / "in"), preset="shopify", **{"most_unreadable": 1.0} | how
        )
        with open_engine(zone) as engine:
            self.history = read_orders(engine, source, as_of, folder / "out")
        self.orders = (
            pd.read_parquet(self.history.orders)
            .sort_values(["order_date", "order_id"])
            .set_index("order_id")
        )
        self.lines = pd.read_parquet(self.history.order_lines).set_index("order_id")
        self.rejected = self.history.accounting.rejected
        self.notes = self.history.quality.warnings

    @property
    def amounts(self):
        return self.orders["net_amount"].to_dict()


@pytest.fixture
def read(tmp_path):
    def reading(*files, columns=COLUMNS, **how):
        named = {f"orders_export_{i}.csv": as_csv(rows, columns) for i, rows in enumerate(files)}
        return Reading(tmp_path, named, **how)

    return reading


KEPT = first("#99", Email="kept@shop.org")  # so that a history is left when the rest is rejected


def test_total_tax_and_shipping_do_not_count_and_rows_are_not_added_up(read):
    rows = [first(**line("Beans", "60.00")), line("Mug", "20.00", "2")]
    got = read(rows)
    assert got.amounts == {"#1": 100.0}
    assert got.history.accounting.merged["lines_summed"] == 1


def test_nothing_is_filled_across_orders(read):
    blank = first(
        "#2", Email="", Subtotal="30.00", **{"Financial Status": "", "Payment Method": ""}
    )
    got = read([first(**{"Cancelled at": "2025-10-03 10:00:00 -0300"}), blank, KEPT])
    assert got.rejected == {"canceled": 1, "missing_customer": 1}


def test_an_order_has_its_first_rows_values_on_every_row(read):
    rows = [
        first(**{"Financial Status": "voided"}),
        line("Mug", "20.00"),
        line("Cup", "9.00"),
        KEPT,
    ]
    assert read(rows).rejected == {"canceled": 3}


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"Payment Method": "bogus"}, "test_order"),
        ({"Payment Method": "(for testing) Bogus Gateway"}, "test_order"),
        (
            {"Cancelled at": "2025-10-03 10:00:00 -0300", "Financial Status": "refunded"},
            "canceled",
        ),
        ({"Financial Status": "voided"}, "canceled"),
        ({"Financial Status": "pending"}, "unpaid"),
        ({"Financial Status": "Authorized"}, "unpaid"),
        ({"Financial Status": "expired"}, "unpaid"),
        ({"Financial Status": "unpaid"}, "unpaid"),
        ({"Financial Status": "new words"}, "unknown_status"),
        ({"Financial Status": "Teilweise bezahlt"}, "unknown_status"),
        ({"Financial Status": "on credit"}, "unknown_status"),
        ({"Financial Status": "refunded", "Refunded Amount": "113.00"}, "refunded_in_full"),
        ({"Subtotal": "0.00", "Total": "0.00", "Taxes": "0.00"}, "zero_amount"),
        ({"Subtotal": "1.2.3"}, "unreadable_amount"),
        ({"Refunded Amount": "much"}, "unreadable_amount"),
        ({"Created at": "yesterday"}, "unreadable_date"),
        ({"Email": ""}, "missing_customer"),
        ({"Lineitem name": "Gift Card"}, "gift_card_only"),
    ],
)
def test_an_order_that_is_no_purchase_is_rejected_with_all_its_rows(read, columns, rule):
    got = read([first(**columns), line("gift card $10", "0.00"), KEPT])
    assert got.rejected == {rule: 2}
    assert got.amounts == {"#99": 100.0}


@pytest.mark.parametrize(
    "status", ["paid", "partially_paid", "Partially refunded", "PARTIALLY_REFUNDED", ""]
)
def test_a_paid_status_is_a_purchase(read, status):
    assert read([first(**{"Financial Status": status})]).amounts == {"#1": 100.0}


def test_gift_cards_sold_are_taken_off_two_equal_ones_twice(read):
    card = line("GIFT CARD", "10.00")
    got = read([first(**line("Beans", "80.00")), card, card])
    assert got.amounts == {"#1": 80.0}
    assert list(got.lines["product_name"]) == ["Beans"]


@pytest.mark.parametrize(
    ("columns", "net"),
    [
        ({"Refunded Amount": "54.00"}, 50.0),  # 50.00 of goods and 4.00 tax
        ({"Refunded Amount": "108.00"}, 0.0),  # all goods, not the shipping
        ({"Refunded Amount": "113.00"}, 0.0),
        ({"Refunded Amount": "110.00"}, 0.0),  # no more than the goods
        ({"Refunded Amount": "50.00", "Taxes": "0.00", "Total": "105.00"}, 50.0),
        # Taxes are in the prices where they do not add to the total: 105.00 have 8.40 tax.
        ({"Taxes": "8.40", "Total": "105.00"}, 92.0),
        ({"Taxes": "8.40", "Total": "105.00", "Refunded Amount": "50.00"}, 46.0),
    ],
)
def test_refunds_are_of_goods_without_tax_and_shipping(read, columns, net):
    got = read([first(**columns)], keep_zero_amount=True)
    assert got.amounts["#1"] == pytest.approx(net, abs=1e-4)
    parts = got.orders.loc["#1"]
    made = parts["gross_amount"] - parts["discount_amount"] - parts["refund_amount"]
    assert made == pytest.approx(net, abs=1e-3)


@pytest.mark.parametrize(
    ("columns", "net"),
    [
        # 119.00 of goods with 19.00 of tax in them, 5.00 of tip.
        ({"Subtotal": "119.00", "Shipping": "0", "Taxes": "19.00", "Total": "124.00"}, 100.0),
        # 107.00 of goods and 12.00 of shipping with 19.00 of tax, 4.00 of duties and 2.50 of tip.
        (
            {
                "Subtotal": "107.10",
                "Shipping": "11.90",
                "Taxes": "19.00",
                "Duties": "4.00",
                "Total": "125.50",
            },
            90.0,
        ),
        # Duties alone, tax on top.
        ({"Duties": "7.00", "Total": "120.00"}, 100.0),
        # A tip above the tax is of either kind: without other orders tax is on top.
        ({"Total": "123.00"}, 100.0),
        # A total that is rounded to five cents tells the same as one that is not.
        ({"Total": "112.97"}, 100.0),
        # Half of what was paid for goods was given back: half of 100.00.
        (
            {
                "Subtotal": "119.00",
                "Shipping": "0",
                "Taxes": "19.00",
                "Total": "124.00",
                "Refunded Amount": "59.50",
            },
            50.0,
        ),
        # Less than zero is left of the total: a discount on shipping tells nothing.
        ({"Total": "104.00"}, 100.0),
    ],
)
def test_tips_and_duties_are_in_the_total_and_no_revenue(read, columns, net):
    assert read([first(**columns)]).amounts["#1"] == pytest.approx(net, abs=1e-4)


def included(number, **more):
    return first(f"#{number}", **({"Taxes": "8.40", "Total": "105.00"} | more))


@pytest.mark.parametrize(("inclusive", "net"), [(3, 100 * (1 - 8.40 / 105)), (1, 100.0)])
def test_a_tip_above_the_tax_is_read_as_most_of_the_stores_orders_are(read, inclusive, net):
    usual = [included(i) for i in range(2, 2 + inclusive)] + [first("#8"), first("#9")]
    got = read([included(1, Total="125.00"), *usual])
    assert got.amounts["#1"] == pytest.approx(net, abs=1e-4)


@pytest.mark.parametrize("status", ["new words", "on credit", "Rechnung"])
def test_the_settings_name_statuses(tmp_path, status):
    text = as_csv([first(**{"Financial Status": status}), KEPT])
    paid = Reading(tmp_path / "1", {"a.csv": text}, paid_statuses=(status,))
    assert paid.amounts == {"#1": 100.0, "#99": 100.0}
    void = Reading(tmp_path / "2", {"a.csv": text}, void_statuses=(status,))
    assert void.rejected == {"unpaid": 1}


@pytest.mark.parametrize(
    "renewal",
    [
        {"Tags": "Subscription, Subscription Recurring Order"},
        {"Tags": "appstle_subscription_recurring_order"},
        {"Source": "subscription_contract"},
        {"Source": "subscription_contract_checkout_one"},
    ],
)
def test_renewals_are_left_out_with_all_their_rows(read, renewal):
    started = first("#2", Tags="Subscription First Order")
    got = read(
        [first("#1"), started, first("#3", **renewal), line("Mug", "0.00", name="#3")],
        renewals="exclude",
    )
    assert (set(got.amounts), got.rejected) == ({"#1", "#2"}, {"renewal": 2})


def test_who_was_billed_is_evidence(tmp_path):
    row = first(**{"Billing Name": "Ann Lee", "Billing Zip": "'02139", "Accepts Marketing": "yes"})
    (tmp_path / "a.csv").write_text(as_csv([row, line("Mug", "0.00")]))
    with open_engine() as engine:
        rows = engine.read_rows([tmp_path / "a.csv"]).rows
        actual = SHOPIFY.read(engine, {"orders": rows}, OrderSource(""), AS_OF)
        names = ("name", "postal_code", "accepts_marketing", "status")
        frame = engine.frame(actual.rows.select(**{n: actual.columns[n] for n in names}))
    assert frame.to_numpy().tolist() == [["Ann Lee", "02139", "yes", "paid"]] * 2


SQUARESPACE = [
    "Order ID,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Currency,Subtotal,Shipping,"
    "Taxes,Amount Refunded,Total,Discount Code,Discount Amount,Shipping Method,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Lineitem variant,Cancelled at",
    "00001,ana@shop.org,PAID,,pending,,USD,20.00,10.00,1.60,0.00,31.60,,0.00,,2025-07-25 21:06:11 -0700,"
    "1,Washed,10.00,S1,200g,",
    "00001,,,,,,,,,,,,,,,,1,Natural,10.00,S2,200g,",
    "00002,ben@shop.org,PARTIALLY_REFUNDED,,fulfilled,,USD,40.00,0.00,4.00,11.00,44.00,,0.00,,"
    "2025-08-01 09:00:00 -0700,1,Washed,40.00,S1,1kg,",
    "00003,ana@shop.org,REFUNDED,,fulfilled,,USD,10.00,0.00,0.00,10.00,10.00,,0.00,,"
    "2025-08-02 09:00:00 -0700,1,Washed,10.00,S1,200g,",
    "00004,eve@shop.org,PENDING,,pending,,USD,10.00,0.00,0.00,0.00,10.00,,0.00,,"
    "2025-08-02 09:00:00 -0700,1,Washed,10.00,S1,200g,",
]


def test_an_export_of_squarespace_is_read(tmp_path):
    assert recognize({"orders": tuple(SQUARESPACE[0].split(","))})
    got = Reading(tmp_path, {"orders.csv": "\n".join(SQUARESPACE) + "\n"})
    # 00002: of 44.00 with 4.00 of tax 11.00 came back, 10.00 of goods.
    assert got.amounts == {"00001": 20.0, "00002": 30.0}
    assert got.rejected == {"refunded_in_full": 1, "unpaid": 1}
    assert sorted(got.lines["product_name"]) == ["Natural", "Washed", "Washed"]


@pytest.mark.parametrize(
    "gone", ["Financial Status", "Cancelled at", "Refunded Amount", "Taxes", "Total"]
)
def test_what_follows_of_a_column_that_is_missing_is_noted(read, gone):
    got = read([first()], columns=[name for name in COLUMNS if name != gone])
    assert got.amounts == {"#1": 100.0}
    assert [n for n in got.notes if n.startswith(f"{gone} is missing") and "orders.columns" in n]


def test_amounts_and_moments_are_listed_in_every_wording():
    names = ("Name", "SUBTOTAL", "Amount Refunded", "Created At", "Canceled at", "Lineitem price")
    assert SHOPIFY.amounts(names) == ["SUBTOTAL", "Amount Refunded", "Lineitem price"]
    assert SHOPIFY.moments(names) == ["Created At", "Canceled at"]


def test_refunds_without_a_date_are_said(read, tmp_path):
    got = read([first(**{"Refunded Amount": "54.00"}), first("#2", Email="bob@shop.org")])
    assert [note for note in got.notes if "refunds carry no date" in note and " 1 order" in note]
    silent = Reading(tmp_path / "other", {"a.csv": as_csv([first()])})
    assert not [note for note in silent.notes if "refund" in note]


def test_an_order_in_two_files_counts_once(read):
    rows = [first(**line("Beans", "80.00")), line("Gift card", "10.00"), line("Mug", "10.00")]
    got = read(rows, [*rows, first("#2", Email="bob@shop.org")])
    assert got.amounts == {"#1": 90.0, "#2": 100.0}
    assert got.history.accounting.merged == {"exact_duplicates": 3, "lines_summed": 2}
    assert sorted(got.lines["product_name"]) == ["Beans", "Beans", "Mug"]
    assert got.lines.loc["#1", "net_amount"].sum() == pytest.approx(90.0)


def test_an_order_cut_between_two_files_is_one(read):
    got = read([first(**line("Beans", "90.00"))], [line("Gift card", "10.00"), KEPT])
    assert got.amounts == {"#1": 90.0, "#99": 100.0}


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_versions_the_one_with_the_refund_counts(read, turn):
    before = [first(), line("Mug", "0.00", **{"Lineitem fulfillment status": "pending"})]
    refunded = {"Refunded Amount": "54.00", "Financial Status": "partially_refunded"}
    after = [
        first(**refunded),
        line("Mug", "0.00", **{"Lineitem fulfillment status": "fulfilled"}),
    ]
    got = read(*[before, after][::turn])
    assert got.amounts == {"#1": 50.0}
    assert got.history.accounting.is_balanced
    assert sorted(got.lines["product_name"]) == ["Beans", "Mug"]


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("before", "after", "rejected"),
    [
        ({}, {"Cancelled at": "2025-10-03 10:00:00 -0300"}, {"canceled": 2}),
        ({}, {"Financial Status": "voided"}, {"canceled": 2}),
        ({"Financial Status": "pending"}, {"Financial Status": "paid"}, {}),
        (
            {},
            {"Financial Status": "refunded", "Refunded Amount": "113.00"},
            {"refunded_in_full": 2},
        ),
    ],
)
def test_of_two_versions_the_later_status_counts(read, before, after, rejected, turn):
    got = read(*[[first(**before)], [first(**after), KEPT]][::turn])
    assert got.rejected == rejected
    assert got.amounts == ({} if rejected else {"#1": 100.0}) | {"#99": 100.0}


def test_a_name_with_two_ids_is_two_orders(read):
    ours = [first(Id="5000000000001"), line("Mug", "0.00")]
    other = first(Id="6000000000001", Email="bob@shop.org", Subtotal="70.00")
    got = read([*ours, KEPT], [other, line("Gift card", "20.00")])
    assert got.amounts == {"#1 (5000000000001)": 100.0, "#1 (6000000000001)": 50.0, "#99": 100.0}


def test_an_id_that_excel_rounded_tells_nothing(read):
    got = read([first(Id="6.87E+12")], [first(Id="5000000000001")])
    assert got.amounts == {"#1": 100.0}


def test_moments_have_the_shops_offset_before_and_after_the_clocks_change(read):
    at = {"#1": "2025-11-01 23:30:00 -0700", "#2": "2025-11-02 23:30:00 -0800"}
    rows = [first(name, **{"Created at": moment}) for name, moment in at.items()]
    got = read(rows, zone="America/Los_Angeles").orders
    assert [str(day)[:10] for day in got["order_date"]] == ["2025-11-01", "2025-11-02"]
    assert [str(moment) for moment in got["ordered_at"]] == [
        "2025-11-02 06:30:00",
        "2025-11-03 07:30:00",
    ]


def test_customers_are_known_by_email_in_any_spelling_else_by_phone(read):
    rows = [
        first("#1", Phone="+1 555 201 0001"),
        first("#2", Email="ANN@shop.org "),
        first("#3", Email="", **{"Billing Phone": "+15552010001"}),
        first("#4", Email="", Phone="+1 555 201 0009"),
    ]
    who = read(rows).orders["customer_id"]
    assert list(who[["#1", "#2", "#3"]]) == ["ann@shop.org"] * 3
    assert who["#4"] == "+15552010009"


def test_every_wording_of_the_headings_is_read(read):
    wordings = {
        "Created at": "Created At",
        "Cancelled at": "Canceled at",
        "Lineitem sku": "Lineitem SKU",
        "Lineitem compare at price": "Lineitem compare-at price",
        "Financial Status": "financial_status",
        "Refunded Amount": "REFUNDED AMOUNT",
    }
    refund = {"Refunded Amount": "54.00", "Lineitem sku": "B1"}
    void = first("#2", **{"Cancelled at": "2025-10-03 10:00:00 -0300"})
    unpaid = first("#3", **{"Financial Status": "pending"})
    rows = [
        {wordings.get(name, name): value for name, value in row.items()}
        for row in (first(**refund), void, unpaid)
    ]
    got = read(rows, columns=[wordings.get(name, name) for name in COLUMNS])
    assert got.amounts == {"#1": 50.0}
    assert got.rejected == {"canceled": 1, "unpaid": 1}
    assert list(got.lines["product_id"]) == ["B1"]


@pytest.mark.parametrize("who", ["Email", "Phone"])
def test_an_old_export_has_few_columns(read, who):
    row = first(Phone="+15552010001")
    columns = [who if name == "Email" else name for name in SHORT]
    assert recognize({"orders": tuple(columns)})
    got = read([row, line("Gift card", "25.00")], columns=columns)
    assert got.amounts == {"#1": 75.0}


@pytest.mark.parametrize("missing", SHORT)
def test_a_column_that_every_export_has_is_asked_for(read, missing):
    with pytest.raises(
        SourceError, match=rf"no column '{missing}'.* it has .*Export under Orders"
    ):
        read([first()], columns=[name for name in SHORT if name != missing])


def test_the_settings_name_a_column_of_another_name(tmp_path):
    text = as_csv([first(Notes="wholesale")])
    how = {"columns": {"channel": "Notes"}}
    assert list(Reading(tmp_path / "one", {"a.csv": text}, **how).orders["channel"]) == [
        "wholesale"
    ]
    for wrong in ({"channel": "Nots"}, {"shoe_size": "Notes"}):
        with pytest.raises(
            SourceError,
            match=r"no column 'Nots'.*orders\.columns\.channel|no use for orders\.columns\.shoe_size",
        ):
            Reading(tmp_path / next(iter(wrong)), {"a.csv": text}, columns=wrong)


def test_lines_share_the_orders_discount_and_refund(read):
    rows = [first(Subtotal="90.00", Taxes="0.00", Total="95.00", **{"Refunded Amount": "9.00"})]
    rows[0] |= line("Beans", "30.00", "2")
    got = read([*rows, line("Mug", "40.00"), line("Gift card", "0.00")])
    assert got.amounts == {"#1": 81.0}
    frame = got.lines.set_index("product_name")
    assert frame["quantity"].to_dict() == {"Beans": 2, "Mug": 1}
    assert frame["net_amount"].to_dict() == pytest.approx({"Beans": 48.6, "Mug": 32.4})


def test_all_headings_are_in_the_current_export():
    wordings = {name for names in HEADINGS.values() for name in names}
    assert wordings - set(COLUMNS) == {"Canceled at", "Order ID", "Amount Refunded"}
    assert recognize({"orders": tuple(COLUMNS)})
    assert not recognize({"orders": ("Name", "Email", "Created at", "Subtotal")})


@pytest.fixture(scope="module", params=["coffee", "apparel"])
def store(request, tmp_path_factory):
    world = simulate(400, date(2024, 1, 1), date(2025, 1, 1), 3, request.param)
    form = FORMS["shopify"](world)
    # The simulated customers' addresses are of example.com, which no real customer's is.
    files = {
        name: rows.replace(r"(?i)@example\.", "@mailbox.", regex=True).to_csv(index=False)
        for name, rows in form.files.items()
    }
    folder = tmp_path_factory.mktemp("shopify")
    zone = world.profile.timezone
    return form, Reading(folder, files, zone, date(2024, 12, 31), currency=world.profile.currency)


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
    refused = pd.read_csv(got.history.rejects, dtype=str)
    by_rule = refused.groupby("rule")["Name"].nunique().to_dict()
    assert by_rule == {PLANTED[trap]: counts[trap] for trap in PLANTED if counts[trap]}
    rows = Counter(refused["rule"])
    assert accounting.rejected == rows
    assert sum(counts[trap] for trap in PLANTED) > 10
