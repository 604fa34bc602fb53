"""What the rules left out is said loudly, with the reasons and what to set."""

from datetime import date

import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import look_at_source
from features.tables import DataError

HEADER = "order_id,customer_id,ordered_at,net_amount,status\n"
GOOD = [f"{i},c{i % 7},2026-01-{i % 28 + 1:02},5,paid" for i in range(100)]


@pytest.fixture
def check(tmp_path):
    """Return the warnings of a history of 100 good rows and some others."""

    def warnings(*rows, header=HEADER, good=GOOD, **how):
        (tmp_path / "orders.csv").write_text(header + "\n".join([*good, *rows]) + "\n")
        with open_engine() as engine:
            source = OrderSource(str(tmp_path / "orders.csv"), **how)
            return list(look_at_source(engine, source, date(2026, 12, 31)).warnings)

    return warnings


def test_a_few_rejected_rows_are_no_news(check):
    assert not any("left out" in one for one in check("x1,,2026-01-01,5,paid", "x2,a,soon,5,paid"))


def test_a_rule_that_takes_over_two_percent_is_said_with_its_values(check):
    (warning,) = [
        one for one in check(*[f"x{i},a,soon,5,paid" for i in range(4)]) if "left out" in one
    ]
    assert "4 of 104 rows (3.8%)" in warning
    assert "unreadable_date ('soon' 4)" in warning
    assert "orders.date_format" in warning


def test_the_share_that_is_said_is_a_setting(check):
    rows = [f"x{i},a,soon,5,paid" for i in range(4)]
    assert not any("left out" in one for one in check(*rows, warn_share=0.1))


def test_of_many_reasons_the_three_most_frequent_are_named(check):
    rows = [f"a{i},,2026-01-01,5,paid" for i in range(9)] + [
        f"b{i},a,2026-01-01,x,paid" for i in range(8)
    ]
    rows += [f"c{i},a,soon,5,paid" for i in range(7)] + [
        f"d{i},a,2026-01-01,5,canceled" for i in range(6)
    ]
    whole, *reasons = [one for one in check(*rows) if "left out" in one]
    assert whole == "30 of 130 rows (23%) are left out, mostly for the reasons below"
    rules = ("missing_customer", "unreadable_amount ('x' 8)", "unreadable_date")
    assert all(f"left out as {rule}" in one for rule, one in zip(rules, reasons, strict=True))


@pytest.mark.parametrize("row", ["{i},a,soon,5,paid", "{i},a,2026-01-01,five,paid", "{i},a"])
def test_a_history_is_refused_where_over_a_fifth_cannot_be_read(check, row):
    rows = [row.format(i=f"x{i}") for i in range(30)]
    with pytest.raises(DataError, match=r"30 of 130 rows cannot be read.*orders\.most_unreadable"):
        check(*rows)
    assert any("left out" in one for one in check(*rows, most_unreadable=0.5))


@pytest.mark.parametrize("status", ["canceled", "pending", "Refunded", "voided", "failed"])
def test_void_orders_are_warned_about_and_refused_only_by_a_setting(check, status):
    rows = [f"x{i},a,2026-01-01,5,{status}" for i in range(150)]
    (warning,) = [one for one in check(*rows) if "left out" in one]
    assert f"'{status}' 150" in warning
    with pytest.raises(DataError, match=r"are no purchase.*orders\.most_void"):
        check(*rows, most_void=0.5)


def test_rows_without_a_customer_are_warned_about_and_refused_only_by_a_setting(check):
    rows = [f"x{i},guest,2026-01-01,5,paid" for i in range(150)]
    (warning,) = [one for one in check(*rows) if "left out" in one]
    assert "missing_customer ('guest' 150)" in warning
    with pytest.raises(DataError, match=r"have no customer.*orders\.most_without_customer"):
        check(*rows, most_without_customer=0.5)


def test_a_number_that_a_spreadsheet_rounded_is_named_with_the_spreadsheet(check):
    rows = [f"x{i},4.47912E+11,2026-01-01,5,paid" for i in range(10)]
    (warning,) = [one for one in check(*rows) if "left out" in one]
    assert "Excel" in warning


@pytest.mark.parametrize("customer", ["a{}", "a"])
def test_order_numbers_that_a_spreadsheet_rounded_are_named_with_the_spreadsheet(check, customer):
    rows = [f"4.50112E+12,{customer.format(i)},2026-01-01,{5 + i},paid" for i in range(9)]
    assert any("Excel rounded these order numbers" in one for one in check(*rows))
    plain = [row.replace("4.50112E+12", "450112") for row in rows]
    assert not any("Excel" in one for one in check(*plain))


def test_the_form_that_reads_every_date_is_named(check):
    days = [f"{month}/{day}/2025" for month in range(1, 13) for day in (3, 14, 25)]
    good = [f"{i},c{i % 7},{day},5,paid" for i, day in enumerate(days)]
    with pytest.raises(
        DataError, match=r'date_format = "%m/%d/%Y", which fits all 36 dates of ordered_at'
    ):
        check(good=good, date_format="%d/%m/%Y")


def test_a_decimal_mark_that_does_not_fit_is_named(check):
    good = [f"{i},c{i % 7},2026-01-01,12.50,paid" for i in range(50)]
    with pytest.raises(DataError, match=r"unreadable_amount.*orders\.decimal"):
        check(good=good, decimal=",")


def test_statuses_that_count_or_not_are_set_by_name(check):
    rows = [f"x{i},a,2026-01-01,5,on hold" for i in range(20)]
    assert not any("left out" in one for one in check(*rows))
    assert any("'on hold' 20" in one for one in check(*rows, void_statuses=("On-Hold",)))
    canceled = [f"x{i},a,2026-01-01,5,canceled" for i in range(20)]
    assert not any("left out" in one for one in check(*canceled, paid_statuses=("canceled",)))


def test_refused_amounts_are_shown_as_they_are_in_the_file(check):
    rows = [f"x{i},a,2026-01-01,12.50,paid" for i in range(9)]
    (warning,) = [one for one in check(*rows, decimal=",") if "left out" in one]
    assert "unreadable_amount ('12.50' 9)" in warning


def test_amounts_are_looked_at_also_where_no_date_was_readable(check):
    good = [f'{i},c{i % 7},{i % 28 + 1}.01.2026,"12,50",paid' for i in range(100)]
    assert not any("left out" in one for one in check(good=good))


def test_statuses_that_nobody_has_sorted_are_named_with_their_rows(check):
    rows = [
        f"x{i},a,2026-01-01,5,{word}"
        for i, word in enumerate(["Zork", "zork", "Lieferung", "PAID"])
    ]
    (warning,) = [one for one in check(*rows) if "not recognized" in one]
    assert "'Lieferung' 1, 'Zork' 1, 'zork' 1. Add each to orders.paid_statuses" in warning
    sorted_out = {"paid_statuses": ("zork",), "void_statuses": ("lieferung",)}
    assert not any("not recognized" in one for one in check(*rows, **sorted_out))
