"""A saved model is read as it was; one that is damaged, or of a kind that this version lacks, is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from connectors.kept import DIGESTS, ChangedFileError
from features.tables import DataError
from models.corrections import Corrections, StackedModel, history_of
from models.forecaster import Forecaster
from models.order_value import OrderValue
from models.purchases import FAMILY, MBGCNBD, Averaged
from models.rules import RULES
from models.spend import Spend
from models.value import discounted_orders
from perennial.pipeline.training.model_files import (
    BINS,
    BY_DAYS,
    CLASSIFIER,
    PARAMETERS,
    TREES_FILE,
    load_correction,
    load_forecaster,
    model_files,
    save_correction,
    save_forecaster,
)
from tests.perennial.pipeline.training.forecasters import (
    CORRECTIONS,
    DAYS,
    ORDER_VALUE,
    PACE,
    PURCHASES,
    customers,
    forecaster,
    rule_model,
)

SINGLE = [kind(*(2.0 + place for place in range(len(kind.free)))) for kind in FAMILY.values()]
AVERAGE = Averaged(tuple(SINGLE), (1 / len(SINGLE),) * len(SINGLE))
REGULAR = MBGCNBD(1.2, 12.0, 0.5, 1.5, k=3)


@pytest.mark.parametrize("purchases", [*SINGLE, REGULAR, AVERAGE], ids=lambda model: model.kind)
def test_every_purchase_model_is_the_same_after_it_was_saved(purchases, tmp_path):
    other = replace(SINGLE[0], r=0.3)
    model = replace(
        Forecaster.plain(purchases, ORDER_VALUE),
        dropout_model=other,
        alternative_model=purchases,
        dropout_weight=0.25,
    )
    save_forecaster(model, tmp_path)
    json.loads((tmp_path / PARAMETERS).read_text(), parse_constant=pytest.fail)
    again = load_forecaster(tmp_path)
    assert (again.purchases, again.dropout_model, again.alternative_model, again.dropout_weight) == (
        purchases, other, purchases, 0.25
    )  # fmt: skip


@pytest.mark.parametrize("lacking", [(), ("order_value", "chance")])
def test_a_stacked_model_is_the_same_after_it_was_saved(stacked, trees, tmp_path, lacking):
    parts = {"order_value": CORRECTIONS.order_value, "chance": CORRECTIONS.chance}
    corrections = Corrections(CORRECTIONS.orders, **parts | dict.fromkeys(lacking))
    model = StackedModel(DAYS, trees, corrections, (0.4, 75.0))
    record = json.loads(json.dumps(save_correction(model, tmp_path), allow_nan=False))
    again = load_correction(record, tmp_path)
    assert (again.days, again.corrections, again.means) == (DAYS, corrections, (0.4, 75.0))
    state, lift = customers(300), np.linspace(0.5, 2.0, 300)
    before, after = (
        one.multipliers(PURCHASES, ORDER_VALUE, state, lift) for one in (model, again)
    )
    for name in ("hazard", "orders", "order_value"):
        assert getattr(after, name).tolist() == getattr(before, name).tolist()


@pytest.mark.parametrize("rule", list(RULES))
def test_a_rule_is_the_same_after_it_was_saved(tmp_path, rule):
    model = rule_model(rule)
    record = json.loads(json.dumps(save_correction(model, tmp_path), allow_nan=False))
    assert load_correction(record, tmp_path) == model
    assert list(tmp_path.iterdir()) == []


def test_no_correction_is_read_as_none(tmp_path):
    assert load_correction(None, tmp_path) is None


@pytest.mark.parametrize("kind", ["stacked", "rule", "none"])
@pytest.mark.parametrize("is_classified", [True, False])
def test_a_forecaster_predicts_the_same_after_it_was_saved(
    kind, is_classified, stacked, classifiers, tmp_path
):
    of_kind = {"stacked": stacked, "rule": rule_model(), "none": None}[kind]
    model = forecaster(of_kind, classifiers if is_classified else (None, None))
    save_forecaster(model, tmp_path)
    again = load_forecaster(tmp_path)
    assert (again.order_value, again.level, again.pace) == (ORDER_VALUE, (-0.1, 0.05), PACE)
    state = customers(300).assign(first_product_rate=np.linspace(0, 1, 300))
    for horizon in (90, 180):
        options = {"horizon_days": horizon, "annual_discount_rate": 0.1}
        pd.testing.assert_frame_equal(
            again.predict(state, **options), model.predict(state, **options), check_exact=True
        )


@pytest.fixture(scope="module")
def whole(stacked, classifiers, tmp_path_factory):
    """A saved model that has every file."""
    folder = tmp_path_factory.mktemp("whole")
    save_forecaster(forecaster(stacked, classifiers), folder)
    return folder


@pytest.fixture
def saved(whole, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(whole, tmp_path / "model")


def test_the_files_of_a_model_are_listed_by_name_and_only_those_that_exist(saved, tmp_path):
    assert {name: path.name for name, path in model_files(saved).items()} == {
        "parameters": PARAMETERS, "classifier": CLASSIFIER, "by_days": BY_DAYS, "trees": TREES_FILE,
        "digests": DIGESTS,
    }  # fmt: skip
    (saved / BINS).write_text("{}")
    assert model_files(saved)["bins"] == saved / BINS
    save_forecaster(forecaster(None), tmp_path / "plain")
    assert set(model_files(tmp_path / "plain")) == {"parameters", "digests"}


@pytest.mark.parametrize("name", [PARAMETERS, CLASSIFIER, BY_DAYS, TREES_FILE])
def test_a_changed_or_missing_file_is_refused_by_its_name(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ChangedFileError, match=f"{name} is not as it was written"):
        load_forecaster(saved)
    (saved / name).unlink()
    with pytest.raises(ChangedFileError, match=f"{name} is not as it was written"):
        load_forecaster(saved)


def test_a_file_cut_short_is_refused_without_digests_too(saved):
    (saved / DIGESTS).unlink()
    path = saved / PARAMETERS
    path.write_text(path.read_text()[:-100])
    with pytest.raises(json.JSONDecodeError):
        load_forecaster(saved)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"purchases": {"model": "unheard", "parameters": {}}}, "purchase model unheard"),
        ({"leaving": {"model": "unheard", "parameters": {}}}, "purchase model unheard"),
        ({"correction": {"kind": "unheard"}}, "correction unheard"),
    ],
)
def test_a_kind_of_model_that_this_version_lacks_is_refused_in_words(saved, changes, words):
    (saved / DIGESTS).unlink()
    record = json.loads((saved / PARAMETERS).read_text())
    (saved / PARAMETERS).write_text(json.dumps(record | changes))
    with pytest.raises(DataError, match=f"{words}.*perennial train"):
        load_forecaster(saved)


def test_a_model_of_an_earlier_version_is_read_without_its_corrections(tmp_path):
    """parameters.json as it was before order value had levels: a learned part is left out."""
    record = {
        "purchases": {"model": "mbg_nbd", "unit": "days", "parameters": PURCHASES.to_dict()},
        "leaving": None,
        "leaving_weight": 1.0,
        "spend": {"model": "gamma_gamma", "p": 6.0, "q": 4.0, "gamma": 15.0, "slope": 0.0},
        "first_level": 1.3,
        "conversion_level": 0.8,
        "second_purchase_days": 90,
        "trained_as_of": "2024-06-30",
        "levels": {"edges": [], "low": [0.1], "high": [0.9]},
        "learned": {"days": 90, "blend": {"weights": [1.0]}},
        "season": {"days": 90, "multiplier": 1.1},
    }
    (tmp_path / PARAMETERS).write_text(json.dumps(record))
    model = load_forecaster(tmp_path)
    assert (model.purchases, model.correction, model.level) == (PURCHASES, None, (0.0, 0.0))
    assert model.order_value == OrderValue(Spend(6.0, 4.0, 15.0), first_level=1.3)
    assert (model.alternative_model, model.classifier) == (None, None)
    state = customers(40)
    f = model.predict(state, horizon_days=180, annual_discount_rate=0.1)
    history = history_of(model.order_value, state)
    orders, discounted = discounted_orders(
        PURCHASES, *history.times, horizon_days=180, annual_discount_rate=0.1
    )
    assert f["expected_orders"].to_numpy() == pytest.approx(orders)
    value = discounted * model.order_value.expected(state)
    assert f["expected_value"].to_numpy() == pytest.approx(value)
