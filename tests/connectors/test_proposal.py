"""How tables without a preset are read: by headings and values, and asked for where these leave it open."""

import csv
import io

import pytest

from connectors.proposal import propose
from connectors.sources import SourceError
from connectors.values import Column


def table(text, delimiter=","):
    head, *rows = csv.reader(io.StringIO(text.strip()), delimiter=delimiter)
    columns = [Column(name, tuple(row[i] for row in rows)) for i, name in enumerate(head)]
    return {column.plain: column for column in columns}


def proposed(text, delimiter=","):
    return propose(table(text, delimiter), "orders.csv")


def asked(read):
    return {question.key for question in read.questions}


SHOP = """
Bestellnummer;Bestelldatum;Kundennummer;E-Mail;Zwischensumme;Versandkosten;Rabatt;Gesamtbetrag;Währung;Zahlungsstatus
B1;05.01.2025 10:00;K1;ana@example.org;1.100,00;4,90;0,00;1.104,90;EUR;bezahlt
B2;16.01.2025 11:00;0;ben@example.org;50,00;4,90;5,00;49,90;EUR;bezahlt
B3;17.01.2025 12:00;K1;ana@example.org;30,00;4,90;0,00;34,90;EUR;storniert
"""


def test_a_german_shop_is_read_with_its_decimal_comma_its_dates_and_its_discounts():
    read = proposed(SHOP, ";")
    assert read.columns == {
        "order_id": "Bestellnummer",
        "customer_id": "Kundennummer",
        "email": "E-Mail",
        "ordered_at": "Bestelldatum",
        "status": "Zahlungsstatus",
        "currency": "Währung",
        "gross_amount": "Zwischensumme",
        "discount_amount": "Rabatt",
    }
    assert read.settings["store"] == {"currency": "EUR"}
    assert read.settings["orders"] == {
        "decimal": ",",
        "date_format": "%d.%m.%Y %H:%M",
        "paid_statuses": ("bezahlt",),
        "void_statuses": ("storniert",),
    }
    assert not read.questions


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("order,customer_id,email,date,amount\n1,7,a@example.org,2025-01-05,5\n2,0,b@example.org,2025-01-06,6\n"
         "3,0,c@example.org,2025-02-06,6\n", {"customer_id": "customer_id", "email": "email"}),
        ("Order No,Client ID,Client Mail,Mobile,Date,Net Amount\n1,7,a@example.org,+1555,2025-01-05,5\n"
         "2,,b@example.org,+1556,2025-01-06,6\n3,7,a@example.org,,2025-01-07,6\n",
         {"customer_id": "Client ID", "email": "Client Mail", "phone": "Mobile"}),
        ("number,user_id,billing_email,shipping_email,created,subtotal\n1,7,a@example.org,x@example.org,2025-01-05,5\n"
         "2,0,b@example.org,b@example.org,2025-01-06,6\n3,7,a@example.org,a@example.org,2025-01-07,6\n",
         {"customer_id": "user_id", "email": "billing_email"}),
    ],
)  # fmt: skip
def test_ids_of_guests_keep_the_email_and_the_phone_beside_them(text, who):
    read = proposed(text)
    assert {ours: read.columns.get(ours) for ours in who} == who
    assert not read.questions


@pytest.mark.parametrize(
    ("text", "customer"),
    [
        ("Order ID,Customer,Date,Amount\n1,Ana Lee,2025-01-05,5\n2,Bo Day,2025-01-06,6\n", None),
        ("id,customer,email,created_at,subtotal_price\n1,\"{'id': 7}\",a@example.org,2025-01-05,5.00\n"
         "2,\"{'id': 8}\",b@example.org,2025-01-06,6.00\n", None),
        ("id,buyer,order_date,total\n1,\"Lee, Ana\",2025-01-05,5\n2,\"Day, Bo\",2025-01-06,6\n", None),
        ("id,client,order_date,total\n1,cl_81,2025-01-05,5\n2,cl_82,2025-01-06,6\n3,cl_81,2025-01-07,6\n", "client"),
        ("id,seller_id,customer_code,order_date,total\n1,s1,c1,2025-01-05,5\n2,s1,c2,2025-01-06,6\n3,s1,c1,2025-01-07,6\n",
         "customer_code"),
        ("id,customer_id,customer_unique_id,order_date,total\n1,x1,u1,2025-01-05,5\n2,x2,u2,2025-01-06,6\n"
         "3,x3,u1,2025-01-07,6\n", "customer_unique_id"),
    ],
)  # fmt: skip
def test_an_object_a_name_and_an_id_of_each_order_are_no_customer(text, customer):
    read = proposed(text)
    assert read.columns.get("customer_id") == customer
    has_who = bool({"customer_id", "email"} & set(read.columns))
    assert ("customer_id" in asked(read)) == (not has_who)


