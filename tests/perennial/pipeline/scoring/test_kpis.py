"""Every retention measure of a ten-customer history, counted by hand.

Purchases until 2024-12-31, with days since the purchase before:

A  2023-01-10 10, 2023-02-09 20 (30), 2023-04-10 30 (60)     F  2024-10-01 10, 2024-10-21 10 (20)
B  2023-01-20 10                                             G  2024-10-05 50
C  2023-02-01 40, 2023-05-02 10 with a discount (90)         H  2024-11-01 10, 2024-11-16 30 with one (15)
D  2023-02-10 10, 2024-02-10 10 (365)                        I  2024-12-20 10
E  2023-03-01 10, 2024-03-15 20 (380)                        J  2024-12-25 20
"""

from dataclasses import replace
from datetime import date
from pathlib import Path

import ibis
import pandas as pd
import pytest

from connectors.engine import open_engine
from features import journeys, products
from features.tables import (
    Customers,
    LoyaltyEvents,
    MarketingSpend,
    Nps,
    OrderLines,
    Orders,
    Referrals,
    Reviews,
)
from perennial.pipeline.scoring.kpis.dashboard import dashboard
from perennial.pipeline.scoring.kpis.day import Day
from perennial.pipeline.scoring.kpis.measures import (
    advocacy_measures,
    bundle_measures,
    discount_measures,
    loyalty_measures,
    product_measures,
)
from perennial.pipeline.settings.store import build_settings
from reports.measures import repeat
from reports.measures.cohorts import cohorts
from reports.measures.products import discount_section, refill_windows
from reports.records.kpis import DashboardRow, Rate
from segments.rhythm import store_cycle_days

AS_OF = date(2024, 12, 31)
TEA, MUG = ("tea", "leaf"), ("mug", "ware")
BOUGHT = [  # customer, day, discount, lines of (product, amount), bundle
    ("A", "2023-01-10", 0, [(TEA, 10)], None),
    ("A", "2023-02-09", 0, [(TEA, 20)], None),
    ("A", "2023-04-10", 0, [(MUG, 30)], None),
    ("B", "2023-01-20", 0, [(TEA, 10)], None),
    ("C", "2023-02-01", 0, [(TEA, 15), (MUG, 25)], "kit"),
    ("C", "2023-05-02", 5, [(TEA, 10)], None),
    ("D", "2023-02-10", 0, [(TEA, 10)], None),
    ("D", "2024-02-10", 0, [(TEA, 4), (MUG, 6)], "kit"),
    ("E", "2023-03-01", 0, [(MUG, 10)], None),
    ("E", "2024-03-15", 0, [(MUG, 20)], None),
    ("F", "2024-10-01", 0, [(TEA, 10)], None),
    ("F", "2024-10-21", 0, [(TEA, 5), (MUG, 5)], "kit"),
    ("G", "2024-10-05", 0, [(TEA, 20), (MUG, 30)], "kit"),
    ("H", "2024-11-01", 0, [(TEA, 10)], None),
    ("H", "2024-11-16", 5, [(MUG, 30)], None),
    ("I", "2024-12-20", 0, [(TEA, 10)], None),
    ("J", "2024-12-25", 0, [(MUG, 20)], None),
]
TOLD = {
    Customers: [
        {"customer_id": c, "acquired_via": {"F": "ads", "G": "friend"}.get(c, "organic"),
         "referred_by": "A" if c == "G" else None} for c in "ABCDEFGHIJ"
    ],
    MarketingSpend: [
        {"date": "2023-01-15", "channel": "ads", "amount": 24.0},
        {"date": "2024-10-15", "channel": "ads", "amount": 30.0},
    ],
    Referrals: [
        {"referrer_id": "A", "occurred_at": "2024-06-01", "event": "converted", "referred_id": "G",
         "reward_amount": 8.0},
        {"referrer_id": "C", "occurred_at": "2023-06-01", "event": "converted", "referred_id": "X"},
        {"referrer_id": "B", "occurred_at": "2024-06-01", "event": "invited"},
    ],
    Nps: [
        {"customer_id": "A", "answered_at": "2023-03-01", "score": 10},
        {"customer_id": "D", "answered_at": "2024-05-01", "score": 9},
        {"customer_id": "B", "answered_at": "2024-05-02", "score": 7},
        {"customer_id": "E", "answered_at": "2024-05-20", "score": 3},
    ],
    Reviews: [{"customer_id": "F", "order_id": "10", "reviewed_at": "2024-10-09", "rating": 5}],
    LoyaltyEvents: [
        {"customer_id": "A", "occurred_at": "2023-01-10", "event": "enrolled"},
        {"customer_id": "C", "occurred_at": "2023-02-01", "event": "enrolled"},
        {"customer_id": "F", "occurred_at": "2024-10-01", "event": "enrolled"},
        {"customer_id": "F", "occurred_at": "2024-11-01", "event": "earned", "points": 5},
        {"customer_id": "A", "occurred_at": "2024-12-01", "event": "tier_reached", "tier": "gold"},
    ],
}  # fmt: skip
NAMES = {Customers: "customers", MarketingSpend: "marketing_spend", Referrals: "referrals",
         Nps: "nps", Reviews: "reviews", LoyaltyEvents: "loyalty_events"}  # fmt: skip


