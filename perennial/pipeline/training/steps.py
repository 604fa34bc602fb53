"""The steps of a training: check, fit, try on past days, judge, register."""

import json
import subprocess
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from connectors.orders import History
from connectors.tracking import Run, Tracking
from features.tables import DataError
from models.forecaster import EXAMPLE, INPUTS, OUTPUTS
from models.gate import FAILED, PASSED, Evidence, judge
from models.purchases import FitError
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.settings.store import ModelSettings
from perennial.pipeline.training.backtest import evaluate_cutoffs
from perennial.pipeline.training.drift import write_bins
from perennial.pipeline.training.model_files import load_forecaster, model_files, save_forecaster
from perennial.pipeline.training.pictures import draw_all
from perennial.pipeline.training.recipe import fit_recipe
from reports.model_card import gate_table, model_card

SERVED_WITH = ("perennial", "mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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

    version: str | None
    folder: Path | None
    is_later: bool


@step
def find_champion(run: RunContext) -> Champion:
    """Resolve once which model a new one has to beat."""
    tracking = run.tracking
    version = tracking.champion()
    tags = {} if version is None else tracking.tags(version)
    if version is None or tags.get("training_digest") != run.settings.training_digest:
        return Champion(None, None, is_later=False)
    if tags["as_of"] > run.as_of.isoformat():
        return Champion(None, None, is_later=True)
    return Champion(version, tracking.fetch(version) / "artifacts", is_later=False)


@step
def fit_models(run: RunContext, history: History) -> Path:
    """Fit every part of the model; return its folder."""
    folder, model = run.folder / "model", run.settings.model
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
            is_learned=model.learned,
            peaks=run.settings.monitoring.peaks,
        )
        save_forecaster(fits.forecaster, folder)
        write_bins(engine, orders, lines, run.as_of, model, fits.forecaster, folder)
    said = {"parts": fits.parts(), "notes": fits.notes}
    (folder / "fits.json").write_text(json.dumps(said, indent=2, allow_nan=False))
    return folder


@step
def backtest_recipe(run: RunContext, history: History, champion: Champion) -> Path:
    """Hold out a third of the history, at most the horizon, and try the recipe on days before that.

    The cutoffs lie half such a window apart; the file says why where none can be.
    """
    days = min(run.settings.model.horizon_days, (run.as_of - history.first_date).days // 3)
    path = run.folder / "held_out.json"
    try:
        found = evaluate_cutoffs(
            run.on(run.as_of - timedelta(days=days)),
            max(days, 1),
            run.settings.model.backtest_cutoffs,
            step_days=max(days // 2, 1),
            incumbent=champion.folder,
        )
        path.write_text(found.read_text())
    except (DataError, FitError) as error:
        path.write_text(json.dumps({"not_backtested": str(error)}))
    return path


@step
def judge_model(model: Path, held_out: Path, champion: Champion, work: Path) -> Path:
    """Let the gate judge by the model's parameters and its backtest; return the verdict's file."""
    found = json.loads(held_out.read_text())
    forecaster = load_forecaster(model)
    known = None
    if champion.folder is not None:
        known = load_forecaster(champion.folder).spend.mean
    parameters = forecaster.purchases.to_dict() | {
        f"spend.{name}": value
        for name, value in forecaster.spend.to_dict().items()
        if name != "slope"
    }
    verdict = judge(Evidence(parameters, forecaster.spend.mean, found.get("cutoffs", ()), known))
    path = work / "gate.json"
    said = verdict.to_dict() | {
        "reasons": verdict.reasons,
        "warnings": verdict.warnings,
        "champion": champion.version,
    }
    path.write_text(json.dumps(said, indent=2, allow_nan=False))
    return path


@step
def register_model(
    run: RunContext, history: History, model: Path, held_out: Path, verdict: Path, trigger: str
) -> str:
    """Log everything to MLflow and register the model as the challenger; return its version."""
    settings, as_of, tracking = run.settings, run.as_of, run.tracking
    fits = json.loads((model / "fits.json").read_text())
    backtest, gate = json.loads(held_out.read_text()), json.loads(verdict.read_text())
    fits["notes"] += gate["warnings"]
    if "not_backtested" in backtest:
        fits["notes"].append(f"not backtested: {backtest['not_backtested']}")
    (model / "fits.json").write_text(json.dumps(fits, indent=2, allow_nan=False))
    tags = {
        "kind": "train",
        "as_of": as_of.isoformat(),
        "data_digest": history.digest,
        "training_digest": settings.training_digest,
        "code_version": _code_version(),
        "trigger": trigger,
    }
    with tracking.run(f"train {as_of}", {**tags, "gate": gate["gate"]}) as logged:
        logged.log(params=settings.model.model_dump(), metrics=_counts(history))
        logged.log_data("orders", settings.orders.source, history.digest, "training")
        logged.log_json(fits, "fits.json")
        logged.log_json(gate, "gate.json")
        logged.log_text(gate_table(gate), "gate.md")
        logged.log_text(
            model_card(settings.store.name, as_of, fits, backtest, gate), "model_card.md"
        )
        for name, part in fits["parts"].items():
            logged.log_child(name, {**tags, "part": name}, part["params"], part["metrics"])
        if "cutoffs" in backtest:
            _log_backtest(logged, backtest, tags)
        for name, (figure, numbers) in draw_all(run, history, model, backtest).items():
            logged.log_figure(figure, f"pictures/{name}.png")
            logged.log_json(numbers, f"pictures/{name}.json")
        version = _register(tracking, logged, settings.model, model, tags)
    tracking.note(version, {"gate": gate["gate"], "reasons": "; ".join(gate["reasons"]) or "none"})
    tracking.challenge(version)
    return version


@step
def decide_champion(
    run: RunContext, model: Path, version: str, champion: Champion, verdict: Path
) -> Trained:
    """Make the model champion if the gate lets it, and no later day's scores."""
    gate = json.loads(verdict.read_text())
    tracking = run.tracking
    tags = tracking.tags(version)
    is_champion = gate["gate"] == PASSED and not champion.is_later
    if is_champion:
        tracking.promote(version)
    decision = "promoted" if is_champion else "refused" if gate["gate"] == FAILED else "kept"
    tracking.note(version, {"decision": decision, "decided_by": "gate"})
    said = json.loads((model / "fits.json").read_text())["notes"]
    return Trained(
        version, tags["run_id"], gate["gate"], is_champion, tuple(gate["reasons"]), tuple(said)
    )


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
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607  # found on the path, as a person would
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return installed("perennial")
    return f"{installed('perennial')}+{found.stdout.strip()}"


def _counts(history: History) -> dict[str, float]:
    accounting = asdict(history.accounting)
    rejected = accounting.pop("rejected")
    merged = accounting.pop("merged")
    return {
        **accounting,
        "rows_rejected": sum(rejected.values()),
        "rows_merged": sum(merged.values()),
    }


def _log_backtest(run: Run, found: dict[str, Any], tags: dict[str, str]) -> None:
    """Log each candidate at each cutoff as a child run, and the champion's means."""
    run.log_json(found, "backtest.json")
    for cutoff in found["cutoffs"]:
        for name, metrics in cutoff["models"].items():
            run.log_child(
                f"{name} {cutoff['as_of']}",
                {**tags, "part": "backtest", "candidate": name, "cutoff": cutoff["as_of"]},
                {
                    "candidate": name,
                    "cutoff": cutoff["as_of"],
                    "horizon_days": found["horizon_days"],
                },
                metrics,
            )
    run.log(metrics={f"holdout.{k}": v for k, v in found["mean"]["champion"].items()})
