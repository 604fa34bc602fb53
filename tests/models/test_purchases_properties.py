"""What holds for every purchase model, whatever its parameters and the history."""

import dataclasses
import json
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.purchases import FAMILY, MBGCNBD, NBD

EVERY = list(FAMILY.values())
AT_RANDOM = [kind for kind in EVERY if not kind.is_regular]  # purchases of who is active
every_model = pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
quick = settings(deadline=None, max_examples=25)

RANGES = {  # of the parameters, by name
    "r": (0.05, 10),
    "alpha": (2, 500),
    "a": (0.02, 10),
    "b": (0.02, 30),
    "s": (0.02, 10),
    "beta": (2, 3000),
}
logs = {
    name: st.floats(np.log(low), np.log(high)).map(np.exp).map(float)
    for name, (low, high) in RANGES.items()
}


def has_k(kind):
    return "k" in {field.name for field in dataclasses.fields(kind)}


@st.composite
def models(draw, kind):
    values = {name: draw(logs[name]) for name in kind.free}
    return kind(**values, **({"k": draw(st.integers(1, 12))} if has_k(kind) else {}))


@st.composite
def histories(draw):
    """x, t_x, T of whole days, one customer."""
    T = draw(st.integers(0, 2000))
    t_x = draw(st.integers(0, T))
    x = 0 if t_x == 0 else draw(st.integers(1, min(t_x, 400)))
    return [float(x)], [float(t_x)], [float(T)]


def steps_of(model, history, name):
    """Fourth-order central difference of the log-likelihood in one parameter, in relative steps."""
    value, step = getattr(model, name), 2e-3
    near, far = (
        [
            dataclasses.replace(model, **{name: value * (1 + sign * width * step)}).log_likelihood(
                *history
            )[0]
            for sign in (1, -1)
        ]
        for width in (1, 2)
    )
    return (8 * (near[0] - near[1]) - (far[0] - far[1])) / (12 * step)


@every_model
@quick
@given(data=st.data())
def test_gradients_equal_differences_of_the_log_likelihood(kind, data):
    model, history = data.draw(models(kind)), data.draw(histories())
    value, derivatives = model.gradient(*history)
    assert value == model.log_likelihood(*history)
    assert derivatives.shape == (len(kind.free), 1)
    for name, actual in zip(kind.free, derivatives[:, 0], strict=True):
        difference = steps_of(model, history, name)
        assert actual * getattr(model, name) == pytest.approx(difference, rel=1e-6, abs=1e-6)


def test_phases_sum_to_the_chance_of_being_active_however_small():
    model = MBGCNBD(np.exp(2.0), np.exp(2.0), 1.0, 1.0, k=12)
    history = ([313.0], [421.0], [1446.0])
    alive, chance = model.p_alive(*history)[0], model.p_order(11, *history)[0]
    assert 0 < alive < 1e-300
    assert model.active(*history).sum() == pytest.approx(alive, rel=1e-14, abs=0)
    assert chance <= alive * (1 + 1e-12)


@every_model
@quick
@given(data=st.data(), days=st.integers(1, 3650))
def test_predictions_are_chances_and_counts(kind, data, days):
    model, history = data.draw(models(kind)), data.draw(histories())
    alive, chance = model.p_alive(*history)[0], model.p_order(days, *history)[0]
    expected = model.expected_orders(days, *history)[0]
    assert 0 <= chance <= alive * (1 + 1e-12) <= 1 + 1e-12
    assert chance <= expected * (1 + 1e-9) + 1e-12 < np.inf
    assert alive <= 1
    never_leaving = NBD(model.r, model.alpha)
    if getattr(model, "every", 1) == 1:  # leaving only takes away
        assert expected <= never_leaving.expected_orders(days, *history)[0] * (1 + 1e-9)


@every_model
@quick
@given(data=st.data(), days=st.integers(1, 200))
def test_chances_of_more_purchases_never_rise_and_sum_to_their_expected_number(kind, data, days):
    model, history = data.draw(models(kind)), data.draw(histories())
    assume(days / (model.alpha + history[2][0]) < 20)  # thousands of terms otherwise
    tails = []
    for tail in islice(model.tails(days, *history), 20_000):
        tails.append(tail[0])
        if tail[0] < 1e-13:
            break
    assert all(later <= earlier for earlier, later in pairwise(tails))
    assert 0 <= min(tails) <= max(tails) <= 1
    assert sum(tails) == pytest.approx(
        model.expected_orders(days, *history)[0], rel=1e-6, abs=1e-9
    )


@every_model
@quick
@given(data=st.data(), days=st.integers(1, 400), largest=st.integers(0, 40))
def test_chances_of_each_count_are_steps_between_tails(kind, data, days, largest):
    model, history = data.draw(models(kind)), data.draw(histories())
    counts = model.distribution(days, *history, largest)
    tails = [1.0, *(tail[0] for tail in islice(model.tails(days, *history), largest + 1))]
    assert counts.shape == (1, largest + 1)
    assert (counts >= 0).all()
    assert counts[0] == pytest.approx(-np.diff(tails), abs=1e-15)
    assert counts.sum() + tails[-1] == pytest.approx(1, abs=1e-12)
    assert counts[0, 0] == pytest.approx(1 - model.p_order(days, *history)[0], abs=1e-15)


