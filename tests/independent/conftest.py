"""Results of the audit, made by hand."""

import pytest

from tests.independent.measures import BANDS
from tests.independent.stores import STORES


@pytest.fixture
def make_result():
    """Return a function that makes a perfect result of a store of 8,000, with changes."""

    def make(**changes):
        totals = {"value_365": 100.0, "orders_365": 10.0, "orders_90": 3.0}
        band = {"true": 10.0, "product": 10.0, "plain": 10.0}
        perfect = {
            "spec": repr(STORES["by_order"]),
            "seed": 1,
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
            "next_order": {"customers": 1_000, "ordered": 520, "ordered_unrounded": 500},
            "second_order_top": {"customers": 500, "product": 0.3, "true": 0.3},
            "k": 1,
            "has_season": False,
            "newcomers": {"customers": 100, "above": 10},
            "signal": None,
            "notes": ["a note"],
        }
        return perfect | changes

    return make
