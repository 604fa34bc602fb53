"""What bundles do: who buys them, who comes back after them, and what they bring."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from features.products import VALUE_DAYS, WINDOW_DAYS


def bundle_share(lines: ir.Table, orders: ir.Table, as_of: date) -> ir.Table:
    """Count orders with lines, and those with a bundle among them, by day: ``date, orders, bundled``."""
    past_orders = orders.filter((orders.order_date <= as_of) & (orders.net_amount >= 0))
    inside = lines.group_by("order_id").aggregate(has_bundle=lines.bundle_id.notnull().any())
    both = past_orders.select("order_id", "order_date").join(inside, "order_id")
    return both.group_by(date=both.order_date).aggregate(
        orders=both.count(), bundled=both.has_bundle.sum()
    )


def bundle_days(bought: ir.Table, journeys: ir.Table) -> ir.Table:
    """List the purchase days of each customer with a bundle.

    Parameters
    ----------
    bought
        What :func:`features.products.baskets` returns.
    journeys
        What :func:`features.journeys.journeys` returns.

    Returns
    -------
    ir.Table
        ``customer_id, bundle_id, order_date, number, next_date``.
    """
    inside = bought.filter(bought.bundle_id.notnull())
    inside = inside.select("customer_id", "order_date", "bundle_id").distinct()
    bought_on = journeys.filter(journeys.is_purchase)
    bought_on = bought_on.select("customer_id", "order_date", "number", "next_date")
    return inside.join(bought_on, ["customer_id", "order_date"])


def bundle_reorders(days: ir.Table, as_of: date) -> ir.Table:
    """Count by bundle its customers, and who bought anything within 90 days after the first time.

    Returns
    -------
    ir.Table
        ``bundle_id, customers, seen`` (for 90 days or longer) and ``reordered`` (of those).
    """
    first = days.group_by("bundle_id", "customer_id").aggregate(order_date=days.order_date.min())
    each = first.join(days, ["bundle_id", "customer_id", "order_date"])
    is_seen = each.order_date <= as_of - timedelta(days=WINDOW_DAYS)
    gap = each.next_date.delta(each.order_date, unit="day")
    return each.group_by("bundle_id").aggregate(
        customers=each.count(),
        seen=is_seen.sum(),
        reordered=(is_seen & (gap <= WINDOW_DAYS)).fill_null(False).sum(),
    )


def singles(bought: ir.Table, journeys: ir.Table) -> ir.Table:
    """List the customers whose first purchase was a single product on its own: ``customer_id``."""
    first = journeys.filter(journeys.is_purchase & (journeys.number == 1))
    inside = bought.join(first.select("customer_id", "order_date"), ["customer_id", "order_date"])
    by = inside.group_by("customer_id").aggregate(
        products=inside.product_id.nunique(), bundled=inside.bundle_id.notnull().any()
    )
    return by.filter((by.products == 1) & ~by.bundled).select("customer_id")


def first_bundles(days: ir.Table, single: ir.Table, customers: ir.Table) -> ir.Table:
    """Sum what customers brought in 180 days, by the bundle in their first purchase.

    Parameters
    ----------
    days
        What :func:`bundle_days` returns.
    single
        What :func:`singles` returns.
    customers
        What :func:`features.products.customers` returns.

    Returns
    -------
    ir.Table
        ``bundle_id`` (null = began with a single product), ``customers, value`` of customers seen
        for 180 days or longer.
    """
    first = days.filter(days.number == 1).select("customer_id", "bundle_id").distinct()
    began = first.union(single.mutate(bundle_id=ibis.null("string")))
    both = customers.filter(customers.age_days >= VALUE_DAYS).join(began, "customer_id")
    return both.group_by("bundle_id").aggregate(
        customers=both.count(), value=both.value_180d.sum().cast("float64")
    )


def gateways(single: ir.Table, days: ir.Table) -> ir.Table:
    """Count who began with a single product, and which bundle was in their second purchase.

    Returns
    -------
    ir.Table
        ``bundle_id`` (null = none, or has not come back) and ``customers``.
    """
    second = days.filter(days.number == 2).select(buyer="customer_id", bundle_id="bundle_id")
    both = single.left_join(second, single.customer_id == second.buyer)
    return both.group_by("bundle_id").aggregate(customers=both.customer_id.nunique())


def bundle_parts(bought: ir.Table) -> ir.Table:
    """Count who bought a product in a bundle: ``bundle_id, product_id, customers``."""
    inside = bought.filter(bought.bundle_id.notnull())
    return inside.group_by("bundle_id", "product_id").aggregate(
        customers=inside.customer_id.nunique()
    )


def bundle_refills(days: ir.Table, windows: ir.Table, as_of: date) -> ir.Table:
    """Count customers whose last purchase was a bundle that is due for a refill.

    Parameters
    ----------
    days
        What :func:`bundle_days` returns.
    windows
        ``bundle_id, from_day, to_day``: when it is due, days after it was bought.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        ``bundle_id`` (null = of all bundles) and ``customers``.
    """
    last = days.filter(days.next_date.isnull()).join(windows, "bundle_id")
    silent = ibis.date(as_of).delta(last.order_date, unit="day")
    now = last.filter((silent >= last.from_day) & (silent <= last.to_day))
    whole = now.aggregate(bundle_id=ibis.null("string"), customers=now.customer_id.nunique())
    each = now.group_by("bundle_id").aggregate(customers=now.customer_id.nunique())
    return each.union(whole)


def led_to(main: ir.Table, days: ir.Table, least: int) -> ir.Table:
    """Name the bundle that each customer's first product leads to.

    Parameters
    ----------
    main
        What :func:`features.products.main_products` returns.
    days
        What :func:`bundle_days` returns.
    least
        Customers who took a bundle on the second purchase day, below whom a product leads nowhere.

    Returns
    -------
    ir.Table
        ``customer_id, bundle, is_owned`` (whether it was bought, on any day): of the bundles that most
        customers took next after the same first product, the first by its id.
    """
    second = days.filter(days.number == 2).select(buyer="customer_id", bundle="bundle_id")
    took = main.join(second, main.customer_id == second.buyer)
    counted = took.group_by("product_id", "bundle").aggregate(takers=took.customer_id.nunique())
    counted = counted.filter(counted.takers >= least)
    best = ibis.window(group_by="product_id", order_by=[counted.takers.desc(), counted.bundle])
    top = counted.mutate(place=ibis.row_number().over(best)).filter(lambda t: t.place == 0)
    each = main.select("customer_id", "product_id").join(
        top.select("product_id", "bundle"), "product_id"
    )
    owned = days.select(owner="customer_id", has="bundle_id").distinct()
    both = each.left_join(owned, [each.customer_id == owned.owner, each.bundle == owned.has])
    return both.select("customer_id", "bundle", is_owned=both.owner.notnull())
