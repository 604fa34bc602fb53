"""Every retention measure of a simulated store, against pandas on the same tables and what the simulation knows.

The store goes on for two months after the day: nothing of that may be counted.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import ttest_ind

from connectors.accounting import Accounting
from connectors.orders import History
from connectors.quality import Quality
from features import journeys
from features.rfm import customer_state
from models.forecaster import Forecaster
from models.operational_time import PaceIndex
from models.order_value import OrderValue
from models.purchases import MBGNBD
from models.records import Record
from models.spend import Spend
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.scoring.kpis.day import opened
from perennial.pipeline.scoring.kpis.measures import (
    Ahead,
    advocacy_measures,
    bundle_measures,
    discount_measures,
    kpi_report,
    loyalty_measures,
    product_measures,
    write_refills,
)
from perennial.pipeline.settings.store import build_settings
from perennial.simulation import simulate
from reports.measures import forecast, repeat
from reports.records.kpis import KpiReport, Missing, MissingRow, Need, Rate

AS_OF = date(2025, 10, 31)
DAY = pd.Timedelta(days=1)
GIVEN = (
    "customers",
    "marketing_spend",
    "referrals",
    "nps",
    "reviews",
    "loyalty_events",
    "touches",
)


@pytest.fixture(scope="module")
def world():
    return simulate(1_500, date(2024, 1, 1), date(2026, 1, 1), 3, "coffee")


@pytest.fixture(scope="module")
def day(world, tmp_path_factory):
    work = tmp_path_factory.mktemp("store")
    for name, table in world.tables.items():
        pq.write_table(table, work / f"{name}.parquet")
    reported = {
        "store": {"timezone": world.profile.timezone},
        "orders": {"source": "orders.parquet"},
        "tables": {name: f"{name}.parquet" for name in GIVEN},
    }
    history = History(
        work / "orders.parquet", work / "rejects.csv", "made", AS_OF, AS_OF, Accounting(0, 0, {}, {}),
        Quality((), {}, 0), work / "order_lines.parquet",
    )  # fmt: skip
    with opened(
        home_context(build_settings(reported, work), AS_OF, folder=work), history
    ) as opened_day:
        yield opened_day


@pytest.fixture(scope="module")
def bought(world):
    """Purchase days of each customer, numbered, with days since the first and to the next."""
    orders = world.orders.to_pandas()
    orders["day"] = pd.to_datetime(orders["order_date"])
    past = orders[orders["day"] <= pd.Timestamp(AS_OF)]
    days = past.groupby(["customer_id", "day"], as_index=False)[
        ["net_amount", "discount_amount"]
    ].sum()
    days = days[days["net_amount"].round(4) > 0].reset_index(drop=True)
    by = days.groupby("customer_id")["day"]
    days["number"] = by.cumcount() + 1
    days["since"] = (days["day"] - by.transform("min")).dt.days
    days["gap"] = (by.shift(-1) - days["day"]).dt.days
    days["age"] = (pd.Timestamp(AS_OF) - days["day"]).dt.days
    return days


@pytest.fixture(scope="module")
def first(bought):
    return bought[bought["number"] == 1].set_index("customer_id")


@pytest.fixture(scope="module")
def lines(world, bought):
    """Order lines with customer and day, of purchase days."""
    orders = world.orders.to_pandas()[["order_id", "customer_id", "order_date"]]
    orders["day"] = pd.to_datetime(orders.pop("order_date"))
    both = world.order_lines.to_pandas().merge(orders[orders["day"] <= pd.Timestamp(AS_OF)])
    return both.merge(bought[["customer_id", "day", "number"]])


def chance_by(waits, day):
    """Kaplan-Meier, customer by customer: days waited, and whether the event came."""
    staying = 1.0
    for time in sorted({t for t, came in waits if came and t <= day}):
        at_risk = sum(t >= time for t, _ in waits)
        staying *= 1 - sum(t == time and came for t, came in waits) / at_risk
    return 1 - staying


def waits(days):
    return [
        (g if came else a, came)
        for g, a, came in zip(days["gap"], days["age"], days["gap"].notna(), strict=True)
    ]


def of(rate):
    return rate.count, rate.n


def test_who_comes_back(day, bought, first):
    returned = day.fetch(journeys.returned(day.journeys, AS_OF))
    gaps = day.fetch(journeys.gaps(day.journeys, AS_OF))
    actual = repeat.repeat(returned, gaps, None, 30)
    for days, rate in [
        (365, actual.rate_12m),
        *((int(d), r) for d, r in actual.returned.items()),
    ]:
        seen = first[first["age"] >= days]
        assert of(rate) == ((seen["gap"] <= days).sum(), len(seen))
    assert actual.estimate_12m.value == pytest.approx(chance_by(waits(first), 365))
    for step in repeat.steps(gaps, 30):
        of_step = bought[bought["number"] == step.from_order]
        assert step.rate.n == len(of_step)
        assert step.rate.value == pytest.approx(chance_by(waits(of_step), 365))


def test_the_alarm_compares_the_same_ages(day, first):
    actual = repeat.cohort_alarm(
        day.fetch(journeys.returned(day.journeys, AS_OF)), AS_OF, 40.0, 30
    )
    for name, back in (("recent", 0), ("before", 365)):
        since = first["age"] - back - 40
        cohort = first[(since >= 0) & (since < 91)]
        assert of(getattr(actual, name)) == ((cohort["gap"] <= 40).sum(), len(cohort))


def test_the_alarm_compares_what_was_brought_by_the_same_age(day, bought, first):
    """Against SciPy's test of Welch: its standard error, times the normal quantile."""
    early = day.fetch(journeys.early_revenue(day.journeys, AS_OF, 40))
    actual = repeat.cohort_value_alarm(early, 40, 30)
    amounts = bought[bought["since"] <= 40].groupby("customer_id")["net_amount"].sum()
    recent, before = (
        amounts[first.index[(since >= 0) & (since < 91)]]
        for since in (first["age"] - back - 40 for back in (0, 365))
    )
    assert (actual.n, actual.n_before) == (len(recent), len(before))
    assert (actual.recent, actual.before) == pytest.approx((recent.mean(), before.mean()))
    error = (recent.mean() - before.mean()) / ttest_ind(recent, before, equal_var=False).statistic
    assert actual.high - actual.difference == pytest.approx(1.959964 * error)
    assert actual.difference - actual.low == pytest.approx(1.959964 * error)
    assert actual.is_alarm == (actual.high < 0)


