"""Rules of sums: tables, files and page give one account. A function yields what breaks the rule that it is named as."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from reports.words import Words
from segments.investment import TIERS
from tests.invariants.published import PublishedFigures

Findings = Iterator[str]
FEW = 20  # orders: fewer are luck
FACTOR = 5.0  # by which a year may differ from the last one
AMOUNTS = ("revenue", "expected_value", "expected_margin")


def _differ(what: str, actual: float | None, expected: float, relative: float = 1e-9) -> Findings:
    if actual is None or not np.isclose(actual, expected, rtol=relative, atol=1e-9):
        yield f"{what} is {actual}, where the table has {expected}"


def discount_factor_is_published(day: PublishedFigures) -> Findings:
    if "discount_factor" not in day.scores:
        yield "scores have no column discount_factor"


def every_buyer_is_scored_once(day: PublishedFigures) -> Findings:
    scored, bought = day.scores["customer_id"], set(day.purchase_days["customer_id"])
    if scored.duplicated().any():
        yield f"{scored.duplicated().sum()} customers have several rows"
    for what, who in (
        ("bought and are not scored", bought - set(scored)),
        ("are scored and never bought", set(scored) - bought),
    ):
        if who:
            yield f"{len(who)} customers {what}, such as {min(who)}"


def rows_are_stamped_as_the_record(day: PublishedFigures) -> Findings:
    for name in ("as_of", "model_version", "run_id"):
        stamps = {str(value) for value in day.scores[name]}
        if stamps != {str(day.record[name])}:
            yield f"{name} is {sorted(stamps)[:3]}, in the record {day.record[name]}"


def totals_are_the_tables(day: PublishedFigures) -> Findings:
    s, reported = day.scores, day.record["totals"]
    expected = {
        "share_once": (s["frequency"] == 0).mean(),
        "orderers_90d": s["p_order_90d"].sum(),
        "held_out": s["is_holdout"].sum(),
        **{
            name: s[name].sum()
            for name in ("expected_orders", "expected_value", "expected_margin")
        },
    }
    yield from _differ("customers", day.record["customers"], len(s))
    for name, value in expected.items():
        yield from _differ(name, reported[name], value)
    figure = day.record["figures"]["expected_value"]["value"]
    yield from _differ("the headline's expected value", figure, s["expected_value"].sum())


def segments_are_the_tables(day: PublishedFigures) -> Findings:
    by = day.scores.groupby("segment")
    frame = pd.DataFrame(day.record["segments"]).set_index("segment")
    if set(frame.index) != set(by.groups):
        yield f"the record has {sorted(frame.index)}, the table {sorted(by.groups)}"
        return
    invested = day.scores[~day.scores["is_holdout"]]
    tiers = pd.crosstab(invested["segment"], invested["investment_tier"])
    tiers = tiers.reindex(index=frame.index, columns=TIERS[:-1], fill_value=0)
    expected = {
        "customers": by.size(),
        "share": by.size() / len(day.scores),
        "revenue": by["revenue"].sum(),
        "p_order_90d": by["p_order_90d"].mean(),
        "expected_value": by["expected_value"].mean(),
        "expected_margin": by["expected_margin"].sum(),
        "held_out": by["is_holdout"].sum(),
        **{tier: tiers[tier] for tier in tiers},
    }
    for name, values in expected.items():
        for segment in frame.index:
            yield from _differ(f"{name} of {segment}", frame[name][segment], values[segment])


def grids_have_every_customer(day: PublishedFigures) -> Findings:
    for name in ("rfm", "order_chances"):
        customers = sum(cell["customers"] for cell in day.record[name])
        yield from _differ(f"customers of the grid {name}", customers, len(day.scores))
    chances = sum(c["customers"] * (c["p_order_90d"] or 0) for c in day.record["order_chances"])
    yield from _differ("customers to order in 90 days", chances, day.scores["p_order_90d"].sum())
    cohorts = sum(month["customers"] for month in day.kpis["cohorts"]["months"])
    yield from _differ("customers of all cohorts", cohorts, len(day.scores))


def every_row_is_accounted_for(day: PublishedFigures) -> Findings:
    reported = day.record["accounting"]
    parts = reported["orders"] + sum(
        [*reported["merged"].values(), *reported["rejected"].values()]
    )
    yield from _differ("rows in", reported["rows_in"], parts)


def tiers_are_the_tables(day: PublishedFigures) -> Findings:
    """Counts by tier are those of the scores; costs by tier and by segment have one sum."""
    for row in day.record["tiers"]:
        held = day.scores.loc[day.scores["investment_tier"] == row["tier"], "is_holdout"]
        yield from _differ(f"customers of {row['tier']}", row["customers"], (~held).sum())
        yield from _differ(f"held out of {row['tier']}", row["held_out"], held.sum())
    for name in ("customers", "cost", "gain"):
        by_tier, by_segment = (
            sum(row[name] for row in day.record[table]) for table in ("tiers", "budget_by_segment")
        )
        yield from _differ(f"{name} by segment", by_segment, by_tier)
    cost = sum(row["cost"] for row in day.record["tiers"])
    yield from _differ(
        "the headline's budget", day.record["figures"]["budget_used"]["value"], cost
    )


def commitments_keep_the_budget(day: PublishedFigures) -> Findings:
    budget, new = day.record["budget"], day.commitments
    cost = new.loc[~new["is_holdout"].astype(bool), "expected_cost"].sum()
    yield from _differ("committed", budget["committed"], cost, 1e-6)
    if cost > budget["left"] * (1 + 1e-9) or budget["left"] > budget["amount"] * (1 + 1e-9):
        yield f"{cost} committed, {budget['left']} left of {budget['amount']}"


def commitments_are_the_scores(day: PublishedFigures) -> Findings:
    """One per customer, with the tier, segment and arm that the scores have, and a gain in its interval."""
    new = day.commitments
    if new["customer_id"].duplicated().any():
        yield f"{new['customer_id'].duplicated().sum()} customers are committed to twice"
    scored = day.scores.drop_duplicates("customer_id").set_index("customer_id")
    scored = scored.reindex(new["customer_id"])
    for name in ("investment_tier", "segment", "is_holdout"):
        other = (new[name].to_numpy() != scored[name].to_numpy()).sum()
        if other:
            yield f"{other} of {len(new)} have another {name} in the scores"
    gain = new["expected_gain"]
    outside = ~gain.between(
        new["gain_low"] - 1e-9 * gain.abs(), new["gain_high"] + 1e-9 * gain.abs()
    )
    if outside.any():
        yield f"{outside.sum()} of {len(new)} gains lie outside their interval"
    if not (new["expected_cost"] >= 0).all():
        yield "costs are negative or missing"


def expected_has_every_customer(day: PublishedFigures) -> Findings:
    """By window, by tenure and by tenth."""
    ages, orders = day.scores["age_days"], day.scores["expected_orders"]
    for window, cells in day.expected.groupby("window_days"):
        yield from _differ(f"customers of {window} days", cells["customers"].sum(), len(ages))
        for tenure, customers in cells.groupby("tenure")["customers"].sum().items():
            first, last = _ages(str(tenure))
            count = ages.between(first, last).sum()
            yield from _differ(f"customers of {window} days and tenure {tenure}", customers, count)
        starts = cells.groupby("decile")["orders_from"].min().sort_index()
        tenth = starts.index.to_numpy()[
            np.maximum(np.searchsorted(starts, orders, side="right") - 1, 0)
        ]
        counts = pd.Series(tenth).value_counts()
        for decile, customers in cells.groupby("decile")["customers"].sum().items():
            yield from _differ(
                f"tenth {decile} of {window} days", customers, counts.get(decile, 0)
            )


def _ages(tenure: str) -> tuple[float, float]:
    if tenure.startswith("over "):
        return float(tenure.removeprefix("over ")) + 1, np.inf
    first, last = tenure.split("-")
    return float(first), float(last)


def expected_is_possible(day: PublishedFigures) -> Findings:
    cells = day.expected
    wrong = {
        "cells without customers": cells["customers"] <= 0,
        "tenths outside 1 to 10": ~cells["decile"].between(1, 10),
        "cells with more orders than days": cells["expected_orders"]
        > cells["window_days"] * cells["customers"],
        "negative or missing sums": ~(
            cells[["expected_orders", "variance_orders", "expected_value"]] >= 0
        ).all(axis=1),
    }
    for what, rows in wrong.items():
        if rows.any():
            yield f"{rows.sum()} {what}"


def expected_grows_with_the_window(day: PublishedFigures) -> Findings:
    for name in ("expected_orders", "expected_value"):
        by = ["tenure", "decile", "window_days"]
        cells = day.expected.pivot_table(name, by[:2], by[2], "sum", observed=True)
        falls = ~(cells.diff(axis=1).iloc[:, 1:] >= -1e-9).all(axis=1)
        if falls.any():
            yield f"{name} falls in {falls.sum()} cells, such as {falls.idxmax()}"


def longer_windows_expect_more(day: PublishedFigures) -> Findings:
    """From a week to the horizon, over the three places that expect something; undiscounted."""
    s = day.scores
    orders: dict[int, float] = {day.horizon_days: s["expected_orders"].sum()}
    revenue = {day.horizon_days: (s["expected_orders"] * s["expected_order_value"]).sum()}
    for window, cells in day.expected.groupby("window_days"):
        orders[int(window)] = cells["expected_orders"].sum()
        revenue[int(window)] = cells["expected_value"].sum()
    for row in day.kpis["forecast"]["existing"]:
        orders.setdefault(row["days"], row["orders"])
        revenue.setdefault(row["days"], row["revenue"])
    for what, sums in (("orders", orders), ("revenue", revenue)):
        days = sorted(sums)
        for short, long in pairwise(days):
            if sums[short] > sums[long] * (1 + 1e-9):
                yield f"{what} of {short} days {sums[short]:.6g}, of {long} days {sums[long]:.6g}"
    if 90 in orders and s["p_order_90d"].sum() > orders[90] * (1 + 1e-9):
        yield f"{s['p_order_90d'].sum():.6g} customers order in 90 days, {orders[90]:.6g} orders"


def every_window_has_the_same_season(day: PublishedFigures) -> Findings:
    """The page's forecast and what monitoring expects count the days ahead by the published season."""
    weeks = np.array(day.kpis["forecast"]["season"] or [1.0] * 52)
    ahead = day.as_of + pd.to_timedelta(np.arange(1, 366), unit="D")
    pace = weeks[np.minimum((ahead.dayofyear - 1) // 7, 51)].cumsum()
    for days, operational in day.kpis["forecast"]["operational_days"].items():
        yield from _differ(f"operational days in {days}", operational, pace[int(days) - 1], 1e-6)
    existing = {row["days"]: row for row in day.kpis["forecast"]["existing"]}
    watched = day.expected[day.expected["window_days"] == 28]
    for what, column in (("orders", "expected_orders"), ("revenue", "expected_value")):
        longer, shorter = existing[30][what], watched[column].sum()
        if min(longer, shorter) > 0:
            yield from _differ(
                f"{what} of 30 over those of 28 days", longer / shorter, pace[29] / pace[27], 0.03
            )


def forecast_is_the_tables(day: PublishedFigures) -> Findings:
    """The forecast for the horizon is the sum of the scores, undiscounted."""
    s = day.scores
    for row in day.kpis["forecast"]["existing"]:
        if row["low"] is not None and not row["low"] <= row["revenue"] <= row["high"]:
            yield f"{row['days']} days: {row['revenue']} outside {row['low']} to {row['high']}"
        if row["days"] == day.horizon_days:
            revenue = (s["expected_orders"] * s["expected_order_value"]).sum()
            yield from _differ(
                "orders within the horizon", row["orders"], s["expected_orders"].sum(), 1e-6
            )
            yield from _differ("revenue within the horizon", row["revenue"], revenue, 1e-6)


def marketing_files_are_the_scores(day: PublishedFigures) -> Findings:
    """The files name nobody who is held out, and segments.csv has what the scores have."""
    reported = day.scores[~day.scores["is_holdout"]].drop_duplicates("customer_id")
    reported = reported.set_index("customer_id")
    for name, file in (("new_customers", day.new_customers), ("triggers", day.triggers)):
        strangers = set(file["customer_id"]) - set(reported.index)
        if strangers:
            yield f"{name}.csv names {len(strangers)} who are held out or not scored"
    rows = day.segments_csv
    yield from _differ("rows of segments.csv", len(rows), day.record["segments_csv"]["rows"])
    if len(rows) != len(reported) - day.record["segments_csv"]["no_key"]:
        yield f"segments.csv has {len(rows)} rows, {len(reported)} customers are not held out"
    if len(rows) != len(reported):
        return  # some have no key: rows are not told apart
    for one in day.settings.klaviyo.all_properties:
        other = _written(rows[one.name].set_axis(reported.index), reported[one.column], one.kind)
        if other.any():
            yield f"{one.name} differs from {one.column} in {other.sum()} rows of segments.csv"


def _written(texts: pd.Series, values: pd.Series, kind: str) -> pd.Series:
    """Return where texts differ from what they write, beyond rounding."""
    if kind in ("percent", "number"):
        numbers = 100 * values if kind == "percent" else values
        size = 0.5 if kind == "percent" else 0.005
        return (texts.astype(float) - numbers.fillna(-1)).abs() > size + 1e-6
    if kind == "date":
        days = pd.to_datetime(values).fillna(pd.Timestamp("2100-01-01"))
        return pd.to_datetime(texts).dt.normalize() != days
    if kind == "flag":
        return texts != values.astype(str)
    return texts != values.str.replace("_", " ")


def tiles_are_the_figures(day: PublishedFigures) -> Findings:
    words = _words(day)
    for name, figure in day.record["figures"].items():
        if figure["value"] is None:
            continue
        text = words.unit(**figure)
        if text not in day.page.tiles.values():
            yield f"{name} is {text}, the tiles have {list(day.page.tiles.values())}"
    value = words.money(day.scores["expected_value"].sum())
    if value not in day.page.tiles.values():
        yield f"the scores' expected value is {value}, no tile has it"


def page_is_the_tables(day: PublishedFigures) -> Findings:
    """Rows of segments, tiers and the forecast on the page are those of the scores, within rounding."""
    words = _words(day)
    for segment, s in day.scores.groupby("segment"):
        yield from _shown(day, "segments", str(segment).replace("_", " "), [
            words.count(len(s)),
            words.money(s["revenue"].sum()),
            words.percent(s["p_order_90d"].mean()),
            words.money(s["expected_value"].mean()),
            words.money(s["expected_margin"].sum()),
        ])  # fmt: skip
    for tier, s in day.scores.groupby("investment_tier"):
        if tier != "none":
            held = int(s["is_holdout"].sum())
            yield from _shown(
                day, "budget", str(tier), [words.count(len(s) - held), words.count(held)]
            )
    for row in day.kpis["forecast"]["existing"]:
        yield from _shown(day, "cohorts", str(row["days"]), [words.money(row["revenue"])])


def _shown(day: PublishedFigures, section: str, first: str, expected: list[str]) -> Findings:
    cells = day.page.cells(section, first)
    if cells[: len(expected)] != expected:
        yield f"{section}, {first}: the page has {cells}, the tables {expected}"


def _words(day: PublishedFigures) -> Words:
    return Words(day.record["currency"], day.record["locale"])


def orders_are_like_last_years(day: PublishedFigures) -> Findings:
    """Between a fifth of the repeat orders of a time as long and five times all of its orders.

    A store that sold less than a quarter of its usual in the last quarter of that time is dying.
    """
    lately = day.lately(day.horizon_days)
    past = min(day.horizon_days, day.history_days)
    longer = day.horizon_days / past
    is_dying = len(day.lately(past // 4)) < len(lately) / 16
    orders, value = (day.scores[name].sum() for name in ("expected_orders", "expected_value"))
    again = lately[~lately["is_first"]]
    if orders > FACTOR * longer * (len(lately) + FEW):
        yield f"{orders:.1f} orders expected, {len(lately)} came in the last {past} days"
    if not is_dying and orders < (len(again) - FEW) / FACTOR:
        yield f"{orders:.1f} orders expected, {len(again)} repeat orders in the last {past} days"
    brought, mean = lately["net_amount"].sum(), lately["net_amount"].mean()
    if value > FACTOR * longer * (brought + FEW * mean):
        yield f"{value:.2f} expected, {brought:.2f} came in the last {past} days"
    if not is_dying and value < (again["net_amount"].sum() - FEW * mean) / FACTOR:
        yield f"{value:.2f} expected, {again['net_amount'].sum():.2f} came again in the last {past} days"


def order_value_is_like_the_past(day: PublishedFigures) -> Findings:
    """The mean of an expected order lies within a factor of 3 of past ones; the median customer's, of 5."""
    s, past = day.scores, day.purchase_days["net_amount"]
    revenue = (s["expected_orders"] * s["expected_order_value"]).sum()
    ratios = {
        "the mean expected order": (revenue / s["expected_orders"].sum() / past.mean(), 3.0),
        "the median customer's": (s["expected_order_value"].median() / past.median(), 5.0),
    }
    for what, (ratio, most) in ratios.items():
        if not 1 / most <= ratio <= most:
            yield f"{what} is {ratio:.3g} times that of the past"


SUM_RULES: tuple[Callable[[PublishedFigures], Findings], ...] = (
    discount_factor_is_published,
    every_buyer_is_scored_once,
    rows_are_stamped_as_the_record,
    totals_are_the_tables,
    segments_are_the_tables,
    grids_have_every_customer,
    every_row_is_accounted_for,
    tiers_are_the_tables,
    commitments_keep_the_budget,
    commitments_are_the_scores,
    expected_has_every_customer,
    expected_is_possible,
    expected_grows_with_the_window,
    longer_windows_expect_more,
    every_window_has_the_same_season,
    forecast_is_the_tables,
    marketing_files_are_the_scores,
    tiles_are_the_figures,
    page_is_the_tables,
    orders_are_like_last_years,
    order_value_is_like_the_past,
)
