"""Renewals by the tags that subscription apps write; the order that starts a subscription is none."""

import ibis
import pytest

from connectors.presets.renewals import renews

RENEWALS = [
    ("Subscription, Subscription Recurring Order", "web"),  # Recharge, Skio
    ("appstle_subscription_recurring_order", None),
    ("manual_subscription_recurring_order", None),
    ("Kaching Subscription Recurring Order", None),
    ("Recurring order #2", None),  # Supercycle
    ("VIP,Subscription Order: 3", None),  # Skio
    ("Subscription renewal", None),
    ("vip, recurring", None),
    ('["wholesale","Recurring Order"]', None),
    (None, "subscription_contract"),
    ("", "subscription_contract_checkout_one"),
]
OTHERS = [
    ("Subscription, Subscription First Order", "web"),
    ("appstle_subscription_first_order", "web"),
    ("Subscription New Order", None),
    ("Subscription First Order", "subscription_contract"),
    ("Subscription Order: 1", None),
    ("Active Subscriber", None),
    ("recurring customer", None),
    ("Renewal Serum", "web"),
    ("non recurring gift", None),
    ("", "shopify_draft_order"),
    (None, None),
]


def is_renewal(tags, channel):
    rows = ibis.memtable(
        {"tags": [tags], "channel": [channel]}, schema={"tags": "string", "channel": "string"}
    )
    return ibis.duckdb.connect().execute(renews(rows.tags, rows.channel).as_table()).iloc[0, 0]


@pytest.mark.parametrize(("tags", "channel"), RENEWALS)
def test_a_renewal_is_told_by_its_tag_or_its_source(tags, channel):
    assert is_renewal(tags, channel)


@pytest.mark.parametrize(("tags", "channel"), OTHERS)
def test_other_orders_are_no_renewals(tags, channel):
    assert not is_renewal(tags, channel)
