"""Orders that several files have: equal ones count once, changed ones as the newest file has them."""

from datetime import date

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders

ORDERS = "order_id,customer_id,ordered_at,net_amount"
LINES = "order_id,customer_id,ordered_at,product_id,quantity,unit_price"


@pytest.fixture
def read(tmp_path):
    """Return the amounts of what comes of files, and where the rows went."""

    def of_files(files, as_of=date(2026, 12, 31), **how):
        folder = tmp_path / "in"
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.csv").write_text(text)
        with open_engine() as engine:
            source = OrderSource(str(folder), most_unreadable=1.0, **how)
            history = read_orders(engine, source, as_of, tmp_path / "out")
        orders = pd.read_parquet(history.orders).set_index("order_id")["net_amount"]
        assert history.accounting.is_balanced
        return orders.astype("float").to_dict(), history.accounting

    return of_files


def test_a_changed_order_is_as_the_newest_file_has_it(read):
    january = f"{ORDERS}\n1,a,2026-01-05,20\n2,b,2026-01-30,30\n"
    february = f"{ORDERS}\n2,b,2026-01-30,25\n3,a,2026-02-05,40\n"
    amounts, accounting = read({"a": january, "b": february})
    assert amounts == {"1": 20, "2": 25, "3": 40}
    assert accounting.merged["older_versions"] == 1


def test_the_newest_file_is_the_one_with_the_latest_order_whatever_its_name(read):
    january = f"{ORDERS}\n1,a,2026-01-05,20\n2,b,2026-01-30,30\n"
    february = f"{ORDERS}\n2,b,2026-01-30,25\n3,a,2026-02-05,40\n"
    assert read({"z": january, "a": february})[0]["2"] == 25


def test_files_of_equal_days_are_told_apart_by_name(read):
    one, two = f"{ORDERS}\n1,a,2026-01-05,20\n", f"{ORDERS}\n1,a,2026-01-05,21\n"
    assert read({"2026-01-06": one, "2026-01-07": two})[0] == {"1": 21}


def test_an_order_voided_since_is_no_order(read):
    one = f"{ORDERS},status\n1,a,2026-01-05,20,paid\n2,a,2026-01-06,9,paid\n"
    two = f"{ORDERS},status\n1,a,2026-01-05,20,canceled\n3,b,2026-02-01,5,paid\n"
    amounts, accounting = read({"a": one, "b": two})
    assert amounts == {"2": 9, "3": 5}
    assert accounting.rejected == {"canceled": 1}
    assert accounting.merged["older_versions"] == 1


@pytest.mark.parametrize("header", [ORDERS, f"{ORDERS},email"])
@pytest.mark.parametrize("status", ["refunded", "failed", "deleted"])
def test_an_order_that_any_status_voided_since_is_no_order(read, header, status):
    mail = ",a@x.com" if header.endswith("email") else ""
    one = f"{header},status\n1,a,2026-01-05,20{mail},paid\n2,a,2026-01-06,9{mail},paid\n"
    two = f"{header},status\n1,a,2026-01-05,20{mail},{status}\n3,a,2026-02-01,5{mail},paid\n"
    assert read({"a": one, "b": two})[0] == {"2": 9, "3": 5}


def test_an_order_paid_since_counts(read):
    one = f"{ORDERS},status\n1,a,2026-01-05,20,pending\n2,a,2026-01-06,9,paid\n"
    two = f"{ORDERS},status\n1,a,2026-01-05,20,paid\n3,b,2026-02-01,5,paid\n"
    amounts, accounting = read({"a": one, "b": two})
    assert amounts == {"1": 20, "2": 9, "3": 5}
    assert accounting.rejected == {}


def test_an_update_after_the_day_changes_nothing_by_then(read):
    rows = [
        "1,a,2026-01-05,20,2026-01-05",
        "1,a,2026-01-05,22,2026-01-20",
        "1,a,2026-01-05,7,2026-05-05",
    ]
    only_later = ["2,b,2026-01-06,9,2026-05-05", "2,b,2026-01-06,8,2026-06-05"]
    text = "\n".join([f"{ORDERS},updated_at", *rows, *only_later]) + "\n"
    assert read({"a": text}, date(2026, 2, 1))[0] == {"1": 22, "2": 9}


