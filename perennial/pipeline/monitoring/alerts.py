"""What matured weeks and moved inputs mean: alerts in words, the freeze, and the request to train again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from models.monitoring import (
    ACT,
    OF_LAST,
    WARN,
    Alert,
    Drift,
    Freeze,
    Freshness,
    MonitoredModel,
    MonitoredWeek,
    MonitoringReport,
    RankQuality,
    RetrainDue,
    RetrainRequest,
    Rule,
    Week,
    WindowOutcome,
    is_frozen,
    is_retrain_due,
    standing,
)
from perennial.pipeline.monitoring.calibration import RULES
from perennial.pipeline.runtime.monitoring_state import SCHEMA
from perennial.pipeline.settings.operations import MonitoringSettings
from perennial.pipeline.training.drift import FAR_MOVED

LATE_DAYS = 1
OLD_MODEL_DAYS, TOO_OLD_DAYS = 45, 90
OUTSIDE, UNMATCHED = 0.05, 0.05  # shares of customers and of orders
SLOPES = (0.8, 1.2)
WORSE = 0.02  # of Gini, by which a simple rule may rank better, as in the gate


@dataclass(frozen=True)
class Judgment:
    """What matured weeks mean.

    Attributes
    ----------
    standings
        By week: 1 = above, -1 = below, 0 = neither.
    frozen
        Whether nothing should be sent to marketing.
    due
        Whether to train again.
    """

    standings: tuple[int, ...]
    frozen: Freeze
    due: RetrainDue


def of_weeks(settings: MonitoringSettings, weeks: Sequence[MonitoredWeek]) -> Judgment:
    """Judge how each week stands, whether to freeze, and whether to train again."""
    rule = Rule(settings.tolerance, settings.freeze)
    seen = [_week(week.first_week) for week in weeks]
    usual = [week for week in weeks if not week.first_week.is_peak]
    frozen = due = None
    if is_frozen(seen, rule):
        frozen = (
            f"orders of the week after {usual[-1].as_of} were {_ratio(usual[-1])} of the expected, over "
            f"{settings.freeze:.0%} off and beyond three standard deviations"
        )
    if is_retrain_due(seen, rule):
        whole = [week for week in usual if not week.first_week.is_partial][-OF_LAST:]
        sides = [standing(_week(week.first_week), rule.tolerance) for week in whole]
        off = [week for week, side in zip(whole, sides, strict=True) if side == sides[-1]]
        listed = ", ".join(f"{_ratio(week)} after {week.as_of}" for week in off)
        due = (
            f"orders were over {settings.tolerance:.0%} off, beyond luck and to the same side, in "
            f"{len(off)} of the last {len(whole)} weeks: {listed}"
        )
    return Judgment(
        tuple(standing(week, rule.tolerance) for week in seen),
        Freeze(is_frozen=frozen is not None, because=frozen),
        RetrainDue(is_due=due is not None, because=due),
    )


def judge_request(
    before: RetrainRequest | None, report: MonitoringReport, as_of: date, cooldown_days: int
) -> RetrainRequest | None:
    """Decide whether to train again is asked for, as of a day.

    Parameters
    ----------
    before
        The last request; None without any.
    report
        The day's report.
    as_of
        The day.
    cooldown_days
        Least distance between two requests.

    Returns
    -------
    RetrainRequest or None
        None where none was ever made. A request made on a later day stays as it is.
    """
    if before is not None and before.as_of > as_of:
        return before
    trained, due = report.model.newest_trained_as_of, report.due
    if before is not None and trained is not None and trained >= before.as_of:
        before = before.model_copy(update={"asked_for": False})
    is_free = before is None or (not before.asked_for and as_of >= before.until)
    if before is not None and before.as_of == as_of:
        is_free = False
    if not due.is_due or due.because is None or not is_free:
        return before
    return RetrainRequest(
        schema_version=SCHEMA,
        asked_for=True,
        as_of=as_of,
        because=due.because,
        model_version=report.model.version,
        trained_as_of=report.model.trained_as_of,
        until=as_of + timedelta(days=cooldown_days),
        announced=False,
    )


def find_alerts(report: MonitoringReport) -> tuple[Alert, ...]:
    """Find what a person should look at in a report without alerts."""
    return (
        *_of_orders(report),
        *_of_shape(report.weeks),
        *_of_inputs(report.drift),
        *_of_age(report.model, report.freshness),
    )


def _of_orders(report: MonitoringReport) -> Iterator[Alert]:
    weeks = report.weeks
    if report.frozen.because is not None:
        yield _alert(
            "frozen", ACT, report.frozen.because, f"{report.freeze:.0%}",
            "Send nothing to marketing; look for doubled or missing orders first",
        )  # fmt: skip
    if report.due.because is not None:
        yield _alert(
            "orders", ACT, report.due.because, f"{report.tolerance:.0%}",
            "Train again; if it stays off, look at what changed in the store",
        )  # fmt: skip
    elif weeks and report.standings[-1]:
        yield _alert(
            "orders", WARN, f"orders of the week after {weeks[-1].as_of} were {_ratio(weeks[-1])} of the expected",
            f"{report.tolerance:.0%}", "Wait for the next week, or name the days in monitoring.peaks",
        )  # fmt: skip
    if weeks:
        lost, came = weeks[-1].first_week.unmatched_orders, weeks[-1].first_week.actual
        if lost > UNMATCHED * max(lost + came, 1):
            yield _alert(
                "unmatched", WARN, f"{lost:,} of {lost + came:,} orders came of older customers whom the forecast did not know",
                f"{UNMATCHED:.0%}", "Look whether customer ids changed, or old orders arrived late",
            )  # fmt: skip


def _of_shape(weeks: Sequence[MonitoredWeek]) -> Iterator[Alert]:
    matured = [
        week.four_weeks
        for week in weeks
        if week.four_weeks is not None and not week.four_weeks.is_peak
    ]
    if not matured:
        return
    slope, rank = matured[-1].slope, matured[-1].rank
    if slope is not None and (slope.high < SLOPES[0] or slope.low > SLOPES[1]):
        yield _alert(
            "slope", WARN, f"customers differ {slope.estimate:.2f} times as much as expected",
            f"{SLOPES[0]:g} to {SLOPES[1]:g}", "Compare the tenths; train again if the ends stay off",
        )  # fmt: skip
    if rank is not None:
        better = [name for name in RULES if _leads(rank.rules[name], rank.model)]
        if better:
            yield _alert(
                "rank", WARN, f"later value was ranked better by {', '.join(RULES[name] for name in better)}",
                f"{WORSE:g} of Gini", "Run `perennial backtest`, and look at the notes of the training",
            )  # fmt: skip


def _leads(rule: RankQuality, model: RankQuality) -> bool:
    return rule.gini is not None and model.gini is not None and rule.gini > model.gini + WORSE


def _of_inputs(drift: Drift) -> Iterator[Alert]:
    moved = [
        row for row in drift.figures if row.psi is not None and not row.is_mechanical and row.psi > FAR_MOVED
    ]  # fmt: skip
    if moved:
        listed = ", ".join(f"{row.meaning} {row.psi:.2f}" for row in moved)
        yield _alert(
            "drift", WARN, f"moved since training: {listed}", f"{FAR_MOVED:g}",
            "Ask what changed: prices, channels, campaigns. It does not order a retrain",
        )  # fmt: skip
    outside = drift.outside_share
    if outside is not None and outside > OUTSIDE:
        yield _alert(
            "support", WARN, f"{outside:.1%} of customers are older or buy more often than any at training",
            f"{OUTSIDE:.0%}", "Train again",
        )  # fmt: skip


def _of_age(model: MonitoredModel, freshness: Freshness) -> Iterator[Alert]:
    if model.age_days > OLD_MODEL_DAYS:
        yield _alert(
            "model_age", ACT if model.age_days > TOO_OLD_DAYS else WARN,
            f"the model has seen no order since {model.trained_as_of}, {model.age_days} days",
            f"{OLD_MODEL_DAYS} days, {TOO_OLD_DAYS} at most", "Train again",
        )  # fmt: skip
    if freshness.orders_late_days > LATE_DAYS:
        yield _alert(
            "orders_late", WARN, f"the last order is of {freshness.last_order_date}",
            f"{LATE_DAYS} day", "Look whether the source is still filled",
        )  # fmt: skip
    if freshness.published_late_days > LATE_DAYS:
        yield _alert(
            "published_late", WARN, f"the newest published day is {freshness.published_as_of}",
            f"{LATE_DAYS} day", "Run `perennial run`, and look why it did not",
        )  # fmt: skip


def _alert(
    name: str, level: Literal["warn", "act"], problem: str, threshold: str, fix: str
) -> Alert:
    return Alert(name=name, level=level, problem=problem, threshold=threshold, fix=fix)


def _week(outcome: WindowOutcome) -> Week:
    return Week(
        outcome.actual,
        outcome.expected,
        outcome.variance,
        outcome.is_peak,
        outcome.is_partial,
    )


def _ratio(week: MonitoredWeek) -> str:
    ratio = week.first_week.ratio
    return "not known" if ratio is None else f"{ratio:.2f}"
