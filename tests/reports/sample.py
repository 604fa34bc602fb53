"""A published day by hand: what ``run.json`` and ``kpis.json`` say of a tiny store."""

import pandas as pd

from reports.page import render_page
from reports.records import KpiReport, RunRecord
from reports.tables import (
    budget_table,
    newcomer_table,
    order_matrix,
    rfm_grid,
    segment_table,
    tier_table,
    totals,
)
from reports.tiles import figures

SCORES = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c", "d"],
        "segment": ["loyal", "loyal", "new", "lapsed"],
        "revenue": [100.0, 50.0, 10.0, 30.0],
        "frequency": [3, 2, 0, 1],
        "recency_days": [200, 100, 0, 40],
        "age_days": [210, 130, 5, 900],
        "p_order_90d": [0.8, 0.6, 0.2, 0.0],
        "p_second_order": [None, None, 0.2, None],
        "expected_orders": [2.0, 1.0, 0.3, 0.0],
        "expected_value": [80.0, 40.0, 6.0, 1.0],
        "expected_margin": [40.0, 20.0, 3.0, 0.5],
        "rfm_score": ["455", "334", "511", "122"],
        "is_holdout": [False, True, False, False],
        "investment_tier": ["heavy", "heavy", "light", "none"],
        "expected_return": [2.5, 2.0, 1.5, float("nan")],
    }
)
COMMITTED = pd.DataFrame(
    {
        "segment": ["loyal", "loyal", "new"],
        "investment_tier": ["heavy", "heavy", "light"],
        "is_holdout": [False, True, False],
        "expected_cost": [6.0, 6.0, 0.3],
        "expected_gain": [15.0, 12.0, 0.45],
        "gain_low": [9.0, 7.0, 0.3],
        "gain_high": [30.0, 24.0, 1.2],
        "is_measured": [True, True, False],
    }
)
METRICS = {
    "orders_ratio": 1.0, "mae_orders": 0.5, "value_ratio": 1.1, "gini_value": 0.7,
    "capture_top20": 0.6, "auc_active": 0.8,
}  # fmt: skip
WEEKS = [{"start": f"2024-05-{day:02}", "value": 10.0 + day, "n": 40} for day in (6, 13, 20, 27)]
NAMES = pd.DataFrame({"customer_id": ["c"]})


def rate(count, n):
    if n < 30:
        return {"value": None, "low": None, "high": None, "n": n, "count": count, "why": "too few"}
    value = count / n
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value, "n": n, "count": count}


def missing(needs, measure):
    return {"missing": {"needs": needs, "measure": measure}}


def record(**changes):
    worse = {**METRICS, "gini_value": 0.6, "auc_active": None, "mae_orders": 0.4}
    models = {"champion": METRICS, "last_period": worse, "rfm": worse}
    made = {
        "store": "Tiny Teas", "currency": "EUR", "locale": "en_US", "as_of": "2024-06-30",
        "run_id": "r1", "model_version": "3", "data_digest": "d1", "customers": 4,
        "zero_amount": "Zero is out.", "first_order_date": "2023-01-01",
        "last_order_date": "2024-06-29",
        "accounting": {"rows_in": 9, "orders": 7, "merged": {"exact_duplicates": 1},
                       "rejected": {"missing_customer": 1}},
        "horizon_days": 365,
        "budget": {"amount": 200.0, "period_days": 30, "committed": 6.3, "left": 200.0,
                   "next_return": 1.2, "curve": {"budget": [0.0, 6.0, 6.3], "gain": [0.0, 9.0, 9.1], "spent": 6.0}},
        "holdout_share": 0.1, "notes": [],
        "totals": totals(SCORES).to_json(), "segments": segment_table(SCORES).to_dict("records"),
        "tiers": tier_table(COMMITTED).to_dict("records"),
        "budget_by_segment": budget_table(COMMITTED).to_dict("records"),
        "newcomers": newcomer_table(SCORES, NAMES).to_dict("records"),
        "rfm": rfm_grid(SCORES).to_dict("records"),
        "order_chances": order_matrix(SCORES).to_dict("records"),
        "readouts": [], "frequency_fit": None, "history": [], "previous": {},
        "backtest": {"horizon_days": 90, "cutoffs": [
            {"as_of": "2024-03-31", "customers": 4, "models": models}]},
        "published_at": "2024-07-01T02:00:00+00:00", "perennial_version": "0.1.0",
    }  # fmt: skip
    whole = {**made, **changes}
    day, measures = RunRecord.model_validate(whole), KpiReport.model_validate(kpis())
    headline = figures(day.totals, day.tiers, measures)
    return {**whole, "figures": {name: figure.to_json() for name, figure in headline.items()}}


