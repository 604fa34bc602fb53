"""Whether forecasts that have matured came true, arranged for the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from models.monitoring import (
    Alert,
    DriftFigure,
    GroupOutcome,
    MonitoredWeek,
    MonitoringReport,
    RankComparison,
    Slope,
    WindowOutcome,
)
from reports.words import Words

WEEKS = 8  # shown one by one
ENOUGH = 0.10  # of the index from which a figure has moved


@dataclass(frozen=True)
class AlertText:
    """An alert in a sentence."""

    level: str
    text: str


@dataclass(frozen=True)
class WeekRow:
    """A week as the page shows it: orders, actual over expected with its band, and the verdict."""

    as_of: date
    actual: str
    expected: str
    ratio: str
    band: str
    value: str
    four_weeks: str
    is_odd: bool
    verdict: str


@dataclass(frozen=True)
class GroupRow:
    """A group of customers as the page shows it."""

    group: str | int
    customers: str
    actual: str
    expected: str
    ratio: str
    band: str
    is_odd: bool


@dataclass(frozen=True)
class GroupTable:
    """Groups of one kind."""

    name: str
    rows: list[GroupRow]


@dataclass(frozen=True)
class Groups:
    """The newest window by group: the days after a day."""

    days: int
    after: date
    tables: list[GroupTable]
    slope: str
    rank: str


@dataclass(frozen=True)
class DriftRow:
    """How far a figure has moved, as the page shows it."""

    label: str
    text: str
    basis: str
    note: str
    is_odd: bool


@dataclass(frozen=True)
class MonitoringTables:
    """What the section on monitoring shows."""

    as_of: date
    status: str
    alerts: list[AlertText]
    weeks: list[WeekRow]
    groups: Groups
    drift: list[DriftRow]
    untold: str  # figures without an index


def monitoring_tables(report: MonitoringReport | None, words: Words) -> MonitoringTables | None:
    """Arrange a monitoring report; None where no week has matured.

    Parameters
    ----------
    report
        What ``state/monitoring.json`` held on the day; None where nothing was monitored.
    words
        How figures are written.
    """
    if report is None or not report.weeks:
        return None
    weeks, figures = report.weeks, report.drift.figures
    rows = list(zip(weeks, report.standings[-len(weeks) :], strict=True))[-WEEKS:][::-1]
    return MonitoringTables(
        as_of=report.as_of,
        status=_status(report, words),
        alerts=[AlertText(alert.level, _sentence(alert)) for alert in report.alerts],
        weeks=[_week(week, standing, words) for week, standing in rows],
        groups=_newest_groups(weeks, words),
        drift=[_moved(row, row.psi, words) for row in figures if row.psi is not None],
        untold=", ".join(row.meaning for row in figures if row.psi is None),
    )


def _newest_groups(weeks: Sequence[MonitoredWeek], words: Words) -> Groups:
    """Arrange the groups of the newest four weeks, or of the newest week where none have matured."""
    newest, days = weeks[-1], 7
    shown = newest.first_week
    for week in weeks:
        if week.four_weeks is not None:
            newest, days, shown = week, 28, week.four_weeks
    return Groups(
        days=days,
        after=newest.as_of,
        tables=[
            GroupTable("Days since first order", _groups(shown.by_tenure, words)),
            GroupTable(
                "Tenth by expected orders, 10 = highest", _groups(shown.by_decile[::-1], words)
            ),
        ],
        slope=_slope(shown.slope, words),
        rank=_rank(shown.rank, words),
    )


def _status(report: MonitoringReport, words: Words) -> str:
    status = (
        f"Looked at on {report.as_of}: orders up to {report.freshness.last_order_date}, model version "
        f"{report.model.version} trained {words.count(report.model.age_days)} days before."
    )
    outside = report.drift.outside_share
    if outside is not None:
        status += f" {words.percent(outside)} of customers are beyond what it was trained on."
    return status


def _sentence(alert: Alert) -> str:
    sentence = f"{alert.problem}. {alert.fix}.".replace("`", "")
    return sentence[0].upper() + sentence[1:]


def _week(week: MonitoredWeek, standing: int, words: Words) -> WeekRow:
    first, later = week.first_week, week.four_weeks
    verdict = {1: "more than expected", -1: "less than expected", 0: "as expected"}[standing]
    if first.is_partial:
        verdict = "the last orders seem to be missing"
    ratio, band = _ratio(first, words)
    return WeekRow(
        as_of=week.as_of,
        actual=words.count(first.actual),
        expected=words.decimal(first.expected, 1),
        ratio=ratio,
        band=band,
        value=_number(first.value_ratio, words),
        four_weeks="too early" if later is None else _number(later.ratio, words),
        is_odd=standing != 0,
        verdict="unlike others, not judged" if first.is_peak else verdict,
    )


def _groups(groups: Sequence[GroupOutcome], words: Words) -> list[GroupRow]:
    rows = []
    for one in groups:
        ratio, band = _ratio(one, words)
        rows.append(
            GroupRow(
                group=one.group,
                customers=words.count(one.customers),
                actual=words.count(one.actual),
                expected=words.decimal(one.expected, 1),
                ratio=ratio,
                band=band,
                is_odd=_is_outside(one),
            )
        )
    return rows


def _is_outside(row: GroupOutcome) -> bool:
    if row.ratio is None or row.low is None or row.high is None:
        return False
    return not row.low <= row.ratio <= row.high


def _ratio(row: GroupOutcome | WindowOutcome, words: Words) -> tuple[str, str]:
    """Write actual over expected, and its band."""
    if row.ratio is None or row.low is None or row.high is None:
        return "none expected", ""
    return words.decimal(row.ratio), f"{words.decimal(row.low)} to {words.decimal(row.high)}"


def _number(value: float | None, words: Words) -> str:
    return "-" if value is None else words.decimal(value)


def _slope(slope: Slope | None, words: Words) -> str:
    if slope is None:
        return ""
    return (
        f"Tenths differ {words.decimal(slope.estimate)} times as much as expected "
        f"({words.decimal(slope.low)} to {words.decimal(slope.high)}); 1 = as expected."
    )


def _rank(rank: RankComparison | None, words: Words) -> str:
    if rank is None:
        return ""
    named = {
        "the forecast": rank.model,
        "past revenue": rank.total_past,
        "the RFM cell": rank.rfm,
        "days since the last order": rank.hiatus,
    }
    listed = ", ".join(
        f"{name} {words.decimal(quality.gini or 0.0, 3)}" for name, quality in named.items()
    )
    return f"Ranking of what customers then brought (Gini, 1 = perfect): {listed}."


def _moved(row: DriftFigure, psi: float, words: Words) -> DriftRow:
    return DriftRow(
        label=row.meaning,
        text=words.decimal(psi, 3),
        basis=f"n = {words.count(row.n_now)}, at training {words.count(row.n_then)}",
        note="moves as customers grow older" if row.is_mechanical else "",
        is_odd=not row.is_mechanical and psi > ENOUGH,
    )
