"""The average of purchase models: a mixture, used where no model is clearly the best."""

from itertools import islice, pairwise

import numpy as np
import pytest

from models.history import CustomerHistory
from models.intervals import Outcomes
from models.purchases import (
    BGNBD,
    MBGCNBD,
    MBGNBD,
    NBD,
    Averaged,
    BetaGeometric,
    FitError,
    ParetoNBD,
    PurchasesFit,
    akaike_weights,
    average_family,
    dropout_weight,
    fit_again,
    fit_family,
)
from models.purchases.model import sum_of
from models.spend import Spend
from models.value import forecast
from tests.models.test_purchases_simulation import simulate

MEMBERS = (MBGNBD(0.9, 45, 0.5, 1.5), ParetoNBD(0.7, 40, 0.6, 120), MBGCNBD(1.2, 12, 0.5, 1.5, 3))
WEIGHTS = (0.5, 0.3, 0.2)
AVERAGE = Averaged(MEMBERS, WEIGHTS)
X = np.array([0.0, 0.0, 1.0, 4.0, 30.0])
T_X = np.array([0.0, 0.0, 30.0, 200.0, 390.0])
T = np.array([3.0, 500.0, 200.0, 210.0, 400.0])


def mean_of(answers):
    return sum(weight * answer for weight, answer in zip(WEIGHTS, answers, strict=True))


def fit_of(model, log_likelihood):
    return PurchasesFit(model, log_likelihood, 100, np.eye(len(model.free)) / 100)


@pytest.mark.parametrize("days", [0.0, 30.0, 365.0])
def test_every_answer_is_the_weighted_mean_of_the_members(days):
    answers = {
        "p_alive": lambda model: model.p_alive(X, T_X, T),
        "p_order": lambda model: model.p_order(days, X, T_X, T),
        "expected_orders": lambda model: model.expected_orders(days, X, T_X, T),
        "distribution": lambda model: model.distribution(days, X, T_X, T, 5),
        "moments": lambda model: model.moments(days, X, T_X, T),
    }
    for name, answer in answers.items():
        wanted = mean_of([answer(member) for member in MEMBERS])
        assert answer(AVERAGE) == pytest.approx(wanted, rel=1e-9, abs=1e-15), name


def test_phases_are_those_of_all_members():
    assert AVERAGE.active(X, T_X, T).shape == (5, len(X))
    assert AVERAGE.active_orders(90, X, T).shape == (5, len(X))
    assert AVERAGE.active(X, T_X, T).sum(axis=0) == pytest.approx(AVERAGE.p_alive(X, T_X, T))


def test_chances_of_more_purchases_never_rise_and_sum_to_their_expected_number():
    tails = list(islice(AVERAGE.tails(180, X, T_X, T), 200))
    assert all((later <= earlier + 1e-15).all() for earlier, later in pairwise(tails))
    assert tails[0] == pytest.approx(AVERAGE.p_order(180, X, T_X, T), rel=1e-12)
    expected = AVERAGE.expected_orders(180, X, T_X, T)
    assert sum_of(AVERAGE.tails(180, X, T_X, T)) == pytest.approx(expected, rel=1e-8)


def test_the_median_day_is_the_day_of_an_even_chance():
    days = AVERAGE.median_days(X, T_X, T)
    is_finite = np.isfinite(days)
    assert is_finite.any()
    assert not is_finite.all()
    history = [column[is_finite] for column in (X, T_X, T)]
    assert AVERAGE.p_order(days[is_finite], *history) == pytest.approx(0.5, rel=1e-9)
    medians = [member.median_days(X, T_X, T)[is_finite] for member in MEMBERS]
    assert (days[is_finite] >= np.min(medians, axis=0)).all()
    assert (days[is_finite] <= np.max(medians, axis=0)).all()


def test_members_that_stop_early_are_filled_up_with_no_chance():
    class Stops(NBD):
        def active_tails(self, days, x, T):
            yield from islice(super().active_tails(days, x, T), 2)

    average = Averaged((NBD(1.0, 30.0), Stops(1.0, 30.0)), (0.5, 0.5))
    third = list(islice(average.active_tails(90, X, T), 4))[2]
    assert (third[0] > 0).all()
    assert (third[1] == 0).all()


