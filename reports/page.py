"""The retention page: one file, no network, no script, readable on a phone and in the dark."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from features.tables import Scores
from models.evaluation import BacktestReport
from models.monitoring import MonitoringReport
from reports import drawings
from reports.advocacy import advocacy_table
from reports.dashboard import quadrants
from reports.grids import MOST_AGES, chances, cohorts, rfm
from reports.measures.definitions import DEFINITIONS
from reports.monitoring import monitoring_tables
from reports.quality import holdout_table
from reports.tiles import tiles, verdict
from reports.words import Words

SECTIONS = {
    "budget": "Budget",
    "segments": "Segments",
    "dashboard": "Quadrants",
    "cohorts": "Cohorts and forecast",
    "second_order": "Second order",
    "grids": "Who will order",
    "holdout": "Was it right before",
    "monitoring": "Monitoring",
    "products": "Products and bundles",
    "advocacy": "Advocacy",
    "experiments": "Did it pay",
    "data": "Data",
    "definitions": "Definitions",
    "run": "How it was made",
}

Json = Mapping[str, Any]
LEAST_MONTHS, MOST_MONTHS = 3, 18  # of the net promoter score's picture


def render_page(record: Json, kpis: Json) -> str:
    """Render a published day as one HTML file; text from data is escaped.

    Parameters
    ----------
    record
        What ``run.json`` says of it.
    kpis
        What ``kpis.json`` says.
    """
    words = Words(record["currency"], record["locale"])
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = words.count
    table = cohorts(kpis["cohorts"], words)
    html: str = environment.get_template("page.html.j2").render(
        words=words,
        record=record,
        kpis=kpis,
        sections=SECTIONS,
        verdict=verdict(record, kpis, words),
        tiles=tiles(record, kpis, words),
        dashboard=quadrants(kpis["dashboard"], words),
        cohorts=table,
        alarms=_alarms(kpis["cohort_alarm"], words),
        five_points=_five_points(kpis["forecast"]["five_points"], words),
        explored=_explored(record["budget"]),
        rfm=rfm(record["rfm"], kpis["least_customers"], words),
        chances=chances(record["order_chances"], kpis["least_customers"], words),
        holdout=holdout_table(record["backtest"]),
        monitoring=monitoring_tables(_monitored(record), words),
        advocacy=advocacy_table(kpis["advocacy"], kpis["loyalty"], words),
        pictures=_pictures(record, kpis, table["cost"], words),
        measures=DEFINITIONS,
        definitions={name: column.meaning for name, column in Scores.columns().items()},
    )
    return html


def _pictures(record: Json, kpis: Json, cost: float | None, words: Words) -> dict[str, Any]:
    """Draw what the page shows; what there is nothing for is None."""
    curve = record["budget"].get("curve")
    second, found = kpis["second_order"], kpis["cohorts"]
    months = [_whole(m["ages"])[:MOST_AGES] for m in found["months"]]
    average = found["average"][:MOST_AGES]
    return {
        "budget": drawings.budget_curve(
            curve,
            curve["spent"],
            "Margin gained less its cost, by budget spent today",
            words.round_money,
        )
        if curve and len(curve["budget"]) > 1
        else None,
        "cohorts": drawings.cohort_lines(
            [m for m in months if len(m) > 1],
            average,
            cost,
            "Cumulative margin per customer by months since the first order",
            words.round_money,
        )
        if len(average) > 1
        else None,
        "second_order": drawings.second_order_curve(
            second["curve"],
            second["median_days"],
            "Share of customers who ordered again, by days since the first order",
            lambda share: words.percent(share, 0),
        ),
        "fit": drawings.pairs(
            record["frequency_fit"],
            "repeat_orders",
            "repeat orders",
            "Customers by repeat orders so far, beside what the model expects of as many new ones",
            words.count,
        )
        if record["frequency_fit"]
        else None,
        "season": _season(record, kpis, words),
        "quality": _of_backtest(_backtest(record), words),
        "nps": _nps(kpis["advocacy"], words),
        "monitoring": _of_weeks(_monitored(record)),
    }


def _whole(ages: Sequence[Json]) -> list[Json]:
    """Return the months that a cohort has lived whole, if its margin is told."""
    return [a for a in ages if not a["is_partial"] and a["margin"] is not None]


def _season(record: Json, kpis: Json, words: Words) -> Markup | None:
    """Draw the pace of orders over the year; None where no season is used."""
    weeks = kpis["forecast"].get("season")  # a day of an earlier version has none
    if not weeks:
        return None
    day = date.fromisoformat(str(record["as_of"]))
    week = min((day.timetuple().tm_yday - 1) // 7, len(weeks) - 1)
    title = "Pace of orders by week of the year, 1 = usual"
    return drawings.season(weeks, week, title, lambda pace: words.decimal(pace, 1))


def _nps(advocacy: Json, words: Words) -> Markup | None:
    """Draw the net promoter score of the last months with enough answers."""
    found = advocacy.get("nps")
    told = [m for m in found if m["score"] is not None] if isinstance(found, list) else []
    if len(told) < LEAST_MONTHS:
        return None
    title = "Net promoter score by month, with its interval"
    return drawings.trend(told[-MOST_MONTHS:], title, words.count)


def _monitored(record: Json) -> MonitoringReport | None:
    """Return what was monitored by a day; None of a day without, or of an earlier version."""
    kept = record.get("monitoring")
    return None if kept is None else MonitoringReport.model_validate(kept)


def _of_weeks(report: MonitoringReport | None) -> Markup | None:
    weeks = () if report is None else report.weeks
    rows = [
        {"as_of": week.as_of, "ratio": first.ratio, "low": first.low, "high": first.high}
        for week in weeks
        if (first := week.first_week).ratio is not None
    ]
    if report is None or not rows:
        return None
    title = "Weekly orders over the expected, with the band that luck explains"
    return drawings.weekly_ratios(rows, report.tolerance, title)


def _backtest(record: Json) -> BacktestReport | None:
    """Return the backtest of the day's model; None where it has none."""
    backtest = record["backtest"]
    return BacktestReport.model_validate(backtest) if backtest else None


