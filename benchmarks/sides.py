"""What is compared: each side starts from the same Parquet file of orders, in a process of its own.

``python -m benchmarks.sides SIDE FOLDER`` prints one line of JSON: seconds, peak memory, steps.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.histories import AS_OF, STORE

if TYPE_CHECKING:
    from perennial.pipeline.settings.store import Settings

HORIZON_DAYS, RATE_PER_YEAR = 365, 0.10
TRAINING = "training, not counted"
MEMORY = "4GB"  # that Perennial's engine may take before it spills
Steps = dict[str, float]


@contextmanager
def timed(steps: Steps, name: str) -> Iterator[None]:
    """Note how long something takes."""
    started = time.perf_counter()
    yield
    steps[name] = round(time.perf_counter() - started, 2)


def engine(folder: Path) -> Steps:
    """Scan, group by customer and write with DuckDB alone: the limit."""
    import duckdb

    with TemporaryDirectory(dir=folder) as out, duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{STORE.timezone}'")
        connection.execute(f"""
            COPY (SELECT customer_id, count(DISTINCT ordered_at::DATE) - 1 AS frequency,
                         max(ordered_at::DATE) - min(ordered_at::DATE) AS recency_days,
                         DATE '{AS_OF}' - min(ordered_at::DATE) AS age_days,
                         sum(net_amount) AS revenue
                  FROM '{folder}/orders.parquet' GROUP BY customer_id) TO '{out}/rfm.parquet'
        """)  # noqa: S608  # our own paths
    return {}


def pandas(folder: Path) -> Steps:
    """Build recency, frequency and money with plain pandas: no model, no score."""
    import pandas as pd

    orders = pd.read_parquet(folder / "orders.parquet")
    local = orders["ordered_at"].dt.tz_convert(STORE.timezone)
    orders["day"] = local.dt.tz_localize(None).dt.normalize()
    days = orders.groupby(["customer_id", "day"], sort=False)["net_amount"].sum().reset_index()
    by_customer = days.groupby("customer_id", sort=False)
    actual = by_customer.agg(
        first=("day", "min"),
        last=("day", "max"),
        days=("day", "size"),
        money=("net_amount", "sum"),
    )
    actual["frequency"] = actual["days"] - 1
    actual["recency_days"] = (actual["last"] - actual["first"]).dt.days
    actual["age_days"] = (pd.Timestamp(AS_OF) - actual["first"]).dt.days
    with TemporaryDirectory(dir=folder) as out:
        actual.to_parquet(Path(out) / "rfm.parquet")
    return {}


def lifetimes(folder: Path) -> Steps:
    """Do what its documentation leads to: summary, two fits, value of each customer."""
    import pandas as pd
    from lifetimes import BetaGeoFitter, GammaGammaFitter
    from lifetimes.utils import summary_data_from_transaction_data

    steps: Steps = {}
    with timed(steps, "summary"):
        orders = pd.read_parquet(folder / "orders.parquet")
        local = orders["ordered_at"].dt.tz_convert(STORE.timezone)
        orders["ordered_at"] = local.dt.tz_localize(None)
        frame = summary_data_from_transaction_data(
            orders, "customer_id", "ordered_at", "net_amount",
            observation_period_end=pd.Timestamp(AS_OF),
        )  # fmt: skip
    history = (frame["frequency"], frame["recency"], frame["T"])
    with timed(steps, "fits"):
        purchases = BetaGeoFitter().fit(*history)
        repeat = frame[(frame["frequency"] > 0) & (frame["monetary_value"] > 0)]
        spend = GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])
    with timed(steps, "scores"):
        frame["p_alive"] = purchases.conditional_probability_alive(*history)
        frame["orders"] = purchases.conditional_expected_number_of_purchases_up_to_time(
            HORIZON_DAYS, *history
        )
        frame["value"] = spend.customer_lifetime_value(
            purchases, *history, frame["monetary_value"], time=12, discount_rate=0.008, freq="D"
        )
        with TemporaryDirectory(dir=folder) as out:
            frame.to_parquet(Path(out) / "scores.parquet")
    return steps


def pymc(folder: Path) -> Steps:
    """Do the same with pymc-marketing, maximum a posteriori."""
    import pandas as pd
    from pymc_marketing.clv import BetaGeoModel, GammaGammaModel, rfm_summary

    steps: Steps = {}
    with timed(steps, "summary"):
        orders = pd.read_parquet(folder / "orders.parquet")
        local = orders["ordered_at"].dt.tz_convert(STORE.timezone)
        orders["ordered_at"] = local.dt.tz_localize(None)
        frame = rfm_summary(
            orders, "customer_id", "ordered_at", "net_amount",
            observation_period_end=pd.Timestamp(AS_OF),
        )  # fmt: skip
    with timed(steps, "fits"):
        purchases = BetaGeoModel()
        purchases.fit(data=frame, method="map", progressbar=False)
        repeat = frame[(frame["frequency"] > 0) & (frame["monetary_value"] > 0)]
        spend = GammaGammaModel()
        spend.fit(data=repeat, method="map", progressbar=False)
    with timed(steps, "scores"):
        purchases.expected_probability_alive(frame)
        purchases.expected_purchases(frame, future_t=HORIZON_DAYS)
        spend.expected_customer_lifetime_value(
            purchases, frame, future_t=12, discount_rate=0.008, time_unit="D"
        )
    return steps


def perennial(folder: Path) -> Steps:
    """Go from orders to published scores with segments, intervals and investment; both fits included."""
    steps: Steps = {}
    with TemporaryDirectory(dir=folder) as home:
        settings = _settings(folder, Path(home))
        state = _state(settings, Path(home), steps, needs_extended_features=False)
        with timed(steps, "both fits"):
            _fit(settings, state, Path(home))
        _decide_and_publish(settings, state, Path(home) / "model", steps)
    return steps


def learned(folder: Path) -> Steps:
    """Do the same with a learned champion, trained before: trees, weights, second-purchase classifier."""
    from perennial.pipeline.publishing.steps import find_model
    from perennial.pipeline.runtime.context import home_context
    from perennial.pipeline.settings.store import read_settings

    steps = _trained(folder, is_learned=True)
    registered = home_context(read_settings(_config(folder, is_learned=True)), AS_OF)
    model = find_model(registered.tracking, AS_OF, registered.settings.training_digest)
    if model is None:
        raise SystemExit("a learned champion is trained before it is asked: none is registered")
    with TemporaryDirectory(dir=folder) as home:
        settings = _settings(folder, Path(home))
        state = _state(settings, Path(home), steps, needs_extended_features=True)
        _decide_and_publish(settings, state, model.folder, steps)
    return steps


def _state(
    settings: "Settings", work: Path, steps: Steps, *, needs_extended_features: bool
) -> Path:
    from perennial.pipeline.ingestion.read import build_customer_state, read_orders
    from perennial.pipeline.runtime.context import home_context

    run = home_context(settings, AS_OF, folder=work)
    with timed(steps, "read orders, every rule"):
        history = read_orders(run)
    with timed(steps, "customer state"):
        return build_customer_state(run, history, needs_extended_features=needs_extended_features)


def _fit(settings: "Settings", state: Path, work: Path) -> None:
    from features.rfm import state_cells
    from models.forecaster import Forecaster
    from models.purchases import fit_purchases
    from perennial.pipeline.runtime.context import home_context
    from perennial.pipeline.training.model_files import save_forecaster
    from perennial.pipeline.training.spend import fit_order_value

    with home_context(settings, AS_OF, folder=work).engine() as opened:
        table = opened.parquet(state)
        cells, order_value = opened.frame(state_cells(table)), fit_order_value(opened, table).model
    purchases = fit_purchases(*(cells[name] for name in cells.columns)).model
    save_forecaster(
        Forecaster(
            purchases=purchases,
            order_value=order_value,
            classifier=None,
            second_purchase_days=90,
            trained_as_of=AS_OF,
        ),
        work / "model",
    )


def _decide_and_publish(settings: "Settings", state: Path, model: Path, steps: Steps) -> None:
    from connectors.klaviyo.erasure import Erasures
    from connectors.programs import write_batches
    from connectors.store import REQUIRED_FILES, Store
    from features.tables import Scores
    from perennial.pipeline.runtime.context import home_context
    from perennial.pipeline.scoring.decide import decide
    from perennial.pipeline.scoring.score_table import published_scores

    run = home_context(settings, AS_OF, folder=state.parent)
    with timed(steps, "scores, segments, investment"):
        decide(run, model)
    with timed(steps, "publish"):
        made = {"model_version": "1", "run_id": "benchmark"}
        scores = published_scores(run.files.decided_scores, Erasures(settings.state), made)

        def write(stage: Path) -> None:
            for name in REQUIRED_FILES:  # of decide(); the page and the like are a night's
                kept = run.folder / name
                (stage / name).write_bytes(kept.read_bytes() if kept.exists() else b"")
            write_batches(scores, Scores, stage / "scores.parquet")

        Store(settings.exports).publish(AS_OF, "benchmark", write)


def night(folder: Path) -> Steps:
    """Do all that ``perennial score`` does: checks, measures, page, Klaviyo's file, MLflow."""
    return _night(folder, is_learned=False)


