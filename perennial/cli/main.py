"""The command line. Nothing heavy is imported before a command needs it."""

import os
from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perennial.pipeline.settings.folders import HomeFolders

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Which customers deserve heavier retention investment, what to do for each, and whether it paid.",
)

QUIET_BY_DEFAULT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # its log is for the UI; errors are said once
}

Config = Annotated[Path, typer.Option("--config", help="The store's settings.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of", formats=["%Y-%m-%d"], help="Last day of orders to use; default yesterday."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Prefect = Annotated[
    bool,
    typer.Option("--prefect", help="Run through Prefect, on a temporary server if none is set."),
]
Force = Annotated[bool, typer.Option("--force", help="Publish the day again, from other inputs.")]
Accept = Annotated[
    list[str] | None,
    typer.Option("--accept", help="Publish although this check refuses; once for each."),
]
Because = Annotated[str, typer.Option("--because", help="Why; it is kept with the day.")]
DEFAULT = Path("perennial.toml")
FIRST_DAY, DAY_AFTER = datetime(2023, 7, 1), datetime(2026, 7, 1)  # noqa: DTZ001  # days


class Data(StrEnum):
    """Order histories that the demo can show."""

    cdnow = "cdnow"
    store = "store"


class Form(StrEnum):
    """Other systems' forms of an order history."""

    shopify = "shopify"
    woocommerce = "woocommerce"
    stripe = "stripe"
    fivetran = "fivetran"


Profile = Annotated[
    str,
    typer.Option(
        "--profile", help="Store to simulate: coffee, beauty, apparel, electronics, textbook."
    ),
]
CustomersAYear = Annotated[
    int, typer.Option("--customers", help="Simulated new customers in the first 365 days.")
]
Seed = Annotated[
    int, typer.Option("--seed", help="Of the simulation; the same again is the same store.")
]


def main() -> None:
    """Run the command line."""
    for name, value in QUIET_BY_DEFAULT.items():
        os.environ.setdefault(name, value)
    os.environ["PYTHONSAFEPATH"] = (
        "1"  # no process that starts from here imports the folder's code
    )
    app()


@app.command()
def demo(
    data: Annotated[
        Data, typer.Option(help="Order history to show: a real one, or a simulated store.")
    ] = Data.cdnow,
    home: Annotated[
        Path | None,
        typer.Option(
            help="Folder to publish in; default here, for a store demo/PROFILE-CUSTOMERS-SEED."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings whose home folder to publish in.")
    ] = None,
    profile: Profile = "coffee",
    customers: CustomersAYear = 5_000,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Go the whole way on an order history: train, score, segments, page."""
    from perennial.cli.commands import run_demo
    from perennial.cli.simulate import Simulation

    asked = Simulation(profile, customers, seed=seed) if data is Data.store else None
    _do(json, lambda: run_demo(home, config, asked), config, written=[(home or Path()) / DEFAULT])


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not be there, or be empty.")],
    profile: Profile = "coffee",
    customers: CustomersAYear = 5_000,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = FIRST_DAY,
    end: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Day after the last.")
    ] = DAY_AFTER,
    seed: Seed = 1,
    form: Annotated[
        Form | None,
        typer.Option(help="Also write the orders as another system does, with its traps."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a simulated store: its tables, its truth, and settings that read it."""
    from perennial.cli.commands import simulate_store
    from perennial.cli.simulate import Simulation

    asked = Simulation(
        profile, customers, start.date(), end.date(), seed, None if form is None else form.value
    )
    _do(json, lambda: simulate_store(out, asked), written=[out])


@app.command()
def init(
    config: Config = DEFAULT,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Order export to recognize, a file or a folder; or a live source, such as shopify://my-shop.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Create perennial.toml, with the settings that fit an export or a live source if one is given."""
    from perennial.cli.commands import write_settings

    _do(json, lambda: write_settings(config, source), written=[config])


@app.command()
def check(config: Config = DEFAULT, as_of: AsOf = None, json: Json = False) -> None:
    """Check settings and orders: show what counts, what is left out and why; writes nothing.

    Prints customers, orders and net revenue by month, to compare with the shop's own reports.
    """
    from perennial.cli.commands import check_store

    _do(json, lambda: check_store(config, _day(as_of)), config)


@app.command()
def pull(
    config: Config = DEFAULT,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read the last five weeks again.")
    ] = False,
    reconcile: Annotated[
        bool,
        typer.Option(
            "--reconcile", help="Compare all counts with the platform's, and find deleted orders."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only check the key, its permissions and the account."),
    ] = False,
    prefect: Prefect = False,
    json: Json = False,
) -> None:
    """Pull new and changed orders from Shopify, WooCommerce, Stripe or Klaviyo; `run` does so first.

    The first pull reads the whole history. A pull that was stopped goes on where it was.
    """
    from perennial.cli.pull import check_account, pull_source

    if dry_run:
        _do(json, lambda: check_account(config), config)
    else:
        _do(
            json,
            lambda: pull_source(config, repair=repair, reconcile=reconcile, prefect=prefect),
            config,
        )


@app.command()
def orders(
    out: Annotated[
        Path, typer.Argument(help="File to write: .csv or .parquet; an existing one is replaced.")
    ],
    config: Config = DEFAULT,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Write the orders that count to a file, one row per order.

    For comparison with the shop's own list: net amount, day and customer as Perennial reads them.
    """
    from perennial.cli.commands import write_orders

    _do(json, lambda: write_orders(config, out, _day(as_of)), config, written=[out])


@app.command()
def run(
    config: Config = DEFAULT,
    as_of: AsOf = None,
    force: Force = False,
    accept: Accept = None,
    because: Because = "",
    prefect: Prefect = False,
    json: Json = False,
) -> None:
    """Do the daily work: train if no model fits the day, score, decide, publish, plan the sync."""
    from perennial.cli.commands import Asked, run_day

    asked = Asked(_day(as_of), force, accept or (), because)
    _do(json, lambda: run_day("run", config, asked, prefect=prefect), config)


@app.command()
def score(
    config: Config = DEFAULT,
    as_of: AsOf = None,
    force: Force = False,
    accept: Accept = None,
    because: Because = "",
    prefect: Prefect = False,
    json: Json = False,
) -> None:
    """Score with the champion, decide and publish."""
    from perennial.cli.commands import Asked, run_day

    asked = Asked(_day(as_of), force, accept or (), because)
    _do(json, lambda: run_day("score", config, asked, prefect=prefect), config)


@app.command()
def backfill(
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day to publish.")
    ],
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day to publish.")
    ],
    config: Config = DEFAULT,
    prefect: Prefect = False,
    json: Json = False,
) -> None:
    """Publish past days in order, as history: nobody is told, and nothing is committed."""
    from perennial.cli.commands import backfill_days

    _do(json, lambda: backfill_days(config, first.date(), last.date(), prefect=prefect), config)


@app.command()
def train(
    config: Config = DEFAULT, as_of: AsOf = None, prefect: Prefect = False, json: Json = False
) -> None:
    """Fit the models, try them on past days, and promote them if the gate lets them."""
    from perennial.cli.commands import train_models

    _do(json, lambda: train_models(config, _day(as_of), prefect=prefect), config)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Version of the registered model.")],
    because: Annotated[str, typer.Option("--because", help="Why; it is kept with the version.")],
    config: Config = DEFAULT,
    json: Json = False,
) -> None:
    """Make a version the champion, over the gate if need be."""
    from perennial.cli.commands import promote_model

    _do(json, lambda: promote_model(config, version, because), config)


@app.command()
def rollback(
    because: Annotated[
        str, typer.Option("--because", help="Why; it is kept with the version.")
    ] = "rolled back",
    config: Config = DEFAULT,
    json: Json = False,
) -> None:
    """Make the version before the champion again."""
    from perennial.cli.commands import roll_back_model

    _do(json, lambda: roll_back_model(config, because), config)


@app.command()
def backtest(
    config: Config = DEFAULT,
    as_of: AsOf = None,
    horizon_days: Annotated[
        int | None,
        typer.Option(min=1, max=3650, help="Days to forecast; default model.horizon_days."),
    ] = None,
    cutoffs: Annotated[int, typer.Option(min=1, max=100, help="Days to forecast from.")] = 1,
    prefect: Prefect = False,
    json: Json = False,
) -> None:
    """Forecast from past days and compare with what happened and with simple rules."""
    from perennial.cli.commands import backtest_models

    _do(
        json,
        lambda: backtest_models(config, _day(as_of), horizon_days, cutoffs, prefect=prefect),
        config,
    )


@app.command()
def measure(
    config: Config = DEFAULT,
    as_of: AsOf = None,
    program: Annotated[
        str, typer.Option(help="What the arms are held out of; control = of all investment.")
    ] = "control",
    early: Annotated[
        bool, typer.Option("--early", help="Look before the planned day, with a wider interval.")
    ] = False,
    prefect: Prefect = False,
    json: Json = False,
) -> None:
    """Say what the investment added, beside those who were held out, and whether it paid."""
    from perennial.cli.commands import measure_lift

    _do(
        json,
        lambda: measure_lift(config, _day(as_of), program, early=early, prefect=prefect),
        config,
    )


@app.command()
def monitor(
    config: Config = DEFAULT, as_of: AsOf = None, prefect: Prefect = False, json: Json = False
) -> None:
    """Compare what was expected of each week with what came, and ask to train again if need be."""
    from perennial.cli.commands import monitor_forecasts

    _do(json, lambda: monitor_forecasts(config, _day(as_of), prefect=prefect), config)


@app.command()
def sync(
    config: Config = DEFAULT,
    apply: Annotated[
        bool, typer.Option("--apply", help="Send it; without this nothing in Klaviyo changes.")
    ] = False,
    create_missing: Annotated[
        bool,
        typer.Option(
            "--create-missing", help="Also make profiles for people unknown there; each is billed."
        ),
    ] = False,
    prefect: Prefect = False,
    json: Json = False,
) -> None:
    """Write what Klaviyo would be sent of the published day, and with --apply send it."""
    from perennial.cli.commands import sync_klaviyo

    _do(
        json,
        lambda: sync_klaviyo(config, apply=apply, create_missing=create_missing, prefect=prefect),
        config,
    )


@app.command()
def forget(
    customer: Annotated[str, typer.Argument(help="Customer id, e-mail or phone number.")],
    config: Config = DEFAULT,
    json: Json = False,
) -> None:
    """Remove a person from state and exports for good, and ask Klaviyo to delete them."""
    from perennial.cli.commands import forget_customer

    _do(json, lambda: forget_customer(config, customer), config)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("report.html"),
    config: Config = DEFAULT,
    json: Json = False,
) -> None:
    """Write the page of the current day again."""
    from perennial.cli.commands import write_report

    _do(json, lambda: write_report(config, out), config, written=[out])


@app.command()
def status(
    config: Config = DEFAULT,
    fail_if_stale: Annotated[
        str | None,
        typer.Option("--fail-if-stale", help="Exit with 20 if older than this, such as 26h."),
    ] = None,
    json: Json = False,
) -> None:
    """Say what is current and how old, from which model, and what was refused and why."""
    from perennial.cli.commands import say_status

    _do(json, lambda: say_status(config, fail_if_stale), config)


@app.command()
def clean(
    config: Config = DEFAULT,
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove it; without this nothing is removed.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what is older than the settings keep, and with --apply remove it."""
    from perennial.cli.commands import clean_up

    _do(json, lambda: clean_up(config, apply=apply), config)


@app.command()
def up(config: Config = DEFAULT, json: Json = False) -> None:
    """Start Prefect's server and run every flow on its schedule, until stopped."""
    from perennial.cli.operate import serve_store

    _do(json, lambda: serve_store(config, as_json=json), config)


@app.command()
def notify(
    config: Config = DEFAULT,
    test: Annotated[
        bool, typer.Option("--test", help="Send a message that says that it is a test.")
    ] = False,
    json: Json = False,
) -> None:
    """Say who is told of refusals and failures, and with --test try it."""
    from perennial.cli.operate import try_receivers

    _do(json, lambda: try_receivers(config, test=test), config)


def _day(as_of: datetime | None) -> date | None:
    return None if as_of is None else as_of.date()


def _do(
    as_json: bool,
    command: Callable[[], Any],
    config: Path | None = None,
    *,
    written: Sequence[Path] = (),
) -> None:
    """Run a command, show its outcome, and leave with its exit code.

    An error that nobody expected is that of a disk that cannot be written to, or of files that cannot be
    read, where the home of `config` has some. `written` are files outside the home.

    Raises
    ------
    Exit
        Always, with the exit code.
    """
    from perennial.cli.commands import in_words
    from perennial.cli.shown import show_outcome
    from perennial.cli.terminal import renames_in_one_line, show_error
    from perennial.pipeline.runtime.disk import disk_error
    from perennial.pipeline.runtime.exits import ExitCode, exit_code, expected_error
    from perennial.pipeline.settings.folders import home_folders

    try:
        with renames_in_one_line():
            outcome = command()
    except Exception as error:
        row, folders = expected_error(error), home_folders(config)
        is_unclear = row is None or not row.has_cause
        ended = disk_error(error, folders, written=written, is_unclear=is_unclear) or error
        is_expected = expected_error(ended) is not None
        is_unnamed = (
            ended is error and isinstance(error, OSError) and not error.filename
        )  # as Arrow's are
        damage = _damage(folders) if is_unnamed or not is_expected else None
        if damage is None and not is_expected:
            raise
        code = exit_code(ended) if is_expected else ExitCode.REFUSED  # by a file that is damaged
        show_error(damage or in_words(ended), code, as_json=as_json)
        raise typer.Exit(code) from None
    show_outcome(outcome, as_json=as_json)
    raise typer.Exit(outcome.code)


def _damage(folders: "HomeFolders | None") -> str | None:
    from perennial.pipeline.runtime.damage import describe_damage  # Arrow takes a second

    return describe_damage(folders)


if __name__ == "__main__":
    main()
