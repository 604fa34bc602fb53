"""Which column of a source is which of ours."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.presets.plain import OPTIONAL, REQUIRED, resolve_columns

PLAIN = ["order_id", "customer_id", "ordered_at", "net_amount"]


def refusal(mapping, available):
    """Return why the columns are refused; a reason is one line."""
    with pytest.raises(ValueError, match="orders") as error:
        resolve_columns(mapping, available)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_our_own_names_need_no_mapping():
    assert resolve_columns({}, PLAIN) == {name: name for name in PLAIN}


def test_a_mapped_column_is_found_under_its_own_name():
    columns = resolve_columns({"order_id": "InvoiceNo"}, ["InvoiceNo", *PLAIN[1:]])
    assert columns["order_id"] == "InvoiceNo"


def test_a_mapping_goes_before_our_own_name():
    columns = resolve_columns({"order_id": "InvoiceNo"}, ["InvoiceNo", *PLAIN])
    assert columns["order_id"] == "InvoiceNo"


def test_one_column_may_serve_twice():
    columns = resolve_columns({"customer_id": "order_id"}, PLAIN)
    assert columns["customer_id"] == columns["order_id"] == "order_id"


def test_columns_that_are_not_ours_are_left_out():
    assert resolve_columns({}, [*PLAIN, "Notes"]) == {name: name for name in PLAIN}


@pytest.mark.parametrize(
    "value",
    [["net_amount"], ["gross_amount"], ["quantity", "unit_price"]],
    ids=" and ".join,
)
def test_a_value_comes_from(value):
    assert set(value) <= set(resolve_columns({}, [*PLAIN[:3], *value]))


@pytest.mark.parametrize("value", [[], ["quantity"], ["unit_price"], ["discount_amount"]])
def test_orders_without_a_value_are_refused(value):
    message = refusal({}, [*PLAIN[:3], *value])
    assert "orders need a value" in message
    assert (
        "map orders.columns.net_amount, or for a file of order lines line_amount, or quantity"
        in message
    )
    assert "order_id, customer_id, ordered_at" in message


@pytest.mark.parametrize("ours", REQUIRED)
def test_a_required_column_that_is_nowhere_is_refused(ours):
    message = refusal({}, [name for name in PLAIN if name != ours])
    assert f"orders need {ours}: the source has no column '{ours}'" in message
    assert f'Set orders.columns.{ours} = "…"' in message


@pytest.mark.parametrize("ours", [*REQUIRED, *OPTIONAL])
def test_a_mapped_column_that_is_nowhere_is_refused_even_where_it_is_optional(ours):
    assert f"orders need {ours}: the source has no column 'Typo'" in refusal(
        {ours: "Typo"}, [*REQUIRED, *OPTIONAL]
    )


def test_the_close_name_is_suggested():
    message = refusal({"customer_id": "CustomerId"}, ["CustomerID", *PLAIN])
    assert "did you mean 'CustomerID'?" in message


def test_where_no_name_is_close_the_source_s_columns_are_listed():
    message = refusal({"customer_id": "Kunde"}, ["CustomerID", "InvoiceNo"])
    assert "it has CustomerID, InvoiceNo." in message


def test_a_name_that_is_not_ours_is_refused():
    message = refusal({"customer": "CustomerID"}, ["CustomerID", *PLAIN])
    assert "orders.columns.customer is not a column of ours" in message
    assert "known are order_id, customer_id, ordered_at" in message


def test_every_problem_is_named_at_once():
    message = refusal({"net_amount": "Total", "customer": "CustomerID"}, ["Amount", "CustomerID"])
    assert "orders.columns.customer is not a column of ours" in message
    for ours in (*REQUIRED, "net_amount"):
        assert f"orders need {ours}" in message


@pytest.mark.parametrize(
    "name", ['x"; drop table orders; --', "it's", "日本 ☕", "{0} %s", "order\nid", "order\r\nid"]
)
def test_a_refusal_is_one_line_whatever_the_source_s_columns_are_called(name):
    refusal({"order_id": "InvoiceNo"}, [name, "Amount"])
    refusal({"order_id": name}, PLAIN[1:])


names = st.sampled_from([*REQUIRED, *OPTIONAL]) | st.text(max_size=5)


@settings(deadline=None, max_examples=300)
@given(mapping=st.dictionaries(names, names), available=st.lists(names, unique=True))
def test_columns_are_found_or_refused_and_what_is_found_is_there(mapping, available):
    try:
        columns = resolve_columns(mapping, available)
    except ValueError:
        pass
    else:
        assert set(REQUIRED) - {"customer_id"} <= set(columns) <= {*REQUIRED, *OPTIONAL}
        assert {"customer_id", "email", "phone"} & set(columns)
        assert set(columns.values()) <= set(available)
        assert columns.items() >= mapping.items()


HEADER = "order_id,customer_id,ordered_at,net_amount,status\n"
KEPT = "0,z,2025-01-01,5,paid\n"


def by_status(folder, rows, header=HEADER, **how):
    (folder / "orders.csv").write_text(header + rows)
    with open_engine("UTC") as engine:
        source = OrderSource(str(folder / "orders.csv"), **how)
        history = read_orders(engine, source, date(2025, 12, 31), folder / "out")
    return history.accounting.rejected, history.accounting.merged, history.accounting.orders


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        ("Cancelled", "canceled"),
        ("VOIDED", "canceled"),
        ("Fully refunded", "refunded_in_full"),
        ("refunded", "refunded_in_full"),
        ("charge-back", "refunded_in_full"),
        ("Pending payment", "unpaid"),
        ("Awaiting Payment", "unpaid"),
        ("declined", "unpaid"),
        ("Expired", "unpaid"),
        ("Dispute lost", "refunded_in_full"),
        ("ChargedBack", "refunded_in_full"),
        ("abandoned", "unpaid"),
        ("wc-checkout-draft", "unpaid"),
        ("trash", "deleted"),
        ("test", "test_order"),
        ("shipped", None),
        ("Partially refunded", None),
        ("7", None),
        ("", None),
    ],
)
def test_a_status_in_the_usual_words_makes_a_row_no_purchase(tmp_path, word, rule):
    rejected, _, orders = by_status(tmp_path, f"{KEPT}1,a,2025-01-01,5,{word}\n")
    assert rejected == ({rule: 1} if rule else {})
    assert orders == (1 if rule else 2)


@pytest.mark.parametrize("word", ["refunded", "Returned", "chargeback"])
def test_a_negative_row_whose_status_is_a_refund_is_the_refund_itself(tmp_path, word):
    rows = f"1,z,2025-02-01,-2.50,{word}\n2,z,2025-03-01,4,{word}\n"
    rejected, merged, orders = by_status(tmp_path, KEPT + rows)
    assert (rejected, merged["refunds_netted"]) == ({"refunded_in_full": 1}, 1)
    assert orders == 1


def test_the_settings_name_statuses_and_their_column(tmp_path):
    header = HEADER.replace("status", "State")
    how = {
        "columns": {"status": "State"},
        "paid_statuses": ("pending",),
        "void_statuses": ("Quote",),
    }
    rows = "1,a,2025-01-01,5,Pending\n2,b,2025-01-01,5,quote\n3,c,2025-01-01,5,failed\n"
    rejected, _, orders = by_status(tmp_path, KEPT + rows, header, **how)
    assert (rejected, orders) == ({"unpaid": 2}, 2)


def test_who_was_billed_and_consent_are_columns_of_ours():
    ours = {"name": "Buyer", "postal_code": "ZIP", "accepts_marketing": "Newsletter"}
    names = ["order_id", "customer_id", "ordered_at", "net_amount", *ours.values()]
    assert resolve_columns(ours, names) == ours | {n: n for n in names if n not in ours.values()}
