"""Corrections of the purchase and spend models: their windows, totals and choice."""

from datetime import date, timedelta

import numpy as np
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from features.rfm import customer_state
from models.corrections import (
    Corrections,
    StackedModel,
    columns_of,
    means_of,
    plain_forecast,
    tree_features,
)
from models.forecaster import INPUTS, Forecaster, second_order_lift
from models.price_level import PriceLevel
from models.rules import RULES
from models.stacking import BANDS, Correction
from perennial.pipeline.ingestion.read import with_recent
from perennial.pipeline.training.model_files import (
    PARAMETERS,
    save_correction,
    save_forecaster,
)
from perennial.pipeline.training.recipe import fit_recipe
from perennial.pipeline.training.stacking import (
    CUTOFFS,
    LEAST_LEAD,
    PLAIN,
    RULE_LEAD,
    STACKED,
    Calendar,
    _choose,
    _overlap,
    look_back,
    window_of,
)
from tests.perennial.pipeline.training.forecasters import (
    CORRECTIONS,
    DAYS,
    ORDER_VALUE,
    PURCHASES,
    customers,
    forecaster,
    rule_model,
)
from tests.shops import make_orders

# Windows


@pytest.mark.parametrize(
    ("span", "horizon", "days"),
    [
        (540, 181, 181),
        (539, 181, 180),
        (364, 181, 122),
        (273, 273, 92),
        (90, 365, 31),
        (81, 365, 28),
    ],
)
def test_the_window_to_fit_on_is_the_horizon_where_the_history_is_three_times_as_long(
    span, horizon, days
):
    assert window_of(date(2021, 1, 1), date(2021, 1, 1) + timedelta(days=span), horizon) == days


def test_cutoffs_a_third_of_a_window_apart_share_windows_by_hand():
    """Four at 0, 30, 60 and 90 days span two windows of 90 days: two of them for each."""

    class Cutoff:
        def __init__(self, day):
            self.as_of = day

    days = [date(2024, 6, 30) - timedelta(days=30 * k) for k in range(CUTOFFS)]
    assert _overlap([Cutoff(day) for day in days], 90) == pytest.approx(2.0)
    assert _overlap([Cutoff(days[0])], 90) == pytest.approx(1.0)


# Totals


@pytest.mark.parametrize("lacking", [(), ("chance",), ("order_value",), ("chance", "order_value")])
def test_leveled_corrections_keep_the_plain_totals_of_orders_value_and_chances(trees, lacking):
    parts = {"orders": CORRECTIONS.orders, "order_value": CORRECTIONS.order_value,
             "chance": CORRECTIONS.chance} | dict.fromkeys(lacking)  # fmt: skip
    state = customers(4_000)
    plain = plain_forecast(PURCHASES, ORDER_VALUE, state, DAYS)
    means = means_of(state, plain)
    columns = columns_of(
        state, ORDER_VALUE, plain, trees.predict(tree_features(state, plain)), means,
        np.ones(len(state)),
    )  # fmt: skip
    leveled = Corrections(**parts).leveled(columns, plain, means[0])
    model = StackedModel(DAYS, trees, leveled, (float(means[0]), float(means[1])))
    f = Forecaster.plain(PURCHASES, ORDER_VALUE, model).expect(state, DAYS)
    assert f.expected_orders.sum() == pytest.approx(plain.orders.sum(), rel=1e-9)
    assert f.p_order.sum() == pytest.approx(plain.chance.sum(), rel=1e-6)
    without = (f.expected_orders * plain.order_value).sum()
    assert f.expected_value.sum() == pytest.approx(without, rel=1e-9)
    order_value_moved = not np.allclose(f.expected_order_value, plain.order_value)
    assert order_value_moved == ("order_value" not in lacking)
    chance_moved = not np.allclose(f.p_order, plain.chance)
    assert chance_moved == ("chance" not in lacking)


def test_a_correction_with_prior_weights_is_none(trees):
    """Weight 1 of the forecast, 0 of the rest: what is left is the floor of a hundredth of the mean."""
    none = (0.0,) * BANDS
    as_is = Corrections(
        Correction((1.0, 0.0, 0.0, 0.0), none), Correction((0.0, 0.0), none),
        Correction((1.0, 0.0), none),
    )  # fmt: skip
    state = customers(500)
    plain = plain_forecast(PURCHASES, ORDER_VALUE, state, DAYS)
    means = means_of(state, plain)
    model = StackedModel(DAYS, trees, as_is, (float(means[0]), float(means[1])))
    factors = model.multipliers(PURCHASES, ORDER_VALUE, state, np.ones(500))
    assert factors.orders * plain.orders == pytest.approx(plain.orders + 0.01 * means[0])
    assert factors.order_value == pytest.approx(np.ones(500))
    likely = plain.chance > 1e-5  # below, log odds are cut off
    assert factors.hazard[likely] == pytest.approx(np.ones(likely.sum()), rel=1e-6)


# Fitted to a store's orders


AS_OF = date(2024, 6, 30)