def typed(engine, rows, table, name):
    """Return rows as a table of the contract's types."""
    frame = pd.DataFrame(rows).reindex(columns=list(table.schema()))
    raw = engine.table(
        frame.astype(object).where(frame.notna(), None).astype("string"), f"raw_{name}"
    )
    return engine.keep(
        raw.select(**{column: raw[column].cast(kind) for column, kind in table.schema().items()}),
        name,
    )


@pytest.fixture(scope="module")
def day():
    orders = [
        {"order_id": str(k), "customer_id": customer, "order_date": on, "ordered_at": f"{on} 12:00:00",
         "net_amount": sum(a for _, a in lines), "gross_amount": sum(a for _, a in lines) + less,
         "discount_amount": less, "refund_amount": 0.0}
        for k, (customer, on, less, lines, _) in enumerate(BOUGHT)
    ]  # fmt: skip
    lines = [
        {"order_id": str(k), "product_id": product, "product_name": product, "category": category,
         "bundle_id": bundle, "quantity": 1, "net_amount": amount}
        for k, (*_, parts, bundle) in enumerate(BOUGHT) for (product, category), amount in parts
    ]  # fmt: skip
    settings = build_settings(
        {
            "orders": {"source": "o.csv"},
            "kpis": {"least_customers": 1, "bundle_refill_days": (60, 100)},
        },
        Path(),
    )
    with open_engine() as engine:
        past = typed(engine, orders, Orders, "orders_by_hand")
        actual = engine.keep(journeys.journeys(past, AS_OF), "journeys")
        yield Day(
            settings.kpis, settings.triggers.ahead_days, settings.store.margin, engine, AS_OF, past, actual,
            engine.keep(products.customers(actual, AS_OF), "journey_customers"),
            typed(engine, lines, OrderLines, "lines_by_hand"),
            {NAMES[table]: typed(engine, rows, table, NAMES[table]) for table, rows in TOLD.items()},
        )  # fmt: skip


@pytest.fixture(scope="module")
def returned(day):
    return day.fetch(journeys.returned(day.journeys, AS_OF))


@pytest.fixture(scope="module")
def gaps(day):
    return day.fetch(journeys.gaps(day.journeys, AS_OF))


def overall(value):
    """Return the rate of all customers that a bundle is held against."""
    return Rate(value=value, low=None, high=None, n=10, count=5)


def of(rate):
    return rate.count, rate.n


def test_repeat_rates(returned, gaps):
    """A to E were seen for a year: A, C, D came back within it. Kaplan-Meier: 1 - 7/8 6/7 5/6 3/4 2/3."""
    actual = repeat.repeat(returned, gaps, 0.28, 1)
    assert of(actual.rate_12m) == (3, 5)
    assert actual.rate_12m.value == pytest.approx(0.6)
    assert actual.estimate_12m.value == pytest.approx(1 - 5 / 8 * 3 / 4 * 2 / 3)
    assert actual.benchmark == 0.28
    assert {days: of(rate) for days, rate in actual.returned.items()} == {
        "30": (3, 8), "60": (3, 8), "90": (3, 6),
    }  # fmt: skip


