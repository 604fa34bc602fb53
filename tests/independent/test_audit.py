"""The audit's page, and a run from a store's orders to its bounds."""

import json

import numpy as np

from tests.independent.audit import audit
from tests.independent.bounds import Results, bounds_of
from tests.independent.page import section_text, write_section
from tests.independent.stores import STORES


def test_a_section_is_written_and_the_others_are_kept(tmp_path, make_result):
    page = tmp_path / "page.md"
    results = Results({"by_order": [make_result()]})
    write_section(page, "after", section_text(results))
    write_section(page, "before", "### Totals\n\nnone\n")
    text = page.read_text()
    assert text.index("## Before\n\n### Totals") < text.index("## After\n\n### Totals")
    assert "| `by_order` | 1.00 | 1.00 |" in text
    write_section(page, "after", "other\n")
    assert page.read_text().endswith("## After\n\nother\n")


def test_a_section_shows_seasonal_and_changing_stores_and_what_was_chosen(make_result):
    seasonal = [make_result(has_season=True), make_result(k=2)]
    by_store = {"by_order": [make_result()], "q4_peak_mar": seasonal, "rising": [make_result()]}
    text = section_text(Results(by_store))
    assert "| `q4_peak_mar` | 2025-03-31 | 1.00 | 1.00 | 1.00 | 0.520 | 1.000 | 1 of 2 |" in text
    assert "| `rising` | 1.00 | 1.00 | 1.00 | 0.520 | 1.000 | 0 of 1 |" in text
    assert "| `q4_peak_mar` | 1, 2 | 1 of 2 | 2,000 | 0.520 | 0.500 |" in text
    assert "Fits of stationary stores with a season index: 0 of 1." in text


def test_a_section_of_a_stationary_store_has_no_table_of_seasonal_or_changing_stores(make_result):
    text = section_text(Results({"by_order": [make_result()]}))
    assert "### Seasonal stores" not in text
    assert "### Changing stores" not in text


def test_a_small_store_is_audited_from_its_orders_to_its_bounds(tmp_path):
    results = audit([STORES["small_250"]], tmp_path, (), 1)
    bounds = bounds_of(results)
    assert all(np.isfinite(bound.figure) for bound in bounds)
    (run,) = results.by_store["small_250"]
    assert 0.5 < run["product"]["value_365"] / run["true"]["value_365"] < 1.5
    assert 0 < run["next_order"]["ordered"] <= run["next_order"]["customers"] <= 250
    assert 0 < run["second_order_top"]["true"] < 1
    assert run["k"] >= 1
    assert run["has_season"] in (True, False)
    assert json.loads(json.dumps(run)) == run
    assert audit([STORES["small_250"]], tmp_path, (), 1) == results