def shop(folder, orders):
    """Fit the recipe to some orders of a small shop as of the day; return it and the states then."""
    orders.to_csv(folder / "orders.csv", index=False)
    with open_engine("Europe/Berlin") as engine:
        source = OrderSource(str(folder / "orders.csv"), currency="EUR")
        read = read_orders(engine, source, date(2024, 12, 31), folder / "read")
        table = engine.parquet(read.orders)
        fits = fit_recipe(engine, table, None, AS_OF, 90, DAYS)
        states = with_recent(customer_state(table, AS_OF), table, AS_OF)
        return fits, engine.frame(states.order_by("customer_id"))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    return shop(tmp_path_factory.mktemp("all"), make_orders(700))


def test_every_candidate_is_fitted_and_the_choice_is_one_of_them(fitted):
    stacking = fitted[0].stacking
    assert set(stacking.candidates) == {STACKED, *(f"rule_{rule}" for rule in RULES)}
    compared = {name.removeprefix("gini.") for name in stacking.metrics if name[:5] == "gini."}
    assert compared >= {*stacking.candidates, PLAIN}
    assert stacking.choice in compared
    assert stacking.later.as_of + timedelta(days=stacking.days) == AS_OF


def test_every_candidate_has_the_plain_total_of_orders(fitted):
    fits, state = fitted
    order_value, purchases = fits.order_value.model, fits.purchases[0].model
    plain = plain_forecast(purchases, order_value, state, DAYS)
    stacked = Forecaster.plain(purchases, order_value, fits.stacking.candidates[STACKED])
    f = stacked.expect(state, DAYS)
    assert f.expected_orders.sum() == pytest.approx(plain.orders.sum(), rel=1e-6)
    priced = (f.expected_orders * plain.order_value).sum()
    assert f.expected_value.sum() == pytest.approx(priced, rel=1e-6)
    for rule in RULES:
        factors = fits.stacking.candidates[f"rule_{rule}"].multipliers(
            purchases, order_value, state
        )
        assert (factors.orders * plain.orders).sum() == pytest.approx(plain.orders.sum())


def test_later_orders_change_no_part_of_the_model(fitted, tmp_path):
    """The same files to the last byte, and every candidate's too, without the orders after the day."""
    orders = make_orders(700)
    is_later = orders["ordered_at"] > AS_OF.isoformat()
    assert is_later.sum() > 100
    again, _ = shop(tmp_path, orders[~is_later])
    texts, candidates = [], []
    for number, fits in enumerate((fitted[0], again)):
        folder = tmp_path / str(number)
        save_forecaster(fits.forecaster, folder)
        texts.append((folder / PARAMETERS).read_text())
        candidates.append(
            {name: save_correction(one, folder) for name, one in fits.stacking.candidates.items()}
        )
    assert texts[0] == texts[1]
    assert candidates[0] == candidates[1]
    assert fitted[0].stacking.metrics == again.stacking.metrics


# Choice of a candidate


def outcomes(n=4_000, seed=2):
    rng = np.random.default_rng(seed)
    truth = rng.gamma(0.6, 40.0, n)
    return rng, truth, rng.gamma(0.7, truth / 0.7)


def test_the_stacked_model_is_the_choice_among_equals():
    _, truth, outcome = outcomes()
    values = dict.fromkeys((PLAIN, STACKED, "bg_nbd", "rule_recency"), truth)
    choice, metrics = _choose(values, outcome)
    assert choice == STACKED
    assert set(metrics) == {f"gini.{name}" for name in values}
    assert len(set(metrics.values())) == 1


def test_without_a_stacked_model_the_plain_one_is_the_choice_among_equals():
    _, truth, outcome = outcomes()
    assert _choose(dict.fromkeys((PLAIN, "bg_nbd", "rule_recency"), truth), outcome)[0] == PLAIN


@pytest.mark.parametrize("name", [PLAIN, "bg_nbd", "rule_recency"])
def test_a_clearly_better_candidate_is_the_choice(name):
    rng, truth, outcome = outcomes()
    poor = truth * rng.gamma(0.5, 2.0, len(truth))
    values = dict.fromkeys((STACKED, PLAIN, "nbd", "rule_total_past"), poor) | {name: truth}
    choice, metrics = _choose(values, outcome)
    assert choice == name
    assert metrics[f"gini.{name}"] > metrics[f"gini.{STACKED}"] + 0.05


@pytest.mark.parametrize(("name", "least"), [(PLAIN, LEAST_LEAD), ("rule_recency", RULE_LEAD)])
def test_a_lead_too_small_to_matter_is_no_reason_to_change(name, least):
    """However sure the lead is: with many customers errors are small."""
    rng, truth, outcome = outcomes(60_000)
    almost = truth * np.exp(rng.normal(0, 0.03, len(truth)))
    choice, metrics = _choose({STACKED: almost, name: truth}, outcome)
    assert 0 < metrics[f"gini.{name}"] - metrics[f"gini.{STACKED}"] < least
    assert choice == STACKED