def test_the_time_to_the_second_purchase(gaps):
    """Shares after 15, 20, 30, 90 days: 1/8, 2/8, 3/8, then 1 - 5/8 3/4 = .531: half after 90 days."""
    actual = repeat.second_order(gaps, 40.0)
    assert actual.median_days == 90
    assert actual.is_late
    assert not repeat.second_order(gaps, 45.0).is_late
    shares = {point.day: point.share for point in actual.curve}
    assert shares == pytest.approx(
        {0: 0, 15: 1 / 8, 20: 2 / 8, 30: 3 / 8, 90: 0.53125, 365: 0.6875, 380: 0.84375}
    )
    assert {p.day: p.at_risk for p in actual.curve}[90] == 4


def test_steps_from_order_to_order(gaps):
    """From 2 to 3: A after 60 days, of the five (not H) who were watched that long. From 3: nobody."""
    values = [step.rate.value for step in repeat.steps(gaps, 1)]
    assert values == pytest.approx([0.6875, 0.2, 0.0])


def test_cohorts(day):
    first = day.fetch(journeys.first_days(day.journeys))
    cells = day.fetch(journeys.cohort_cells(day.journeys))
    spend = day.fetch(day.tables["marketing_spend"])
    actual = cohorts(cells, first, spend, AS_OF, 0.5, 1)
    months = {row.month: row for row in actual.months}
    assert list(months) == ["2023-01", "2023-02", "2023-03", "2024-10", "2024-11", "2024-12"]
    january = months["2023-01"]
    assert (january.customers, january.cac, january.payback_month) == (2, 12.0, 3)
    assert [a.revenue for a in january.ages[:5]] == [10, 20, 20, 35, 35]
    assert [a.margin for a in january.ages[:4]] == [5, 10, 10, 17.5]
    assert [of(a.active) for a in january.ages[:4]] == [(2, 2), (1, 2), (0, 2), (1, 2)]
    october = months["2024-10"]
    assert (october.cac, october.payback_month, len(october.ages)) == (15.0, 0, 3)
    assert months["2023-02"].cac is None
    assert months["2023-02"].ages[12].revenue == 35
    assert not any(age.is_partial for row in months.values() for age in row.ages)
    # Age 1: of ten but I and J, A, and no other, ordered in the month after: 20 / 8 on top.
    start = (10 + 10 + 40 + 10 + 10 + 20 + 50 + 40 + 10 + 20) / 10
    assert actual.average[0].revenue == pytest.approx(start)
    assert actual.average[1].to_json() == pytest.approx(
        {"age": 1, "active": 1 / 8, "revenue": start + 2.5, "margin": (start + 2.5) / 2, "n": 8}
    )


def test_the_newest_month_is_partial_until_it_is_over(day):
    first = day.fetch(journeys.first_days(day.journeys))
    cells = day.fetch(journeys.cohort_cells(day.journeys))
    actual = cohorts(cells, first, None, date(2024, 12, 30), 0.5, 1)
    assert [a.is_partial for a in actual.months[3].ages] == [False, False, True]
    assert actual.months[-1].is_partial
    assert actual.average[0].n == 8


def test_the_alarm_compares_equal_ages():
    """At 40 days: 5 of 50 of the newest three months came back, 20 of 50 a year before; older do not count."""
    rows = [(40, 10, 5), (130, None, 45), (131, 1, 99), (405, 40, 20), (405, 41, 10), (495, None, 20),
            (496, 1, 99), (39, 1, 99)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["age_days", "gap_days", "customers"])
    actual = repeat.cohort_alarm(frame, AS_OF, 40.0, 30)
    assert (of(actual.recent), of(actual.before)) == ((5, 50), (20, 50))
    assert actual.difference == pytest.approx(-0.3)
    assert actual.is_alarm
    assert actual.low < -0.3 < actual.high < 0
    calm = frame.assign(customers=[5, 45, 99, 5, 25, 20, 99, 99])
    assert not repeat.cohort_alarm(calm, AS_OF, 40.0, 30).is_alarm
    few = repeat.cohort_alarm(frame, AS_OF, 40.0, 51)
    assert few.difference is None
    assert "have 51 customers" in few.why


