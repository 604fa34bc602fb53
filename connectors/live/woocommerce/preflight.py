"""What must be true of a shop before its orders are pulled."""

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import available_timezones

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.records import AccountFacts
from connectors.live.woocommerce.api import ORDER_FIELDS, ORDERS, REFUNDS
from connectors.live.woocommerce.broken import SteadyLists
from connectors.live.woocommerce.client import Listing, Site, WooCommerceClient
from connectors.live.woocommerce.hosting import host_of
from connectors.live.woocommerce.reading import moment_or_none

PLATFORM = "woocommerce"
PERMISSION = (
    "WooCommerce shows no key what it may do. Check that its permission is Read, not Read/Write, under "
    "WooCommerce > Settings > Advanced > REST API"
)
IN_QUERY = (
    "The server drops the header Authorization, so the key travels in the address's query, over https, and the "
    "server's own log may keep it. Let the server pass the header: SetEnvIf Authorization, for Apache"
)
NO_REFUNDS = (
    "This WooCommerce is older than 9.0 and has no list of refunds: they are asked for order by order, and one "
    "that is deleted by hand shows at the monthly comparison only"
)
NO_ORDER = "This WooCommerce does not sort orders by their change: pulls take more requests"


@dataclass(frozen=True)
class Shop:
    """A shop that passed.

    Attributes
    ----------
    facts
        For people and settings.
    first_change
        When the order that was not changed for longest was changed.
    has_refunds
        Whether there is a list of all refunds.
    sorts_by_change
        Whether orders are sorted by their change.
    """

    facts: AccountFacts
    first_change: datetime | None
    has_refunds: bool
    sorts_by_change: bool


def check_shop(
    client: WooCommerceClient, account: str, now: datetime, currency: str | None = None
) -> Shop:
    """Return a shop's facts, or refuse it.

    Parameters
    ----------
    client
        The shop's.
    account
        The shop's address in the source.
    now
        The moment.
    currency
        The store's by the settings; None = any.

    Raises
    ------
    AccessRefusedError
        The key does not do, or the address is of another shop.
    UnexpectedAnswerError
        The shop has another currency.
    """
    site = client.settle()
    _check_site(site, client.url, account)
    client.authorize()
    lists = SteadyLists(client, now)
    sorts = client.has(Listing(ORDERS, "modified", order="modified", fields=("id",)))
    has_refunds = client.has(Listing(REFUNDS, "date", order="date", fields=("id",)))
    orders = Listing(ORDERS, "date", order="date", fields=ORDER_FIELDS)
    first = lists.first(orders)
    first_at = None if first is None else moment_or_none(first, "date_created_gmt")
    changed = lists.first(replace(orders, by="modified", order="modified")) if sorts else None
    changed_at = None if changed is None else moment_or_none(changed, "date_modified_gmt")
    moments = [one for one in (first_at, changed_at) if one is not None]
    shown = client.currency()
    newest = None if shown else lists.first(replace(orders, is_descending=True))
    used = shown or (None if newest is None else str(newest["currency"]))
    check_currency(used, currency)
    notes = [PERMISSION]
    notes += [IN_QUERY] if client.sends_keys_in_query else []
    notes += [] if has_refunds else [NO_REFUNDS]
    notes += [] if sorts else [NO_ORDER]
    notes += _zone_notes(site)
    notes += [] if shown else ["The key may not see the currency: it is the newest order's"]
    notes += [] if first is not None else ["The shop shows no order to this key"]
    facts = AccountFacts(
        platform=PLATFORM,
        account=account,
        name=site.name,
        currency=used,
        timezone=_timezone(site),
        first_order_at=first_at,
        permissions=("orders: read",),
        notes=(*notes, *lists.warnings()),
    )
    return Shop(facts, min(moments, default=None), has_refunds, sorts)


def check_currency(shown: str | None, wanted: str | None) -> None:
    """Refuse a shop in another currency than the store's.

    Raises
    ------
    UnexpectedAnswerError
        It is.
    """
    if shown is not None and wanted is not None and shown.upper() != wanted.upper():
        raise UnexpectedAnswerError(
            f"The shop's currency is {shown.upper()}, and the settings have {wanted.upper()}. Correct the "
            "settings, or pull another shop: amounts are never converted"
        )


def _check_site(site: Site, url: str, account: str) -> None:
    if not site.has_woocommerce:
        raise AccessRefusedError(
            f"{url} has no WooCommerce API of version 3. Activate WooCommerce 3.5 or later there",
            404,
        )
    if site.home and host_of(site.home) != host_of(account):
        raise AccessRefusedError(
            f"The shop at {url} has the address {host_of(site.home)}, and the source names {host_of(account)}. Put the "
            "shop's own address into the source: two shops are never mixed",
            0,
        )


def _timezone(site: Site) -> str | None:
    """Return the shop's zone; one of a whole offset where no city is set."""
    if site.timezone in available_timezones():
        return site.timezone
    hours = site.offset_hours
    if site.timezone or hours != int(hours):
        return None
    return "UTC" if not hours else f"Etc/GMT{-int(hours):+d}"


def _zone_notes(site: Site) -> list[str]:
    if site.timezone:
        return []
    return [
        f"The shop's time is UTC{site.offset_hours:+g}, without a city: summer time is not followed. Choose a city "
        "under Settings > General"
    ]