def test_an_id_that_every_order_has_anew_gives_way_to_the_email():
    rows = "".join(f"o{i},c{i},a{i % 5}@example.org,2025-01-{i + 1:02d},5\n" for i in range(25))
    read = proposed("order_id,customer_id,email,date,amount\n" + rows)
    assert "customer_id" not in read.columns
    assert read.columns["email"] == "email"


@pytest.mark.parametrize(
    ("text", "value"),
    [  # net and subtotals that add up
        ("order_id,email,date,subtotal,shipping,tax,total\n1,a@example.org,2025-01-05,20,5,2,27\n"
         "2,b@example.org,2025-01-06,30,5,3,38\n", {"net_amount": "subtotal"}),
        ("order_id,email,date,subtotal,discount,shipping,tax,total\n1,a@example.org,2025-01-05,20,4,5,2,23\n"
         "2,b@example.org,2025-01-06,30,0,5,3,38\n", {"gross_amount": "subtotal", "discount_amount": "discount"}),
        ("order_id,email,date,subtotal,shipping,tax,total,refunded_amount\n1,a@example.org,2025-01-05,20,5,2,27,0\n"
         "2,b@example.org,2025-01-06,30,5,3,38,10\n", {"gross_amount": "subtotal", "refund_amount": "refunded_amount"}),
        ("Order ID,Email,Date,Gross Sales,Discounts,Net Sales,Tax,Total\n1,a@example.org,2025-01-05,$20.00,($2.00),$18.00,$1.00,$19.00\n"
         "2,b@example.org,2025-01-06,\"$1,250.00\",$0.00,\"$1,250.00\",$9.00,\"$1,259.00\"\n", {"net_amount": "Net Sales"}),
        ("Order ID,Email,Date,Gross Amount,Discount Amount\n1,a@example.org,2025-01-05,20,2\n2,b@example.org,2025-01-06,30,0\n",
         {"gross_amount": "Gross Amount", "discount_amount": "Discount Amount"}),
        ("order_id,email,date,revenue\n1,a@example.org,2025-01-05,20\n2,b@example.org,2025-01-06,30\n", {"net_amount": "revenue"}),
        ("order_id,email,date,shipping,tax,total\n1,a@example.org,2025-01-05,0,0,20\n2,b@example.org,2025-01-06,0,0,30\n",
         {"net_amount": "total"}),
    ],
)  # fmt: skip
def test_the_value_is_what_adds_up_to_goods_less_discounts(text, value):
    read = proposed(text)
    names = ("net_amount", "gross_amount", "discount_amount", "refund_amount", "line_amount")
    assert {ours: read.columns[ours] for ours in names if ours in read.columns} == value
    assert "net_amount" not in asked(read)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("order_id,email,date,shipping,tax,total\n1,a@example.org,2025-01-05,5,2,27\n2,b@example.org,2025-01-06,5,3,38\n",
         "total includes shipping and tax"),
        ("order_id,email,date,freight,order_total\n1,a@example.org,2025-01-05,5,25\n2,b@example.org,2025-01-06,5,35\n",
         "order_total includes freight"),
        ("order_id,email,date,Net amount,Shipping,Total\n1,a@example.org,2025-01-05,25,5,25\n2,b@example.org,2025-01-06,35,5,35\n",
         "Total includes Shipping"),
        ("order_id,email,date,subtotal,shipping,tax,total\n1,a@example.org,2025-01-05,20,5,2,25\n2,b@example.org,2025-01-06,30,5,3,35\n",
         "subtotal includes tax"),
        ("order_id,email,date,subtotal,shipping,total\n1,a@example.org,2025-01-05,20,5,22\n2,b@example.org,2025-01-06,30,5,35\n",
         "may be before discounts"),
        ("order_id,email,date,subtotal,discount\n1,a@example.org,2025-01-05,20,5\n2,b@example.org,2025-01-06,30,0\n",
         "before or after discount"),
        ("order_id,email,date,color\n1,a@example.org,2025-01-05,red\n2,b@example.org,2025-01-06,blue\n", ""),
    ],
)  # fmt: skip
def test_a_value_with_shipping_tax_or_unknown_discounts_is_asked_for(text, words):
    read = proposed(text)
    assert not {"net_amount", "gross_amount", "line_amount"} & set(read.columns)
    assert "net_amount" in asked(read)
    assert words in " ".join(read.notes)
    assert {"order_id", "email", "ordered_at"} <= set(read.columns)  # the rest is kept


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Order ID,Order Date,Customer ID,Product ID,Sales,Quantity\n1,2025-01-05,c1,a,20.5,2\n1,2025-01-05,c1,b,30,1\n"
         "2,2025-01-06,c2,a,10,1\n", {"line_amount": "Sales"}),
        ("order_no,date,client_id,sku,qty,unit_price,line_total\n1,2025-01-05,c1,a,2,10,18\n1,2025-01-05,c1,b,1,30,30\n"
         "2,2025-01-06,c2,a,1,10,10\n", {"line_amount": "line_total"}),
        ("invoice,date,client_id,sku,qty,price\n1,2025-01-05,c1,a,2,10\n1,2025-01-05,c1,b,1,30\n2,2025-01-06,c2,a,1,10\n",
         {"quantity": "qty", "unit_price": "price"}),
        ("order_id,date,customer_id,product,total\n1,2025-01-05,c1,a,20\n1,2025-01-05,c1,b,30\n2,2025-01-06,c2,a,10\n",
         {"line_amount": "total"}),
        ("order_id,date,customer_id,product,subtotal\n1,2025-01-05,c1,a,50\n1,2025-01-05,c1,b,50\n2,2025-01-06,c2,a,10\n",
         {"net_amount": "subtotal"}),  # the order's own, on each of its lines
        ("order_id,date,customer_id,product_id,price\n1,2025-01-05,c1,a,20\n1,2025-01-05,c1,b,30\n2,2025-01-06,c2,a,10\n",
         {"line_amount": "price"}),
    ],
)  # fmt: skip
def test_lines_of_an_order_are_told_from_totals_by_whether_they_differ(text, value):
    read = proposed(text)
    assert {
        k: v for k, v in read.columns.items() if k in ("net_amount", "line_amount", "unit_price")
    } == {k: v for k, v in value.items() if k != "quantity"}
    assert "net_amount" not in asked(read)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("Order ID,Email,Date,Time Zone,Amount\n1,a@example.org,01/15/2025,Pacific Time (US & Canada),$5.00\n",
         {"store": {"currency": "USD", "timezone": "America/Los_Angeles"}, "orders": {"date_format": "%m/%d/%Y"}}),
        ("Order ID,Email,Date,Zone,Amount\n1,a@example.org,15/01/2025,Europe/London,£5.00\n",
         {"store": {"currency": "GBP", "timezone": "Europe/London"}, "orders": {"date_format": "%d/%m/%Y"}}),
        ("Order ID,Email,Created (UTC),Amount (EUR)\n1,a@example.org,2025-01-15 10:00:00,\"5,10\"\n",
         {"store": {"currency": "EUR"}, "orders": {"decimal": ",", "timezone": "UTC"}}),
        ("order_id,email,created_at_utc,amount,currency\n1,a@example.org,2025-01-15 10:00:00,5,cad\n2,b@example.org,2025-01-15 10:00:00,5,CAD\n",
         {"store": {"currency": "CAD"}, "orders": {"timezone": "UTC"}}),
    ],
)  # fmt: skip
def test_currency_zone_decimal_mark_and_dates_are_set_as_the_values_show(text, settings):
    assert proposed(text).settings == settings