def test_products(day, bought, first, lines):
    actual = product_measures(day)
    days = lines.drop_duplicates(["customer_id", "product_id", "day"]).sort_values("day")
    by = days.groupby(["customer_id", "product_id"])["day"]
    days["gap"] = (by.shift(-1) - days["day"]).dt.days
    days["age"] = (pd.Timestamp(AS_OF) - days["day"]).dt.days
    for row in actual.cycles[:2]:
        of_product = days[days["product_id"] == row.product_id]
        assert row.customers == of_product["customer_id"].nunique()
        median = row.median_days
        assert (
            chance_by(waits(of_product), median) >= 0.5 > chance_by(waits(of_product), median - 1)
        )
        last = of_product.groupby("customer_id")["age"].min()
        assert row.due == ((last >= median) & (last <= 2 * median)).sum()
    past = [row.product_id for row in actual.cycles if row.median_days]
    last = days[days["product_id"].isin(past)].groupby(["customer_id", "product_id"])["age"].min()
    median = last.index.get_level_values(1).map(
        {row.product_id: row.median_days for row in actual.cycles}
    )
    is_due = last[(last >= median) & (last <= 2 * median)]
    assert actual.refill_due.customers == len({who for who, _ in is_due.index})
    spent = lines[lines["number"] == 1].groupby(["customer_id", "product_id"])["net_amount"].sum()
    spent = (
        spent.round(2)
        .reset_index()
        .sort_values(["net_amount", "product_id"], ascending=[False, True])
    )
    main = spent.drop_duplicates("customer_id").set_index("customer_id")["product_id"]
    early = bought[bought["since"] <= 90].groupby("customer_id")["net_amount"].sum()
    for row in actual.first_products[:5]:
        began = first[main.reindex(first.index) == row.product_id]
        seen = began[began["age"] >= 90]
        assert row.customers == len(began)
        assert of(row.repeat) == ((seen["gap"] <= 90).sum(), len(seen))
        assert row.value_90d == pytest.approx(early.reindex(seen.index).mean())
    breadth = lines.groupby("customer_id")["category"].nunique().clip(upper=3)
    revenue = bought.groupby("customer_id")["net_amount"].sum().groupby(breadth).mean()
    assert [
        row.customers for row in actual.breadth
    ] == breadth.value_counts().sort_index().tolist()
    assert [row.multiplier for row in actual.breadth] == pytest.approx(
        (revenue / revenue[1]).tolist()
    )


