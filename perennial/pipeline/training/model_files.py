"""How the registered model is kept: JSON and skops files, each with its digest."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from connectors.kept import DIGESTS, check_digests, write_digests
from features.tables import DataError
from models.corrections import Corrections, ModelCorrection, RuleModel, StackedModel
from models.forecaster import Forecaster
from models.intervals import Levels
from models.operational_time import PaceIndex
from models.order_value import OrderValue
from models.price_level import PriceLevel
from models.purchases import FAMILY, Averaged, PurchaseModel
from models.rules import Steps
from models.second_purchase import Classifier
from models.spend import Spend
from models.stacking import Correction
from models.trees import OutcomeTrees

PARAMETERS = "parameters.json"
CLASSIFIER = "second_purchase.skops"
BY_DAYS = "second_purchase_by_days.skops"
TREES_FILE = "trees.skops"
NEWER = (
    "The registered model has the {part}, which this version does not have. Install the newer version "
    "again, or train with this one: perennial train"
)
BINS = "bins.json"  # what :mod:`perennial.pipeline.training.drift` writes beside them
# skops trusts a scaler and a logistic regression by itself; nothing else is loaded there
TRUSTED_TYPES: list[str] = []
# What scikit-learn's trees are made of: reviewed, arrays and plain numbers only.
TRUSTED_TREES = [
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "numpy.dtype",
]


def save_forecaster(forecaster: Forecaster, folder: Path) -> None:
    """Write a model as JSON and skops."""
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    parameters = {
        "purchases": _record(forecaster.purchases),
        "leaving": _record(forecaster.dropout_model),
        "otherwise": _record(forecaster.alternative_model),
        "leaving_weight": forecaster.dropout_weight,
        "spend": {"model": "gamma_gamma", **forecaster.spend.to_dict()},
        "order_value": forecaster.order_value.to_dict(),
        "price": forecaster.order_value.price_record(),
        "second_purchase_days": forecaster.second_purchase_days,
        "trained_as_of": forecaster.trained_as_of.isoformat(),
        "levels": asdict(forecaster.levels),
        "level": list(forecaster.level),
        "pace": None if forecaster.pace is None else forecaster.pace.to_dict(),
        "correction": save_correction(forecaster.correction, folder),
    }
    classifiers = ((CLASSIFIER, forecaster.classifier), (BY_DAYS, forecaster.by_days))
    for name, classifier in classifiers:
        if classifier is not None:
            skops.io.dump(classifier, folder / name)
    (folder / PARAMETERS).write_text(json.dumps(parameters, indent=2) + "\n")
    write_digests(folder, (PARAMETERS, CLASSIFIER, BY_DAYS, TREES_FILE))


def load_forecaster(folder: Path) -> Forecaster:
    """Read a model that :func:`save_forecaster` wrote.

    One of an earlier version, whose corrections were computed differently, is read without them.

    Raises
    ------
    ChangedFileError
        A file is not as it was written.
    DataError
        A newer version wrote it, with a kind of model that this one lacks.
    """
    check_digests(folder)
    record = json.loads((folder / PARAMETERS).read_text())
    order_value = record.get("order_value", {"first_level": record.get("first_level", 1.0)})
    level = record.get("level", (0.0, 0.0))
    spend = Spend(**{name: record["spend"][name] for name in ("p", "q", "gamma", "slope")})
    return Forecaster(
        purchases=_model(record["purchases"]),
        order_value=replace(
            OrderValue(spend, **order_value), price=_price_level(record.get("price"))
        ),
        classifier=_classifier(folder / CLASSIFIER),
        second_purchase_days=record["second_purchase_days"],
        trained_as_of=date.fromisoformat(record["trained_as_of"]),
        levels=Levels(**{name: tuple(values) for name, values in record["levels"].items()}),
        correction=load_correction(record.get("correction"), folder),
        level=(level[0], level[1]),
        by_days=_classifier(folder / BY_DAYS),
        pace=PaceIndex.from_dict(record["pace"]) if record.get("pace") else None,
        dropout_model=None if record["leaving"] is None else _model(record["leaving"]),
        alternative_model=_model(record["otherwise"]) if record.get("otherwise") else None,
        dropout_weight=record.get("leaving_weight", 1.0),
    )


def model_files(folder: Path) -> dict[str, Path]:
    """Return the files of a saved model, by the name that serving knows them by."""
    named = {
        "parameters": folder / PARAMETERS,
        "classifier": folder / CLASSIFIER,
        "by_days": folder / BY_DAYS,
        "trees": folder / TREES_FILE,
        "bins": folder / BINS,
        "digests": folder / DIGESTS,
    }
    return {name: path for name, path in named.items() if path.exists()}


def save_correction(correction: ModelCorrection | None, folder: Path) -> dict[str, Any] | None:
    """Write a correction's trees, if it has any, and return the rest as JSON values."""
    if correction is None:
        return None
    if isinstance(correction, RuleModel):
        return {"kind": "rule", **asdict(correction)}
    import skops.io

    trees = correction.trees
    parts = {"any_order": trees.any_order, "orders": trees.orders, "log_value": trees.log_value}
    skops.io.dump(parts, folder / TREES_FILE)
    return {
        "kind": "stacked",
        "days": correction.days,
        "means": list(correction.means),
        "corrections": asdict(correction.corrections),
    }


