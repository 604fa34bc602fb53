"""The checker finds nothing in a sound day, and names each planted fault."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.invariants.handmade import sound_day
from tests.invariants.page import Page
from tests.invariants.published import PublishedFigures, violations
from tests.invariants.rows import ROW_RULES
from tests.invariants.sums import SUM_RULES

Fault = Callable[[PublishedFigures], PublishedFigures]
NEVER, SELDOM, OFTEN, LAST = 0, 1, 10, 11  # rows: no next order in ten years, in five, in a month


def cell(column: str, row: int, value: Any, table: str = "scores") -> Fault:
    """Put a value into one row of a table."""

    def plant(day: PublishedFigures) -> PublishedFigures:
        frame = getattr(day, table)
        values = frame[column].astype(object) if isinstance(value, str | date) else frame[column]
        values = values.copy()
        values.iloc[row] = value(values.iloc[row]) if callable(value) else value
        return replace(day, **{table: frame.assign(**{column: values})})

    return plant


def all_rows(table: str, **factors: float) -> Fault:
    """Multiply columns of a table."""

    def plant(day: PublishedFigures) -> PublishedFigures:
        frame = getattr(day, table)
        changed = {column: frame[column] * by for column, by in factors.items()}
        return replace(day, **{table: frame.assign(**changed)})

    return plant


def without_last(table: str) -> Fault:
    return lambda day: replace(day, **{table: getattr(day, table).iloc[:-1]})


def noted(file: str, *path: str | int, value: Any) -> Fault:
    """Put a value into the record, or into the measures."""

    def plant(day: PublishedFigures) -> PublishedFigures:
        whole = deepcopy(getattr(day, file))
        inner = whole
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        return replace(day, **{file: whole})

    return plant


def on_page(change: Callable[[Page], Page]) -> Fault:
    return lambda day: replace(day, page=change(day.page))


def no_discount_factor(day: PublishedFigures) -> PublishedFigures:
    return replace(day, scores=day.scores.drop(columns="discount_factor"))


def double(value: float) -> float:
    return 2 * value


FAULTS: dict[str, Fault] = {
    "chances_lie_in_0_to_1": cell("p_alive", LAST, 1.01),
    "amounts_are_finite_and_not_negative": cell("value_high", LAST, np.inf),
    "value_is_orders_by_order_value_by_discount": all_rows("scores", expected_value=1 + 1e-8),
    "discount_factor_is_within_the_rate": all_rows("scores", discount_factor=1.1),
    "margin_is_the_stores_share_of_value": cell("expected_margin", LAST, double),
    "interval_ends_are_in_order": cell("value_high", SELDOM, -1.0),
    "likely_buyers_mean_lies_in_the_interval": cell("value_high", LAST, lambda high: high / 4),
    "unlikely_buyers_interval_begins_at_0": cell("value_low", SELDOM, 0.01),
    "chance_of_90_days_is_within_the_horizons": cell("p_order_90d", 2, 0.4),
    "nobody_orders_who_has_left": cell("p_alive", LAST, 0.5),
    "nobody_expects_fewer_orders_than_the_chance_of_any": cell("expected_orders", SELDOM, 0.1),
    "nobody_orders_oftener_than_daily": cell("expected_orders", LAST, 366.0),
    "order_value_is_at_most_1_5_times_the_largest": cell("expected_order_value", NEVER, 47.0),
    "order_value_is_no_dust": cell("expected_order_value", NEVER, 0.019),
    "order_value_is_near_the_customers_or_the_stores": cell("expected_order_value", NEVER, 4.0),
    "next_order_comes_after_the_day": cell("next_order_date", LAST, date(2024, 6, 30)),
    "next_order_within_90_days_is_likelier_than_not": cell(
        "next_order_date", OFTEN, date(2024, 9, 29)
    ),
    "next_order_within_the_horizon_is_likelier_than_not": cell("next_order_date", LAST, None),
    "one_time_buyers_have_a_chance_of_a_second_order": cell("p_second_order", LAST, 0.5),
    "second_order_of_90_days_is_the_next_order": cell("p_second_order", NEVER, double),
    "returns_are_of_those_invested_in": cell("expected_return", OFTEN, np.nan),
    "history_is_the_orders": cell("last_order_date", LAST, date(2024, 6, 21)),
    "nobody_brings_far_more_than_anybody_did": cell("expected_value", NEVER, 5000.0),
    "discount_factor_is_published": no_discount_factor,
    "every_buyer_is_scored_once": without_last("scores"),
    "rows_are_stamped_as_the_record": cell("run_id", LAST, "r2"),
    "totals_are_the_tables": noted("record", "totals", "expected_value", value=1.0),
    "segments_are_the_tables": noted("record", "segments", 0, "customers", value=3),
    "grids_have_every_customer": noted("record", "rfm", 0, "customers", value=3),
    "every_row_is_accounted_for": noted("record", "accounting", "rows_in", value=3),
    "tiers_are_the_tables": noted("record", "tiers", 0, "customers", value=3),
    "commitments_keep_the_budget": noted("record", "budget", "left", value=6.5),
    "commitments_are_the_scores": cell("gain_low", 0, 100.0, "commitments"),
    "expected_has_every_customer": cell("customers", 0, double, "expected"),
    "expected_is_possible": cell("variance_orders", 0, -1.0, "expected"),
    "expected_grows_with_the_window": cell("expected_orders", 0, 10.0, "expected"),
    "longer_windows_expect_more": noted(
        "kpis", "forecast", "existing", 1, "revenue", value=9_999.0
    ),
    "every_window_has_the_same_season": noted(
        "kpis", "forecast", "season", value=[2.0] + [1.0] * 51
    ),
    "forecast_is_the_tables": noted("kpis", "forecast", "existing", 2, "orders", value=1.0),
    "marketing_files_are_the_scores": cell("Retention Churn Risk", 0, "1", "segments_csv"),
    "tiles_are_the_figures": on_page(lambda page: replace(page, tiles={})),
    "page_is_the_tables": on_page(lambda page: replace(page, rows={**page.rows, "segments": []})),
    "orders_are_like_last_years": all_rows("scores", expected_orders=10.0),
    "order_value_is_like_the_past": all_rows("scores", expected_order_value=4.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound():
    return sound_day()


def test_a_sound_day_breaks_no_rule(sound):
    assert violations(sound) == []


def test_every_rule_has_a_planted_fault():
    assert list(FAULTS) == [rule.__name__ for rule in (*ROW_RULES, *SUM_RULES)]


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(name, sound):
    assert violations(FAULTS[name](sound), name)[0].startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("rule", "fault"),
    {
        "every_buyer_is_scored_once": lambda day: replace(
            day, scores=pd.concat([day.scores, day.scores.head(1)], ignore_index=True)
        ),
        "chances_lie_in_0_to_1": cell("churn_probability", LAST, np.nan),
        "value_is_orders_by_order_value_by_discount": cell("expected_orders", NEVER, np.nan),
        "next_order_within_90_days_is_likelier_than_not": cell("p_order_90d", OFTEN, 0.4),
        "one_time_buyers_have_a_chance_of_a_second_order": cell("p_second_order", NEVER, np.nan),
        "nobody_orders_who_has_left": cell("p_alive", SELDOM, 0.4),
        "order_value_is_no_dust": cell("expected_order_value", NEVER, np.nan),
        "order_value_is_near_the_customers_or_the_stores": cell(
            "expected_order_value", LAST, 94.0
        ),
        "marketing_files_are_the_scores": without_last("segments_csv"),
        "commitments_are_the_scores": cell("investment_tier", 0, "standard", "commitments"),
        "expected_has_every_customer": without_last("expected"),
        "every_window_has_the_same_season": all_rows("expected", expected_orders=0.95),
    }.items(),
)
def test_another_fault_of_the_kind_is_named(rule, fault, sound):
    assert rule in {text.split(":")[0] for text in violations(fault(sound))}


def test_a_finding_counts_customers_and_shows_one(sound):
    problems = violations(cell("expected_margin", LAST, 0.0)(sound))
    assert problems[0].startswith(
        "margin_is_the_stores_share_of_value: 1 of 12 customers, such as c11: expected_value "
    )


def test_a_page_is_read_by_section_and_label():
    page = Page.of(
        '<ul class="tiles"><li><span>Revenue</span><b>$1</b><span>so far</span></li></ul>'
        '<ul><li>no tile</li></ul><h2 id="one">One</h2>'
        "<table><tr><th>loyal<small>often</small></th><td><span>3<small>9%</small></span></td><td></td></tr></table>"
    )
    assert page.tiles == {"Revenue": "$1"}
    assert page.rows == {"one": [["loyal", "3", ""]]}
    assert page.cells("one", "loyal") == ["3", ""]
    assert page.cells("two", "loyal") == []
