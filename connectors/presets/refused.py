"""Exports that no preset can read: they do not say who ordered, or what."""

from collections.abc import Mapping

# An export is told by columns that it has, and by those that would make it usable.
EXPORTS: tuple[tuple[frozenset[str], frozenset[str], str], ...] = (
    (
        frozenset({"amazonorderid", "purchasedate"}),
        frozenset({"buyeremail", "customerid", "customeremail"}),
        "orders need a customer: Amazon's all-orders report names no buyer, only orders, so that "
        "nobody can be seen to return. Use the history of a shop of your own instead, exported "
        "from Shopify, WooCommerce or Stripe",
    ),
    (
        frozenset({"date", "order", "customertype", "itemssold", "netsales"}),
        frozenset({"email", "customeremail", "billingemail", "customerid"}),
        "orders need a customer: WooCommerce's export of Analytics > Orders has a name and neither "
        "e-mail nor customer id. Use a WebToffee order export or the REST API's /wc/v3/orders "
        'instead, with orders.preset = "woocommerce"',
    ),
    (
        frozenset({"email", "totalspent", "totalorders"}),
        frozenset({"name", "createdat", "orderid"}),
        "an order history has a row for every order: Shopify's customers export has one for every "
        "customer, with totals and no days. Use Orders > Export instead, with "
        'orders.preset = "shopify"',
    ),
    (
        frozenset({"reference", "newclient", "customer", "total"}),
        frozenset({"email", "customeremail", "customerid", "idcustomer"}),
        "orders need a customer: PrestaShop's export of the order list has a name and neither e-mail nor "
        "customer id. Export the table ps_orders under Advanced Parameters > Database > SQL Manager instead "
        "(SELECT * FROM ps_orders)",
    ),
    (
        frozenset({"handle", "vendor", "variantprice"}),
        frozenset({"email", "customerid", "orderid"}),
        "an order history says who ordered and when: Shopify's products export has products only. "
        'Use Orders > Export instead, with orders.preset = "shopify"',
    ),
)


def refusal(columns: Mapping[str, tuple[str, ...]]) -> str | None:
    """Say why an export cannot work, and which one does.

    Parameters
    ----------
    columns
        Column names of each table.

    Returns
    -------
    str or None
        Problem, fix and rule; None = the export is not among those known not to work.
    """
    for names in columns.values():
        has = {_plain(name) for name in names}
        for shown_by, saved_by, reason in EXPORTS:
            if shown_by <= has and not saved_by & has:
                return reason
    return None


def _plain(name: str) -> str:
    """Return a column's name without case, spaces and punctuation, which vary between versions."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