def render(record, kpis):
    """Render the page of what both files say."""
    return render_page(RunRecord.model_validate(record), KpiReport.model_validate(kpis))


def kpis(**changes):
    ages = [
        {
            "age": k,
            "active": rate(60 - 10 * k, 60),
            "revenue": 20.0 + 5 * k,
            "margin": 10.0 + 2 * k,
            "is_partial": False,
        }
        for k in range(4)
    ]
    made = {
        "as_of": "2024-06-30", "least_customers": 30, "natural_cycle_days": 40.0,
        "repeat": {"rate_12m": rate(30, 100), "estimate_12m": rate(33, 110), "benchmark": 0.28,
                   "returned": {"30": rate(10, 100), "60": rate(15, 100), "90": rate(3, 20)}},
        "second_order": {"median_days": 95.0, "low": 80.0, "high": 120.0, "is_late": True,
                         "curve": [{"day": d, "share": d / 200, "low": d / 220, "high": d / 190,
                                    "at_risk": 100 - d} for d in range(0, 101, 10)]},
        "steps": [{"from": k, "to": k + 1, "rate": rate(30 + k, 100)} for k in (1, 2, 3)],
        "cohorts": {
            "months": [{"month": "2024-04", "customers": 60, "first_order_amount": 20.0,
                        "spend": 600.0, "cac": 10.0, "payback_month": 1, "ages": ages,
                        "is_partial": False}],
            "average": [{"age": k, "active": 1.0 - k / 6, "revenue": 20.0 + 5 * k,
                         "margin": 10.0 + 2 * k, "n": 60} for k in range(4)]},
        "cohort_alarm": {"age_days": 60, "recent": rate(15, 100), "before": rate(30, 100),
                         "difference": -0.15, "low": -0.25, "high": -0.05, "is_alarm": True,
                         "value": {"recent": 30.0, "before": 28.0, "n": 100, "n_before": 100, "difference": 2.0,
                                   "low": -3.0, "high": 7.0, "is_alarm": False}},
        "products": missing("order_lines", "Products"),
        "bundles": missing("order_lines", "Bundles"),
        "discounts": {"share_of_repeat_revenue": 0.25, "n": 80,
                      "by_segment": [{"segment": "loyal", "share": 0.2, "n": 60}]},
        "advocacy": {"referral_rate_12m": missing("referrals", "Referral rate"),
                     "review_rate": rate(12, 100)},
        "loyalty": missing("loyalty_events", "Loyalty program"),
        "forecast": {
            "existing": [{"days": d, "orders": d / 10, "revenue": 3.0 * d, "low": 2.0 * d,
                          "high": 4.0 * d} for d in (30, 90, 365)],
            "new": [{"days": d, "customers": d / 5, "orders": d / 4, "revenue": 2.0 * d}
                    for d in (30, 90, 365)],
            "season": [1.0 + 0.3 * (w >= 44) - 0.05 * (w < 44) for w in range(52)],
            "operational_days": {"30": 30.0, "90": 90.0, "365": 365.0},
            "five_points": {"customers": 12.0, "revenue": 500.0, "orders": 20.0, "n": 60}},
        "dashboard": [
            {"quadrant": "acquisition", "measure": "New customers", "unit": "count",
             "weeks": WEEKS, "months": WEEKS, "is_anomaly_week": True, "is_anomaly_month": False},
            {"quadrant": "program", "measure": "NPS", **missing("nps", "NPS")}],
    }  # fmt: skip
    return {**made, **changes}