def test_days_and_months_that_may_be_either_are_asked_for():
    read = proposed(
        "order_id,email,date,amount\n1,a@example.org,1/2/2025,5\n2,b@example.org,3/4/2025,6\n"
    )
    (question,) = read.questions
    assert question.choices == ({"date_format": "%m/%d/%Y"}, {"date_format": "%d/%m/%Y"})
    assert "date_format" not in read.settings["orders"]


def test_offsets_ask_for_the_stores_zone():
    read = proposed("order_id,email,date,amount\n1,a@example.org,2025-01-02T23:00:00-05:00,5\n")
    assert "states offsets (-05:00): set store.timezone" in read.notes[-1]


def test_unknown_status_words_are_asked_for_and_the_others_set():
    read = proposed(
        "order_id,email,date,amount,status\n1,a@example.org,2025-01-02,5,Paid\n2,b@example.org,2025-01-02,5,Zork\n"
        "3,b@example.org,2025-01-03,5,Canceled\n"
    )
    assert read.settings["orders"] == {
        "paid_statuses": ("Paid",)
    }  # canceled has a rule of its own
    (question,) = read.questions
    assert question.choices == ({"paid_statuses": ("Zork",)}, {"void_statuses": ("Zork",)})


def test_statuses_of_other_languages_are_known_with_and_without_accents():
    words = [
        "Livré",
        "Payée",
        "Annulé",
        "Remboursé",
        "Versendet",
        "Storniert",
        "Entregado",
        "Cancelado",
    ]
    rows = [f"{i},a{i}@example.org,2025-01-{i + 10},5,{word}" for i, word in enumerate(words)]
    read = proposed("order_id,email,date,amount,status\n" + "\n".join(rows) + "\n")
    assert not read.questions
    assert set(read.settings["orders"]["paid_statuses"]) == {
        "Livré",
        "Payée",
        "Versendet",
        "Entregado",
    }
    void = {"Annulé", "Remboursé", "Storniert", "Cancelado"}
    assert set(read.settings["orders"]["void_statuses"]) == void


