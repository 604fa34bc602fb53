"""What each customer is about to need: products that run out, and the bundle that a first product leads to."""

import ibis
import ibis.expr.types as ir


def running_out(bought: ir.Table, cycles: ir.Table, names: ir.Table) -> ir.Table:
    """Say when each customer last bought each product that is bought again.

    Parameters
    ----------
    bought
        What :func:`features.products.baskets` returns.
    cycles
        ``product_id, median_days``: products that are bought again.
    names
        What :func:`features.products.names` returns.

    Returns
    -------
    ir.Table
        ``customer_id, product`` (its name, else its id), ``last_date, cycle_days``.
    """
    last = bought.group_by("customer_id", "product_id").aggregate(
        last_date=bought.order_date.max()
    )
    known = last.join(cycles, "product_id").join(names, "product_id")
    return known.select(
        "customer_id",
        "last_date",
        product=ibis.coalesce(known.product_name, known.product_id),
        cycle_days="median_days",
    )


def led_to(main: ir.Table, days: ir.Table, least: int) -> ir.Table:
    """Name the bundle that each customer's first product leads to.

    Parameters
    ----------
    main
        What :func:`features.products.main_products` returns.
    days
        What :func:`features.products.bundle_days` returns.
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