@every_model
@quick
@given(data=st.data(), days=st.integers(1, 1000), more=st.integers(1, 1000))
def test_a_longer_horizon_never_brings_less(kind, data, days, more):
    model, history = data.draw(models(kind)), data.draw(histories())
    for predict in (model.p_order, model.expected_orders):
        shorter, longer = predict(days, *history)[0], predict(days + more, *history)[0]
        assert longer >= shorter * (1 - 1e-9)


@every_model
@quick
@given(data=st.data())
def test_nothing_is_expected_of_no_time(kind, data):
    model, history = data.draw(models(kind)), data.draw(histories())
    assert model.p_order(0, *history) == 0
    assert model.expected_orders(0, *history) == 0
    assert model.distribution(0, *history, 3).tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize("kind", AT_RANDOM, ids=lambda kind: kind.name)
@quick
@given(data=st.data(), silent=st.integers(1, 500))
def test_longer_silence_never_raises_the_chance_of_being_active(kind, data, silent):
    model, (x, t_x, T) = data.draw(models(kind)), data.draw(histories())
    now, later = model.p_alive(x * 2, t_x * 2, [T[0], T[0] + silent])
    assert later <= now * (1 + 1e-12)


@every_model
@quick
@given(data=st.data(), chance=st.floats(0.01, 0.99))
def test_days_until_a_chance_are_those_after_which_it_is_the_chance(kind, data, chance):
    model, history = data.draw(models(kind)), data.draw(histories())
    days = model.days_until(chance, *history)[0]
    assert days > 0
    if np.isinf(days):
        assert model.p_order(1e7, *history)[0] <= chance * (1 + 1e-9)
    else:
        assert model.p_order(days, *history)[0] == pytest.approx(chance, rel=1e-9)


@every_model
@quick
@given(data=st.data())
def test_the_median_day_is_the_day_of_an_even_chance(kind, data):
    model, history = data.draw(models(kind)), data.draw(histories())
    assert model.median_days(*history) == model.days_until(0.5, *history)


@every_model
@quick
@given(data=st.data(), days=st.integers(0, 1000))
def test_an_answer_does_not_depend_on_who_else_is_asked_about(kind, data, days):
    model = data.draw(models(kind))
    crowd = data.draw(st.lists(histories(), min_size=2, max_size=12))
    together = [np.concatenate(column) for column in zip(*crowd, strict=True)]
    answers = {
        "log_likelihood": model.log_likelihood,
        "p_alive": model.p_alive,
        "p_order": lambda *history: model.p_order(days, *history),
        "expected_orders": lambda *history: model.expected_orders(days, *history),
        "days_until": lambda *history: model.days_until(0.3, *history),
        "distribution": lambda *history: model.distribution(days, *history, 3)[:, 2],
    }
    for name, answer in answers.items():
        alone = [answer(*history)[0] for history in crowd]
        assert answer(*together).tolist() == alone, name


@every_model
@quick
@given(data=st.data(), days=st.integers(1, 1000))
def test_the_unit_of_time_does_not_matter(kind, data, days):
    model, (x, t_x, T) = data.draw(models(kind)), data.draw(histories())
    weeks = dataclasses.replace(model, **{name: getattr(model, name) / 7 for name in kind.times})
    history, shorter = (x, t_x, T), (x, [t_x[0] / 7], [T[0] / 7])
    for name in ("p_order", "expected_orders"):
        in_days, in_weeks = getattr(model, name), getattr(weeks, name)
        actual = in_weeks(days / 7, *shorter)
        assert actual == pytest.approx(in_days(days, *history), rel=1e-9, abs=1e-290)
    every = getattr(model, "every", 1)
    assert weeks.log_likelihood(*shorter) == pytest.approx(
        model.log_likelihood(*history) + every * x[0] * np.log(7), rel=1e-10, abs=1e-9
    )


@every_model
@quick
@given(data=st.data())
def test_a_model_is_plain_numbers(kind, data):
    model = data.draw(models(kind))
    record = json.loads(json.dumps(model.to_dict()))
    assert FAMILY[kind.name](**record) == model
    assert set(record) == {*kind.free, *(["k"] if has_k(kind) else [])}


@every_model
def test_numbers_arrays_and_columns_are_answered_alike(kind):
    model = kind(*(2.0 for _ in kind.free))
    one = model.expected_orders(30, [2], [20], [40])
    assert one.shape == (1,)
    assert model.expected_orders(30, 2, 20, 40) == one[0]
    assert model.expected_orders([30, 30], [2], 20.0, np.array([40, 40])).tolist() == [one[0]] * 2
    for answer in (model.p_alive([], [], []), model.expected_orders(9, [], [], [])):
        assert answer.shape == (0,)
    assert model.distribution(9, [], [], [], 4).shape == (0, 5)
