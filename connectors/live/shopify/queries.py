"""What is asked of Shopify's Admin GraphQL API, as text.

Bulk operations and pages ask for the same fields, so that an order's payload is the same by either way. Bulk
queries have no variables, no fragments, and no connection inside of a list: refund lines are read by a second
pass. Amounts are in the shop's currency only.
"""

import json
from dataclasses import dataclass

from connectors.live.records import Window

API_VERSION = "2026-10"
CREATED, UPDATED = "created_at", "updated_at"
SORT_KEYS = {CREATED: "CREATED_AT", UPDATED: "UPDATED_AT"}
MONEY = "{ shopMoney { amount } }"
PAGE_INFO = "pageInfo { hasNextPage endCursor }"
REFUND_HEAD = f"id createdAt processedAt updatedAt totalRefundedSet {MONEY}"
REFUND_LINE = f"id quantity restockType subtotalSet {MONEY} totalTaxSet {MONEY} lineItem {{ id }}"
ADJUSTMENTS = f"nodes {{ id reason amountSet {MONEY} taxAmountSet {MONEY} }}"
SHIPPING = f"nodes {{ id subtotalAmountSet {MONEY} taxAmountSet {MONEY} }}"
REFUND = f"""{REFUND_HEAD}
    refundLineItems(first: 20) {{ {PAGE_INFO} nodes {{ {REFUND_LINE} }} }}
    orderAdjustments(first: 5) {{ {ADJUSTMENTS} }}
    refundShippingLines(first: 5) {{ {SHIPPING} }}"""

SHOP = """query PerennialShop {
  shop { id name myshopifyDomain currencyCode ianaTimezone taxesIncluded plan { partnerDevelopment } }
  currentAppInstallation { accessScopes { handle } }
}"""
FIRST_ORDER = """query PerennialFirstOrder {
  orders(first: 1, sortKey: CREATED_AT) { nodes {
    id createdAt email phone
    customer { id defaultEmailAddress { emailAddress marketingState } defaultPhoneNumber { phoneNumber } }
  } }
}"""
COUNT = """query PerennialCount($query: String!) {
  ordersCount(query: $query, limit: null) { count precision }
}"""
IDS = f"""query PerennialIds($query: String!, $after: String) {{
  orders(first: 250, after: $after, query: $query, sortKey: CREATED_AT) {{ {PAGE_INFO} nodes {{ id }} }}
}}"""
REFUNDS = f"""query PerennialRefunds($ids: [ID!]!) {{
  nodes(ids: $ids) {{ ... on Order {{ id updatedAt refunds {{ {REFUND} }} }} }}
}}"""
REFUND_LINES = f"""query PerennialRefundLines($ids: [ID!]!, $after: String) {{
  nodes(ids: $ids) {{ ... on Refund {{
    id refundLineItems(first: 100, after: $after) {{ {PAGE_INFO} nodes {{ {REFUND_LINE} }} }}
  }} }}
}}"""
START_BULK = """mutation PerennialBulk($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status } userErrors { field message code }
  }
}"""
BULK_STATE = """query PerennialBulkState($id: ID!) {
  bulkOperation(id: $id) { id status errorCode objectCount rootObjectCount fileSize url }
}"""
BULKS = """query PerennialBulks($first: Int!) {
  bulkOperations(first: $first, query: "operation_type:query", sortKey: CREATED_AT, reverse: true) {
    nodes { id status createdAt query }
  }
}"""
CANCEL_BULK = """mutation PerennialBulkCancel($id: ID!) {
  bulkOperationCancel(id: $id) { bulkOperation { id status } userErrors { field message } }
}"""


@dataclass(frozen=True)
class Reach:
    """What a key can read of an order beside its own fields.

    Attributes
    ----------
    products
        Ids of products and variants (scope `read_products`); else lines have a SKU and a title.
    costs
        The merchant's cost of a unit now (scopes `read_products` and `read_inventory`).
    phones
        Phone numbers: protected customer data.
    """

    products: bool = True
    costs: bool = False
    phones: bool = True