def test_the_alarm_of_what_was_brought_by_hand(day):
    """Seen for 30 to 120 days: F and G, H; each 20, 50, 40 in 30 days. A year before nobody came."""
    early = day.fetch(journeys.early_revenue(day.journeys, AS_OF, 30))
    actual = repeat.cohort_value_alarm(early, 30, 2)
    assert (actual.n, actual.n_before, actual.difference) == (3, 0, None)
    rows = [(30, 3, 110.0, 4500.0), (395, 2, 120.0, 7400.0), (31, 0, 0.0, 0.0)]
    frame = pd.DataFrame(rows, columns=["age_days", "customers", "amount", "squares"])
    actual = repeat.cohort_value_alarm(frame, 30, 2)
    # Means 110 / 3 and 60; variances 233.3 / 3 and 200 / 2 of the means: 13.33 around -23.33.
    assert actual.difference == pytest.approx(110 / 3 - 60)
    half = 1.96 * (700 / 9 + 100) ** 0.5
    assert (actual.low, actual.high) == pytest.approx((-70 / 3 - half, -70 / 3 + half), abs=1e-3)
    assert not actual.is_alarm


def test_the_alarm_is_the_same_in_any_order_of_rows():
    rows = [(30 + k, 2, 0.1 * k, 0.01 * k * k) for k in range(60)]
    early = pd.DataFrame(rows, columns=["age_days", "customers", "amount", "squares"])
    early = pd.concat([early, early.assign(age_days=early["age_days"] + 365)])
    shuffled = early.sample(frac=1.0, random_state=1)
    assert repeat.cohort_value_alarm(shuffled, 30, 2) == repeat.cohort_value_alarm(early, 30, 2)


def test_cohorts_of_too_few_say_nothing(day):
    """January 2023 has two customers, each other month one or two."""
    first = day.fetch(journeys.first_days(day.journeys))
    cells = day.fetch(journeys.cohort_cells(day.journeys))
    spend = day.fetch(day.tables["marketing_spend"])
    actual = cohorts(cells, first, spend, AS_OF, 0.5, 3)
    for month in actual.months:
        figures = [month.first_order_amount, month.cac, month.payback_month]
        assert figures == [None] * 3
        assert all(age.revenue is age.margin is age.active.value is None for age in month.ages)
    assert actual.average[0].n == 10


def test_products(day):
    actual = product_measures(day)
    assert [(row.product_id, row.customers, row.median_days) for row in actual.cycles] == [
        ("mug", 8, None), ("tea", 8, None),
    ]  # fmt: skip
    firsts = {row.product_id: row for row in actual.first_products}
    tea, mug = firsts["tea"], firsts["mug"]
    assert (tea.customers, of(tea.repeat)) == (6, (2, 4))
    assert (mug.customers, of(mug.repeat)) == (4, (1, 2))
    assert tea.value_90d == pytest.approx((60 + 10 + 10 + 20) / 4)
    assert mug.value_90d == pytest.approx((50 + 10) / 2)
    assert (tea.next_product, tea.next_share) == ("mug", 0.75)
    assert [row.to_json() for row in actual.breadth] == [
        {"categories": "1", "customers": 4, "revenue_per_customer": 17.5, "multiplier": 1.0},
        {"categories": "2", "customers": 6, "revenue_per_customer": 40.0,
         "multiplier": pytest.approx(40 / 17.5)},
    ]  # fmt: skip
    assert actual.refill_due.to_json() == {"customers": 0, "products": 0}


def test_who_is_due_for_a_refill(day):
    """Tea, with a cycle of 60 days: F 71, G 87 and H 60 days ago; I in 49 days."""
    cycles = day.engine.table(
        pd.DataFrame({"product_id": ["tea"], "median_days": [60.0]}), "cycle"
    )
    listed = products.refills(day.baskets, cycles, AS_OF, 49)
    frame = day.fetch(listed.order_by("customer_id"))
    assert dict(zip(frame["customer_id"], frame["is_due"], strict=True)) == {
        "F": True, "G": True, "H": True, "I": False,
    }  # fmt: skip
    counted = day.fetch(products.due(listed))
    assert counted["customers"].tolist() == [3, 3]
    assert set(counted["product_id"].dropna()) == {"tea"}
    assert "I" not in set(
        day.fetch(products.refills(day.baskets, cycles, AS_OF, 48))["customer_id"]
    )


