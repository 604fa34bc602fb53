"""The gate against planted faults: each is a forecast of the same simulated customers, judged as in training."""

import json
from datetime import date

import numpy as np
import pytest

from models.evaluation import CutoffReport, Prediction, evaluate, paired_differences
from models.gate import FAILED, PASSED, TIED, Evidence, GateVerdict, judge

RNG = np.random.default_rng(7)
N = 4_000
RATE = RNG.gamma(0.6, 2.0, N)
ORDERS = RNG.poisson(RATE).astype(float)
VALUE = ORDERS * RNG.gamma(5.0, 8.0, N)
GOOD = RATE * 40.0
PARAMETERS = {"r": 0.6, "alpha": 50.0, "a": 0.8, "b": 2.5, "spend.p": 5.0}
LAST_PERIOD = RNG.poisson(RATE).astype(float) * 40.0
WEAKER = GOOD * RNG.gamma(4.0, 0.25, N)  # the champion of most tests ranks a little worse


def cutoff(value, champion=None, is_blind=True, orders=RATE):
    def predicted(amount):
        return Prediction(orders, amount, 1 - np.exp(-RATE))

    models = {"champion": value, "last_period": LAST_PERIOD}
    if champion is not None:
        models["incumbent"] = champion
    return CutoffReport(
        as_of=date(2024, 3, 31),
        customers=N,
        buyers=int((ORDERS > 0).sum()),
        is_blind=is_blind,
        models={name: evaluate(predicted(v), ORDERS, VALUE) for name, v in models.items()},
        differences=paired_differences(
            value, {name: v for name, v in models.items() if name != "champion"}, VALUE
        ),
    )


def evidence(cutoffs, parameters=PARAMETERS, mean=40.0, past=None):
    return Evidence(
        parameters=parameters,
        mean_order_value=mean,
        cutoffs=cutoffs,
        champion_mean_order_value=past,
    )


def judged(value=GOOD, champion=WEAKER, parameters=PARAMETERS, mean=40.0, is_blind=True):
    past = None if champion is None else 40.0
    return judge(evidence([cutoff(value, champion, is_blind)], parameters, mean, past))


def failing(verdict):
    return {check.name for check in verdict.checks if not check.is_passed}


def test_a_better_model_passes():
    verdict = judged()
    assert (verdict.gate, verdict.reasons) == (PASSED, ())


def test_the_first_model_passes_without_a_champion():
    assert judged(champion=None).gate == PASSED


def test_permuted_labels_are_refused():
    learned_nothing = RNG.permutation(GOOD)
    verdict = judged(learned_nothing)
    assert verdict.gate == FAILED
    assert {"champion", "floor_last_period"} <= failing(verdict)


def test_without_a_champion_permuted_labels_pass_with_a_warning_of_the_simple_rule():
    verdict = judged(RNG.permutation(GOOD), champion=None)
    assert failing(verdict) == {"floor_last_period"}
    assert (verdict.gate, verdict.reasons) == (PASSED, ())
    (warning,) = verdict.warnings
    assert warning.startswith("floor_last_period: Gini -")
    assert "compared with last period" in warning


def test_a_champion_s_successor_has_reasons_and_no_warnings():
    verdict = judged(RNG.permutation(GOOD))
    assert verdict.warnings == ()
    assert len(verdict.reasons) == len(failing(verdict)) > 1


@pytest.mark.parametrize("champion", [WEAKER, None], ids=["with champion", "first"])
def test_features_from_the_future_are_refused_however_well_they_do(champion):
    verdict = judged(VALUE + 1.0, champion=champion, is_blind=False)
    assert verdict.gate == FAILED
    assert failing(verdict) == {"no_future"}
    assert len(verdict.reasons) == 1


def test_spend_in_cents_is_refused_beside_the_champion_and_without_one():
    assert {"spend_scale", "calibration"} <= failing(judged(GOOD * 100, mean=4_000.0))
    assert judged(GOOD * 100, champion=None, mean=4_000.0).gate == FAILED


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_a_seasons_shift_of_the_level_is_refused(shift):
    verdict = judged(GOOD * shift)
    assert verdict.gate == FAILED
    assert failing(verdict) == {"calibration"}


@pytest.mark.parametrize(("shift", "gate"), [(0.5, PASSED), (2.0, PASSED), (9.0, PASSED),
                                             (1 / 9, PASSED), (11.0, FAILED), (1 / 11, FAILED)])  # fmt: skip
