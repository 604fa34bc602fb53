"""The pictures of a day's page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from models.evaluation import BacktestReport
from models.monitoring import MonitoringReport
from reports import drawings
from reports.grids import MOST_AGES
from reports.records import KpiReport, RunRecord
from reports.records.kpis import Advocacy, CohortAge, Cohorts, Missing, SecondOrder
from reports.records.run import BudgetCurve, FrequencyRow
from reports.words import Words

LEAST_MONTHS, MOST_MONTHS = 3, 18  # of the net promoter score's picture

Picture = Markup | None  # None where there is nothing to draw


@dataclass(frozen=True)
class Pictures:
    """The pictures of a page; ``quality`` has its titles."""

    budget: Picture
    cohorts: Picture
    second_order: Picture
    fit: Picture
    season: Picture
    quality: tuple[tuple[str, Markup], ...]
    nps: Picture
    monitoring: Picture


def draw(record: RunRecord, kpis: KpiReport, cost: float | None, words: Words) -> Pictures:
    """Draw what the page shows.

    Parameters
    ----------
    record, kpis
        Of the day.
    cost
        Of a new customer; None where it is not available.
    words
        How figures are written.
    """
    return Pictures(
        budget=_budget(record.budget.curve, words),
        cohorts=_cohorts(kpis.cohorts, cost, words),
        second_order=_second_order(kpis.second_order, words),
        fit=_fit(record.frequency_fit, words),
        season=_season(record.as_of, kpis.forecast.season, words),
        quality=_of_backtest(record.backtest, words),
        nps=_nps(kpis.advocacy, words),
        monitoring=_of_weeks(record.monitoring),
    )


def _budget(curve: BudgetCurve | None, words: Words) -> Picture:
    if curve is None or len(curve.budget) < 2:
        return None
    title = "Margin gained less its cost, by budget spent today"
    return drawings.budget_curve(curve, title, words.round_money)


def _cohorts(cohorts: Cohorts, cost: float | None, words: Words) -> Picture:
    average = cohorts.average[:MOST_AGES]
    if len(average) < 2:
        return None
    lived = [_whole(month.ages)[:MOST_AGES] for month in cohorts.months]
    title = "Cumulative margin per customer by months since the first order"
    lines = [drawings.margins(ages) for ages in lived if len(ages) > 1]
    return drawings.cohort_lines(lines, drawings.margins(average), cost, title, words.round_money)


def _whole(ages: Sequence[CohortAge]) -> list[CohortAge]:
    """Return the months that a cohort has lived whole, if its margin is told."""
    return [age for age in ages if not age.is_partial and age.margin is not None]


def _second_order(second: SecondOrder, words: Words) -> Markup:
    title = "Share of customers who ordered again, by days since the first order"
    return drawings.second_order_curve(
        second.curve, second.median_days, title, lambda share: words.percent(share, 0)
    )


def _fit(rows: Sequence[FrequencyRow] | None, words: Words) -> Picture:
    if not rows:
        return None
    title = "Customers by repeat orders so far, beside what the model expects of as many new ones"
    table = [row.to_json() for row in rows]
    return drawings.pairs(table, "repeat_orders", "repeat orders", title, words.count)


def _season(as_of: date, weeks: Sequence[float] | None, words: Words) -> Picture:
    """Draw the pace of orders over the year; None where no season is used."""
    if not weeks:
        return None
    week = min((as_of.timetuple().tm_yday - 1) // 7, len(weeks) - 1)
    title = "Pace of orders by week of the year, 1 = usual"
    return drawings.season(weeks, week, title, lambda pace: words.decimal(pace, 1))


def _nps(advocacy: Advocacy | Missing, words: Words) -> Picture:
    """Draw the net promoter score of the last months with enough answers."""
    months = advocacy.nps if isinstance(advocacy, Advocacy) else None
    if months is None or isinstance(months, Missing):
        return None
    scored = [month for month in months if month.score is not None]
    if len(scored) < LEAST_MONTHS:
        return None
    title = "Net promoter score by month, with its interval"
    return drawings.trend(scored[-MOST_MONTHS:], title, words.count)


def _of_weeks(report: MonitoringReport | None) -> Picture:
    if report is None:
        return None
    rows = [
        {"as_of": week.as_of, "ratio": first.ratio, "low": first.low, "high": first.high}
        for week in report.weeks
        if (first := week.first_week).ratio is not None
    ]
    if not rows:
        return None
    title = "Weekly orders over the expected, with the band that luck explains"
    return drawings.weekly_ratios(rows, report.tolerance, title)


def _of_backtest(backtest: BacktestReport | None, words: Words) -> tuple[tuple[str, Markup], ...]:
    """Draw the last cutoff, as far as it has rows."""
    if backtest is None or not backtest.cutoffs:
        return ()
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
    return tuple(pictures)
