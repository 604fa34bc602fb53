"""The audit's own arithmetic, and that it catches planted faults."""

import numpy as np
import pandas as pd
import pytest

from tests.independent.audit import audit
from tests.independent.bounds import Bound, Results, bounds_of
from tests.independent.measures import BANDS, product_error, ranking_gini
from tests.independent.page import section_text, write_section
from tests.independent.stores import STORES


def result(**changes):
    """Return a perfect result of a store of 8,000."""
    totals = {"value_365": 100.0, "orders_365": 10.0, "orders_90": 3.0}
    band = {"true": 10.0, "product": 10.0, "plain": 10.0}
    perfect = {
        "spec": repr(STORES["by_order"]),
        "seconds": 1.0,
        "customers": 8_000,
        "true": totals,
        "product": totals,
        "plain": totals,
        "bands": dict.fromkeys(BANDS, band),
        "largest_order": 90.0,
        "largest_order_value": 80.0,
        "product_error": 0.0,
        "gini": dict.fromkeys(("product", "plain", "total_past", "last_period"), 0.8),
        "covered": 6_400.0,
        "newcomers": {"customers": 100, "above": 10},
        "signal": None,
        "notes": ["a note"],
    }
    return perfect | changes


def failed(**changes):
    bounds = bounds_of(Results({"by_order": [result(**changes)]}))
    return [bound.name for bound in bounds if not bound.is_met]


def test_perfect_forecasts_meet_every_bound():
    assert failed() == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"largest_order_value": 1e13}, "largest order value / largest order, by_order"),
        ({"product_error": 1e-6}, "value = orders x order value, relative error"),
        ({"covered": 6_000.0}, "coverage of the 80 % interval, stationary stores"),
        ({"newcomers": {"customers": 100, "above": 18}}, "likely newcomers above value_high"),
        (
            {"gini": {"product": 0.7, "plain": 0.75, "total_past": 0.5, "last_period": 0.6}},
            "Gini, lead over plain, by_order",
        ),
    ],
)
def test_a_planted_fault_is_caught(changes, name):
    assert failed(**changes) == [name]


def test_a_bound_on_a_figure_that_is_not_a_number_is_not_met():
    assert not Bound("figure", np.nan, 0.0, 1.0).is_met


def test_gini_is_one_for_the_truth_zero_for_ties_and_minus_one_backwards():
    truth = pd.Series([0.0, 0.0, 1.0, 5.0])
    assert ranking_gini(truth, truth) == pytest.approx(1)
    assert ranking_gini(-truth, truth) == pytest.approx(-1)
    assert ranking_gini(0 * truth, truth) == pytest.approx(0)


def test_value_is_held_to_orders_times_order_value_times_the_discount_factor():
    table = pd.DataFrame(
        {"expected_orders": [2.0], "expected_order_value": [10.0], "expected_value": [18.0]}
    )
    assert product_error(table) == pytest.approx(2 / 18)
    assert product_error(table.assign(discount_factor=0.9)) == pytest.approx(0)


def test_a_section_is_written_and_the_others_are_kept(tmp_path):
    page = tmp_path / "page.md"
    results = Results({"by_order": [result()]})
    write_section(page, "after", section_text(results))
    write_section(page, "before", "### Totals\n\nnone\n")
    text = page.read_text()
    assert text.index("## Before\n\n### Totals") < text.index("## After\n\n### Totals")
    assert "| `by_order` | 1.00 | 1.00 |" in text
    write_section(page, "after", "other\n")
    assert page.read_text().endswith("## After\n\nother\n")


def test_a_small_store_is_audited_from_its_orders_to_its_bounds(tmp_path):
    results = audit([STORES["small_250"]], tmp_path, (), 1)
    bounds = bounds_of(results)
    assert all(np.isfinite(bound.figure) for bound in bounds)
    (run,) = results.by_store["small_250"]
    assert 0.5 < run["product"]["value_365"] / run["true"]["value_365"] < 1.5
    assert audit([STORES["small_250"]], tmp_path, (), 1) == results
