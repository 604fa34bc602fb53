"""The part of WooCommerce's REST API v3 that Perennial calls: reads only.

What is not listed here cannot be called.

References
----------
WooCommerce's REST API documentation, v3; ``class-wc-rest-refunds-controller.php`` for ``/refunds``, which is in
WooCommerce 9.0 and later.
"""

from connectors.live.http import Endpoint

API_VERSION = "wc/v3"
MOST_ROWS = 100  # of a page
SIZES = (100, 50, 20, 10, 5, 2, 1)  # of pages that a weak server may still manage
BURST, STEADY = 5, 240  # our own choice: WooCommerce names no limits, small hosts have them
READ = ("Read",)  # the permission, as WooCommerce's own page for keys has it

_API = f"/wp-json/{API_VERSION}"
INDEX = Endpoint("GET", "/wp-json/", (), BURST, STEADY)  # needs no key
ORDERS = Endpoint("GET", f"{_API}/orders", READ, BURST, STEADY)
ORDER_REFUNDS = Endpoint("GET", f"{_API}/orders/{{id}}/refunds", READ, BURST, STEADY)
REFUNDS = Endpoint("GET", f"{_API}/refunds", READ, BURST, STEADY)
CURRENCY = Endpoint("GET", f"{_API}/data/currencies/current", READ, BURST, STEADY)

ORDER_FIELDS = (  # what the preset reads, and nothing of how an order was paid or sent
    "id",
    "number",
    "status",
    "currency",
    "prices_include_tax",
    "date_created",
    "date_created_gmt",
    "date_modified",
    "date_modified_gmt",
    "date_paid_gmt",
    "date_completed_gmt",
    "discount_total",
    "discount_tax",
    "shipping_total",
    "shipping_tax",
    "cart_tax",
    "total",
    "total_tax",
    "customer_id",
    "billing",
    "created_via",
    "meta_data",
    "line_items",
    "fee_lines",
    "coupon_lines",
    "refunds",
)
REFUND_FIELDS = (
    "id",
    "parent_id",
    "date_created",
    "date_created_gmt",
    "amount",
    "reason",
    "line_items",
    "shipping_lines",
    "fee_lines",
)
IDS = ("id",)
IDS_AND_REFUNDS = ("id", "refunds")
