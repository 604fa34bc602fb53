"""Queries are what the vendor's schema and its bulk rules allow."""

from datetime import UTC, datetime

import graphql
import pytest

from connectors.live.records import Window
from connectors.live.shopify import queries
from connectors.live.shopify.queries import (
    Reach,
    bulk_query,
    lines_query,
    page_query,
    search_of,
    whole_query,
)
from tests.live.shopify_bulk import refusal
from tests.live.shopify_double import MOST_COST, requested_cost
from tests.live.shopify_schema import MISSING, SCHEMA, admin_schema

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
REACHES = [Reach(), Reach(products=False), Reach(phones=False)]
COSTS = """
type InventoryItem { id: ID! unitCost: MoneyV2 }
extend type ProductVariant { inventoryItem: InventoryItem! }
"""  # of the vendor's whole schema: the reduced one has no inventory


def texts(reach):
    constants = [text for name, text in vars(queries).items() if _is_query(name, text)]
    made = [build(reach) for build in (whole_query, lines_query)]
    made += [page_query(field, reach) for field in ("created_at", "updated_at")]
    return [*constants, *made, bulk_query("created_at", WINDOW, reach)]


def _is_query(name, text):
    return name.isupper() and isinstance(text, str) and text.startswith(("query", "mutation"))


@pytest.mark.parametrize("reach", REACHES)
def test_every_query_is_valid_by_the_schema(reach):
    assert len(texts(reach)) > 12
    for text in texts(reach):
        assert graphql.validate(admin_schema(), graphql.parse(text)) == [], text


def test_a_query_for_costs_is_valid_where_the_schema_has_them():
    schema = graphql.extend_schema(admin_schema(), graphql.parse(COSTS))
    for text in texts(Reach(costs=True)):
        assert graphql.validate(schema, graphql.parse(text)) == []
    assert "unitCost" in bulk_query("created_at", WINDOW, Reach(costs=True))
    assert "unitCost" not in bulk_query("created_at", WINDOW, Reach(costs=True, products=False))


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
@pytest.mark.parametrize("reach", REACHES)
def test_the_bulk_query_keeps_the_rules_of_bulk_operations(field, reach):
    assert refusal(bulk_query(field, WINDOW, reach)) is None


def test_no_query_costs_too_much_at_its_usual_size():
    for text in texts(Reach()):
        sizes = {"first": 25, "ids": [""] * (25 if text is queries.REFUNDS else 5)}
        assert requested_cost(graphql.parse(text), sizes, None) < MOST_COST / 2


def test_a_search_is_half_open():
    assert search_of("created_at", WINDOW) == (
        "created_at:>='2026-01-01T00:00:00Z' created_at:<'2026-02-01T00:00:00Z'"
    )
