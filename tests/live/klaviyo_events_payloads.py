"""Orders and messages as events' properties, and resources as the API writes them."""

from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tests.live.klaviyo_events_records import Contact, Event, Line, Metric, Order, Profile

SITE = "https://a.klaviyo.com"
ValueFormula = Literal[
    "total", "before_tax"
]  # with tax, as seen; or goods and shipping, as in the help
WEBHOOK = "00000000-0000-0000-0000-000000000001"


def price(cents: int) -> str:
    return f"{cents / 100:.2f}"


def amount(cents: int) -> float:
    return round(cents / 100, 2)


def order_value(order: Order, formula: ValueFormula) -> float:
    """Return `$value` by either formula."""
    if formula == "total":
        return amount(order.total)
    return amount(order.gross - order.discount + order.shipping)


def _money(cents: int, order: Order) -> dict[str, Any]:
    shown = order.presentment_currency or order.currency
    return {
        "shop_money": {"amount": price(cents), "currency_code": order.currency},
        "presentment_money": {"amount": price(cents), "currency_code": shown},
    }


def placed_by_shopify(
    order: Order, at: datetime, zone: ZoneInfo, formula: ValueFormula
) -> dict[str, Any]:
    """Return the properties of an order's event, `$extra` as the order was at a moment."""
    goods = [line.product for line in order.lines if not line.product.is_gift_card]
    return {
        "$event_id": order.id,
        "$value": order_value(order, formula),
        "$currency_code": order.currency,
        "Items": [line.product.title for line in order.lines],
        "Collections": list(dict.fromkeys(product.category for product in goods)),
        "Item Count": len(order.lines),
        "tags": [],
        "Discount Codes": list(order.codes),
        "Total Discounts": price(order.discount),
        "Source Name": order.source_name,
        "Customer Locale": "en-DE",
        "OptedInToSmsOrderUpdates": False,
        "$extra": _shopify_order(order, at, zone),
    }


def _status(order: Order, at: datetime) -> str:
    if order.is_refunded(at):
        return "refunded"
    if order.cancelled_at is not None and order.cancelled_at <= at:
        return "voided"
    return "partially_refunded" if order.refunded(at) else "paid"


