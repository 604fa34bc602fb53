"""What a person is told of a history that breaks no rule: found where planted, silent elsewhere."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders

START = date(2024, 1, 1)


def history(days: int, per_day=lambda day: min(1 + day // 4, 12)) -> pd.DataFrame:
    """Orders of a store that begins slowly."""
    day = np.repeat(np.arange(days), [per_day(d) for d in range(days)])
    n = np.arange(len(day))
    return pd.DataFrame(
        {
            "order_id": n.astype(str),
            "customer_id": (n % (len(n) // 3 + 1)).astype(str),
            "ordered_at": [str(START + timedelta(days=int(d))) for d in day],
            "net_amount": 10.0 + n % 7,
        }
    )


@pytest.fixture
def warnings_of(tmp_path):
    def read(orders: pd.DataFrame) -> tuple[str, ...]:
        orders.to_csv(tmp_path / "orders.csv", index=False)
        with open_engine() as engine:
            source = OrderSource(str(tmp_path / "orders.csv"))
            return read_orders(engine, source, date(2026, 1, 1), tmp_path / "out").quality.warnings

    return read


def test_a_sound_history_is_not_warned_of(warnings_of):
    assert warnings_of(history(300)) == ()


@pytest.mark.parametrize(("days", "message"), [(45, False), (60, True), (90, False)])
def test_a_history_of_sixty_days_may_be_a_truncated_export(warnings_of, days, message):
    actual = any("stop at 60 days" in one for one in warnings_of(history(days)))
    assert actual == message


def test_a_history_that_starts_at_full_speed_misses_what_was_before(warnings_of):
    (warnings,) = warnings_of(history(300, lambda _: 12))
    assert "starts suddenly, with 12 orders a day from 2024-01-01" in warnings


def test_a_gap_is_said_with_its_days_and_a_closed_weekday_is_none(warnings_of):
    orders = history(300, lambda day: 0 if day % 7 == 6 else min(1 + day // 4, 12))
    assert warnings_of(orders) == ()
    gone = orders["ordered_at"].between("2024-06-03", "2024-06-09")
    (warnings,) = warnings_of(orders[~gone])
    assert "no orders from 2024-06-02 to 2024-06-09" in warnings
    assert "about 72" in warnings


@pytest.mark.parametrize(
    ("day_of", "message"),
    [
        (lambda month: month.start_time, "the first day"),
        (lambda month: month.end_time, "the last day"),
        (lambda month: month.start_time + timedelta(days=14), "day 15"),
    ],
)
def test_orders_that_are_all_of_one_day_a_month_have_lost_their_days(warnings_of, day_of, message):
    orders = history(300)
    months = pd.to_datetime(orders["ordered_at"]).dt.to_period("M")
    orders["ordered_at"] = [str(day_of(month).date()) for month in months]
    (warning,) = warnings_of(orders)
    assert warning.startswith(f"all orders are dated on {message} of a month (10 months)")


@pytest.mark.parametrize("odd", [2, 40])
def test_weekly_days_and_months_with_other_days_are_not_called_monthly(warnings_of, odd):
    orders = history(300)
    days = pd.to_datetime(orders["ordered_at"])
    monthly = days.dt.to_period("M").dt.start_time.astype("str")
    monthly.iloc[:odd] = "2024-01-09"
    weekly = (days - pd.to_timedelta(days.dt.dayofweek, unit="D")).dt.date.astype("str")
    for dates in (monthly, weekly):
        assert not [
            one for one in warnings_of(orders.assign(ordered_at=dates)) if "of a month" in one
        ]


def test_one_customer_of_an_outsize_share_is_said(warnings_of):
    orders = history(300)
    orders.loc[orders.index % 5 == 0, "customer_id"] = "till"
    assert any("one customer brought 20% of all revenue" in one for one in warnings_of(orders))


def test_wholesale_outliers_are_said(warnings_of):
    orders = history(300)
    orders.loc[[500, 700], "net_amount"] = 900.0
    assert any("2 orders are over 20 times the median" in one for one in warnings_of(orders))


def test_each_rule_has_examples(tmp_path):
    text = "order_id,customer_id,ordered_at,net_amount\n1,a,2024-01-01,5\n2,,2024-01-01,5\n3,b,soon,5\n4,b,2024-01-01,0\n"
    (tmp_path / "orders.csv").write_text(text)
    with open_engine() as engine:
        source = OrderSource(str(tmp_path / "orders.csv"), most_unreadable=1.0)
        actual = read_orders(engine, source, date(2026, 1, 1), tmp_path / "out").quality.examples
    assert actual == {"missing_customer": ("2",), "unreadable_date": ("3",), "zero_amount": ("4",)}