def learned_night(folder: Path) -> Steps:
    """Do the same with a learned champion."""
    return _night(folder, is_learned=True)


def _night(folder: Path, *, is_learned: bool) -> Steps:
    """Score as a night does; training is told apart and not counted."""
    import shutil

    from flows.score import score
    from perennial.cli.runner import choose_runner

    steps = _trained(folder, is_learned=is_learned)
    config = _config(folder, is_learned=is_learned)
    shutil.rmtree(config.parent / "exports", ignore_errors=True)  # a day is published but once
    with choose_runner(config.parent, prefect=False) as runner:
        runner.run(score, config=config, as_of=AS_OF)
        steps |= {name.replace("_", " "): round(s, 2) for name, s in runner.timings.items()}
    return steps


def _trained(folder: Path, *, is_learned: bool) -> Steps:
    """Train in a process of its own, unless that was done before; return how long it took."""
    config = _config(folder, is_learned=is_learned)
    if (config.parent / "mlruns").exists():
        return {}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.sides", "training", str(config)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return {TRAINING: round(json.loads(done.stdout.splitlines()[-1])["seconds"], 2)}


def training(config: Path) -> Steps:
    """Train as of the day before."""
    from flows.train import train
    from perennial.cli.runner import choose_runner

    with choose_runner(config.parent, prefect=False) as runner:
        runner.run(train, config=config, as_of=AS_OF - timedelta(days=1))
        return {name.replace("_", " "): round(s, 2) for name, s in runner.timings.items()}