def test_refills_are_listed_for_the_triggers(day, tmp_path):
    write_refills(day, tmp_path / "refills.parquet")
    listed = pd.read_parquet(tmp_path / "refills.parquet")
    silent = (pd.Timestamp(AS_OF) - pd.to_datetime(listed["last_date"])).dt.days
    assert len(listed)
    assert not listed.duplicated(["customer_id", "product"]).any()
    assert ((silent + 14 >= listed["cycle_days"]) & (silent <= 2 * listed["cycle_days"])).all()


def test_bundles(day, bought, first, lines):
    overall = Rate(value=0.3, low=None, high=None, n=10, count=3)
    actual = bundle_measures(day, overall)
    is_bundled = lines.dropna(subset="bundle_id").drop_duplicates(
        ["customer_id", "day", "bundle_id"]
    )
    assert actual.attach.count == lines.dropna(subset="bundle_id")["order_id"].nunique()
    assert actual.attach.n == lines["order_id"].nunique()
    early = bought[bought["since"] <= 180].groupby("customer_id")["net_amount"].sum()
    began = lines[lines["number"] == 1].groupby("customer_id")
    single = began["product_id"].nunique().eq(1) & ~began["bundle_id"].agg(
        lambda b: b.notna().any()
    )
    old = set(first.index[first["age"] >= 180])
    alone = early[[who for who in single.index[single] if who in old]].mean()
    whole = is_bundled.merge(bought[["customer_id", "day", "gap", "age"]])
    for row in actual.rows:
        of_bundle = whole[whole["bundle_id"] == row.bundle_id]
        once = of_bundle.sort_values("day").drop_duplicates("customer_id")
        seen = once[once["age"] >= 90]
        assert of(row.reorder_90d) == ((seen["gap"] <= 90).sum(), len(seen))
        starts = of_bundle[of_bundle["number"] == 1]["customer_id"]
        began_so = early[[who for who in starts if who in old]]
        if len(began_so) >= 30:
            assert row.value_multiplier == pytest.approx(began_so.mean() / alone)
        last = of_bundle[of_bundle["gap"].isna()]["age"]
        assert row.due == last.between(row.from_day, row.to_day).sum()
    second = is_bundled[is_bundled["number"] == 2]
    follow = second[second["customer_id"].isin(single.index[single])]["bundle_id"].value_counts()
    assert of(actual.gateway.rate) == (follow.max(), single.sum())


def test_discounts(day, bought, tmp_path):
    segment = bought[["customer_id"]].drop_duplicates()
    segment = segment.assign(segment=np.where(np.arange(len(segment)) % 3, "one", "two"))
    segment.to_parquet(tmp_path / "decided.parquet")
    actual = discount_measures(day, tmp_path / "decided.parquet")
    repeated = bought[bought["number"] > 1].merge(segment)
    for rows, share, n in [
        (repeated, actual.share_of_repeat_revenue, actual.n),
        *((repeated[repeated["segment"] == r.segment], r.share, r.n) for r in actual.by_segment),
    ]:
        reduced = rows[rows["discount_amount"].round(4) > 0]["net_amount"].sum()
        assert (share, n) == (pytest.approx(reduced / rows["net_amount"].sum()), len(rows))


