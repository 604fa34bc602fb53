"""The second pass: what an order has inside of its lists, read as of the same change as the order itself."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from connectors.live.errors import PlatformDownError
from connectors.live.records import JsonObject
from connectors.live.shopify import queries
from connectors.live.shopify.client import ShopifyClient, next_cursor
from connectors.live.shopify.queries import Reach

REFUNDS_AT_ONCE, WHOLE_AT_ONCE = 25, 5
ROUNDS = 6  # an order that changes between two requests is read again
T = TypeVar("T")
LISTS = ("refundLineItems", "orderAdjustments", "refundShippingLines")


class ChangedError(Exception):
    """An order changed between two requests for its parts."""


class SecondPass:
    """Completes orders of a bulk operation or of a page.

    Parameters
    ----------
    client
        The store's API.
    reach
        What the key can read.
    """

    def __init__(self, client: ShopifyClient, reach: Reach) -> None:
        self._client, self._reach = client, reach

    def complete(self, orders: Sequence[JsonObject]) -> Iterator[JsonObject]:
        """Yield orders with all their lines and refund lines; those that are gone are left out."""
        changed: list[str] = []
        with_refunds: list[JsonObject] = []
        for order in orders:
            if _has_more_lines(order):
                changed.append(order["id"])
            elif order["refunds"]:
                with_refunds.append(order)
            else:
                yield normal(order)
        for group in groups(with_refunds, REFUNDS_AT_ONCE):
            nodes = self._client.nodes(queries.REFUNDS, [one["id"] for one in group])
            for order, node in zip(group, nodes, strict=True):
                if node is None:
                    continue  # deleted meanwhile
                if is_same(order, node):
                    whole = self._with_all_lines({**order, "refunds": node["refunds"]})
                    if whole is not None:
                        yield whole
                        continue
                changed.append(order["id"])
        yield from self._whole(changed)

    def _whole(self, ids: Sequence[str]) -> Iterator[JsonObject]:
        """Yield orders that are read again, with all that is in them."""
        query, left = queries.whole_query(self._reach), list(ids)
        for _ in range(ROUNDS):
            again: list[str] = []
            for group in groups(left, WHOLE_AT_ONCE):
                for order in self._client.nodes(query, group):
                    whole = None if order is None else self._with_all_lines(order)
                    if whole is not None:
                        yield whole
                    elif order is not None:
                        again.append(order["id"])
            left = again
            if not left:
                return
        raise PlatformDownError("An order changes faster than it can be read. Try again later")

    def _with_all_lines(self, order: JsonObject) -> JsonObject | None:
        """Return an order with the rest of its lists; None where it changed while they were read."""
        try:
            lines = self._all_lines(order)
            refunds = [self._refund(one) for one in order["refunds"]]
        except ChangedError:
            return None
        return normal({**order, "lineItems": {"nodes": lines}, "refunds": refunds})

    def _all_lines(self, order: JsonObject) -> list[JsonObject]:
        lines = list(order["lineItems"]["nodes"])
        after = next_cursor(order["lineItems"]) if _has_more_lines(order) else None
        query = queries.lines_query(self._reach)
        while after is not None:
            (node,) = self._client.nodes(query, [order["id"]], after=after)
            if node is None or node["updatedAt"] != order["updatedAt"]:
                raise ChangedError
            lines += node["lineItems"]["nodes"]
            after = next_cursor(node["lineItems"])
        return lines

    def _refund(self, refund: JsonObject) -> JsonObject:
        lines = list(refund["refundLineItems"]["nodes"])
        after = next_cursor(refund["refundLineItems"])
        while after is not None:
            (node,) = self._client.nodes(queries.REFUND_LINES, [refund["id"]], after=after)
            if node is None:
                raise ChangedError
            lines += node["refundLineItems"]["nodes"]
            after = next_cursor(node["refundLineItems"])
        return {**refund, "refundLineItems": {"nodes": lines}}


def groups(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield rows in lists of a size; the last one may be shorter."""
    left = iter(rows)
    while group := list(islice(left, size)):
        yield group


def is_same(order: JsonObject, node: JsonObject) -> bool:
    """Tell whether the second pass reads an order as the first did."""
    heads = {one["id"]: one["updatedAt"] for one in order["refunds"]}
    return bool(
        node["updatedAt"] == order["updatedAt"]
        and {one["id"]: one["updatedAt"] for one in node["refunds"]} == heads
    )


def normal(order: JsonObject) -> JsonObject:
    """Return an order's one payload, whichever way it was read: lists in order, no cursors."""
    refunds = [
        {**one, **{name: {"nodes": _in_order(one[name])} for name in LISTS}}
        for one in order["refunds"]
    ]
    return {
        **order,
        "lineItems": {"nodes": _in_order(order["lineItems"])},
        "refunds": sorted(refunds, key=_number),
    }


def _in_order(connection: JsonObject) -> list[JsonObject]:
    return sorted(connection["nodes"], key=_number)


def _number(node: JsonObject) -> tuple[int, str]:
    """Return what a node sorts by: Shopify's ids rise."""
    text = str(node.get("id") or "")
    digits = text.rpartition("/")[2]
    return (int(digits) if digits.isdecimal() else 0, text)


def _has_more_lines(order: JsonObject) -> bool:
    info: dict[str, Any] = order["lineItems"].get("pageInfo") or {}
    return bool(info.get("hasNextPage"))
