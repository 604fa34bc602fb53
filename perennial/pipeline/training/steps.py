"""The steps of a training: check, fit, try on past days, judge, register."""

import json
import subprocess
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import version as installed
from pathlib import Path

from pydantic import BaseModel

from connectors.orders import History
from connectors.tracking import Run, Tracking
from features.tables import DataError
from models.evaluation import BacktestReport, NotBacktested, read_backtest
from models.forecaster import EXAMPLE, INPUTS, OUTPUTS
from models.gate import FAILED, PASSED, Evidence, GateVerdict, judge
from models.purchases import FitError
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.files import BACKTEST, FITS, VERDICT, TrainingFiles
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.settings.decisions import ModelSettings
from perennial.pipeline.training.backtest import evaluate_cutoffs
from perennial.pipeline.training.drift import write_bins
from perennial.pipeline.training.model_files import load_forecaster, model_files, save_forecaster
from perennial.pipeline.training.pictures import draw_all
from perennial.pipeline.training.recipe import fit_recipe
from reports.fit_report import FitReport
from reports.model_card import gate_table, model_card

SERVED_WITH = ("perennial", "mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A registered model.

    Attributes
    ----------
    model_version
        Version of the registered model.
    run_id
        MLflow run that it was trained in.
    gate
        ``passed``, ``tie`` or ``failed``.
    is_champion
        Whether it scores from now on.
    reasons
        Why the gate did not let it, in words.
    notes
        What a reader must know.
    """

    model_version: str
    run_id: str
    gate: str
    is_champion: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The model that scores, where it was trained for this store and these settings, and not later.

    Attributes
    ----------
    version
        Of the registered model; None = there is none.
    folder
        Its files.
    is_later
        Whether one that scores was trained on later orders: it stays, whatever the gate says.
    """

    version: str | None = None
    folder: Path | None = None
    is_later: bool


@step
def find_champion(run: RunContext) -> Champion:
    """Resolve once which model a new one has to beat."""
    tracking = run.tracking
    version = tracking.champion()
    tags = {} if version is None else tracking.tags(version)
    if version is None or tags.get("training_digest") != run.settings.training_digest:
        return Champion(is_later=False)
    if tags["as_of"] > run.as_of.isoformat():
        return Champion(is_later=True)
    folder = tracking.fetch(version) / "artifacts"
    return Champion(version=version, folder=folder, is_later=False)


@step
def fit_models(run: RunContext, history: History) -> None:
    """Fit every part of the model."""
    files, model = run.training_files, run.settings.model
    with run.engine() as engine:
        orders = engine.parquet(history.orders)
        lines = None if history.order_lines is None else engine.parquet(history.order_lines)
        fits = fit_recipe(
            engine,
            orders,
            lines,
            run.as_of,
            model.second_purchase_days,
            model.horizon_days,
            is_stacked=model.stacking,
            peaks=run.settings.monitoring.peaks,
        )
        save_forecaster(fits.forecaster, files.model)
        write_bins(engine, orders, lines, run.as_of, model, fits.forecaster, files.model)
    _write(files.fits, fits.report())


@step
def backtest_recipe(run: RunContext, history: History, champion: Champion) -> None:
    """Hold out a third of the history, at most the horizon, and try the recipe on days before that.

    The cutoffs lie half such a window apart; the file says why where none can be.
    """
    days = min(run.settings.model.horizon_days, (run.as_of - history.first_date).days // 3)
    path = run.training_files.held_out
    try:
        backtest = evaluate_cutoffs(
            run.on(run.as_of - timedelta(days=days)),
            max(days, 1),
            run.settings.model.backtest_cutoffs,
            step_days=max(days // 2, 1),
            incumbent=champion.folder,
        )
        path.write_text(backtest.read_text())
    except (DataError, FitError) as error:
        path.write_text(json.dumps(NotBacktested(not_backtested=str(error)).model_dump()))


@step
def judge_model(run: RunContext, champion: Champion) -> GateVerdict:
    """Let the gate judge by the model's parameters and its backtest."""
    files = run.training_files
    backtest = read_backtest(files.held_out.read_text())
    forecaster = load_forecaster(files.model)
    champion_mean = None
    if champion.folder is not None:
        champion_mean = load_forecaster(champion.folder).spend.mean
    parameters = forecaster.purchases.to_dict() | {
        f"spend.{name}": value
        for name, value in forecaster.spend.to_dict().items()
        if name != "slope"
    }
    verdict = judge(
        Evidence(
            parameters=parameters,
            mean_order_value=forecaster.spend.mean,
            cutoffs=backtest.cutoffs if isinstance(backtest, BacktestReport) else (),
            champion_mean_order_value=champion_mean,
        )
    ).model_copy(update={"champion": champion.version})
    _write(files.verdict, verdict)
    return verdict


@step
def register_model(run: RunContext, history: History, gate: GateVerdict, trigger: str) -> str:
    """Log everything to MLflow and register the model as the challenger; return its version."""
    files = run.training_files
    backtest = read_backtest(files.held_out.read_text())
    fits = _read_fits(files).noting(*gate.warnings)
    if isinstance(backtest, NotBacktested):
        fits = fits.noting(f"not backtested: {backtest.not_backtested}")
    _write(files.fits, fits)
    tags = {
        "kind": "train",
        "as_of": run.as_of.isoformat(),
        "data_digest": history.digest,
        "training_digest": run.settings.training_digest,
        "code_version": _code_version(),
        "trigger": trigger,
    }
    tracking = run.tracking
    with tracking.run(f"train {run.as_of}", {**tags, "gate": gate.gate}) as logged:
        logged.log(params=run.settings.model.model_dump(), metrics=_counts(history))
        logged.log_data("orders", run.settings.orders.source, history.digest, "training")
        _log_verdict(logged, gate)
        card = model_card(
            run.settings.store.name, run.as_of, fits=fits, backtest=backtest, verdict=gate
        )
        logged.log_text(card, "model_card.md")
        _log_fits(logged, fits, tags)
        if isinstance(backtest, BacktestReport):
            _log_backtest(logged, backtest, tags)
        for name, (figure, numbers) in draw_all(run, history, files.model, backtest).items():
            logged.log_figure(figure, f"pictures/{name}.png")
            logged.log_json(numbers, f"pictures/{name}.json")
        version = _register(tracking, logged, run.settings.model, files.model, tags)
    tracking.note(version, {"gate": gate.gate, "reasons": "; ".join(gate.reasons) or "none"})
    tracking.challenge(version)
    return version


@step
def decide_champion(
    run: RunContext, version: str, champion: Champion, gate: GateVerdict
) -> Trained:
    """Make the model champion if the gate lets it, and no later day's scores."""
    tracking = run.tracking
    tags = tracking.tags(version)
    is_champion = gate.gate == PASSED and not champion.is_later
    if is_champion:
        tracking.promote(version)
    decision = "promoted" if is_champion else "refused" if gate.gate == FAILED else "kept"
    tracking.note(version, {"decision": decision, "decided_by": "gate"})
    return Trained(
        model_version=version,
        run_id=tags["run_id"],
        gate=gate.gate,
        is_champion=is_champion,
        reasons=gate.reasons,
        notes=_read_fits(run.training_files).notes,
    )


def _read_fits(files: TrainingFiles) -> FitReport:
    return FitReport.model_validate_json(files.fits.read_text())


def _write(path: Path, record: BaseModel) -> None:
    path.write_text(json.dumps(record.model_dump(mode="json"), indent=2, allow_nan=False))


def _register(
    tracking: Tracking, run: Run, settings: ModelSettings, model: Path, tags: dict[str, str]
) -> str:
    return tracking.register(
        run,
        code=Path(__file__).with_name("pyfunc.py"),
        artifacts=model_files(model),
        signature={
            "inputs": INPUTS,
            "outputs": dict.fromkeys(OUTPUTS, True),
            "params": {
                "horizon_days": settings.horizon_days,
                "annual_discount_rate": settings.annual_discount_rate,
                "as_of": tags["as_of"],
            },
        },
        example=EXAMPLE,
        requirements=[f"{name}=={installed(name)}" for name in SERVED_WITH],
        tags=tags,
    )


def _code_version() -> str:
    """Return the commit where the code is a checkout, else the package's version."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607  # found on the path, as a person would
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return installed("perennial")
    return f"{installed('perennial')}+{commit.stdout.strip()}"


def _counts(history: History) -> dict[str, float]:
    accounting = asdict(history.accounting)
    rejected = accounting.pop("rejected")
    merged = accounting.pop("merged")
    return {
        **accounting,
        "rows_rejected": sum(rejected.values()),
        "rows_merged": sum(merged.values()),
    }


def _log_verdict(run: Run, verdict: GateVerdict) -> None:
    run.log_json(verdict.model_dump(mode="json"), VERDICT)
    run.log_text(gate_table(verdict), "gate.md")


def _log_fits(run: Run, fits: FitReport, tags: dict[str, str]) -> None:
    """Log what was fitted, and each part as a child run."""
    run.log_json(fits.model_dump(mode="json"), FITS)
    for name, part in fits.parts.items():
        run.log_child(name, {**tags, "part": name}, part.params, part.metrics)


def _log_backtest(run: Run, backtest: BacktestReport, tags: dict[str, str]) -> None:
    """Log each candidate at each cutoff as a child run, and the champion's means."""
    run.log_json(backtest.model_dump(mode="json"), BACKTEST)
    for cutoff in backtest.cutoffs:
        day = cutoff.as_of.isoformat()
        for name, metrics in cutoff.models.items():
            run.log_child(
                f"{name} {day}",
                {**tags, "part": "backtest", "candidate": name, "cutoff": day},
                {"candidate": name, "cutoff": day, "horizon_days": backtest.horizon_days},
                metrics.model_dump(),
            )
    means = backtest.mean["champion"].model_dump()
    run.log(metrics={f"holdout.{name}": value for name, value in means.items()})