def test_a_later_update_that_cancels_an_order_voids_it(read):
    header = f"{ORDERS},updated_at,status"
    rows = ["1,a,2026-01-05,20,2026-01-05,paid", "1,a,2026-01-05,20,2026-01-09,canceled"]
    amounts, accounting = read({"a": "\n".join([header, *rows, "2,b,2026-01-06,9,,paid"]) + "\n"})
    assert amounts == {"2": 9}
    assert accounting.rejected == {"canceled": 1}


def test_a_line_canceled_since_is_no_line(read):
    one = f"{LINES},status\n1,a,2026-01-05,x,2,10,paid\n1,a,2026-01-05,y,1,5,paid\n"
    two = f"{LINES},status\n1,a,2026-01-05,x,2,10,canceled\n1,a,2026-01-05,y,1,5,paid\n2,b,2026-02-01,x,1,10,paid\n"
    assert read({"a": one, "b": two})[0] == {"1": 5, "2": 10}


def test_a_refund_with_its_orders_number_in_a_newer_file_is_no_version_of_the_order(read):
    one = f"{ORDERS},status\n1,a,2026-01-05,20,paid\n2,a,2026-01-06,9,paid\n"
    two = f"{ORDERS},status\n1,a,2026-02-05,-20,refunded\n3,b,2026-02-01,5,paid\n"
    amounts, accounting = read({"a": one, "b": two})
    assert amounts == {"2": 9, "3": 5}
    assert accounting.rejected == {"duplicate_order_id": 2}


def test_what_is_equal_in_all_that_is_read_counts_once(read):
    one = f"{ORDERS},note\n1,a,2026-01-05,20,new\n"
    two = f"{ORDERS},note\n1,a,2026-01-05,20,packed\n2,b,2026-02-01,5,\n"
    assert read({"a": one, "b": two})[0] == {"1": 20, "2": 5}


def test_two_shops_may_have_the_same_number(read):
    one, two = f"{ORDERS}\n1,a,2026-01-05,20\n", f"{ORDERS}\n1,b,2026-02-09,30\n2,c,2026-02-10,5\n"
    amounts, accounting = read({"a": one, "b": two})
    assert amounts == {"2": 5}
    assert accounting.rejected == {"order_of_two_customers": 2}


def test_a_column_of_updates_goes_before_the_files(read):
    text = f"{ORDERS},updated_at\n1,a,2026-01-05,20,2026-03-01\n1,a,2026-01-05,22,2026-02-01\n"
    assert read({"a": text})[0] == {"1": 20}


def test_the_lines_of_an_order_are_those_of_the_newest_file(read):
    one = f"{LINES}\n1,a,2026-01-05,x,2,10\n1,a,2026-01-05,y,1,5\n"
    two = f"{LINES}\n1,a,2026-01-05,x,1,10\n1,a,2026-01-05,y,1,5\n2,b,2026-02-01,x,1,10\n"
    amounts, accounting = read({"a": one, "b": two})
    assert amounts == {"1": 15, "2": 10}
    assert accounting.merged["older_versions"] + accounting.merged["exact_duplicates"] == 2


def test_lines_that_changed_only_in_a_column_that_is_not_read_count_once(read):
    one = f"{LINES},status\n1,a,2026-01-05,x,2,10,new\n"
    two = f"{LINES},status\n1,a,2026-01-05,x,2,10,sent\n2,b,2026-02-01,x,1,10,new\n"
    assert read({"a": one, "b": two})[0] == {"1": 20, "2": 10}


def test_an_order_whose_lines_were_cut_into_two_files_is_whole(read):
    one = f"{LINES}\n1,a,2026-01-05,x,2,10\n"
    two = f"{LINES}\n1,a,2026-01-05,y,1,5\n2,b,2026-02-01,x,1,10\n"
    assert read({"a": one, "b": two})[0] == {"1": 25, "2": 10}


def test_later_orders_change_no_earlier_day(read):
    january = f"{ORDERS}\n1,a,2026-01-05,20\n2,b,2026-01-30,30\n"
    february = f"{ORDERS}\n2,b,2026-01-30,25\n3,a,2026-02-05,40\n"
    assert read({"a": january, "b": february}, date(2026, 1, 31))[0] == {"1": 20, "2": 25}


