"""The page: everything a marketer reads is there, and text from data stays text."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from reports.page import Page, money, render_page
from reports.tables import segment_table, tier_table, totals
from segments.lifecycle import SEGMENTS

SCORES = pd.DataFrame(
    {
        "segment": ["loyal", "loyal", "new", "lapsed"],
        "revenue": [100.0, 50.0, 10.0, 30.0],
        "frequency": [3, 2, 0, 1],
        "p_order_90d": [0.8, 0.6, 0.2, 0.0],
        "expected_orders": [2.0, 1.0, 0.3, 0.0],
        "expected_value": [80.0, 40.0, 6.0, 1.0],
        "expected_margin": [40.0, 20.0, 3.0, 0.5],
        "is_holdout": [False, True, False, False],
        "investment_tier": ["heavy", "heavy", "light", "none"],
        "expected_return": [2.5, 2.0, 1.5, float("nan")],
    }
)
COMMITTED = pd.DataFrame(
    {
        "investment_tier": ["heavy", "heavy", "light"],
        "is_holdout": [False, True, False],
        "expected_cost": [6.0, 6.0, 0.3],
        "expected_gain": [15.0, 12.0, 0.45],
    }
)
METRICS = {
    "orders_ratio": 1.0, "mae_orders": 0.5, "value_ratio": 1.1, "gini_value": 0.7,
    "capture_top20": 0.6, "auc_active": 0.8,
}  # fmt: skip


def record(**changes):
    worse = {**METRICS, "gini_value": 0.6, "auc_active": None, "mae_orders": 0.4}
    models = {"champion": METRICS, "last_period": worse, "rfm": worse}
    made = {
        "store": "Tiny Teas", "currency": "EUR", "as_of": "2024-06-30", "run_id": "r1",
        "model_version": "3", "data_digest": "d1", "customers": 4, "zero_amount": "Zero is out.",
        "first_order_date": "2023-01-01", "last_order_date": "2024-06-29",
        "accounting": {"rows_in": 9, "orders": 7, "merged": {"exact_duplicates": 1},
                       "rejected": {"missing_customer": 1}},
        "horizon_days": 365,
        "budget": {"amount": 200.0, "period_days": 30, "committed": 6.3, "left": 200.0, "next_return": 1.2}, "holdout_share": 0.1, "notes": [],
        "totals": totals(SCORES), "segments": segment_table(SCORES).to_dict("records"),
        "tiers": tier_table(COMMITTED).to_dict("records"),
        "backtest": {"horizon_days": 90, "cutoffs": [
            {"as_of": "2024-03-31", "customers": 4, "models": models}]},
        "published_at": "2024-07-01T02:00:00+00:00", "perennial_version": "0.1.0",
    }  # fmt: skip
    return {**made, **changes}


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.fixture
def page():
    return render_page(Page.of(record()))


def test_segments_sum_up_by_hand():
    loyal, new, lapsed = (
        segment_table(SCORES).set_index("segment").loc[s] for s in ("loyal", "new", "lapsed")
    )
    assert (loyal["customers"], loyal["share"], loyal["revenue"]) == (2, 0.5, 150)
    assert (loyal["p_order_90d"], loyal["expected_value"]) == pytest.approx((0.7, 60))
    assert (loyal["heavy"], loyal["held_out"], new["light"], lapsed["heavy"]) == (1, 1, 1, 0)
    order = list(SEGMENTS)
    names = segment_table(SCORES)["segment"].tolist()
    assert names == sorted(names, key=order.index)


def test_tiers_count_costs_of_those_not_held_out():
    heavy, standard, light = tier_table(COMMITTED).to_dict("records")
    assert (heavy["customers"], heavy["held_out"], heavy["cost"], heavy["gain"]) == (
        1,
        1,
        6.0,
        15.0,
    )
    assert (standard["customers"], standard["expected_return"]) == (0, None)
    assert light["gain"] == pytest.approx(0.45)


def test_the_page_says_what_was_expected_and_what_happened(page):
    text = text_of(page)
    for words in (
        "Tiny Teas: retention as of 2024-06-30", "Zero is out.", "EUR 127", "loyal", "EUR 15",
        "This model is best in 3 of 4 rated figures", "not made", "9 rows in = 7 orders",
        "1 missing customer", "version 3", "the next 90 days",
    ):  # fmt: skip
        assert words in text, words


def test_the_best_figure_of_a_row_is_marked(page):
    row = re.search(r"<tr><th scope=\"row\">miss in orders.*?</tr>", page, re.DOTALL).group()
    marked = re.findall(r"class=\"best\">([^<]*)<", row)
    assert marked == ["0.400", "0.400"]


def test_text_from_data_is_escaped():
    html = render_page(Page.of(record(store="<script>alert(1)</script>", notes=["<b>x"])))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<b>x" not in html


def test_the_page_needs_nothing_from_outside(page):
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)


def test_every_tag_is_closed(page):
    open_tags = []
    never_closed = {"meta", "link", "br", "img"}

    class Check(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in never_closed:
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Check().feed(page)
    assert open_tags == []


def test_a_history_too_short_to_hold_out_says_so():
    assert "Not available: no part of this history" in render_page(Page.of(record(backtest=None)))


@pytest.mark.parametrize(("high", "is_said"), [(-0.001, True), (0.001, False)])
def test_a_simple_rule_that_ranks_better_beyond_noise_is_named(high, is_said):
    made = record()
    made["backtest"]["cutoffs"][0]["differences"] = {
        "total_past": {"gini_value": {"difference": -0.03, "low": -0.05, "high": high}}
    }
    words = "Value was ranked better by a simple rule: what each has brought so far."
    assert (words in text_of(render_page(Page.of(made)))) is is_said


@pytest.mark.parametrize(
    ("value", "text"), [(99.994, "USD 99.99"), (1234.5, "USD 1,234"), (-3, "USD -3.00")]
)
def test_money_is_written_with_its_currency(value, text):
    assert money(value, "USD") == text
