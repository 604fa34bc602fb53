"""UCI Online Retail 2010-2011 (Chen, Sain & Guo 2012), whose history shows nobody leaving."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.online_retail import COLUMNS, LAST_DAY, ZONE, data_file
from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from features.rfm import customer_state, purchases
from models.purchases import FAMILY, NBD, fit_family
from models.spend import fit_spend

pytestmark = pytest.mark.skipif(
    not data_file().exists(),
    reason=f"no {data_file()}: put https://archive.ics.uci.edu/dataset/352/online+retail there",
)

KNOWN, UNTIL = date(2011, 5, 31), date(2011, 11, 27)
DAYS = (UNTIL - KNOWN).days
AT_RANDOM = [model for model in FAMILY.values() if not model.is_regular]
DROPOUT = [model for model in AT_RANDOM if model.can_leave]


@pytest.fixture(scope="module")
def customers(tmp_path_factory):
    """Customers known before 2011-06-01, net of cancellations, and their 180 days after."""
    source = OrderSource(str(data_file()), COLUMNS, currency="GBP")
    with open_engine(ZONE) as engine:
        history = read_orders(engine, source, LAST_DAY, tmp_path_factory.mktemp("retail"))
        orders = engine.parquet(history.orders)
        state = engine.frame(customer_state(orders, KNOWN))
        bought = engine.frame(purchases(orders, UNTIL))
    later = bought[pd.to_datetime(bought["order_date"]) > pd.Timestamp(KNOWN)]
    counts = later.groupby("customer_id").size()
    return state.assign(later=counts.reindex(state["customer_id"]).fillna(0).to_numpy())


@pytest.fixture(scope="module")
def history(customers):
    return tuple(customers[name] for name in ("frequency", "recency_days", "age_days"))


@pytest.fixture(scope="module")
def family(history):
    return fit_family(*history)


@pytest.fixture(scope="module")
def of(family):
    return {type(fit.model): fit for fit in family}


def test_the_customers_are_those_of_the_reference(customers):
    assert len(customers) == 2_715
    assert (customers["frequency"] == 0).sum() == 1_392
    assert DAYS == 180


@pytest.mark.parametrize("model", AT_RANDOM)
def test_every_model_ends_at_nbds_parameters_and_likelihood(of, customers, model):
    fit = of[model]
    in_weeks = fit.log_likelihood + customers["frequency"].sum() * np.log(7)
    assert in_weeks == pytest.approx(-12063.48, abs=0.005)
    assert fit.model.r == pytest.approx(0.7317, abs=5e-5)
    assert fit.model.alpha / 7 == pytest.approx(8.849, abs=5e-4)


@pytest.mark.parametrize("model", DROPOUT)
def test_a_model_of_leaving_says_that_nobody_is_seen_to_leave(of, history, model):
    assert any("no dropout identified" in note for note in of[model].notes)
    assert of[model].model.p_alive(*history) == pytest.approx(1, abs=0.005)


def test_what_the_history_does_not_tell_has_no_standard_error(of):
    for model in DROPOUT:
        errors = of[model].standard_errors
        assert np.isnan([errors["a"], errors["b"]] if "a" in errors else [errors["s"]]).all()
        assert [errors["r"], errors["alpha"]] == pytest.approx([0.03741, 3.5199], rel=1e-3)


def test_nbd_is_first_by_akaike(family):
    assert isinstance(family[0].model, NBD)
    assert len(family) == len(AT_RANDOM)


@pytest.mark.parametrize("model", AT_RANDOM)
def test_the_holdout_is_forecast_as_well_as_elsewhere(of, history, customers, model):
    fitted, later = of[model].model, customers["later"]
    chance, expected = fitted.p_order(DAYS, *history), fitted.expected_orders(DAYS, *history)
    assert roc_auc_score(later > 0, chance) == pytest.approx(0.7308, abs=1e-4)
    assert log_loss(later > 0, chance) == pytest.approx(0.5472, abs=5e-5)
    # Elsewhere 1.4379 and -8.9 %, ours are 1.4375 and -8.8 %; the difference was not chased.
    assert np.abs(expected - later).mean() == pytest.approx(1.4379, abs=5e-4)
    assert expected.sum() / later.sum() - 1 == pytest.approx(-0.089, abs=1.5e-3)


def test_spend_is_at_the_better_of_its_two_optima(customers):
    """From the start (1, 1, 1) the likelihood's climb ends at -9312."""
    repeat = customers[(customers["frequency"] > 0) & (customers["monetary_value"] > 0)]
    fit = fit_spend(repeat["frequency"], repeat["monetary_value"])
    assert fit.log_likelihood == pytest.approx(-9083.820, abs=0.01)
    actual = (fit.model.p, fit.model.q, fit.model.gamma)
    assert actual == pytest.approx((3.0237, 3.1748, 302.285), rel=1e-3)