def test_the_orders_own_day_goes_before_others():
    read = proposed(
        "order_id,shipped_date,order_date,birth_date,email,amount\n1,2025-01-09,2025-01-02,1980-01-01,a@example.org,5\n"
    )
    assert read.columns["ordered_at"] == "order_date"
    only = proposed("order_id,when,email,amount\n1,2025-01-09,a@example.org,5\n")
    assert only.columns["ordered_at"] == "when"


def test_what_is_recognized_is_kept_where_the_rest_is_missing():
    read = proposed("ref,when,who,worth\nA1,2025-01-09,ana,5.5\nA2,2025-01-10,bo,6.5\n")
    assert read.columns == {"ordered_at": "when"}
    assert asked(read) == {"order_id", "customer_id", "net_amount"}


def test_nothing_recognized_is_refused():
    with pytest.raises(SourceError, match="no order number, date or customer"):
        proposed("color,shape\nred,round\n")


SQUARE = "Date,Time,Time Zone,Gross Sales,Discounts,Net Sales,Tax,Total Collected,Transaction ID,Event Type,Customer ID,Customer Name\n"


def test_squares_rows_of_one_transaction_are_summed():
    rows = "2025-01-05,10:00:00,Pacific Time (US & Canada),$20.00,$0.00,$20.00,$0.00,$20.00,t1,Payment,C1,A\n"
    back = "2025-01-06,10:00:00,Pacific Time (US & Canada),($5.00),$0.00,($5.00),$0.00,($5.00),t1,Refund,C1,A\n"
    assert proposed(SQUARE + rows).columns["net_amount"] == "Net Sales"
    assert proposed(SQUARE + rows + back).columns["line_amount"] == "Net Sales"


def test_squares_sales_without_any_customer_ask_for_one():
    rows = "2025-01-05,10:00:00,Eastern Time (US & Canada),$20.00,$0.00,$20.00,$0.00,$20.00,t1,Payment,,\n"
    read = proposed(SQUARE + rows)
    assert asked(read) == {"customer_id"}
    assert read.settings["store"]["timezone"] == "America/New_York"


ETSY = "Sale Date,Order ID,Buyer User ID,Full Name,Currency,Order Value,Discount Amount,Shipping,Sales Tax,Order Total,Adjusted Order Total,Buyer\n"


@pytest.mark.parametrize("day", ["6/4/2020", "06/04/20"])
def test_older_etsy_files_are_read_month_first_or_asked(day):
    read = proposed(ETSY + f"{day},1,b1,A B,EUR,10.00,0.00,5.00,0.00,15.00,0.00,A B\n")
    assert read.columns["gross_amount"] == "Order Value"
    if len(day) == 8 and day.endswith("/20"):
        assert read.settings["orders"]["date_format"] == "%m/%d/%y"
    else:
        assert asked(read) == {"date_format"}