def search_of(field: str, window: Window) -> str:
    """Return the search for the orders whose `field` is in a window of whole seconds."""
    start, end = (f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (window.start, window.end))
    return f"{field}:>='{start}' {field}:<'{end}'"


def bulk_query(field: str, window: Window, reach: Reach) -> str:
    """Return the bulk query for a window's orders with their lines."""
    arguments = f"query: {json.dumps(search_of(field, window))}, sortKey: {SORT_KEYS[field]}"
    return f"""{{
  orders({arguments}) {{ edges {{ node {{
    {order_fields(reach)}
    lineItems {{ edges {{ node {{ {line_fields(reach)} }} }} }}
  }} }} }}
}}"""


def page_query(field: str, reach: Reach) -> str:
    """Return the query for a page of orders, each with its first lines."""
    return f"""query PerennialOrders($query: String!, $first: Int!, $after: String) {{
  orders(first: $first, after: $after, query: $query, sortKey: {SORT_KEYS[field]}) {{
    {PAGE_INFO}
    nodes {{ {order_fields(reach)} {_first_lines(reach)} }}
  }}
}}"""


def whole_query(reach: Reach) -> str:
    """Return the query for some orders with their first lines and all refunds."""
    return f"""query PerennialWhole($ids: [ID!]!) {{
  nodes(ids: $ids) {{ ... on Order {{
    {order_fields(reach, REFUND)} {_first_lines(reach)}
  }} }}
}}"""


def lines_query(reach: Reach) -> str:
    """Return the query for more lines of an order."""
    return f"""query PerennialLines($ids: [ID!]!, $after: String) {{
  nodes(ids: $ids) {{ ... on Order {{
    id updatedAt lineItems(first: 100, after: $after) {{ {PAGE_INFO} nodes {{ {line_fields(reach)} }} }}
  }} }}
}}"""


def order_fields(reach: Reach, refund: str = REFUND_HEAD) -> str:
    """Return an order's fields without its lines."""
    phone, of_customer = (
        ("phone", "defaultPhoneNumber { phoneNumber }") if reach.phones else ("", "")
    )
    return f"""id name createdAt processedAt updatedAt cancelledAt cancelReason test edited confirmed
    displayFinancialStatus currencyCode presentmentCurrencyCode taxesIncluded dutiesIncluded
    sourceName discountCodes tags email {phone}
    customer {{ id defaultEmailAddress {{ emailAddress marketingState marketingUpdatedAt }} {of_customer} }}
    subtotalPriceSet {MONEY} totalDiscountsSet {MONEY} totalShippingPriceSet {MONEY}
    totalTaxSet {MONEY} totalPriceSet {MONEY}
    currentSubtotalPriceSet {MONEY} currentTotalDiscountsSet {MONEY}
    currentTotalTaxSet {MONEY} currentTotalPriceSet {MONEY}
    totalRefundedSet {MONEY} totalRefundedShippingSet {MONEY} totalTipReceivedSet {MONEY}
    refunds {{ {refund} }}"""


def line_fields(reach: Reach) -> str:
    """Return a line's fields."""
    cost = "inventoryItem { unitCost { amount currencyCode } }" if reach.costs else ""
    product = f"product {{ id }} variant {{ id {cost} }}" if reach.products else ""
    return f"""id title variantTitle sku quantity currentQuantity isGiftCard {product}
      originalUnitPriceSet {MONEY} priceAfterAllDiscountsBeforeTaxesSet {MONEY}
      discountAllocations {{ allocatedAmountSet {MONEY} }}
      taxLines {{ priceSet {MONEY} }}"""


def _first_lines(reach: Reach) -> str:
    return f"lineItems(first: 50) {{ {PAGE_INFO} nodes {{ {line_fields(reach)} }} }}"
