"""Forecasters with and without corrections, and states of customers to forecast."""

from datetime import date

import numpy as np
import pandas as pd

from features.tables import Recent
from models.corrections import Corrections, RuleModel
from models.forecaster import Forecaster
from models.operational_time import PaceIndex
from models.order_value import OrderValue
from models.purchases import BGNBD, MBGNBD
from models.rules import Steps
from models.spend import Spend
from models.stacking import BANDS, Correction

DAYS = 90
PURCHASES = MBGNBD(0.9, 45.0, 0.5, 1.5)
ORDER_VALUE = OrderValue(Spend(6.0, 4.0, 15.0), first_level=1.1, once_level=0.9, net_share=0.95)


PACE = PaceIndex(date(2024, 6, 30), tuple(np.linspace(0.5, 1.5, 52)), 0.1)


def customers(n, seed=0):
    """Return states of customers with recent orders and amounts, as the forecaster takes them."""
    rng = np.random.default_rng(seed)
    x = rng.poisson(1.5, n).astype(float)
    T = rng.integers(5, 900, n).astype(float)
    t_x = np.where(x > 0, np.floor(rng.random(n) * T), 0.0)
    x = np.where(t_x > 0, x, 0.0)
    mean, first = (rng.gamma(6.0, 5.0, n) for _ in range(2))
    state = {
        "customer_id": [f"c{seed}_{i:05}" for i in range(n)],
        "frequency": x,
        "recency_days": t_x,
        "age_days": T,
        "monetary_value": np.where(x > 0, mean, 0.0),
        "first_amount": first,
        "first_discount_share": 0.0,
        "revenue": x * mean + first,
    }
    recent = [name for name in Recent.columns() if name != "customer_id"]
    return pd.DataFrame(
        state
        | {name: rng.poisson(1.0, n).astype(float) for name in recent if "orders" in name}
        | {name: rng.gamma(1.0, 30.0, n) for name in recent if "amount" in name}
    )


def correction(weights, seed=1, intercept=0.3):
    bands = np.random.default_rng(seed).normal(0, 0.2, BANDS)
    return Correction(tuple(weights), tuple(bands.tolist()), intercept)


CORRECTIONS = Corrections(
    correction((0.9, 0.3, 0.1, 0.5)),
    correction((0.2, 0.1), seed=2),
    correction((0.8, 0.3), seed=3),
)


def rule_model(rule="recency"):
    return RuleModel(
        DAYS, rule, Steps((-400.0, -50.0, 0.0), (0.05, 0.3, 0.9)), Steps((-400.0, 0.0), (0.04, 0.6)),
        1.2,
    )  # fmt: skip


def forecaster(correction_, classifiers=(None, None), **more):
    return Forecaster(
        purchases=PURCHASES, order_value=ORDER_VALUE, classifier=classifiers[0], second_purchase_days=60, trained_as_of=date(2024, 6, 30), correction=correction_,
        level=(-0.1, 0.05), by_days=classifiers[1], pace=PACE,
        dropout_model=BGNBD(0.6, 40.0, 0.8, 2.5), dropout_weight=0.7, **more,
    )  # fmt: skip