def test_predictions_of_every_correction_add_up(stacked, classifiers):
    state = customers(800).assign(first_product_rate=np.linspace(0, 1, 800))
    for of_kind in (stacked, rule_model(), None):
        for pair in (classifiers, (None, None)):
            model = forecaster(of_kind, pair)
            f = model.predict(state, horizon_days=180, annual_discount_rate=0.1)
            parts = f["expected_orders"] * f["expected_order_value"] * f["discount_factor"]
            np.testing.assert_allclose(f["expected_value"], parts, rtol=1e-9)
            chance = 1 - f["churn_probability"]
            assert (f["expected_orders"] >= chance - 1e-9).all()
            assert (f["p_alive"] >= chance - 1e-9).all()
            likely = chance > 0.25
            assert (f["value_low"] <= f["expected_value"])[likely].all()
            assert (f["expected_value"] <= f["value_high"])[likely].all()
            assert (f["value_low"][~likely] == 0).all()


def test_without_recent_orders_a_correction_changes_nothing(stacked):
    """A row of the customer state alone, as an earlier version's serving client sends it."""
    state = customers(50)[
        ["frequency", "recency_days", "age_days", "monetary_value", "first_amount"]
    ]
    plain = Forecaster.plain(PURCHASES, ORDER_VALUE).expect(state, 180)
    for of_kind in (stacked, rule_model()):
        f = Forecaster.plain(PURCHASES, ORDER_VALUE, of_kind).expect(state, 180)
        assert f.expected_orders == pytest.approx(plain.expected_orders, rel=1e-12)
        assert f.expected_value == pytest.approx(plain.expected_value, rel=1e-12)


def test_the_level_multiplies_orders_hazard_and_order_value_of_everybody():
    state = customers(200)
    plain = Forecaster.plain(PURCHASES, ORDER_VALUE).expect(state, 90)
    f = Forecaster.plain(PURCHASES, ORDER_VALUE, level=(-0.2, 0.1)).expect(state, 90)
    orders = np.maximum(np.exp(-0.2) * plain.expected_orders, f.p_order)
    assert f.expected_orders == pytest.approx(orders)
    assert np.log1p(-f.p_order) == pytest.approx(np.exp(-0.2) * np.log1p(-plain.p_order))
    assert f.expected_order_value == pytest.approx(np.exp(0.1) * plain.expected_order_value)


@pytest.mark.parametrize("kind", ["none", "stacked", "rule"])
def test_a_classifier_reaches_orders_and_value_of_one_time_buyers(kind, stacked, classifiers):
    """Likely ones are worth more, others less, than those whom time alone tells of."""
    of_kind = {"none": None, "stacked": stacked, "rule": rule_model()}[kind]
    n = 200
    once = customers(n).assign(frequency=0.0, recency_days=0.0, monetary_value=0.0, age_days=60.0)
    once["revenue"] = once["first_amount"]
    low, high = (once.assign(first_product_rate=rate) for rate in (0.02, 0.98))
    model = Forecaster.plain(PURCHASES, ORDER_VALUE, of_kind)
    f, g = (
        Forecaster(
            purchases=PURCHASES, order_value=ORDER_VALUE, classifier=classifiers[0], second_purchase_days=60, trained_as_of=date.min, correction=of_kind,
            by_days=classifiers[1],
        ).expect(state, 365)
        for state in (low, high)
    )  # fmt: skip
    plain = model.expect(low, 365)
    lifts = [second_order_lift(*classifiers, state, PURCHASES, 60)[1] for state in (low, high)]
    assert (lifts[0] < 0.5).all()
    assert (lifts[1] > 1.5).all()
    assert (f.expected_orders < plain.expected_orders).all()
    assert (g.expected_orders > plain.expected_orders).all()
    assert (f.expected_value < g.expected_value).all()


def test_states_have_the_inputs_that_are_asked_for():
    assert set(customers(1).columns) - {"customer_id"} <= set(INPUTS)


def test_a_past_cutoffs_order_values_are_those_of_its_window(tmp_path):
    """Prices doubled at the end of the window's first half: no fault of a forecast made before."""
    make_orders(300).to_csv(tmp_path / "orders.csv", index=False)
    day = AS_OF - timedelta(days=DAYS)
    log_half = float(np.log(0.5))
    price = PriceLevel((log_half, 0.0), AS_OF, DAYS // 2)
    with open_engine("Europe/Berlin") as engine:
        source = OrderSource(str(tmp_path / "orders.csv"), currency="EUR")
        read = read_orders(engine, source, AS_OF, tmp_path / "read")
        orders = engine.parquet(read.orders)
        moved, steady = (
            look_back(engine, orders, day, PURCHASES, DAYS, Calendar(price=level))
            for level in (price, None)
        )
    ends = ((day + timedelta(days=1)).toordinal(), AS_OF.toordinal())
    assert moved.order_value.price_base == pytest.approx(float(price.mean_factor(*ends)))
    assert 1.2 < moved.order_value.price_base < 1.8
    # all orders before the day had half of today's prices: at the window's mean they are worth more
    ratio = moved.plain.order_value.sum() / steady.plain.order_value.sum()
    assert ratio == pytest.approx(2 / moved.order_value.price_base, rel=0.02)