def _of_backtest(backtest: BacktestReport | None, words: Words) -> list[tuple[str, Markup]]:
    """Draw the last cutoff, as far as it has rows."""
    if backtest is None or not backtest.cutoffs:
        return []
    cutoff, pictures = backtest.cutoffs[-1], []
    if cutoff.deciles:
        title = "Later value per customer, by tenth of the forecast"
        rows = [row.model_dump() for row in cutoff.deciles]
        drawn = drawings.pairs(rows, "decile", "tenth, 10 = highest", title, words.round_money)
        pictures.append((title, drawn))
    if cutoff.curves.weekly:
        title = f"Orders by week after {cutoff.as_of}"
        rows = [row.model_dump() for row in cutoff.curves.weekly]
        pictures.append((title, drawings.tracking(rows, title, words.count)))
    return pictures


def _alarms(alarm: Json | None, words: Words) -> list[dict[str, Any]]:
    """Say how the newest cohorts compare with those of a year before."""
    if not alarm:
        return []
    if alarm.get("difference") is None:
        return [{"text": alarm.get("why", ""), "is_alarm": False}]
    recent, before = (words.percent(alarm[name]["value"]) for name in ("recent", "before"))
    ends = [words.decimal(100 * alarm[name], 1) for name in ("difference", "low", "high")]
    said = [
        (
            f"Of the last three months' cohorts {recent} came back within {alarm['age_days']} days "
            f"(n = {words.count(alarm['recent']['n'])}), of those a year before {before} "
            f"(n = {words.count(alarm['before']['n'])}): {ends[0]} points ({ends[1]} to {ends[2]}).",
            alarm["is_alarm"],
        )
    ]
    value = alarm.get("value") or {}
    if value.get("difference") is not None:
        amounts = [
            words.money(value[k]) for k in ("recent", "before", "difference", "low", "high")
        ]
        said.append(
            (
                f"By the same age they brought {amounts[0]} each, those a year before {amounts[1]}: "
                f"{amounts[2]} ({amounts[3]} to {amounts[4]}).",
                value["is_alarm"],
            )
        )
    return [{"text": f"Alarm: {t}" if odd else t, "is_alarm": odd} for t, odd in said]


def _five_points(found: Json, words: Words) -> str:
    """Say what five more of a hundred new customers who come back would bring."""
    if found["revenue"] is None:
        return (
            "What five more points of repeat rate would bring is known when enough customers who came back "
            "were seen for a year."
        )
    if not found["customers"]:
        return "What five more points of repeat rate would bring: nobody new came in the last 90 days."
    return (
        f"Five more points of repeat rate: {words.count(found['customers'])} more of a year's new customers come "
        f"back, and bring {words.money(found['revenue'])} within a year of their first order, if "
        f"they are like the {words.count(found['n'])} who came back before."
    )


def _explored(budget: Json) -> float:
    """Return what is drawn by lot of what is spent today."""
    curve = budget.get("curve")
    return max(budget["committed"] - curve["spent"], 0.0) if curve else 0.0