def load_correction(record: Mapping[str, Any] | None, folder: Path) -> ModelCorrection | None:
    """Read a correction that was saved; None where only the purchase and spend models are used."""
    if record is None:
        return None
    if record["kind"] == "rule":
        return _rule(record)
    if record["kind"] == "stacked":
        return _stacked(record, folder)
    raise DataError(NEWER.format(part=f"correction {record['kind']}"))


def _rule(record: Mapping[str, Any]) -> RuleModel:
    steps = {
        name: Steps(tuple(record[name]["at"]), tuple(record[name]["value"]))
        for name in ("orders", "chance")
    }
    return RuleModel(days=record["days"], rule=record["rule"], level=record["level"], **steps)


def _stacked(record: Mapping[str, Any], folder: Path) -> StackedModel:
    import skops.io

    parts = skops.io.load(folder / TREES_FILE, trusted=TRUSTED_TREES)
    part = record["corrections"]
    corrections = Corrections(
        _correction(part["orders"]),
        None if part["order_value"] is None else _correction(part["order_value"]),
        None if part["chance"] is None else _correction(part["chance"]),
    )
    return StackedModel(record["days"], OutcomeTrees(**parts), corrections, tuple(record["means"]))


def _correction(record: Mapping[str, Any]) -> Correction:
    return Correction(tuple(record["weights"]), tuple(record["bands"]), record["intercept"])


def _price_level(record: dict[str, Any] | None) -> PriceLevel:
    return PriceLevel.steady() if record is None else PriceLevel.from_dict(record)


def _classifier(path: Path) -> Classifier | None:
    if not path.exists():
        return None
    import skops.io

    classifier: Classifier = skops.io.load(path, trusted=TRUSTED_TYPES)
    return classifier


def _record(model: PurchaseModel | None) -> dict[str, Any] | None:
    if model is None:
        return None
    if isinstance(model, Averaged):
        members = [_record(member) for member in model.members]
        return {"model": model.name, "weights": list(model.weights), "members": members}
    return {"model": model.name, "unit": "days", "parameters": model.to_dict()}


def _model(record: dict[str, Any]) -> PurchaseModel:
    if record["model"] == Averaged.name:
        members = tuple(_model(member) for member in record["members"])
        return Averaged(members, tuple(record["weights"]))
    if record["model"] not in FAMILY:
        raise DataError(NEWER.format(part=f"purchase model {record['model']}"))
    return FAMILY[record["model"]](**record["parameters"])
