"""Renewals of subscriptions, told by the tags and sources of Shopify's orders.

Recharge and Skio tag ``Subscription First Order`` and ``Subscription Recurring Order``, Appstle
``appstle_subscription_recurring_order``, others ``Recurring order #2`` or ``Subscription renewal``.
Renewals that Shopify itself bills have the source ``subscription_contract`` or, since 2025,
``subscription_contract_checkout_one``; a subscription's first order comes from the checkout.
"""

import ibis
import ibis.expr.types as ir

from connectors.texts import clean_text

OF_CONTRACT = "subscription_contract"
FIRST = r"subscription[ _-](first|new|initial)[ _-]order"
RENEWS = (
    r"(recurring|renewal)[ _-]order|subscription[ _-](recurring|renewal)|recurring[ _-]subscription"
    r"|(^|[,\[\"])[ ]*(recurring|renewal)[ ]*($|[,\]\"])|subscription order: ([2-9]|1[0-9])"
)


def renews(tags: ir.Value | None, channel: ir.Value | None) -> ir.Value:
    """Tell the orders that renew a subscription; the order that starts one does not.

    Parameters
    ----------
    tags
        The order's tags in one text; None = there is no such column.
    channel
        Where the order came from, Shopify's ``source_name``; None = there is no such column.
    """
    text = ibis.literal("") if tags is None else clean_text(tags).lower().fill_null("")
    source = ibis.literal("") if channel is None else clean_text(channel).lower().fill_null("")
    by_contract = source.startswith(OF_CONTRACT) & ~text.re_search(FIRST)
    return by_contract | text.re_search(RENEWS)