def rich_kpis():
    """Return the measures of a store that gives every table."""
    products = {
        "cycles": [{"product_id": "t", "product_name": "Tea", "category": "leaf", "customers": 90,
                    "median_days": 31.0, "low": 28.0, "high": 35.0, "due": 12},
                   {"product_id": "m", "product_name": "Mug", "category": "ware", "customers": 40,
                    "median_days": None, "low": None, "high": None, "due": None}],
        "categories": [{"category": "leaf", "customers": 95, "median_days": 29.0, "low": 27.0,
                        "high": None}],
        "first_products": [{"product_id": "t", "product_name": "Tea <b>fine</b>", "customers": 80,
                            "repeat": rate(20, 70), "value_90d": 30.0, "next_product": "Mug",
                            "next_share": 0.4}],
        "breadth": [{"categories": "1", "customers": 60, "revenue_per_customer": 20.0,
                     "multiplier": 1.0},
                    {"categories": "3 or more", "customers": 3, "revenue_per_customer": None,
                     "multiplier": None}],
        "refill_due": {"customers": 12, "products": 2},
    }  # fmt: skip
    bundles = {
        "attach": rate(40, 300),
        "list": [{"bundle_id": "kit", "parts": ["Tea", "Mug"], "customers": 50,
                  "reorder_90d": rate(20, 40), "value_multiplier": 1.8, "box": "scale",
                  "action": "feature it", "due": 7, "from_day": 31, "to_day": 62}],
        "gateway": {"bundle_id": "kit", "rate": rate(9, 80)},
        "single_buyers": {"customers": 70, "value_180d": 25.0},
        "refill_due": {"customers": 7},
    }  # fmt: skip
    advocacy = {
        "referral_rate_12m": rate(12, 300), "share_of_new_referred": rate(30, 200),
        "referred": {"customers": 40, "seen": 35, "value_90d": 60.0, "cac": None,
                     "value_per_cost": None, "cost_needs": "referrals.reward_amount"},
        "paid": {"customers": 100, "seen": 90, "value_90d": 40.0, "cac": 12.5,
                 "value_per_cost": 3.2, "cost_needs": None}, "ratio": 1.5,
        "promoters_refer": {"nines_and_tens": rate(20, 90), "sevens_and_eights": rate(2, 50)},
        "nps": [{"month": f"2024-0{k}", "score": 35.0 + k, "low": 24.0, "high": 56.0, "n": 100}
                for k in range(1, 6)],
        "review_rate": rate(12, 100),
    }  # fmt: skip
    loyalty = {"enrolled": rate(100, 300), "active_quarter": rate(14, 100), "is_low": True,
               "ascension": rate(5, 100)}  # fmt: skip
    return kpis(products=products, bundles=bundles, advocacy=advocacy, loyalty=loyalty)