def test_bundles(day):
    """C, D, F and G bought the kit; C (after 90 days) and D were seen for 90; C 50 against 90 / 4."""
    actual = bundle_measures(day, overall(0.5))
    assert of(actual.attach) == (4, 17)
    (kit,) = actual.rows
    assert (kit.customers, of(kit.reorder_90d)) == (4, (1, 2))
    assert kit.value_multiplier == pytest.approx(50 / 22.5)
    assert kit.box == "scale"
    assert bundle_measures(day, overall(0.51)).rows[0].box == "fix the habit"
    assert actual.single_buyers.to_json() == {"customers": 4, "value_180d": 22.5}
    assert kit.parts == ("mug", "tea")
    assert actual.gateway.bundle_id == "kit"
    assert of(actual.gateway.rate) == (2, 8)
    assert (kit.from_day, kit.to_day, kit.due) == (60, 100, 2)
    assert actual.refill_due.to_json() == {"customers": 2}


def test_a_bundle_is_refilled_when_its_first_product_runs_out():
    """Tea lasts 30 days and a mug 200: the kit is due from day 30 to day 60; of the box nothing is known."""
    parts = pd.DataFrame({"bundle_id": ["kit", "kit", "box"], "product_id": ["tea", "mug", "hat"],
                          "customers": [2, 2, 1]})  # fmt: skip
    lasts = pd.DataFrame({"product_id": ["tea", "mug", "hat"], "median_days": [30.0, 200.0, None]})
    frame = refill_windows(parts, lasts, (28, 45)).set_index("bundle_id")
    assert frame.loc["kit"].tolist() == [30, 60]
    assert frame.loc["box"].tolist() == [28, 45]


def found_without_discounts(day):
    """Sum repeat revenue where no discount is given."""
    bare = day.journeys.mutate(discount_amount=ibis.null("decimal(18, 4)"))
    segments = day.journeys.select("customer_id").distinct().mutate(segment=ibis.literal("one"))
    return day.fetch(journeys.discounted_revenue(bare, segments))


def test_discounts(day, tmp_path):
    """Repeat revenue 130, 40 of it with a discount (C 10, H 30)."""
    segment = ["one" if c in "ABC" else "two" for c in "ABCDEFGHIJ"]
    frame = pd.DataFrame({"customer_id": list("ABCDEFGHIJ"), "segment": segment})
    frame.to_parquet(tmp_path / "decided.parquet")
    actual = discount_measures(day, tmp_path / "decided.parquet")
    assert actual.share_of_repeat_revenue == pytest.approx(40 / 130)
    assert actual.n == 7
    assert discount_section(found_without_discounts(day), 1).missing.needs == (
        "orders.discount_amount"
    )
    assert [row.to_json() for row in actual.by_segment] == [
        {"segment": "one", "share": pytest.approx(10 / 60), "n": 3},
        {"segment": "two", "share": pytest.approx(30 / 70), "n": 4},
    ]


def test_advocacy(day):
    """In the last year: 30 for ads brought F alone, who paid 20 in 90 days; 8 of rewards brought G."""
    actual = advocacy_measures(day, 10)
    assert of(actual.referral_rate_12m) == (1, 10)
    assert of(actual.share_of_new_referred) == (1, 5)
    assert actual.referred.to_json() == {
        "customers": 1, "seen": 0, "value_90d": None, "cac": 8.0, "cost_needs": None, "value_per_cost": None,
    }  # fmt: skip
    assert actual.paid.to_json() == {
        "customers": 1, "seen": 1, "value_90d": 20.0, "cac": 30.0, "cost_needs": None,
        "value_per_cost": pytest.approx(2 / 3),
    }  # fmt: skip
    assert actual.ratio is None
    assert of(actual.promoters_refer.nines_and_tens) == (1, 2)
    assert of(actual.promoters_refer.sevens_and_eights) == (0, 1)
    assert [(m.month, m.score, m.n) for m in actual.nps] == [
        ("2023-03", 100, 1), ("2024-05", 0, 3),
    ]  # fmt: skip
    assert of(actual.review_rate) == (1, 9)