def test_a_forecast_and_its_interval_follow_from_the_average():
    orders = X + 1
    history = CustomerHistory(X, T_X, T, orders, np.full(len(X), 30.0), np.ones(len(X)))
    spend = Spend(6.0, 4.0, 15.0)
    f, *each = (
        forecast(model, spend, history, horizon_days=365, annual_discount_rate=0.1)
        for model in (AVERAGE, *MEMBERS)
    )
    assert f.expected_orders == pytest.approx(mean_of([m.expected_orders for m in each]))
    assert f.expected_value == pytest.approx(mean_of([m.expected_value for m in each]))
    value = np.array([10.0, 20.0, 40.0, 80.0, 300.0])
    positions = [
        Outcomes(model, spend, 365).position(history, value)[1] for model in (AVERAGE, *MEMBERS)
    ]
    assert positions[0] == pytest.approx(mean_of(positions[1:]), abs=2e-3)


def test_an_average_has_no_likelihood():
    with pytest.raises(TypeError, match="likelihood"):
        AVERAGE.log_likelihood(X, T_X, T)


def test_parameters_are_named_by_member():
    values = AVERAGE.to_dict()
    assert values["mbg_nbd.weight"] == 0.5
    assert values["mbg_cnbd_3.k"] == 3
    assert values["pareto_nbd.beta"] == 120
    assert AVERAGE.kind == "average"
    assert all(value > 0 for value in values.values())


# Which models are averaged


def test_akaike_weights_are_shares_of_likelihood():
    """Equally many parameters, and log-likelihoods ln 3 apart: three to one."""
    family = [fit_of(MBGNBD(1, 30, 1, 2), 0.0), fit_of(BGNBD(1, 30, 1, 2), -np.log(3))]
    assert akaike_weights(family) == pytest.approx([0.75, 0.25])
    average = average_family(family)
    assert average.model.weights == pytest.approx((0.75, 0.25))
    assert (average.aic, average.log_likelihood) == (family[0].aic, family[0].log_likelihood)
    assert average.title == "average"
    assert average.standard_errors["mbg_nbd.r"] == pytest.approx(0.1)
    assert average.standard_errors["bg_nbd.alpha"] == pytest.approx(3.0)
    assert "mbg_nbd (75%), bg_nbd (25%)" in average.notes[0]


def test_a_clear_best_is_used_alone_and_unlikely_models_are_left_out():
    best, other = fit_of(MBGNBD(1, 30, 1, 2), 0.0), fit_of(BGNBD(1, 30, 1, 2), -np.log(9) - 1e-9)
    assert average_family([best, other]) is None
    assert average_family([best]) is None
    second = fit_of(ParetoNBD(1, 30, 1, 200), -1.0)
    rare = fit_of(BGNBD(1, 30, 1, 2), -np.log(30))
    average = average_family([best, second, rare])
    assert [type(member) for member in average.model.members] == [MBGNBD, ParetoNBD]
    assert sum(average.model.weights) == pytest.approx(1)
    assert average.members == (best, second)


def test_at_most_three_models_are_averaged():
    kinds = [MBGNBD(1, 30, 1, 2), BGNBD(1, 30, 1, 2), ParetoNBD(1, 30, 1, 200)]
    family = [fit_of(model, 0.0) for model in (*kinds, MBGCNBD(1, 30, 1, 2, 2))]
    assert len(average_family(family).model.members) == 3


def test_the_weight_of_leaving_is_that_of_single_models():
    family = [fit_of(MBGNBD(1, 30, 1, 2), 0.0), fit_of(ParetoNBD(1, 30, 1, 200), -1.0)]
    average = average_family(family)
    assert dropout_weight([average, *family]) == dropout_weight(family)


def test_a_small_store_gets_an_average_and_a_large_one_does_not():
    small = fit_family(*simulate(MEMBERS[0], 150, 1).history)
    assert isinstance(small[0].model, Averaged)
    assert isinstance(small[1].model, BetaGeometric)
    assert [fit.aic for fit in small] == sorted(fit.aic for fit in small)
    large = fit_family(*simulate(MEMBERS[0], 20_000, 1).history)
    assert isinstance(large[0].model, MBGNBD)


# Fitting again


def test_each_member_is_fitted_again_and_weights_stay():
    history = simulate(MEMBERS[0], 500, 2).history
    average = Averaged((MEMBERS[0], ParetoNBD(0.7, 40, 0.6, 120)), (0.6, 0.4))
    again = fit_again(average, *history)
    assert again.weights == pytest.approx((0.6, 0.4))
    for fitted, member in zip(again.members, average.members, strict=True):
        assert fitted == fit_again(member, *history)


def test_a_member_that_does_not_fit_is_left_out():
    average = Averaged((MBGNBD(1, 30, 1, 2), NBD(1, 30)), (0.6, 0.4))
    with pytest.raises(FitError, match="came back"):
        fit_again(average, [0, 0], [0, 0], [10, 20])
