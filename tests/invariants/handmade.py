"""A published day without a fault, by hand: a dozen customers who buy at random, each at a known rate."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from connectors.klaviyo.properties import property_table
from perennial.pipeline.settings.store import Settings, build_settings
from reports.tables import (
    budget_table,
    newcomer_table,
    order_matrix,
    rfm_grid,
    segment_table,
    tier_table,
    totals,
)
from tests.invariants.page import Page
from tests.invariants.published import PublishedFigures
from tests.reports import sample
from tests.shops import SETTINGS

AS_OF = pd.Timestamp("2024-06-30")
HORIZON = 365
WINDOWS = (7, 28)
LEAST_HIGH = 0.9  # expected orders at which the highest tenth begins
GAPS = (6000, 2000, 1000, 400, 400, 200, 200, 100, 100, 60, 30, 15)  # mean days between orders
PURCHASES = (1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 9, 12)
TIERS = ("none", "light", "none", "none", "none", "none", "light", "light", "none", "none", "heavy", "none")  # fmt: skip
HELD_OUT = (False,) * 7 + (True,) + (False,) * 4


def sound_day() -> PublishedFigures:
    """Make the day; no rule is broken."""
    settings = build_settings(tomllib.loads(SETTINGS), Path())
    orders = _orders()
    scores = _scores(orders, settings)
    commitments = _commitments(scores)
    reported = scores[~scores["is_holdout"]]
    named = reported[reported["frequency"] == 0][["customer_id"]].head(1)
    kpis = _kpis(scores)
    record = sample.record(
        customers=len(scores),
        run_id="r1",
        model_version="3",
        accounting={"rows_in": len(orders), "orders": len(orders), "merged": {}, "rejected": {}},
        budget={**sample.record()["budget"], "committed": 6.6},
        totals=totals(scores).to_json(),
        segments=segment_table(scores).to_dict("records"),
        tiers=tier_table(commitments).to_dict("records"),
        budget_by_segment=budget_table(commitments).to_dict("records"),
        newcomers=newcomer_table(scores, named).to_dict("records"),
        rfm=rfm_grid(scores).to_dict("records"),
        order_chances=order_matrix(scores).to_dict("records"),
        segments_csv={"rows": len(reported), "held_out": 1, "no_key": 0},
    )
    properties = property_table(reported, settings.klaviyo.all_properties).astype(str)
    properties.insert(0, "External ID", reported["customer_id"])
    return PublishedFigures(
        scores=scores,
        expected=_expected(scores),
        commitments=commitments,
        orders=orders,
        segments_csv=properties,
        new_customers=named,
        triggers=named,
        record=record,
        kpis=kpis,
        page=Page.of(sample.render(record, kpis)),
        settings=settings,
    )


def _orders() -> pd.DataFrame:
    """Purchases 20 days apart, the last one 10 days ago."""
    return pd.DataFrame(
        [
            (f"c{customer:02}", AS_OF - pd.Timedelta(10 + 20 * back, "D"), 20.0 + customer)
            for customer, purchases in enumerate(PURCHASES)
            for back in range(purchases)
        ],
        columns=["customer_id", "order_date", "net_amount"],
    )


def _scores(orders: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Orders come at random at a known rate, and nobody leaves: every figure is a formula."""
    n = len(GAPS)
    rate, amount, purchases = 1 / np.array(GAPS), 20.0 + np.arange(n), np.array(PURCHASES)
    p_order, median = -np.expm1(-rate * HORIZON), np.log(2) / rate
    delta = np.log1p(settings.model.annual_discount_rate) / 365.25
    discount = -np.expm1(-delta * HORIZON) / (delta * HORIZON)
    value = rate * HORIZON * amount * discount
    p_soon = -np.expm1(-rate * 90)
    tier = np.array(TIERS, dtype=object)
    days = orders.groupby("customer_id")["order_date"].agg(["min", "max"])
    ahead = pd.Series(AS_OF + pd.to_timedelta(np.ceil(median), unit="D"))
    return pd.DataFrame(
        {
            "customer_id": days.index,
            "as_of": AS_OF.date(),
            "frequency": purchases - 1,
            "recency_days": 20 * (purchases - 1),
            "age_days": 20 * (purchases - 1) + 10,
            "monetary_value": np.where(purchases > 1, amount, 0.0),
            "first_order_date": days["min"].dt.date.to_numpy(),
            "last_order_date": days["max"].dt.date.to_numpy(),
            "orders": purchases,
            "revenue": purchases * amount,
            "p_alive": 1.0,
            "p_order_90d": p_soon,
            "churn_probability": 1 - p_order,
            "expected_orders": rate * HORIZON,
            "expected_order_value": amount,
            "discount_factor": discount,
            "expected_value": value,
            "expected_margin": settings.store.margin * value,
            "value_low": np.where(p_order > 0.25, 0.3 * value, 0.0),
            "value_high": 3 * value,
            "p_second_order": np.where(purchases == 1, p_soon, np.nan),
            "next_order_date": ahead.where(median <= 3650).dt.date,
            "rfm_score": "345",
            "segment": np.where(purchases == 1, "one_and_done", np.where(purchases < 4, "at_risk", "loyal")),
            "journey_stage": "reorder",
            "investment_tier": tier,
            "expected_return": np.where(tier == "none", np.nan, 1.5),
            "is_holdout": HELD_OUT,
            "loyalty_tier": "bronze",
            "model_version": "3",
            "run_id": "r1",
        }
    )  # fmt: skip


def _commitments(scores: pd.DataFrame) -> pd.DataFrame:
    new = scores[scores["investment_tier"] != "none"]
    cost = np.where(new["investment_tier"] == "heavy", 6.0, 0.3)
    return new[["customer_id", "segment", "investment_tier", "is_holdout"]].assign(
        expected_cost=cost,
        expected_gain=1.5 * cost,
        gain_low=cost,
        gain_high=2.5 * cost,
        is_measured=False,
    )


def _expected(scores: pd.DataFrame) -> pd.DataFrame:
    tenure = pd.cut(scores["age_days"], [-1, 30, 90, 365], labels=["0-30", "31-90", "91-365"])
    is_high = scores["expected_orders"] >= LEAST_HIGH
    rows = []
    for window in WINDOWS:
        for (band, high), s in scores.groupby([tenure, is_high], observed=True):
            orders = s["expected_orders"] * window / HORIZON
            rows.append(
                {
                    "window_days": window,
                    "tenure": band,
                    "decile": 10 if high else 1,
                    "orders_from": LEAST_HIGH if high else 0.0,
                    "customers": len(s),
                    "expected_orders": orders.sum(),
                    "variance_orders": orders.sum(),
                    "expected_value": (orders * s["expected_order_value"]).sum(),
                }
            )
    return pd.DataFrame(rows)


def _kpis(scores: pd.DataFrame) -> dict:
    usual = sample.kpis()
    per_day = scores["expected_orders"] / HORIZON
    revenue = (per_day * scores["expected_order_value"]).sum()
    existing = [
        {
            "days": days,
            "orders": days * per_day.sum(),
            "revenue": days * revenue,
            "low": 0.8 * days * revenue,
            "high": 1.25 * days * revenue,
        }
        for days in (30, 90, 365)
    ]
    months = [{**usual["cohorts"]["months"][0], "customers": len(scores)}]
    return {
        **usual,
        "forecast": {
            **usual["forecast"],
            "existing": existing,
            "season": None,
            "operational_days": {"30": 30.0, "90": 90.0, "365": 365.0},
        },
        "cohorts": {**usual["cohorts"], "months": months},
    }
