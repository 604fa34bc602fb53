"""Whether what was expected came true: matured weeks, how inputs moved, and what to do about it."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from pydantic import TypeAdapter

from connectors.orders import History
from connectors.published import PublishedFile
from connectors.store import PublishedDay
from connectors.tracking import Run, Tracking
from features.tables import DataError
from models.monitoring import (
    Freshness,
    MonitoredModel,
    MonitoredWeek,
    MonitoringInputs,
    MonitoringReport,
    RetrainRequest,
)
from perennial.pipeline.monitoring.alerts import find_alerts, judge_request, of_weeks
from perennial.pipeline.monitoring.calibration import Peak, count_day, has_matured, weeks_apart
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.events import DRIFT_CONFIRMED, announce
from perennial.pipeline.runtime.monitoring_state import (
    SCHEMA,
    read_monitoring,
    read_request,
    save_request,
)
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.scoring.expected import WINDOWS
from perennial.pipeline.training.drift import measure_drift, read_bins

RECOUNT_DAYS = 35  # after a window's end, since orders and refunds arrive late


LOGGED_WEEKS = 104
WEEKS = TypeAdapter(tuple[MonitoredWeek, ...])


@step
def find_newest(run: RunContext) -> PublishedDay:
    """Find the newest day that is published by a day.

    Raises
    ------
    DataError
        There is none.
    """
    days = run.store.published_days(date.min, run.as_of)
    if not days:
        raise DataError(
            f"monitoring compares published days with what came: none up to {run.as_of} is published under "
            f"{run.settings.exports}. Run `perennial run` first"
        )
    return days[-1]


@step
def count_weeks(run: RunContext, history: History) -> Path:
    """Count what came of each matured week; return the file.

    Weeks that were counted before stay as they were once their late orders are in, or where their
    day is not published any more.
    """
    settings, as_of = run.settings.monitoring, run.as_of
    before = read_monitoring(run.state)
    settle = settings.settle_days
    recorded = {
        week.as_of: week
        for week in (before.weeks if before is not None else ())
        if has_matured(week.as_of, WINDOWS[0], as_of, settle)
    }
    last = as_of - timedelta(days=WINDOWS[0] + settle)
    published = {
        day.as_of: day
        for day in run.store.published_days(date.min, last)
        if day.file(PublishedFile.EXPECTED).is_file()
    }
    peaks = [Peak(*days) for days in settings.peaks]
    weeks = []
    with run.engine() as engine:
        orders = engine.parquet(history.orders)
        for day in weeks_apart(recorded, published):
            is_settled = day + timedelta(days=WINDOWS[-1] + RECOUNT_DAYS) < as_of
            if day in published and not (day in recorded and is_settled):
                windows = [n for n in WINDOWS if has_matured(day, n, as_of, settle)]
                weeks.append(
                    count_day(engine, orders, history.last_date, published[day], windows, peaks)
                )
            else:
                weeks.append(recorded[day])
    path = run.folder / "weeks.json"
    path.write_bytes(WEEKS.dump_json(tuple(weeks)))
    return path


@step
def look_at_inputs(run: RunContext, history: History, newest: PublishedDay) -> Path:
    """Measure how fresh orders, scores and model are, and how far inputs have moved; return the file."""
    tracking, as_of = run.tracking, run.as_of
    version = read_record(newest).model_version
    bins = read_bins(tracking.fetch(version) / "artifacts")
    trained = date.fromisoformat(tracking.tags(version)["as_of"])
    latest = tracking.newest(run.settings.training_digest)
    with run.engine() as engine:
        drift = measure_drift(
            engine,
            engine.parquet(history.orders),
            newest.file(PublishedFile.SCORES),
            newest.as_of,
            run.settings.model,
            bins,
        )
    inputs = MonitoringInputs(
        freshness=Freshness(
            last_order_date=history.last_date,
            orders_late_days=(as_of - history.last_date).days,
            published_as_of=newest.as_of,
            published_late_days=(as_of - newest.as_of).days,
        ),
        model=MonitoredModel(
            version=version,
            trained_as_of=trained,
            age_days=(as_of - trained).days,
            newest_trained_as_of=None if latest is None else date.fromisoformat(latest[1]),
        ),
        drift=drift,
    )
    path = run.folder / "inputs.json"
    path.write_text(inputs.model_dump_json())
    return path


@step
def judge_forecasts(run: RunContext, weeks: Path, inputs: Path) -> MonitoringReport:
    """Judge what is off, whether to freeze what goes to marketing, and whether to train again."""
    settings, as_of = run.settings.monitoring, run.as_of
    counted = WEEKS.validate_json(weeks.read_bytes())
    measured = MonitoringInputs.model_validate_json(inputs.read_bytes())
    first = run.store.published_days(date.min, as_of)
    expecting = [day.as_of for day in first if day.file(PublishedFile.EXPECTED).is_file()]
    matures = None
    if expecting and not counted:
        matures = expecting[0] + timedelta(days=WINDOWS[0] + settings.settle_days)
    judged = of_weeks(settings, counted)
    report = MonitoringReport(
        schema_version=SCHEMA,
        as_of=as_of,
        tolerance=settings.tolerance,
        freeze=settings.freeze,
        freshness=measured.freshness,
        model=measured.model,
        drift=measured.drift,
        weeks=counted,
        first_matures=matures,
        standings=judged.standings,
        frozen=judged.frozen,
        due=judged.due,
        alerts=(),
    )
    return report.model_copy(update={"alerts": find_alerts(report)})


@step
def ask_to_train(
    state: Path, report: MonitoringReport, as_of: date, cooldown_days: int
) -> RetrainRequest | None:
    """Keep a request to train again where one is due, and tell Prefect once; return the last one."""
    request = judge_request(read_request(state), report, as_of, cooldown_days)
    if request is None:
        return None
    save_request(state, request)
    if request.asked_for and not request.announced:
        # Kept before and after: a run that is killed between the two says it again, never not at all.
        announced = announce(DRIFT_CONFIRMED, request.to_json())
        request = request.model_copy(update={"announced": announced})
        save_request(state, request)
    return request


@step
def log_monitoring(tracking: Tracking, report: MonitoringReport, as_of: date) -> str:
    """Log a report as an MLflow run, the weeks as steps; return its id."""
    tags = {
        "as_of": as_of.isoformat(),
        "kind": "monitor",
        "model_version": report.model.version,
    }
    with tracking.run(f"monitor {as_of}", tags) as run:
        run.log(
            metrics={
                "model_age_days": report.model.age_days,
                "outside_share": report.drift.outside_share,
                "alerts": len(report.alerts),
                **{f"psi.{row.name}": row.psi for row in report.drift.figures},
            }
        )
        _log_weeks(run, report.weeks[-LOGGED_WEEKS:])
        run.log_json(report.to_json(), "monitoring.json")
        run.log_text(_as_table(report.weeks), "weeks.csv")
        return run.id


def _log_weeks(run: Run, weeks: Sequence[MonitoredWeek]) -> None:
    """Log each figure of each week, by the number of weeks since Monday, 1 January of the year 1."""
    series: dict[str, dict[int, float]] = {}
    for week in weeks:
        step_of = week.as_of.toordinal() // WINDOWS[0]
        for days, outcome in week.windows.items():
            for name in ("ratio", "low", "high", "value_ratio", "actual", "expected"):
                value = getattr(outcome, name, None)
                if value is not None:
                    series.setdefault(f"{name}.{days}d", {})[step_of] = value
    run.log_series(series)


def _as_table(weeks: Sequence[MonitoredWeek]) -> str:
    names = ("actual", "expected", "variance", "ratio", "low", "high", "value_ratio", "customers")
    lines = [",".join(("as_of", "days", "model_version", "until", *names))]
    for week in weeks:
        for days, outcome in week.windows.items():
            if outcome is not None:
                values = (getattr(outcome, name) for name in names)
                cells = ("" if value is None else value for value in values)
                row = (week.as_of, days, week.model_version, outcome.until, *cells)
                lines.append(",".join(str(value) for value in row))
    return "\n".join(lines) + "\n"