def test_what_returning_customers_bring(day):
    """Of A to E, seen for a year, A, C and D came back within it: 20 and 30, 10, 10."""
    frame = day.fetch(journeys.returners(day.journeys, AS_OF))
    assert frame.to_dict("records") == [{"customers": 3, "orders": 4, "net_amount": 70.0}]


def test_revenue_by_days_since_the_first_purchase(day):
    frame = day.fetch(journeys.by_age(day.journeys, AS_OF)).set_index("since_days")
    assert frame.loc[0].tolist() == [10, 180.0]
    assert frame.loc[90].tolist() == [2, 40.0]  # A and C
    assert sorted(frame.index) == [0, 15, 20, 30, 90, 365]


def test_the_dashboard(day):
    """In October F and G came, in November H, in December I and J; F and H came back, on a discount H."""
    first, spend = (
        day.fetch(journeys.first_days(day.journeys)),
        day.fetch(day.tables["marketing_spend"]),
    )
    rows = {row.measure: row for row in dashboard(day, first, spend)}
    months = {
        name: [p.value for p in row.months][-3:]
        for name, row in rows.items()
        if isinstance(row, DashboardRow)
    }
    assert months["New customers"] == [2, 1, 2]
    assert months["Cost of a new customer"] == [15, 0, 0]
    assert months["Referred share of new customers"] == [0, 0, 0]  # G was referred in June
    assert months["Orders of returning customers"] == [1 / 3, 1 / 2, 0]
    assert months["Orders"] == [3, 2, 2]
    assert months["Order value"] == [pytest.approx(70 / 3), 20, 15]
    assert months["Orders with a discount"] == [0, 1 / 2, 0]
    assert months["Days to the second order"] == [20, 15, None]
    assert months["Bundle attach rate"] == [2 / 3, 0, 0]
    assert months["Reviews per order"] == [1 / 3, 0, 0]
    assert months["Points earned or redeemed"] == [0, 1, 0]
    assert months["Rose to a higher tier"] == [0, 0, 1]
    assert [p.value for p in rows["Net promoter score"].months][5] == 0  # May: one of each
    # The first 90 days of F were over on December 30, those of nobody else in three months.
    assert months["Came back within 90 days"] == [None, None, 1]
    assert months["Revenue of a new customer in 90 days"] == [None, None, 20]
    assert rows["Touched, and ordered within 7 days"].missing.needs == "touches"


def test_loyalty(day):
    actual = loyalty_measures(day, 10)
    assert (of(actual.enrolled), of(actual.active_quarter), of(actual.ascension)) == (
        (3, 10), (1, 3), (1, 3),
    )  # fmt: skip
    assert not actual.is_low


def test_the_natural_cycle_is_the_median_own_gap():
    """45, 90, 365, 380, 20 and 15 days."""
    x, t_x = [2, 0, 1, 1, 1, 1, 0, 1, 0, 0], [90, 0, 90, 365, 380, 20, 0, 15, 0, 0]
    assert store_cycle_days(x, t_x, [721] * 10) == 67.5


def test_a_measure_without_its_table_says_which_one_it_needs(day):
    bare = replace(day, lines=None, tables={}, _cycles={})
    assert product_measures(bare).missing.needs == "order_lines"
    assert bundle_measures(bare, overall(0.5)).missing.needs == "order_lines"
    assert loyalty_measures(bare, 10).missing.needs == "loyalty_events"
    actual = advocacy_measures(bare, 10)
    needs = {name: part.missing.needs for name, part in actual if part}
    assert needs == {
        "referral_rate_12m": "referrals", "share_of_new_referred": "customers",
        "referred": "customers", "paid": "customers", "promoters_refer": "nps", "nps": "nps",
        "review_rate": "reviews",
    }  # fmt: skip
