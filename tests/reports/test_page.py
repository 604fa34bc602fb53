"""The page: everything a marketer reads is there, and text from data stays text."""

import re
from html.parser import HTMLParser

import pytest

from reports.tables import segment_table, tier_table
from segments.lifecycle import SEGMENTS
from tests.reports.sample import (
    COMMITTED,
    SCORES,
    WEEKS,
    kpis,
    missing,
    readout,
    record,
    render,
    rich_kpis,
    rich_record,
)


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.fixture
def page():
    return render(record(), kpis())


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
        "Tiny Teas: retention as of 2024-06-30", "Zero is out.", "€127", "loyal", "€15",
        "This model is best in 3 of 4 rated figures", "not made", "9 rows in", "orders 7",
        "rejected: missing customer 1", "merged: exact duplicates 1", "version 3", "the next 90 days",
    ):  # fmt: skip
        assert words in text, words


def test_the_best_figure_of_a_row_is_marked(page):
    row = re.search(r"<tr><th scope=\"row\">miss in orders.*?</tr>", page, re.DOTALL).group()
    marked = re.findall(r"class=\"best\">([^<]*)<", row)
    assert marked == ["0.400", "0.400"]


def test_text_from_data_is_escaped():
    html = render(record(store="<script>alert(1)</script>", notes=["<b>x"]), kpis())
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<b>x" not in html


def test_the_page_needs_nothing_from_outside(page):
    assert not re.search(r"\ssrc=|url\((?!#)|@import|<script", page)
    links = re.findall(r'href="([^"]*)"', page)
    assert links
    assert all(link.startswith("#") for link in links)


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
    assert "Not available: no part of this history" in render(record(backtest=None), kpis())


@pytest.mark.parametrize(("high", "is_said"), [(-0.001, True), (0.001, False)])
def test_a_simple_rule_that_ranks_better_beyond_noise_is_named(high, is_said):
    made = record()
    made["backtest"]["cutoffs"][0]["differences"] = {
        "total_past": {"gini_value": {"difference": -0.03, "low": -0.05, "high": high}}
    }
    words = "Value was ranked better by a simple rule: what each has brought so far."
    assert (words in text_of(render(made, kpis()))) is is_said


def test_changes_are_told_since_the_last_page():
    before = {"repeat_rate": {"value": 0.28, "unit": "share"},
              "second_order_days": {"value": 95.0, "unit": "days"},
              "budget_used": {"value": 16.3, "unit": "money"}}  # fmt: skip
    made = record(previous={"as_of": "2024-06-29", "figures": before})
    text = text_of(render(made, kpis()))
    assert "up 2.0 points since 2024-06-29" in text
    assert "unchanged since 2024-06-29" in text
    assert "down €10.00 since 2024-06-29" in text


def test_a_measure_without_its_table_says_which_would_bring_it(page):
    text = text_of(page)
    for words in (
        "Products: not available: needs order_lines", "Bundles: not available: needs order_lines",
        "Referral rate: not available: needs referrals",
        "Loyalty program: not available: needs loyalty_events", "NPS not available: needs nps",
    ):  # fmt: skip
        assert words in text, words


def test_rates_of_too_few_are_not_said_and_the_others_say_of_how_many(page):
    text = text_of(page)
    assert "Came back within 90 days too few n = 20" in text
    assert "Came back within 30 days 10.0% 9.0% to 11.0%, n = 100" in text


def test_an_alarm_is_the_first_thing_said(page):
    assert "Retention is falling: 15.0% of the newest cohorts came back within 60 days" in page
    assert "Alarm: Of the last three months" in page


def test_the_budget_comes_with_its_interval_and_basis(page):
    row = text_of(page[page.index('<h2 id="budget"') : page.index("By investment")])
    assert row.index("loyal") < row.index("new 0 heavy, 0 standard, 1 light")
    assert "€15.00 €9.00 to €30.00" in row
    assert "€2.50 €1.50 to €5.00, measured" in row
    assert "€1.50 €1.00 to €4.00, assumed" in row
    assert "€0.30 of that is the test share" in row  # 6.30 committed, 6.00 on the curve
    assert "The rest stays unspent" not in row
    unspent = dict(record()["budget"], next_return=None)
    assert "The rest stays unspent" in render(record(budget=unspent), kpis())


def test_a_read_out_is_told_with_its_interval():
    text = text_of(render(record(readouts=[readout()]), kpis()))
    assert "Each EUR 1.00 brought back EUR 3.00." in text
    assert "heavy 90 10 €2.00 €0.50 to €3.50" in text


def test_monitoring_waits_for_a_first_matured_week(page):
    assert "Not available: needs a first matured week" in text_of(page)
    empty = {**rich_record()["monitoring"], "weeks": [], "standings": []}
    assert "needs a first matured week" in text_of(render(record(monitoring=empty), kpis()))