def _config(folder: Path, *, is_learned: bool) -> Path:
    """Return the settings of a store whose champion may be learned, or not."""
    from perennial.cli.main import QUIET_BY_DEFAULT

    os.environ.update(QUIET_BY_DEFAULT)
    home = folder / ("learned" if is_learned else "plain")
    home.mkdir(exist_ok=True)
    text = NIGHT.format(stacking=str(is_learned).lower(), folder=folder, memory=MEMORY)
    (home / "perennial.toml").write_text(text)
    return home / "perennial.toml"


NIGHT = """\
[store]
timezone = "America/New_York"
[orders]
source = "{folder}/orders.parquet"
[engine]
memory_limit = "{memory}"
[model]
stacking = {stacking}
backtest_cutoffs = 1
"""


def _settings(folder: Path, home: Path) -> "Settings":
    from perennial.pipeline.settings.store import build_settings

    values = {
        "orders": {"source": str(folder / "orders.parquet")},
        "store": {"timezone": STORE.timezone},
        "engine": {"memory_limit": MEMORY},
    }
    return build_settings(values, home)


SIDES: dict[str, Callable[[Path], Steps]] = {
    side.__name__: side
    for side in (
        engine,
        pandas,
        lifetimes,
        pymc,
        perennial,
        learned,
        night,
        learned_night,
        training,
    )
}


def main() -> int:
    """Run one side; the second argument is its folder, of a training the settings."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    started = time.perf_counter()
    steps = SIDES[name](folder)
    seconds = time.perf_counter() - started - steps.get(TRAINING, 0.0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"seconds": seconds, "gigabytes": peak, "steps": steps}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
