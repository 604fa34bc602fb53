"""The retention page: one file, no network, no script, readable on a phone and in the dark."""

from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from features.tables import Scores
from reports.advocacy import advocacy_table
from reports.dashboard import quadrants
from reports.grids import chances, cohorts, rfm
from reports.measures.definitions import DEFINITIONS
from reports.monitoring import monitoring_tables
from reports.pictures import draw
from reports.quality import holdout_table
from reports.records import KpiReport, RunRecord
from reports.records.kpis import CohortAlarm, FivePoints, ValueAlarm
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


@dataclass(frozen=True)
class AlarmText:
    """A sentence on the newest cohorts, and whether it is an alarm."""

    text: str
    is_alarm: bool


def render_page(record: RunRecord, kpis: KpiReport) -> str:
    """Render a published day as one HTML file; text from data is escaped.

    Parameters
    ----------
    record
        Of the day, from ``run.json``.
    kpis
        Its measures, from ``kpis.json``.
    """
    words = Words(record.currency, record.locale)
    table, least = cohorts(kpis.cohorts, words), kpis.least_customers
    html: str = (
        _environment(words)
        .get_template("page.html.j2")
        .render(
            words=words,
            record=record,
            kpis=kpis,
            sections=SECTIONS,
            verdict=verdict(record, kpis, words),
            tiles=tiles(record, kpis, words),
            dashboard=quadrants(kpis.dashboard, words),
            cohorts=table,
            alarms=list(_alarms(kpis.cohort_alarm, words)),
            five_points=_five_points(kpis.forecast.five_points, words),
            test_amount=record.budget.test_amount,
            rfm=rfm(record.rfm, least, words),
            chances=chances(record.order_chances, least, words),
            holdout=holdout_table(record.backtest),
            monitoring=monitoring_tables(record.monitoring, words),
            advocacy=advocacy_table(kpis.advocacy, kpis.loyalty, words),
            pictures=draw(record, kpis, table.cost, words),
            measures=DEFINITIONS,
            definitions={name: column.meaning for name, column in Scores.columns().items()},
        )
    )
    return html


def _environment(words: Words) -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = words.count
    return environment


def _alarms(alarm: CohortAlarm | None, words: Words) -> Iterator[AlarmText]:
    """Say how the newest cohorts compare with those of a year before."""
    if alarm is None:
        return
    if alarm.difference is None or alarm.low is None or alarm.high is None:
        yield AlarmText(alarm.why or "", is_alarm=False)
        return
    recent, before = (words.percent(rate.value or 0.0) for rate in (alarm.recent, alarm.before))
    difference, low, high = (
        words.decimal(100 * end, 1) for end in (alarm.difference, alarm.low, alarm.high)
    )
    yield _alarm(
        f"Of the last three months' cohorts {recent} came back within {alarm.age_days} days "
        f"(n = {words.count(alarm.recent.n)}), of those a year before {before} "
        f"(n = {words.count(alarm.before.n)}): {difference} points ({low} to {high}).",
        is_alarm=alarm.is_alarm,
    )
    if alarm.value is not None:
        yield from _value_alarm(alarm.value, words)


def _value_alarm(alarm: ValueAlarm, words: Words) -> Iterator[AlarmText]:
    amounts = (alarm.recent, alarm.before, alarm.difference, alarm.low, alarm.high)
    texts = [words.money(amount) for amount in amounts if amount is not None]
    if len(texts) < len(amounts):
        return
    recent, before, difference, low, high = texts
    yield _alarm(
        f"By the same age they brought {recent} each, those a year before {before}: "
        f"{difference} ({low} to {high}).",
        is_alarm=alarm.is_alarm,
    )


def _alarm(text: str, *, is_alarm: bool) -> AlarmText:
    return AlarmText(f"Alarm: {text}" if is_alarm else text, is_alarm)


def _five_points(points: FivePoints, words: Words) -> str:
    """Say what five more of a hundred new customers who come back would bring."""
    if points.revenue is None:
        return (
            "What five more points of repeat rate would bring is known when enough customers who came back "
            "were seen for a year."
        )
    if not points.customers:
        return "What five more points of repeat rate would bring: nobody new came in the last 90 days."
    return (
        f"Five more points of repeat rate: {words.count(points.customers)} more of a year's new customers come "
        f"back, and bring {words.money(points.revenue)} within a year of their first order, if "
        f"they are like the {words.count(points.n)} who came back before."
    )