def past(world, name, at):
    """Rows known at the end of the day, by the store's clock."""
    rows = world.tables[name].to_pandas()
    moments = pd.to_datetime(rows[at])
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert(world.profile.timezone).dt.tz_localize(None)
    rows["day"] = moments.dt.normalize()
    return rows[rows["day"] <= pd.Timestamp(AS_OF)]


def test_who_refers_and_who_was_referred(day, world, bought, first):
    actual = advocacy_measures(day, len(first))
    year = pd.Timestamp(AS_OF) - 365 * DAY
    won = past(world, "referrals", "occurred_at").query("event == 'converted'")
    assert of(actual.referral_rate_12m) == (
        won[won["day"] > year]["referrer_id"].nunique(),
        len(first),
    )
    reported = world.customers.to_pandas().set_index("customer_id").reindex(first.index)
    spend = past(world, "marketing_spend", "date")
    came = {"referred": reported["referred_by"].notna()}
    came["paid"] = reported["acquired_via"].isin(spend["channel"]) & ~came["referred"]
    new = first["day"] > year
    assert of(actual.share_of_new_referred) == ((new & came["referred"]).sum(), new.sum())
    early = bought[bought["since"] <= 90].groupby("customer_id")["net_amount"].sum()
    paid_out = {"referred": won.assign(amount=won["reward_amount"]), "paid": spend}
    for origin in ("referred", "paid"):
        group = getattr(actual, origin)
        seen = came[origin] & (first["age"] >= 90)
        assert (group.customers, group.seen) == (came[origin].sum(), seen.sum())
        assert group.value_90d == pytest.approx(early[seen[seen].index].mean())
        costs = paid_out[origin]
        late = costs[costs["day"] > year]["amount"].sum()
        assert group.cac == pytest.approx(late / (new & came[origin]).sum())
        assert group.value_per_cost == pytest.approx(group.value_90d / group.cac)
    assert actual.ratio == pytest.approx(actual.referred.value_90d / actual.paid.value_90d)


def test_who_recommends_and_who_reviews(day, world, first, bought):
    actual = advocacy_measures(day, len(first))
    nps = past(world, "nps", "answered_at")
    won = past(world, "referrals", "occurred_at").query("event == 'converted'")
    last = nps.sort_values("answered_at").drop_duplicates("customer_id", keep="last")
    later = last["customer_id"].map(won.groupby("referrer_id")["day"].max()) >= last["day"]
    for kind, scores in (("nines_and_tens", (9, 10)), ("sevens_and_eights", (7, 8))):
        is_kind = last["score"].isin(scores)
        assert of(getattr(actual.promoters_refer, kind)) == (
            (later & is_kind).sum(),
            is_kind.sum(),
        )
    sign = np.select([nps["score"] >= 9, nps["score"] <= 6], [100.0, -100.0], 0.0)
    months = pd.Series(sign, index=nps.index).groupby(nps["day"].dt.strftime("%Y-%m"))
    for row in actual.nps:
        assert row.n == months.size()[row.month]
        if row.n >= 30:
            assert row.score == pytest.approx(months.mean()[row.month])
    orders = world.orders.to_pandas()
    at = pd.to_datetime(orders["order_date"])
    late = orders[(at <= pd.Timestamp(AS_OF)) & (at > pd.Timestamp(AS_OF) - 365 * DAY)]
    reviewed = late["order_id"].isin(past(world, "reviews", "reviewed_at")["order_id"])
    assert of(actual.review_rate) == (reviewed.sum(), len(late))


