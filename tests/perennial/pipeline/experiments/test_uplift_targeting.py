"""Whom an action moves: learned from a planted response, proved before it is used, kept without pickle."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.lift import Effect
from perennial.pipeline.experiments.uplift_targeting import (
    KNOWN,
    features_of,
    learn_uplift_targeting,
    multiples,
    read_uplift_targeting,
    save_uplift_targeting,
)
from segments.investment import Action, IncrementalValue, Plan, invest

DAY = date(2024, 5, 1)


def experiment(seed, response, n=2000):
    """A fifth held out; margin 30 on average, and `response` of an action that costs 6."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({name: rng.normal(size=n) for name in KNOWN})
    held = rng.random(n) < 0.2
    margin = rng.normal(30, 15, n) + np.where(held, 0.0, response(rows))
    return rows.assign(is_holdout=held, margin=margin, cost=np.where(held, 0.0, 6.0), share=0.2)


def moves_the_frequent(rows):
    return np.where(rows["frequency"] > 0, 20.0, 0.0)


@pytest.fixture(scope="module")
def proved():
    return learn_uplift_targeting(experiment(1, moves_the_frequent))


def test_whom_it_moves_is_found_and_a_rule_by_it_is_worth_more_than_acting_for_all(proved):
    """Acting for all brings 30 + 10 - 6; for the frequent half alone 30 + 10 - 3."""
    result, effect = proved
    assert result.is_used
    assert result.qini.low > 0
    assert result.rule.estimate == pytest.approx(37.0, abs=1.5)
    assert result.everybody.estimate == pytest.approx(34.0, abs=1.5)
    assert result.nobody.estimate == pytest.approx(30.0, abs=2.0)
    new = experiment(2, moves_the_frequent)
    uplift = effect(features_of(new))
    frequent = (new["frequency"] > 0).to_numpy()
    assert uplift[frequent].mean() > uplift[~frequent].mean() + 10


def test_a_response_that_is_the_same_for_all_is_not_used():
    result, effect = learn_uplift_targeting(experiment(3, lambda rows: np.full(len(rows), 8.0)))
    assert not result.is_used
    assert result.qini.low <= 0
    assert effect is None


def test_too_few_customers_teach_nothing():
    result, effect = learn_uplift_targeting(experiment(4, moves_the_frequent, n=100))
    assert result.note
    assert set(result.to_json()) == {"note", "is_used"}
    assert effect is None


def test_what_was_proved_is_kept_and_ends_with_a_measurement_that_proves_nothing(proved, tmp_path):
    _, effect = proved
    save_uplift_targeting(tmp_path, DAY, {"heavy": effect})
    actual = read_uplift_targeting(tmp_path, DAY)
    features = features_of(experiment(5, moves_the_frequent, n=50))
    assert actual["heavy"](features) == pytest.approx(effect(features))
    assert read_uplift_targeting(tmp_path, DAY - timedelta(days=1)) == {}
    save_uplift_targeting(tmp_path, DAY + timedelta(days=30), {})
    assert read_uplift_targeting(tmp_path, DAY + timedelta(days=30)) == {}
    assert set(read_uplift_targeting(tmp_path, DAY + timedelta(days=29))) == {"heavy"}


def test_a_fit_in_the_old_folder_is_used_until_a_new_one_replaces_it(proved, tmp_path):
    _, effect = proved
    save_uplift_targeting(tmp_path, DAY, {"heavy": effect})
    new, old = (tmp_path / name for name in ("uplift_targeting", "responders"))
    new.rename(old)
    for path in (old / DAY.isoformat()).iterdir():
        path.rename(path.with_stem("responders"))
    assert set(read_uplift_targeting(tmp_path, DAY)) == {"heavy"}
    assert read_uplift_targeting(tmp_path, DAY - timedelta(days=1)) == {}
    save_uplift_targeting(tmp_path, DAY, {})
    assert read_uplift_targeting(tmp_path, DAY) == {}


class _Ten:
    """Says that everybody is moved by 10."""

    def predict(self, x):
        return np.full(len(x), 10.0)


def test_an_effect_is_a_multiple_of_the_assumed_one_within_bounds():
    """.5 of 4, 1 and 100 faster orders at a margin of 10: assumed are 20, 5 and 500."""
    ten = Effect((_Ten(),), (1.0,))
    none = np.zeros(3)
    watched = IncrementalValue(np.full(3, 10.0), np.array([4.0, 1.0, 100.0]), none, none, none)
    action = Action("heavy", 6.0, 0.5)
    actual = multiples({"heavy": ten, "light": ten}, np.zeros((3, 1)), watched, [action])
    assert set(actual) == {"heavy"}
    assert actual["heavy"] == pytest.approx([0.5, 2.0, 0.02])
    lost = Effect((_Ten(),), (-1.0,))
    assert not multiples({"heavy": lost}, np.zeros((3, 1)), watched, [action])["heavy"].any()
    few = IncrementalValue(np.full(3, 0.01), np.ones(3), none, none, none)
    assert (
        multiples({"heavy": ten}, np.zeros((3, 1)), few, [action])["heavy"].tolist() == [3.0] * 3
    )


def test_the_budget_goes_to_those_who_were_proved_to_be_moved():
    none, segment = np.zeros(2), np.full(2, "all", dtype=object)
    alike = IncrementalValue(np.full(2, 40.0), np.ones(2), none, none, segment)
    action = Action("heavy", 6.0, 0.5)
    plan = Plan(6.0, caution=0.0)
    moved = {"heavy": np.array([0.2, 2.0])}
    investment = invest(alike, [action], [False, False], plan, multiples=moved)
    assert investment.tier.tolist() == ["none", "heavy"]
    assert investment.gain == pytest.approx([0.0, 40.0])
