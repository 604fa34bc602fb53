"""What is no purchase has its own moment, and often its own person; refunds have their days."""

import numpy as np
import pandas as pd
import pytest

from perennial.simulation.draws import Draws
from perennial.simulation.forms.ledger import Ledger, save_ledger, span
from perennial.simulation.forms.planted import NO_PURCHASE, STRANGERS, _moved

ZONE = "America/Los_Angeles"


@pytest.fixture(scope="module")
def ledger(apparel) -> Ledger:
    return save_ledger(apparel, tuple(NO_PURCHASE))


@pytest.fixture(scope="module")
def others(ledger) -> pd.DataFrame:
    return ledger.orders[ledger.orders["kind"] != "purchase"]


def test_what_is_no_purchase_lies_in_the_stores_days(others):
    assert len(others) > 100
    assert others["ordered_at"].min() >= pd.Timestamp("2024-01-01", tz=ZONE)
    assert others["ordered_at"].max() < pd.Timestamp("2025-07-01", tz=ZONE)
    assert (others["ordered_at"].dt.microsecond == 0).all()


def test_who_keeps_what_is_no_purchase_gets_purchase_days_wrong(ledger, others):
    purchases = ledger.orders[ledger.orders["kind"] == "purchase"]
    own = others[others["customer_id"].isin(set(purchases["customer_id"]))]
    first = own["customer_id"].map(purchases.groupby("customer_id")["ordered_at"].min())
    assert 0.15 < (own["ordered_at"] < first).mean() < 0.6
    day = [
        set(
            zip(
                orders["customer_id"],
                orders["ordered_at"].dt.tz_convert(ZONE).dt.date,
                strict=True,
            )
        )
        for orders in (own, purchases)
    ]
    assert len(day[0] & day[1]) < 0.25 * len(day[0])


def test_a_copy_is_hours_to_weeks_away_from_the_purchase_or_anywhere_inside_the_span():
    at = pd.Series(pd.date_range("2024-01-01", periods=2_000, freq="3h", tz="UTC").as_unit("us"))
    key = np.arange(2_000, dtype=np.uint64)
    away = _moved(
        at, key, (at.min() - pd.Timedelta(days=90), at.max() + pd.Timedelta(days=90)), Draws(1)
    )
    days = (away - at) / pd.Timedelta(days=1)
    assert days.abs().between(6 / 24 - 1e-4, 42).all()
    assert (days > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert days.abs().quantile([0.1, 0.9]).between(0.3, 30).all()
    start, end = at.min(), at.min() + pd.Timedelta(hours=1)
    inside = _moved(at[:1].repeat(2_000).reset_index(drop=True), key, (start, end), Draws(1))
    assert inside.between(start, end, inclusive="left").all()
    assert inside.nunique() > 1_000


def test_some_of_it_is_of_people_who_never_bought(ledger, others, apparel):
    customers = apparel.customers.to_pandas()
    strange = others[~others["customer_id"].isin(customers["customer_id"])]
    spread = np.sqrt(STRANGERS * (1 - STRANGERS) / len(others))
    assert len(strange) / len(others) == pytest.approx(STRANGERS, abs=4 * spread)
    assert strange["customer_id"].is_unique
    assert strange["customer_id"].str.fullmatch("c[0-9a-f]{16}").all()
    asked = strange[strange["kind"] != "no_customer"]
    for name in ("email", "phone", "external_id"):
        assert not set(asked[name].dropna()) & set(customers[name].dropna()), name
    assert asked["email"].str.fullmatch(r"[a-z]+\.[a-z]+\.[0-9a-f]{12}@example\.com").all()
    assert 0.3 < asked["phone"].notna().mean() < 0.8
    assert asked["external_id"].notna().all()


def test_who_never_bought_is_never_expected(forms, apparel):
    customers = set(apparel.orders["customer_id"].to_pylist())
    for form in forms.values():
        assert set(form.expected["customer_id"]) == customers
        assert set(form.expected["known_as"].str.rstrip("?")) == customers


def test_what_is_no_purchase_is_known_as_such_before_the_end(others, apparel):
    _, end = span(apparel)
    canceled, refunded = (others[others["kind"] == kind] for kind in ("canceled", "refunded"))
    assert (canceled["canceled_at"] >= canceled["ordered_at"]).all()
    assert (canceled["refunded_at"] == canceled["canceled_at"]).all()
    assert (refunded["refunded_at"] >= refunded["ordered_at"]).all()
    assert max(canceled["canceled_at"].max(), refunded["refunded_at"].max()) < end
    assert others.loc[others["kind"] != "canceled", "canceled_at"].isna().all()


def test_without_dates_all_refunds_are_known(apparel, ledger):
    dated = save_ledger(apparel, tuple(NO_PURCHASE), has_dates=True)
    late = ledger.orders["is_late"]
    assert late.any()
    assert (ledger.orders.loc[late, "refund"] > 0).all()
    assert (dated.orders.loc[late, "refund"] == 0).all()
    assert dated.orders["refund"][~late].equals(ledger.orders["refund"][~late])
    numbers = set(dated.orders.loc[late, "number"])
    assert dated.lines.loc[dated.lines["number"].isin(numbers), "refund"].sum() == 0