def test_matured_weeks_are_told_with_their_band_and_verdict():
    text = text_of(render(rich_record(), rich_kpis()))
    for words in (
        "Looked at on 2024-06-25: orders up to 2024-06-25, model version 3 trained 40 days before. 1.2% of customers",
        "Orders were off. Run perennial train.",
        "2024-06-16 80 100.0 0.80 luck: 0.90 to 1.10 0.95 too early less than expected",
        "2024-06-09 180 100.0 1.80 luck: 0.90 to 1.10 0.95 too early unlike others, not judged",
        "2024-06-02 104 100.0 1.04 luck: 0.90 to 1.10 0.95 1.04 as expected",
        "The 28 days after 2024-06-02, by group. Tenths differ 0.93 times as much as expected (0.80 to 1.06)",
        "the forecast 0.600, past revenue 0.500, the RFM cell 0.400", "none expected",
        "days since the first order moves as customers grow older 0.540 n = 3,000, at training 2,000",
        "Too few customers to say, or not comparable: chance of not having left.",
    ):  # fmt: skip
        assert words in text, words


def test_a_store_with_every_table_sees_every_section():
    html = render(rich_record(), rich_kpis())
    text = text_of(html)
    for words in (
        "Tea 90 31 28 to 35 12", "Mug 40 fewer than half do", "Mug 40% of those who", "€20.00 1.00",
        "gateway is kit:", "kit Tea, Mug 50 50.0% 45.0% to 55.0%, n = 40 1.80 7 day 31 to 62 scale feature it",
        "against €25.00 of the 70 who began with a single product", "leaf 95 29",
        "Revenue in 90 days, referred over paid-for 1.50 n = 35, n = 90",
        "Cost of a paid-for customer €12.50 3.20 times that comes", "loyal 60 20.0%",
        "Cost of a referred customer not available: needs referrals.reward_amount", "Net promoter score, 2024-05 40 24 to 56, n = 100",
        "Each EUR 1.00 brought back EUR 3.00.", "up 2.0 points since 2024-06-29", "3 or more 3 too few",
    ):  # fmt: skip
        assert words in text, words
    assert "Tea &lt;b&gt;fine" in html
    assert 'class="odd"><span>14.0%' in html
    assert 'href="../../as_of=2024-06-29/run=r0/report.html"' in html
    assert text.count("not available") == 2  # and the sample's dashboard without answers


def test_the_margin_of_a_cohort_is_written_by_age(page):
    """April's cohort of 60 cost 10 each and had brought 16 in margin by month 3."""
    row = text_of(page[page.index('<th scope="row">2024-04') :])
    assert row.startswith("2024-04 60 83% 67% 50% €16.00 €10.00 in month 1")
    assert "all months 60 83% 67% 50% €16.00 €10.00" in row


def test_cohorts_are_compared_by_who_came_back_and_by_what_they_brought(page):
    assert "By the same age they brought €30.00 each, those a year before €28.00" in page
    made = kpis()
    made["cohort_alarm"]["value"] |= {"is_alarm": True}
    assert "Alarm: By the same age" in render(record(), made)


def test_discounts_that_are_not_known_are_not_called_none():
    lacking = missing("orders.discount_amount", "Repeat revenue bought with a discount")
    text = text_of(render(record(), kpis(discounts=lacking)))
    assert "bought with a discount: not available: needs orders.discount_amount" in text


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (
            {"customers": 12.0, "revenue": None, "orders": None, "n": 3},
            "is known when enough customers",
        ),
        ({"customers": 0.0, "revenue": 0.0, "orders": 0.0, "n": 60}, "nobody new came"),
        (
            {"customers": 12.0, "revenue": 500.0, "orders": 20.0, "n": 60},
            "12 more of a year&#39;s new",
        ),
    ],
)
def test_what_five_more_points_bring_is_said_as_far_as_it_is_known(actual, words):
    made = kpis()
    made["forecast"]["five_points"] = actual
    assert words in render(record(), made)


def test_a_week_says_of_how_many_it_is():
    rows = [{"quadrant": "retention", "measure": "Order value", "unit": "money", "weeks": WEEKS,
             "months": WEEKS, "is_anomaly_week": False, "is_anomaly_month": True}]  # fmt: skip
    text = text_of(render(record(), kpis(dashboard=rows)))
    assert "Order value €37.00 n = 40 €37.00 n = 40 unusual" in text


def test_axes_are_written_as_the_stores_people_write():
    german = render(rich_record() | {"locale": "de_DE"}, rich_kpis())
    assert ">20\xa0€</text>" in german
    assert ">20\xa0%</text>" in german
    assert "€20" not in german


def test_every_picture_has_an_alternative_text(page):
    pictures = re.findall(r"<svg[^>]*>", page)
    assert len(pictures) >= 4
    assert all(re.search(r'role="img" aria-label="[^"]{5,}"', picture) for picture in pictures)


def test_a_season_is_drawn_where_one_is_used():
    made = kpis()
    with_season = render(record(), made)
    assert "Orders over the year" in text_of(with_season)
    assert "Pace of orders by week of the year, 1 = usual" in with_season
    assert "used in every forecast" in text_of(with_season)
    made["forecast"]["season"] = None
    without = render(record(), made)
    assert "Orders over the year" not in text_of(without)
    assert "none is used" in text_of(without)
    del made["forecast"]["season"]  # published by an earlier version
    assert render(record(), made) == without
