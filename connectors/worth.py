"""Which of a table's amounts is the value of an order: goods less discounts, no tax, no shipping."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.roles import Table, first_amounts, usual
from connectors.values import Column

CENT = 0.015
EXTRAS = ("shipping", "tax", "fee")
SHOWN = 4  # candidates named to a person
LINES_SHARE = 0.05  # of orders on several rows, from which on a file is of lines


@dataclass(frozen=True)
class Worth:
    """What to read as the value.

    Attributes
    ----------
    columns
        ``{ours: theirs}``; empty = it must be asked for.
    candidates
        ``{ours: theirs}`` that may be the value, where it is asked for.
    notes
        What to look at.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    candidates: tuple[Mapping[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Amounts:
    """Amounts of the orders, one row each; a role that the table lacks is all zeros."""

    rows: tuple[int, ...]
    columns: Mapping[str, Column]

    def of(self, role: str) -> tuple[float, ...]:
        """Return the amounts of a role, nothing = 0."""
        column = self.columns.get(role)
        if column is None or column.amounts is None:
            return (0.0,) * len(self.rows)
        return tuple(column.amounts[row] or 0.0 for row in self.rows)

    def has(self, role: str) -> bool:
        """Tell whether some order has an amount of a role."""
        return any(self.of(role))

    def adds_up(self, *, less_discount: bool, with_tax: bool) -> bool:
        """Tell whether the totals are the subtotals and what is named, in every order."""
        parts = zip(
            *(
                self.of(role)
                for role in ("total", "subtotal", "shipping", "fee", "discount", "tax")
            ),
            strict=True,
        )
        return all(
            abs(total - (goods + shipping + fee - less_discount * abs(discount) + with_tax * tax))
            < CENT
            for total, goods, shipping, fee, discount, tax in parts
        )


def is_of_lines(table: Table, orders: Column | None) -> bool:
    """Tell whether orders stand on several rows that differ."""
    if orders is None:
        return False
    by_order: dict[str, set[tuple[str, ...]]] = {}
    for row, order in enumerate(orders.values):
        if order:
            by_order.setdefault(order, set()).add(tuple(c.values[row] for c in table.values()))
    several = sum(len(rows) > 1 for rows in by_order.values())
    has_products = any(usual(table, role) for role in ("quantity", "product_id", "product_name"))
    return several > 0 and (has_products or several >= LINES_SHARE * len(by_order))


def varies(column: Column, orders: Column) -> bool:
    """Tell whether a column differs between the rows of one order, blanks apart."""
    by_order: dict[str, set[str]] = {}
    for order, value in zip(orders.values, column.values, strict=True):
        if value:
            by_order.setdefault(order, set()).add(value)
    return any(len(values) > 1 for values in by_order.values())


def propose_worth(table: Table, orders: Column | None) -> Worth:
    """Propose the value of an order, or of its lines."""
    of_lines = orders is not None and is_of_lines(table, orders)
    if of_lines and orders is not None:
        return _of_lines(table, orders) or _on_each_line(table, orders)
    return _of_orders(table, orders)


def _of_lines(table: Table, orders: Column) -> Worth | None:
    """Propose a line's value: its own total, else quantity and price."""
    for role in ("net", "line_total", "subtotal", "total"):
        for column in usual(table, role):
            if column.amounts is not None and varies(column, orders):
                notes = (
                    ()
                    if role in ("net", "line_total")
                    else (
                        f"{column.name} is taken as a line's value: check that it has no tax in it.",
                    )
                )
                return Worth({"line_amount": column.name}, notes=notes)
    quantity, price = first_amounts(table, "quantity"), first_amounts(table, "unit_price")
    if quantity is not None and price is not None:
        return Worth(
            {"quantity": quantity.name, "unit_price": price.name}, notes=_discounts(table)
        )
    if price is not None and varies(price, orders):
        return Worth(
            {"line_amount": price.name},
            notes=(f"{price.name} is taken as a line's value: the table has no quantity.",),
        )
    return None


def _on_each_line(table: Table, orders: Column) -> Worth:
    """Propose an order's value that stands on each of its lines: it counts once, its parts do not."""
    worth = _of_orders(table, orders)
    gross = worth.columns.get("gross_amount")
    if gross is None:
        return worth
    amounts = _amounts(table, orders)
    if not amounts.has("discount") and not amounts.has("refund"):
        return Worth({"net_amount": gross}, notes=worth.notes)
    return Worth(
        candidates=({"net_amount": gross},),
        notes=(f"{gross} stands on each line of an order, before discounts or refunds.",),
    )


def _discounts(table: Table) -> tuple[str, ...]:
    column = first_amounts(table, "discount")
    if column is None or not any(column.amounts or ()):
        return ()
    return (
        f"{column.name} is not taken off: if it is the amount of a line, map it as discount_amount; "
        "a share is not read.",
    )


def _of_orders(table: Table, orders: Column | None) -> Worth:
    """Propose an order's value: net, a subtotal that adds up, gross less discounts, or a bare total."""
    amounts = _amounts(table, orders)
    there = amounts.columns
    extras = [there[role].name for role in EXTRAS if amounts.has(role)]
    if "net" in there and not _is_total(amounts, "net"):
        return Worth({"net_amount": there["net"].name})
    if "subtotal" in there:
        return _by_subtotal(amounts, extras)
    if "gross" in there:
        return _gross_less(amounts, there["gross"])
    quantity, price = first_amounts(table, "quantity"), first_amounts(table, "unit_price")
    if quantity is not None and price is not None:
        return Worth(
            {"quantity": quantity.name, "unit_price": price.name}, notes=_discounts(table)
        )
    line = first_amounts(table, "line_total")
    total = there.get("total") or line
    if total is None:
        return Worth(candidates=_candidates(table))
    if extras:
        return Worth(
            candidates=_candidates(table),
            notes=(f"{total.name} includes {' and '.join(extras)}: it is no net value.",),
        )
    refund = there.get("refund")
    mapped = {"net_amount": total.name}
    if refund is not None and amounts.has("refund"):
        mapped = {"gross_amount": total.name, "refund_amount": refund.name}
    return Worth(
        mapped,
        notes=(
            f"{total.name} is taken as the value: check that it has no tax or shipping in it.",
        ),
    )


def _by_subtotal(amounts: Amounts, extras: Sequence[str]) -> Worth:
    there = amounts.columns
    goods = there["subtotal"]
    if "total" not in there:
        if amounts.has("discount"):
            return Worth(
                candidates=({"net_amount": goods.name},),
                notes=(
                    f"Without a total, {goods.name} may be before or after {there['discount'].name}.",
                ),
            )
        return _less_refunds(amounts, goods, ())
    after = amounts.adds_up(less_discount=False, with_tax=True)
    before = amounts.adds_up(less_discount=True, with_tax=True)
    if after:
        return _less_refunds(amounts, goods, ())
    if before:
        return _gross_less(amounts, goods)
    taxed = [
        less
        for less in (False, True)
        if amounts.adds_up(less_discount=less, with_tax=False) and amounts.has("tax")
    ]
    if taxed:
        return Worth(
            candidates=({"net_amount": goods.name},),
            notes=(f"{goods.name} includes {there['tax'].name}: it is no net value.",),
        )
    names = ", ".join([goods.name, *extras])
    return Worth(
        candidates=({"net_amount": goods.name},),
        notes=(
            f"{there['total'].name} is not the sum of {names}: {goods.name} may be before discounts.",
        ),
    )


def _gross_less(amounts: Amounts, gross: Column) -> Worth:
    """Map a gross value less the table's discounts and refunds."""
    mapped = {"gross_amount": gross.name}
    if "discount" in amounts.columns:
        mapped["discount_amount"] = amounts.columns["discount"].name
    notes: tuple[str, ...] = ()
    if "refund" in amounts.columns:
        mapped["refund_amount"] = amounts.columns["refund"].name
        notes = _refund_notes(amounts)
    return Worth(mapped, notes=notes)


def _less_refunds(amounts: Amounts, goods: Column, notes: tuple[str, ...]) -> Worth:
    if "refund" not in amounts.columns:
        return Worth({"net_amount": goods.name}, notes=notes)
    mapped = {"gross_amount": goods.name, "refund_amount": amounts.columns["refund"].name}
    return Worth(mapped, notes=(*notes, *_refund_notes(amounts)))


def _refund_notes(amounts: Amounts) -> tuple[str, ...]:
    refunded = [refund > 0 for refund in map(abs, amounts.of("refund"))]
    if not any(
        is_refunded and extra
        for role in EXTRAS
        for is_refunded, extra in zip(refunded, amounts.of(role), strict=True)
    ):
        return ()
    name = amounts.columns["refund"].name
    return (
        f"{name} may include refunded tax and shipping, which would lower the value too much.",
    )


def _is_total(amounts: Amounts, role: str) -> bool:
    """Tell a column that includes tax or shipping: it equals the total where there are some."""
    extras = [sum(parts) for parts in zip(*(amounts.of(extra) for extra in EXTRAS), strict=True)]
    if "total" not in amounts.columns or not any(extras):
        return False
    rows = zip(amounts.of(role), amounts.of("total"), amounts.of("refund"), extras, strict=True)
    return all(
        not extra or abs(net - total) < CENT or abs(net - (total - abs(refund))) < CENT
        for net, total, refund, extra in rows
    )


def _amounts(table: Table, orders: Column | None) -> Amounts:
    """Return the amounts of the orders, each on its first row."""
    size = max((len(column.values) for column in table.values()), default=0)
    rows: dict[str, int] = {}
    for row in range(size):
        rows.setdefault(orders.values[row] if orders is not None else str(row), row)
    roles = ("net", "subtotal", "gross", "total", "discount", "refund", *EXTRAS)
    matches = {role: first_amounts(table, role) for role in roles}
    return Amounts(
        tuple(rows.values()),
        {role: column for role, column in matches.items() if column is not None},
    )


def _candidates(table: Table) -> tuple[Mapping[str, str], ...]:
    roles = ("net", "subtotal", "gross", "line_total", "total")
    named = [column.name for role in roles for column in usual(table, role) if column.amounts]
    others = [
        column.name
        for column in table.values()
        if column.amounts and any(v and v % 1 for v in column.amounts if v is not None)
    ]
    return tuple({"net_amount": name} for name in list(dict.fromkeys([*named, *others]))[:SHOWN])