def test_loyalty(day, world, first):
    actual = loyalty_measures(day, len(first))
    events = past(world, "loyalty_events", "occurred_at")
    late = events[events["day"] > pd.Timestamp(AS_OF) - 91 * DAY]
    members = events["customer_id"].nunique()
    active = late[late["event"].isin(["earned", "redeemed"])]["customer_id"].nunique()
    risen = late[late["event"] == "tier_reached"]["customer_id"].nunique()
    assert of(actual.enrolled) == (members, len(first))
    assert of(actual.active_quarter) == (active, members)
    assert of(actual.ascension) == (risen, members)


def test_what_five_more_points_bring(day, first, bought):
    returners = day.fetch(journeys.returners(day.journeys, AS_OF))
    actual = forecast.five_points(returners, 4.0, 30)
    old = first.index[first["age"] >= 365]
    back = bought[
        bought["customer_id"].isin(old) & (bought["number"] > 1) & (bought["since"] <= 365)
    ]
    assert actual.n == back["customer_id"].nunique()
    assert actual.revenue == pytest.approx(73 * back["net_amount"].sum() / actual.n)


def test_what_the_simulation_knows_is_what_the_measures_find(day, world, first):
    """Friends of customers are worth more than paid ones, promoters refer more, and both truly are content."""
    actual = advocacy_measures(day, len(first))
    assert actual.ratio > 1
    kinds = actual.promoters_refer
    assert kinds.nines_and_tens.value > kinds.sevens_and_eights.value
    truth = world.truth.to_pandas().set_index("customer_id")
    nps = past(world, "nps", "answered_at").groupby("customer_id")["score"].last()
    content = truth["satisfaction"].reindex(nps.index).groupby(nps >= 9).mean()
    assert content[True] > content[False]


UNSET = {  # fields that stay None in such a store, and why
    ("Rate", "why"): "each rate is of enough customers",
    ("CohortAlarm", "why"): "the cohorts of this store can be compared",
    ("OriginGroup", "cost_needs"): "rewards and spend are given",
}


def records_in(value):
    """Yield a record and those inside it."""
    if isinstance(value, Record):
        yield value
        value = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, dict):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str):
        for part in value:
            yield from records_in(part)


def kinds_in(annotation):
    """Yield the classes of records that an annotation names, and those of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
        for field in annotation.model_fields.values():
            yield from kinds_in(field.annotation)
    for part in get_args(annotation):
        yield from kinds_in(part)


def test_a_store_that_gives_every_table_has_a_value_in_every_field(day, world, tmp_path):
    """A new field that `kpi_report` does not set, or that no code fills in, fails."""
    state = day.engine.frame(customer_state(day.orders, AS_OF))
    state[["customer_id"]].assign(segment="loyal").to_parquet(tmp_path / "decided.parquet")
    pace = PaceIndex(AS_OF, tuple(np.linspace(0.5, 1.5, 52)))
    forecaster = Forecaster.plain(
        MBGNBD(0.9, 45.0, 0.5, 1.5), OrderValue(Spend(6.0, 4.0, 15.0)), pace=pace
    )
    settings = day.settings.model_copy(
        update={"repeat_rate_benchmark": 0.3, "least_customers": 10}  # few answer in a month
    )
    whole = replace(day, settings=settings)
    ahead = Ahead(state, forecaster, (0.9, 1.0, 1.2))
    report = kpi_report(whole, tmp_path / "decided.parquet", ahead)
    records = list(records_in(report))
    assert not [one for one in records if isinstance(one, Missing | MissingRow)]
    fields = {
        (kind.__name__, name)
        for kind in kinds_in(KpiReport)
        if kind not in (Missing, MissingRow, Need)
        for name in kind.model_fields
    }
    filled = {
        (type(one).__name__, name)
        for one in records
        for name in type(one).model_fields
        if getattr(one, name) not in (None, (), {})
    }
    assert fields - filled == set(UNSET)
    assert KpiReport.model_validate_json(report.model_dump_json()) == report