def test_a_first_model_s_level_only_warns_until_it_is_off_by_a_unit(shift, gate):
    verdict = judged(GOOD * shift, champion=None)
    assert failing(verdict) == {"calibration"}
    assert verdict.gate == gate
    assert len(verdict.warnings) == (gate == PASSED)
    assert len(verdict.reasons) == (gate == FAILED)


@pytest.mark.parametrize("wrong", [float("nan"), 0.0])
def test_a_first_model_with_impossible_parameters_is_refused(wrong):
    verdict = judged(champion=None, parameters=PARAMETERS | {"alpha": wrong})
    assert verdict.gate == FAILED
    assert failing(verdict) == {"parameters"}
    assert judged(champion=None, mean=wrong).gate == FAILED


def test_a_first_model_of_few_buyers_is_judged_by_its_own_figures_only():
    few = cutoff(RNG.permutation(GOOD) * 100).model_copy(update={"buyers": 29})
    verdict = judge(evidence([few]))
    assert [check.name for check in verdict.checks] == ["parameters", "spend_scale"]
    assert (verdict.gate, verdict.warnings) == (PASSED, ())


def test_the_best_plain_purchase_model_is_a_floor_and_other_candidates_are_none():
    weak = GOOD * RNG.gamma(0.5, 2.0, N)
    rivals = {"nbd_gamma_gamma": WEAKER, "bg_nbd_gamma_gamma": GOOD, "stacked": GOOD,
              "rule_recency": VALUE}  # fmt: skip
    differences = paired_differences(weak, rivals, VALUE)
    verdict = judge(evidence([cutoff(weak).model_copy(update={"differences": differences})]))
    floors = [check for check in verdict.checks if check.name.startswith("floor_")]
    assert [check.name for check in floors] == ["floor_purchase_model"]
    lead = differences["bg_nbd_gamma_gamma"].gini_value.difference
    assert f"Gini {lead:+.3f} compared with purchase model" in floors[0].problem
    assert not floors[0].is_passed


def test_a_verdict_as_json_says_which_checks_block():
    checks = judged(RNG.permutation(GOOD), champion=None).model_dump(mode="json")["checks"]
    blocking = {check["name"]: check["is_blocking"] for check in checks}
    assert blocking == {"parameters": True, "spend_scale": True, "support": True,
                        "no_future": True, "floor_last_period": False, "calibration": False}  # fmt: skip


def test_a_verdict_is_read_as_it_was_written():
    verdict = judged(RNG.permutation(GOOD)).model_copy(update={"champion": "3"})
    written = verdict.model_dump(mode="json")
    assert list(written) == ["gate", "checks", "reasons", "warnings", "champion"]
    assert list(written["checks"][0]) == [
        "name", "is_passed", "problem", "threshold", "fix", "is_blocking",
    ]  # fmt: skip
    assert GateVerdict.model_validate_json(json.dumps(written)) == verdict


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0, -1.0])
def test_impossible_parameters_are_refused(wrong):
    verdict = judged(parameters=PARAMETERS | {"alpha": wrong})
    assert verdict.gate == FAILED
    assert failing(verdict) == {"parameters"}
    assert "alpha" in verdict.reasons[0]


def test_nan_forecasts_of_spend_are_refused():
    assert failing(judged(mean=float("nan"))) == {"spend_scale"}


def test_a_model_worse_by_more_than_the_margin_is_refused():
    verdict = judged(GOOD * RNG.gamma(1.0, 1.0, N), champion=GOOD)
    assert verdict.gate == FAILED
    assert "champion" in failing(verdict)


def test_a_tie_keeps_the_champion():
    verdict = judged(GOOD, champion=GOOD.copy())
    assert verdict.gate == TIED
    assert failing(verdict) == {"lead"}


def test_too_few_buyers_are_no_support():
    few = cutoff(GOOD, WEAKER).model_copy(update={"buyers": 29})
    verdict = judge(evidence([few], past=40.0))
    assert failing(verdict) == {"support"}
    assert judge(evidence([few])).gate == PASSED


def test_what_could_not_be_backtested_passes_only_where_nothing_scores():
    assert judge(evidence([])).gate == PASSED
    assert judge(evidence([], past=40.0)).gate == TIED


def test_a_reason_has_problem_limit_and_fix():
    (reason,) = judged(GOOD, champion=GOOD.copy()).reasons
    assert reason.startswith("lead: Gini +0.0000 compared with the champion")
    assert "(over 0.001)" in reason
    assert "stays" in reason