TOTALS = "order_id,customer_id,ordered_at,product_id,net_amount"


@pytest.mark.parametrize(
    ("rows", "amounts"),
    [
        (["1,a,2026-01-05,x,10", "1,a,2026-01-05,y,5", "2,b,2026-01-06,x,10"], {"1": 15, "2": 10}),
        (
            ["1,a,2026-01-05,x,15", "1,a,2026-01-05,y,15", "2,b,2026-01-06,x,10"],
            {"1": 15, "2": 10},
        ),
        (
            ["1,a,2026-01-05,x,15", "1,a,2026-01-05,x,15", "2,b,2026-01-06,x,10"],
            {"1": 15, "2": 10},
        ),
    ],
)
def test_amounts_that_differ_between_products_are_summed_and_equal_ones_count_once(
    read, rows, amounts
):
    assert read({"a": "\n".join([TOTALS, *rows]) + "\n"})[0] == amounts


def test_an_orders_total_counts_once_where_its_lines_are_cut_into_two_files(read):
    one = f"{TOTALS}\n1,a,2026-01-05,x,9\n1,a,2026-01-05,y,9\n2,b,2026-01-30,x,30\n"
    two = f"{TOTALS}\n2,b,2026-01-30,y,30\n3,b,2026-02-06,x,5\n"
    assert read({"a": one, "b": two})[0] == {"1": 9, "2": 30, "3": 5}


def test_an_orders_total_that_changed_is_as_the_newest_file_has_it(read):
    one = f"{TOTALS}\n1,a,2026-01-05,x,30\n1,a,2026-01-05,y,30\n2,b,2026-01-06,x,5\n"
    two = f"{TOTALS}\n1,a,2026-01-05,x,25\n1,a,2026-01-05,y,25\n3,b,2026-02-06,x,5\n"
    assert read({"b": one, "a": two})[0] == {"1": 25, "2": 5, "3": 5}


@pytest.mark.parametrize("products", ["xy", "yx", "xz", "zx"])
@pytest.mark.parametrize("out", ["a,2026-01-06,canceled", ",2026-01-06,paid", "a,2027-01-06,paid"])
def test_an_orders_total_is_no_line_that_is_left_out(read, products, out):
    who, day, status = out.split(",")
    rows = [
        "1,a,2026-01-05,x,30,paid",
        "1,a,2026-01-05,y,30,paid",
        f"2,a,2026-01-06,{products[0]},40,paid",
        f"2,{who},{day},{products[1]},40,{status}",
    ]
    text = "\n".join([f"{TOTALS},status", *rows]) + "\n"
    assert read({"a": text})[0] == {"1": 30, "2": 40}


def test_later_orders_do_not_tell_what_an_earlier_amount_is(read):
    rows = ["1,a,2026-01-05,x,30", "1,a,2026-01-05,y,30"]
    later = [
        f"{i},b,2026-05-05,{product},{price}"
        for i in (2, 3)
        for product, price in (("x", 4), ("y", 5))
    ]
    text = "\n".join([TOTALS, *rows, *later]) + "\n"
    assert read({"a": text}, date(2026, 2, 1))[0] == {"1": 30}


def test_repeated_totals_with_days_to_rewrite_are_read(read):
    rows = ["1,a,25.01.2026,x,30", "1,a,25.01.2026,y,30", "2,b,26.01.2026,x,5"]
    assert read({"a": "\n".join([TOTALS, *rows]) + "\n"})[0] == {"1": 30, "2": 5}


def test_an_orders_total_repeated_on_its_lines_is_carried_once_with_its_discount(read):
    header = "order_id,customer_id,ordered_at,product_id,gross_amount,discount_amount,net_amount"
    rows = ["1,a,2026-01-05,x,20,5,15", "1,a,2026-01-05,y,20,5,15", "1,a,2026-01-05,z,20,5,15"]
    assert read({"a": "\n".join([header, *rows]) + "\n"})[0] == {"1": 15}


def test_a_lines_value_is_mapped_as_line_amount(read):
    header = "order_id,customer_id,ordered_at,line_amount,quantity,discount_amount"
    rows = ["1,a,2026-01-05,10,3,1", "1,a,2026-01-05,10,2,1"]
    assert read({"a": "\n".join([header, *rows]) + "\n"})[0] == {"1": 20}