def _shopify_order(order: Order, at: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """Return an order as the REST webhook has it at a moment."""

    def local(moment: datetime | None) -> str | None:
        return None if moment is None or moment > at else moment.astimezone(zone).isoformat()

    refunds = [refund for refund in order.refunds if refund.at <= at]
    changes = [order.cancelled_at, order.fulfilled_at, *(refund.at for refund in refunds)]
    changes += [edit.at for edit in order.edits]
    latest = max([order.ordered_at, *(c for c in changes if c is not None and c <= at)])
    cancelled = local(order.cancelled_at)
    back = order.refunded(at)
    subtotal = order.gross - order.discount
    is_whole = order.is_refunded(at)
    left = 0 if is_whole else order.total - back
    contact = order.contact
    return {
        "id": int(order.id),
        "name": f"#{order.number}",
        "order_number": order.number,
        "created_at": local(order.ordered_at),
        "processed_at": local(order.ordered_at),
        "updated_at": local(latest),
        "cancelled_at": cancelled,
        "cancel_reason": "customer" if cancelled else None,
        "financial_status": _status(order, at),
        "fulfillment_status": "fulfilled" if local(order.fulfilled_at) else None,
        "test": order.is_test,
        "confirmed": True,
        "currency": order.currency,
        "presentment_currency": order.presentment_currency or order.currency,
        "taxes_included": order.taxes_included,
        "subtotal_price": price(subtotal),
        "total_line_items_price": price(order.gross),
        "total_discounts": price(order.discount),
        "total_tax": price(order.total_tax),
        "total_shipping_price_set": _money(order.shipping, order),
        "total_tip_received": "0.00",
        "total_price": price(order.total),
        "current_subtotal_price": price(0 if is_whole else subtotal - back),
        "current_total_price": price(left),
        "current_total_discounts": price(order.discount),
        "current_total_tax": price(order.total_tax),
        "source_name": order.source_name,
        "discount_codes": [
            {
                "code": code,
                "amount": price(order.discount if n == 0 else 0),
                "type": "percentage",
            }
            for n, code in enumerate(order.codes)
        ],
        "payment_gateway_names": ["shopify_payments"],
        "tags": "",
        "email": contact.email,
        "contact_email": contact.email,
        "phone": contact.phone,
        "customer": _customer(contact),
        "customer_locale": "en-DE",
        "line_items": [_shopify_line(order, number, at) for number in range(len(order.lines))],
        "refunds": [
            {
                "id": refund.id,
                "created_at": local(refund.at),
                "refund_line_items": [
                    {
                        "id": number,
                        "line_item_id": order.first_line_id + part.line,
                        "quantity": part.quantity,
                        "subtotal": amount(part.subtotal),
                        "total_tax": amount(_refunded_tax(order, part.line, part.subtotal)),
                    }
                    for number, part in enumerate(refund.lines, 1)
                ],
            }
            for refund in refunds
        ],
        "webhook_id": WEBHOOK,
        "webhook_topic": "orders/create",
    }


def _customer(contact: Contact) -> dict[str, Any] | None:
    if contact.customer_id is None:
        return None
    return {"id": contact.customer_id, "email": contact.email, "total_spent": "0.00"}


def _refunded_tax(order: Order, number: int, subtotal: int) -> int:
    line = order.lines[number]
    return round(order.tax(line) * subtotal / line.worth) if line.worth else 0


def _shopify_line(order: Order, number: int, at: datetime) -> dict[str, Any]:
    line, product = order.lines[number], order.lines[number].product
    tax, is_taxed = order.tax(line), not product.is_gift_card and order.tax_rate > 0
    gone = sum(edit.quantity for edit in order.edits if edit.line == number and edit.at <= at)
    allocations = [
        {
            "amount": price(line.discount),
            "amount_set": _money(line.discount, order),
            "discount_application_index": 0,
        }
    ]
    taxes = [
        {
            "title": "VAT",
            "rate": order.tax_rate,
            "price": price(tax),
            "price_set": _money(tax, order),
        }
    ]
    return {
        "id": order.first_line_id + number,
        "product_id": product.id,
        "variant_id": product.variant_id,
        "title": product.title,
        "name": product.title,
        "sku": product.sku,
        "price": price(product.price),
        "price_set": _money(product.price, order),
        "quantity": line.quantity,
        "current_quantity": line.quantity - gone,
        "gift_card": product.is_gift_card,
        "taxable": not product.is_gift_card,
        "total_discount": "0.00",
        "discount_allocations": allocations if line.discount else [],
        "tax_lines": taxes if is_taxed else [],
        "variant_price": amount(product.price),
        "line_price": amount(line.gross),
        "product": {
            "id": product.id,
            "title": product.title,
            "handle": product.title.lower().replace(" ", "-"),
            "vendor": "Example",
            "product_type": "",
            "tags": "",
            "variant": {"sku": product.sku, "title": "Default"},
        },
    }


def ordered_product(order: Order, line: Line, unit: int) -> dict[str, Any]:
    """Return the properties of the event of one unit, its value without discounts."""
    product = line.product
    return {
        "$event_id": f"{order.id}:{product.variant_id}:{unit}",
        "$value": amount(product.price),
        "$currency_code": order.currency,
        "Name": product.title,
        "Variant Name": "Default",
        "SKU": product.sku,
        "ProductID": str(product.id),
        "Variant ID": str(product.variant_id),
        "Quantity": 1,
        "Collections": [product.category],
        "Tags": [],
        "Vendor": "Example",
        "Customer Locale": "en-DE",
        "$extra": {},
    }


def placed_by_woocommerce(order: Order, formula: ValueFormula) -> dict[str, Any]:
    """Return the properties of a WooCommerce order."""
    contact, products = order.contact, [line.product for line in order.lines]
    return {
        "$event_id": order.id,
        "$value": order_value(order, formula),
        "$currency_code": order.currency,
        "ItemNames": [product.title for product in products],
        "ItemCategories": list(dict.fromkeys(product.category for product in products)),
        "IsDiscounted": order.discount > 0,
        "UsedCoupon": bool(order.codes),
        "Coupons": [code.lower() for code in order.codes],
        "ShippingMethods": ["Flat rate"],
        "BillingAddress": {
            "FirstName": contact.first_name,
            "LastName": contact.last_name,
            "Email": contact.email,
        },
        "$extra": {
            "OrderId": int(order.id),
            "OrderNumber": order.id,
            "Status": "processing",
            "Items": [_woocommerce_line(order, line) for line in order.lines],
        },
    }


def _woocommerce_line(order: Order, line: Line) -> dict[str, Any]:
    """Return a line; its totals are without tax however the shop enters its prices."""
    total = line.worth - order.included_tax(line)
    share = total / line.worth if line.worth else 1
    return {
        "ProductID": line.product.id,
        "SKU": line.product.sku,
        "Name": line.product.title,
        "Quantity": line.quantity,
        "ItemPrice": price(line.product.price),
        "LineTotal": price(total),
        "SubTotal": price(round(line.gross * share)),
        "TotalWithTax": price(total + order.tax(line)),
        "Categories": [line.product.category],
    }


def placed_by_api(order: Order, order_id: str) -> dict[str, Any]:
    """Return what a shop's own code sends of an order."""
    products = [line.product for line in order.lines]
    return {
        "OrderId": order_id,
        "Categories": list(dict.fromkeys(product.category for product in products)),
        "ItemNames": [product.title for product in products],
        "Brands": ["Example"],
        "DiscountCode": order.codes[0] if order.codes else "",
        "DiscountValue": amount(order.discount),
        "Items": [
            {
                "ProductID": str(line.product.id),
                "SKU": line.product.sku,
                "ProductName": line.product.title,
                "Quantity": line.quantity,
                "ItemPrice": amount(line.product.price),
                "RowTotal": amount(line.gross),
                "Categories": [line.product.category],
                "Brand": "Example",
            }
            for line in order.lines
        ],
        "$event_id": order_id,
        "$value": amount(order.gross - order.discount),
        "$currency_code": order.currency,
    }


def message(name: str, message_id: str, profile: Profile, at: datetime) -> dict[str, Any]:
    """Return the properties of an e-mail of a campaign that reached somebody."""
    second = int(at.timestamp())
    return {
        "Subject": "Fresh beans",
        "Campaign Name": name,
        "$message": message_id,
        "$message_interaction": message_id,
        "$event_id": f"{message_id}:{profile.id}:{second}",
        "Email Domain": (profile.email or "@").rpartition("@")[2],
        "Inbox Provider": "Other",
        "$message_send_cohort": f"{second}:{message_id}",
    }


def redacted(properties: dict[str, Any]) -> dict[str, Any]:
    """Return what an order's event keeps of a person who was erased."""
    kept = (
        "$event_id", "$value", "$currency_code", "Item Count", "Discount Codes", "Total Discounts"
    )  # fmt: skip
    names = {name: ["redacted"] for name in ("Items", "ItemNames") if name in properties}
    return {name: properties[name] for name in kept if name in properties} | names


def metric_resource(metric: Metric) -> dict[str, Any]:
    integration, here = metric.integration, f"{SITE}/api/metrics/{metric.id}"
    return {
        "type": "metric",
        "id": metric.id,
        "attributes": {
            "name": metric.name,
            "created": metric.created.isoformat(),
            "updated": metric.created.isoformat(),
            "integration": {
                "object": "integration",
                "id": integration.id,
                "key": integration.key,
                "name": integration.name,
                "category": integration.category,
            },
        },
        "relationships": {
            "flow-triggers": {
                "links": {
                    "self": f"{here}/relationships/flow-triggers",
                    "related": f"{here}/flow-triggers",
                }
            }
        },
        "links": {"self": here},
    }


def profile_resource(profile: Profile) -> dict[str, Any]:
    return {
        "type": "profile",
        "id": profile.id,
        "attributes": {
            "email": profile.email,
            "phone_number": profile.phone_number,
            "external_id": profile.external_id,
            "first_name": None,
            "last_name": None,
            "created": profile.created.isoformat(),
            "updated": profile.updated.isoformat(),
            "properties": {},
        },
        "links": {"self": f"{SITE}/api/profiles/{profile.id}"},
    }


def event_resource(event: Event) -> dict[str, Any]:
    here = f"{SITE}/api/events/{event.id}"

    def relation(name: str, data: Any) -> dict[str, Any]:
        links = {"self": f"{here}/relationships/{name}", "related": f"{here}/{name}"}
        return {"data": data, "links": links}

    who = None if event.profile_id is None else {"type": "profile", "id": event.profile_id}
    return {
        "type": "event",
        "id": event.id,
        "attributes": {
            "timestamp": int(event.happened.timestamp()),
            "event_properties": event.properties,
            "datetime": event.happened.isoformat(),
            "uuid": event.uuid,
        },
        "relationships": {
            "profile": relation("profile", who),
            "metric": relation("metric", {"type": "metric", "id": event.metric.id}),
            "attributions": relation("attributions", []),
        },
        "links": {"self": here},
    }
