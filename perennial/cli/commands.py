"""What each command does, apart from how it is typed and shown."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from getpass import getuser
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.addresses import redacted, redacted_address
from connectors.csv import write_csv
from connectors.engine import Engine, open_engine
from connectors.live.address import LiveAddress, read_address
from connectors.optional import read_table
from connectors.order_source import OrderSource
from connectors.orders import look_at_source, read_orders
from connectors.proposal import Recognized
from connectors.published import POINTER, PublishedFile
from connectors.recognize import recognize
from connectors.store import PublishedDay, Store, replace_file
from features.renamed import FILES
from features.tables import DataError
from models.gate import FAILED
from perennial.cli.demo import write_cdnow, write_store
from perennial.cli.facts import DayFacts, DayOutcome, DayPaths, Facts, TrackingPlace
from perennial.cli.runner import Runner, choose_runner
from perennial.cli.terminal import Outcome, program, progress_bar
from perennial.pipeline.ingestion.pull import check_pulled
from perennial.pipeline.publishing.checks import read_accepted
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.runtime.context import home_context, open_tracking
from perennial.pipeline.runtime.disk import ReadOnlyDiskError
from perennial.pipeline.runtime.exits import ExitCode
from perennial.pipeline.settings.store import (
    Settings,
    SettingsError,
    last_whole_day,
    read_settings,
)
from segments.holdout import CONTROL

NAMED_BY_EMAIL = {"shopify"}  # presets whose exports have no other name of a customer

ORDER_ENDINGS = (".parquet", ".csv")
EARLY_DAYS = 7  # an export that ends so long before the day is run as of its own last day

if TYPE_CHECKING:
    from perennial.cli.simulate import Simulation
    from perennial.pipeline.training.registry import Decided

R = TypeVar("R")


def in_words(error: BaseException) -> str:
    """Return the message of an expected error in one line: problem, fix, rule."""
    if isinstance(error, OSError) and not isinstance(error, ReadOnlyDiskError):
        return redacted(
            f"files must be there to read and free to write: {error.filename or 'a file'}: "
            f"{error.strerror or error}. Check the path, its rights and the disk"
        )
    return redacted(str(error))


def run_demo(
    home: Path | None = None, config: Path | None = None, simulation: "Simulation | None" = None
) -> Outcome:
    """Go the whole way, through Prefect, on CDNOW or on a simulation.

    Parameters
    ----------
    home
        Folder to publish in; by default the current one for CDNOW, one of its own for a simulation.
    config
        Settings that name the home folder instead.
    simulation
        What to simulate; None = CDNOW.
    """
    if config is not None:
        home = read_settings(config).home
    if home is None:
        home = Path() if simulation is None else Path("demo") / simulation.folder
    home = home.resolve()
    demo = write_cdnow(home) if simulation is None else write_store(home, simulation)
    with choose_runner(home, prefect=True) as runner:
        outcome = _publish_day("run", demo.config, demo.as_of, runner)
    return Outcome(outcome.kind, {**outcome.facts, "seconds": runner.seconds})


def simulate_store(out: Path, asked: "Simulation") -> Outcome:
    """Write a simulated store: its tables, its truth, and settings that read it."""
    from perennial.cli.simulate import (  # the simulation takes a second to import
        CONFIG,
        write_simulation,
    )

    with progress_bar("simulate") as progress:
        record = write_simulation(asked, out, progress)
    traps = {planted.trap: planted.count for planted in record.planted}
    advice = f"perennial run --config {out / CONFIG} --as-of {asked.last_day}"
    written = record.to_json()
    facts = {"written": str(out), "asked": written["asked"], "rows": record.rows, "planted": traps}
    return Outcome("said", {**facts, "next": advice})


@dataclass(frozen=True)
class Asked:
    """How a day is asked for.

    Attributes
    ----------
    as_of
        The day; None = yesterday, and before it the days that were missed.
    force
        Whether to publish a day again, from other inputs.
    accepted, because
        Checks that may refuse in vain, and why.
    """

    as_of: date | None = None
    force: bool = False
    accepted: Sequence[str] = ()
    because: str = ""


def run_day(name: str, config: Path, asked: Asked, *, prefect: bool) -> Outcome:
    """Run the flow ``run`` or ``score``; the daily way without a day also fills in what was missed."""
    settings = read_settings(config)
    accepted = read_accepted(asked.accepted, asked.because)
    with choose_runner(settings.home, prefect=prefect) as runner:
        day = _whole_day(settings.store.timezone, asked.as_of)
        flow = "daily" if name == "run" and asked.as_of is None else name
        return _publish_day(flow, config, day, runner, force=asked.force, accepted=accepted)


def _publish_day(
    name: str,
    config: Path,
    as_of: date,
    runner: Runner,
    *,
    force: bool = False,
    accepted: Mapping[str, str] | None = None,
) -> Outcome:
    from flows.daily import daily  # pandas, Ibis and Arrow take seconds
    from flows.run import run
    from flows.score import score

    flows: dict[str, Callable[..., Any]] = {"daily": daily, "run": run, "score": score}
    asked = {"as_of": as_of, "force": force, "accepted": accepted}
    done = _start(runner, config, flows[name], **asked)
    scored = done.scored if name == "daily" else done
    is_daily = name == "daily"
    outcome = DayOutcome(
        **dict(day_facts(read_settings(config), scored.day)),
        status="published" if scored.is_new else "already_published",
        caught_up=done.caught_up if is_daily else None,
        refused=done.refused if is_daily else None,
        sync=scored.sync,
        timings=runner.timings,
        prefect=runner.where,
    )
    return Outcome(
        "day", outcome.to_dict(), ExitCode.DONE if scored.is_new else ExitCode.NOTHING_TO_DO
    )


def _start(runner: Runner, config: Path, flow: Callable[..., R], **asked: Any) -> R:  # noqa: ANN401  # its parameters
    """Run a flow, after making MLflow's store while Prefect's server starts."""
    open_tracking(read_settings(config))
    return runner.run(flow, config=config.resolve(), **asked)


def backfill_days(config: Path, first: date, last: date, *, prefect: bool) -> Outcome:
    """Run the flow ``backfill``."""
    settings = read_settings(config)
    _whole_day(settings.store.timezone, last)
    if first > last:
        raise SettingsError(
            f"a backfill goes from one day to a later one: {first} is after {last}. Exchange them"
        )
    with choose_runner(settings.home, prefect=prefect) as runner:
        from flows.backfill import backfill  # pandas, Ibis and Arrow take seconds

        done = _start(runner, config, backfill, as_of=first, until=last)
    facts = {
        "published": [day.isoformat() for day in done.published],
        "already_published": [day.isoformat() for day in done.there],
        "refused": {day.isoformat(): why for day, why in done.refused.items()},
        "prefect": runner.where.model_dump(),
    }
    code = (
        ExitCode.REFUSED
        if done.refused
        else ExitCode.DONE
        if done.published
        else ExitCode.NOTHING_TO_DO
    )
    return Outcome("backfilled", facts, code)


def train_models(config: Path, as_of: date | None, *, prefect: bool) -> Outcome:
    """Run the flow ``train``."""
    settings = read_settings(config)
    day = _whole_day(settings.store.timezone, as_of)
    with choose_runner(settings.home, prefect=prefect) as runner:
        from flows.train import train  # scikit-learn and matplotlib take seconds

        trained = _start(runner, config, train, as_of=day)
    facts = {
        "as_of": day.isoformat(),
        "model_version": trained.model_version,
        "run_id": trained.run_id,
        "gate": trained.gate,
        "is_champion": trained.is_champion,
        "reasons": list(trained.reasons),
        "notes": list(trained.notes),
        "timings": runner.timings,
        "mlflow": asdict(_mlflow(settings)),
        "prefect": runner.where.model_dump(),
    }
    return Outcome("trained", facts, ExitCode.REFUSED if trained.gate == FAILED else ExitCode.DONE)


def promote_model(config: Path, version: str, because: str) -> Outcome:
    """Make a version the champion, over the gate if need be."""
    from perennial.pipeline.training.registry import promote_version

    settings = read_settings(config)
    tracking, digest = open_tracking(settings), settings.training_digest
    return _decided(promote_version(tracking, version, because, getuser(), digest), because)


def roll_back_model(config: Path, because: str) -> Outcome:
    """Make the version before the champion again."""
    from perennial.pipeline.training.registry import roll_back

    return _decided(roll_back(open_tracking(read_settings(config)), because, getuser()), because)


def _decided(decided: "Decided", because: str) -> Outcome:
    facts = {"champion": decided.champion, "before": decided.before, "because": because}
    return Outcome(
        "said", {**facts, "next": "perennial run --force, to publish the day again with it"}
    )


def backtest_models(
    config: Path, as_of: date | None, horizon_days: int | None, cutoffs: int, *, prefect: bool
) -> Outcome:
    """Run the flow ``backtest``; by default from the latest day whose horizon is over."""
    settings = read_settings(config)
    horizon = horizon_days or settings.model.horizon_days
    day = as_of or _whole_day(settings.store.timezone, None) - timedelta(days=horizon)
    _whole_day(settings.store.timezone, day)
    with choose_runner(settings.home, prefect=prefect) as runner:
        from flows.backtest import backtest  # scikit-learn takes seconds

        asked = {"horizon_days": horizon, "cutoffs": cutoffs}
        report = _start(runner, config, backtest, as_of=day, **asked)
    return Outcome("backtest", report.model_dump(mode="json"))


def measure_lift(
    config: Path, as_of: date | None, program: str, *, early: bool, prefect: bool
) -> Outcome:
    """Run the flow ``measure``."""
    settings = read_settings(config)
    day = _whole_day(settings.store.timezone, as_of)
    if program != CONTROL and program not in settings.holdout.programs:
        programs = ", ".join([CONTROL, *settings.holdout.programs])
        raise SettingsError(
            f"--program is one of {programs}: {program!r} is none. Name one of them"
        )
    with choose_runner(settings.home, prefect=prefect) as runner:
        from flows.measure import measure  # pandas, Ibis and scikit-learn take seconds

        readout = _start(runner, config, measure, as_of=day, program=program, early=early)
    return Outcome("measured", readout.to_json())


def monitor_forecasts(config: Path, as_of: date | None, *, prefect: bool) -> Outcome:
    """Run the flow ``monitor``."""
    settings = read_settings(config)
    day = _whole_day(settings.store.timezone, as_of)
    with choose_runner(settings.home, prefect=prefect) as runner:
        from flows.monitor import monitor  # pandas and Ibis take seconds

        monitored = _start(runner, config, monitor, as_of=day)
    request = monitored.request
    facts = {
        **monitored.report.to_json(),
        "retrain": None if request is None else request.to_json(),
        "timings": runner.timings,
        "mlflow": asdict(_mlflow(settings)),
    }
    return Outcome("monitored", facts)


def sync_klaviyo(config: Path, *, apply: bool, create_missing: bool, prefect: bool) -> Outcome:
    """Run the flow ``sync`` on the published day."""
    settings = read_settings(config)
    day = _current(settings)
    with choose_runner(settings.home, prefect=prefect) as runner:
        from flows.sync import sync  # pandas, Arrow and MLflow take seconds

        asked = {"apply": apply, "create_missing": create_missing}
        record = _start(runner, config, sync, as_of=day.as_of, **asked).to_dict()
    return Outcome(
        "synced", {**record, "timings": runner.timings, "prefect": runner.where.model_dump()}
    )


def forget_customer(config: Path, customer: str) -> Outcome:
    """Forget a person: state, exports, and Klaviyo where a key for that is set."""
    from perennial.pipeline.activation.forget import forget_person  # pandas and Arrow take seconds

    erasure = forget_person(home_context(read_settings(config)), customer)
    return Outcome(
        "said", erasure.to_dict(), ExitCode.DONE if erasure.is_found else ExitCode.WRONG_USAGE
    )


def write_settings(path: Path, source: str | None = None) -> Outcome:
    """Write commented settings, never over a file that is there; `source` is an export or an account to look at."""
    if path.exists():
        raise SettingsError(f"settings are never written over: {path} exists. Name another file")
    if source is None:
        from perennial.pipeline.settings.template import write_template  # tomlkit takes a moment

        _write_text(path, write_template())
        advice = f"set orders.source in {path}, then run perennial check{_config(path)}"
        return Outcome("said", {"written": str(path), "next": advice})
    address = _live_address(source)
    if address is not None:
        from perennial.cli.pull import write_live_settings  # httpx takes a moment

        return write_live_settings(path, address)
    with open_engine() as engine:
        proposed = recognize(engine, source)
    where = relpath(Path(source).resolve(), path.resolve().parent)
    _write_text(path, fill_template(where, proposed))
    facts: Facts = {"written": str(path), "preset": proposed.preset}
    if proposed.title:
        facts["export"] = proposed.title
    if proposed.columns:
        facts["columns"] = dict(proposed.columns)
    facts |= {name: dict(values) for name, values in proposed.settings.items() if values}
    if proposed.notes:
        facts["notes"] = list(proposed.notes)
    if proposed.questions:
        facts["missing"] = {question.key: str(question) for question in proposed.questions}
    return Outcome("said", {**facts, "next": _next_of_init(path, proposed)})


def _live_address(source: str) -> LiveAddress | None:
    try:
        return read_address(source)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _next_of_init(path: Path, proposed: Recognized) -> str:
    """Return what to do after init: what is missing first."""
    keys = [question.key for question in proposed.questions]
    store = proposed.settings.get("store", {})
    keys += [f"store.{name}" for name in ("currency", "timezone") if name not in store]
    return f"set {', '.join(keys)} in {path}, then run perennial check{_config(path)}"


def fill_template(source: str, proposed: Recognized) -> str:
    """Return the commented settings for a source that was looked at."""
    from perennial.pipeline.settings.template import Choice, Draft, write_template

    values: dict[str, dict[str, object]] = {
        section: dict(settings) for section, settings in proposed.settings.items()
    }
    values.setdefault("orders", {}).update(source=source, preset=proposed.preset)
    values["orders.columns"] = dict(proposed.columns)
    if proposed.preset in NAMED_BY_EMAIL:
        values["klaviyo"] = {"identifier": "email"}
    choices: dict[str, list[Choice]] = {"orders": [], "orders.columns": []}
    for question in proposed.questions:
        is_setting = question.key in OrderSource.__dataclass_fields__
        table = "orders" if is_setting else "orders.columns"
        choices[table].append(Choice(question.text, question.choices))
    return write_template(Draft(values, choices, {"orders": proposed.notes}))


def check_store(config: Path, as_of: date | None) -> Outcome:
    """Look at settings, files, columns and rows; every problem at once."""
    settings = read_settings(config)
    day = _whole_day(settings.store.timezone, as_of)
    check_pulled(home_context(settings, day))
    with TemporaryDirectory() as folder, _engine(settings, Path(folder)) as engine:
        report = look_at_source(engine, settings.order_source, day)
        tables = {
            name: asdict(read_table(engine, name, location, day, Path(folder)))
            for name, location in settings.optional_tables.items()
        }
    counts = {
        name: {k: v for k, v in read.items() if k != "path"} for name, read in tables.items()
    }
    facts = {"as_of": day.isoformat(), "currency": settings.store.currency, **report.to_dict()}
    advice = _next_of_check(config, report.summary.last_day, day)
    return Outcome("checked", {**facts, "tables": counts, "next": advice})


def _engine(settings: Settings, scratch: Path) -> AbstractContextManager[Engine]:
    engine, zone = settings.engine, settings.store.timezone
    return open_engine(zone, backend=engine.backend, url=engine.url, scratch=scratch)


def _next_of_check(config: Path, last: date, day: date) -> str:
    """Return the run to do after a check: as of the last whole day of an export that ends long before."""
    run = f"perennial run{_config(config)}"
    if day - last <= timedelta(days=EARLY_DAYS):
        return run
    return f"the last order is of {last}, so run {run} --as-of {last - timedelta(days=1)}"


def _config(path: Path) -> str:
    """Return the option that names the settings, where they are not at the usual place."""
    return "" if path == Path("perennial.toml") else f" --config {path}"


def write_orders(config: Path, out: Path, as_of: date | None) -> Outcome:
    """Write the orders as Perennial reads them: canceled ones left out, customers linked."""
    settings = read_settings(config)
    day = _whole_day(settings.store.timezone, as_of)
    if out.suffix.lower() not in ORDER_ENDINGS:
        raise SettingsError(
            f"orders are written as {' or '.join(ORDER_ENDINGS)}: {out.name} is neither. Name another file"
        )
    check_pulled(home_context(settings, day))
    with TemporaryDirectory() as folder, _engine(settings, Path(folder)) as engine:
        history = read_orders(engine, settings.order_source, day, Path(folder) / "orders")
        orders = engine.local.parquet(history.orders).order_by("ordered_at", "order_id")
        if out.suffix.lower() == ".csv":
            replace_file(out, lambda draft: write_csv(engine.local.frames(orders), draft))
        else:
            replace_file(out, lambda draft: engine.local.write_parquet(orders, draft))
        customers = engine.local.frame(orders.aggregate(n=orders.customer_id.nunique()))
    facts = {
        "written": str(out),
        "as_of": day.isoformat(),
        "customers": int(customers["n"].iloc[0]),
        "orders": history.accounting.orders,
        "rows_in": history.accounting.rows_in,
        "merged": history.accounting.merged,
        "rejected": history.accounting.rejected,
        "warnings": list(history.quality.warnings),
    }
    return Outcome("said", facts)


def clean_up(config: Path, *, apply: bool) -> Outcome:
    """Run the flow ``clean``: say what is older than the settings keep, and with `apply` remove it."""
    from flows.clean import clean  # MLflow takes seconds

    settings = read_settings(config)
    old = clean(config, settings.yesterday(datetime.now(UTC)), apply=apply)
    facts: Facts = {
        "files_of_old_days": len(old.files),
        "replaced_publications": len(old.folders),
        "mlflow_runs": len(old.runs),
        "model_versions": ", ".join(old.versions) or "none",
        "is_removed": apply,
    }
    if not apply:
        facts["next"] = "perennial clean --apply, to remove them"
    return Outcome("said", facts)


def write_report(config: Path, out: Path) -> Outcome:
    """Write the page of the current day again."""
    from perennial.pipeline.publishing.publish import page_of  # pandas and Arrow take a second

    settings = read_settings(config)
    _write_text(out, page_of(_current(settings)))
    return Outcome("said", {"written": str(out)})


def _write_text(path: Path, text: str) -> None:
    replace_file(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def say_status(config: Path, fail_if_stale: str | None = None) -> Outcome:
    """Say how things stand; with `fail_if_stale`, such as ``26h``, refuse what is older."""
    from perennial.pipeline.status.status import (  # MLflow takes seconds
        collect_status,
        read_limit,
    )

    settings = read_settings(config)
    try:
        limit = None if fail_if_stale is None else read_limit(fail_if_stale)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    status = collect_status(home_context(settings), limit)
    if status.current is None and limit is None:
        _current(settings)  # says that nothing is published, and what to do
    facts = {"store": settings.store.name, **status.to_dict(), "limit": fail_if_stale}
    if status.current is not None:
        facts |= day_facts(settings, _current(settings)).to_dict()
    return Outcome("status", facts, ExitCode.REFUSED if status.is_stale else ExitCode.DONE)


def _current(settings: Settings) -> PublishedDay:
    day = Store(settings.exports).current()
    if day is None:
        raise DataError(f"nothing is published under {settings.exports} yet. Run `perennial run`")
    return day


def day_facts(settings: Settings, day: PublishedDay) -> DayFacts:
    """Return what people read of a published day."""
    record = read_record(day)
    files = DayPaths(
        page=day.file(PublishedFile.REPORT),
        scores=day.file(PublishedFile.SCORES),
        segments=day.file(PublishedFile.SEGMENTS),
        triggers=day.file(PublishedFile.TRIGGERS),
        moments=day.file(FILES[0].old),
        rejects=day.file(PublishedFile.REJECTS),
        record=day.file(PublishedFile.RECORD),
        current=settings.exports / POINTER,
    )
    return DayFacts(
        as_of=record.as_of,
        run_id=record.run_id,
        model_version=record.model_version,
        customers=record.customers,
        accounting=record.accounting,
        zero_amount=record.zero_amount,
        currency=record.currency,
        segments=record.segments,
        tiers=record.tiers,
        experiment=record.budget.experiment,
        backtest=record.backtest,
        notes=record.notes,
        files=files,
        mlflow=_mlflow(settings),
    )


def _mlflow(settings: Settings) -> TrackingPlace:
    uri = redacted_address(settings.tracking_uri)
    is_server = uri.startswith("http")
    return TrackingPlace(
        tracking_uri=uri,
        ui=uri if is_server else f"{program('mlflow')} ui --backend-store-uri {uri}",
    )


def _whole_day(timezone: str, as_of: date | None) -> date:
    """Return the day asked for, by default yesterday; a day that is not over is refused."""
    yesterday = last_whole_day(datetime.now(UTC), timezone)
    if as_of is not None and as_of > yesterday:
        raise SettingsError(
            f"--as-of is a day that is over in {timezone}: {as_of} is after yesterday, "
            f"{yesterday}. Name that day or an earlier one"
        )
    return as_of or yesterday