def monitoring():
    """Return what monitoring found of three weeks, the last of them off."""

    def group(name, actual, expected):
        ends = {"low": 0.9, "high": 1.1}
        return {"group": name, "customers": 40, "expected": expected, "variance": expected,
                "actual": actual, "ratio": actual / expected if expected else None,
                **(ends if expected else dict.fromkeys(ends))}  # fmt: skip

    def window(actual, rank=None, *, is_peak=False):
        return {**group("all", actual, 100.0), "is_peak": is_peak, "is_partial": False, "value_ratio": 0.95,
                "until": "2024-06-30", "active": 30, "actual_value": 1900.0, "expected_value": 2000.0,
                "new_orders": 5, "unmatched_orders": 0,
                "slope": {"estimate": 0.93, "low": 0.8, "high": 1.06}, "rank": rank,
                "by_tenure": [group("0-30", 40, 50.0), group("31-90", actual - 40, 50.0)],
                "by_decile": [group(1, 0, 0.0), group(10, actual, 100.0)]}  # fmt: skip

    names = ("model", "total_past", "rfm", "hiatus")
    rank = {name: {"gini": 0.6 - k / 10, "top_fifth": 0.5} for k, name in enumerate(names)}
    days = [("2024-06-02", 104, rank), ("2024-06-09", 180, None), ("2024-06-16", 80, None)]
    weeks = [{"as_of": day, "model_version": "3", "7": window(actual, is_peak=actual == 180),
              "28": window(actual, result) if result else None} for day, actual, result in days]  # fmt: skip
    figure = {"n_then": 2000, "n_now": 3000, "is_mechanical": False}
    return {
        "schema": 1, "as_of": "2024-06-25", "tolerance": 0.1, "freeze": 0.25, "weeks": weeks,
        "first_matures": None, "standings": [0, 0, -1],
        "frozen": {"is_frozen": False, "because": None},
        "due": {"is_due": False, "because": None},
        "model": {"version": "3", "age_days": 40, "trained_as_of": "2024-05-16",
                  "newest_trained_as_of": "2024-05-16"},
        "freshness": {"last_order_date": "2024-06-25", "orders_late_days": 0,
                      "published_as_of": "2024-06-25", "published_late_days": 0},
        "drift": {"outside_share": 0.012, "figures": [
            {**figure, "name": "frequency", "meaning": "repeat orders so far", "psi": 0.31},
            {**figure, "name": "age_days", "meaning": "days since the first order", "psi": 0.54,
             "is_mechanical": True},
            {**figure, "name": "p_alive", "meaning": "chance of not having left", "psi": None}]},
        "alerts": [{"name": "orders", "level": "act", "problem": "orders were off",
                    "threshold": "10%", "fix": "Run `perennial train`"}],
    }  # fmt: skip


def readout():
    """Return what an experiment showed of one tier."""
    lift = {"estimate": 2.0, "low": 0.5, "high": 3.5, "p_value": 0.01, "n_treated": 90, "n_control": 10,
            "variance_left": 0.8, "standard_error": 0.75}  # fmt: skip
    return {"program": "control", "as_of": "2024-06-01", "is_early": False, "planned": "2024-06-01",
            "days": 90, "customers": 100, "held_out": 10, "currency": "EUR", "segments": [],
            "sentence": "Each EUR 1.00 brought back EUR 3.00.",
            "groups": [{"group": "heavy", "treated": 90, "control": 10, "margin": lift,
                        "orders": lift}]}  # fmt: skip


def rich_record():
    """Return the record of a day with curves, a read-out and an earlier page."""
    worse = {**METRICS, "gini_value": 0.6, "auc_active": None}
    pairs = [{"expected": 50.0 / k, "actual": 48.0 / k} for k in range(1, 6)]
    cutoff = {
        "as_of": "2024-03-31", "customers": 4,
        "models": {"champion": METRICS, "last_period": worse, "rfm": worse},
        "deciles": [{"decile": 10 - k, **pair} for k, pair in enumerate(pairs)],
        "curves": {"weekly": [{"week": k, **pair} for k, pair in enumerate(pairs, start=1)]},
    }  # fmt: skip
    return record(
        backtest={"horizon_days": 90, "cutoffs": [cutoff]},
        frequency_fit=[{"repeat_orders": str(k), **pair} for k, pair in enumerate(pairs)],
        readouts=[readout()],
        monitoring=monitoring(),
        previous={
            "as_of": "2024-06-29",
            "figures": {"repeat_rate": {"value": 0.28, "unit": "share"}},
        },
        history=[{"as_of": "2024-06-29", "path": "../../as_of=2024-06-29/run=r0/report.html"}],
    )
