"""Exports that cannot work are named, and those that can are not refused."""

import pytest

from connectors.presets.refused import refusal
from perennial.simulation.forms.shopify import COLUMNS as SHOPIFY
from perennial.simulation.forms.stripe import COLUMNS as STRIPE

AMAZON = (
    "amazon-order-id,merchant-order-id,purchase-date,last-updated-date,order-status,"
    "fulfillment-channel,sales-channel,order-channel,url,ship-service-level,product-name,sku,asin,"
    "item-status,quantity,currency,item-price,item-tax,shipping-price,shipping-tax,ship-city,"
    "ship-state,ship-postal-code,ship-country,promotion-ids,is-business-order"
)
WOOCOMMERCE_ANALYTICS = (
    "Date,Order #,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,"
    "Coupon(s),Net Sales,Attribution"
)
WEBTOFFEE = "order_id,order_number,order_date,status,order_total,customer_id,customer_email"
SHOPIFY_CUSTOMERS = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address City,Phone,"
    "Total Spent,Total Orders,Note,Tax Exempt,Tags"
)
SHOPIFY_PRODUCTS = "Handle,Title,Body (HTML),Vendor,Type,Tags,Variant SKU,Variant Price,Status"


def one(header):
    return {"orders": tuple(header.split(","))}


@pytest.mark.parametrize(
    ("header", "problem", "fix"),
    [
        (AMAZON, "names no buyer", "Shopify, WooCommerce or Stripe"),
        (WOOCOMMERCE_ANALYTICS, "neither e-mail nor customer id", "WebToffee"),
        (SHOPIFY_CUSTOMERS, "one for every customer", "Orders > Export"),
        (SHOPIFY_PRODUCTS, "products only", "Orders > Export"),
    ],
)
def test_an_export_that_cannot_work_is_refused_with_one_that_does(header, problem, fix):
    for written in (header, header.upper()):
        message = refusal(one(written))
        assert problem in message
        assert fix in message


@pytest.mark.parametrize(
    "header",
    [
        ",".join(SHOPIFY),
        ",".join(STRIPE),
        WEBTOFFEE,
        "order_id,customer_id,ordered_at,net_amount",
        AMAZON + ",buyer-email",
        WOOCOMMERCE_ANALYTICS + ",Email",
    ],
)
def test_an_export_that_says_who_ordered_is_not_refused(header):
    assert refusal(one(header)) is None


def test_one_such_table_among_several_is_enough():
    assert refusal(one(WEBTOFFEE) | {"more": tuple(AMAZON.split(","))})
    assert refusal({}) is None