def test_etsys_buyers_name_is_no_id_and_refunds_are_named():
    read = proposed(
        ETSY
        + "09/25/25,1,,Ana Lee,USD,10.00,0.00,5.00,0.00,15.00,12.00,Ana Lee\n"
        + "09/26/25,2,,Bo Day,USD,20.00,0.00,5.00,0.00,25.00,0.00,Bo Day\n"
    )
    assert "customer_id" not in read.columns
    assert asked(read) == {"customer_id"}
    assert "Adjusted Order Total (rows: 1)" in " ".join(read.notes)


def test_etsys_items_are_lines():
    read = proposed(
        "Sale Date,Item Name,Buyer,Quantity,Price,Coupon Code,Discount Amount,Order Shipping,Item Total,Currency,"
        "Transaction ID,Order ID\n09/25/25,Mug,ana1,2,5.00,,1.00,4.00,10.00,USD,t1,o1\n"
        "09/25/25,Pot,ana1,1,7.00,,0.00,0,7.00,USD,t2,o1\n"
    )
    assert read.columns["order_id"] == "Order ID"
    assert read.columns["customer_id"] == "Buyer"
    assert {"quantity", "unit_price", "discount_amount"} <= set(read.columns)


@pytest.mark.parametrize(
    "head",
    [
        "Order ID,Email,Financial Status,Paid at,Lineitem name,Lineitem price,Total",
        "ORDER ID,EMAIL,FINANCIAL STATUS,PAID AT,SUBTOTAL,LINEITEM QUANTITY,LINEITEM NAME,LINEITEM PRICE",
        "Order ID,Email,Financial Status,Paid at,Lineitem Quantity,Lineitem Name,Lineitem Price,Lineitem Variant",
    ],
)
def test_squarespace_in_other_versions_is_read_as_shopifys(head):
    read = proposed(f"{head}\n{',' * head.count(',')}\n")
    assert read.preset == "shopify"
    assert read.title == "Squarespace orders"


@pytest.mark.parametrize("who", ["customer__id", "customer.id", "customer_id"])
def test_shopify_rest_orders_of_other_loaders_are_read_by_the_customers_id(who):
    head = f"id,name,created_at,financial_status,subtotal_price,total_line_items_price,{who},email,currency,test,taxes_included\n"
    row = "1,#1,2025-01-05T10:00:00-05:00,paid,20.00,20.00,7,a@example.org,USD,{},{}\n"
    read = proposed(head + row.format("false", "false"))
    assert read.columns["customer_id"] == who
    assert read.columns["net_amount"] == "subtotal_price"
    assert "test orders count" in " ".join(proposed(head + row.format("true", "false")).notes)
    assert "net_amount" in asked(proposed(head + row.format("false", "true")))


def test_bigcommerces_coupons_are_named_where_totals_do_not_add_up():
    head = (
        "Order ID,Customer ID,Customer Email,Order Date,Order Status,Subtotal (ex tax),Shipping Cost (ex tax),"
        "Handling Cost (ex tax),Order Total (ex tax),Refund Amount\n"
    )
    even = "1,7,a@example.org,2025-01-05,Completed,20.0000,5.0000,0.0000,25.0000,0.0000\n"
    coupon = "2,0,b@example.org,2025-01-06,Completed,20.0000,5.0000,0.0000,22.0000,3.0000\n"
    assert not proposed(head + even).notes
    notes = " ".join(proposed(head + even + coupon).notes)
    assert "in 1 of 2 rows" in notes
    assert "refunds include tax and shipping" in notes


def test_skyverges_lines_are_read_by_their_total():
    head = "order_id,order_number_formatted,date,status,shipping_total,order_total,customer_id,billing_email,item_name,item_total\n"
    rows = "1,1,2025-01-05 10:00:00,completed,5,55,7,a@example.org,Mug,20\n1,1,2025-01-05 10:00:00,completed,5,55,7,a@example.org,Pot,30\n"
    assert proposed(head + rows).columns["line_amount"] == "item_total"


def test_values_on_each_line_before_discounts_are_asked_for():
    read = proposed(
        "order_id,date,customer_id,product,subtotal,discount,total\n1,2025-01-05,c1,a,50,5,45\n1,2025-01-05,c1,b,50,5,45\n"
        "2,2025-01-06,c2,a,10,0,10\n"
    )
    assert "net_amount" in asked(read)
    assert "stands on each line" in " ".join(read.notes)
