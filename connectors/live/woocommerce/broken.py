"""Which order breaks every page that has it.

WooCommerce fails while it writes the order, so that no answer has its id. A page of one row fails if that row is
the broken one: by bounding when rows were made, its second comes out, then its id among those nearby.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connectors.live.errors import PlatformDownError, UnexpectedAnswerError
from connectors.live.records import JsonObject
from connectors.live.woocommerce.api import MOST_ROWS, ORDERS
from connectors.live.woocommerce.client import (
    SECOND,
    SECONDS,
    BrokenRowError,
    Listing,
    Page,
    WooCommerceClient,
)

OLDEST = datetime(1995, 1, 1, tzinfo=UTC)  # before any shop
MOST_IDS = 5_000  # between neighbors: posts of all kinds share one sequence
MOST_IN_QUERY = 200
MOST_BROKEN = 5  # of a list, beyond which something else is wrong


class SteadyLists:
    """Pages without the rows that break them.

    Parameters
    ----------
    client
        The shop's.
    now
        The moment: nothing was made later than a day after it.
    """

    def __init__(self, client: WooCommerceClient, now: datetime) -> None:
        self._client = client
        self._latest = now.replace(microsecond=0) + timedelta(days=1)

    def page(self, listing: Listing, number: int = 1, *, most: int = MOST_ROWS) -> Page:
        """Return a page; a row that breaks it is found, and left out from then on.

        Raises
        ------
        UnexpectedAnswerError
            More rows are broken than one can leave out, or one's id does not come out.
        """
        while True:
            try:
                return self._client.page(listing, number, most=most)
            except BrokenRowError as error:
                self._leave_out(error.listing)

    def count(self, listing: Listing) -> int:
        """Return how many rows a list has, broken ones left out."""
        while True:
            try:
                return self._client.count(listing)
            except BrokenRowError as error:
                self._leave_out(error.listing)

    def first(self, listing: Listing) -> JsonObject | None:
        """Return a list's first row; None where it is empty."""
        rows = self.page(listing, most=1).rows
        return rows[0] if rows else None

    def warnings(self) -> list[str]:
        """Name what was left out."""
        lines = []
        for endpoint, ids in self._client.broken.items():
            if ids:
                what = "Order" if endpoint is ORDERS else "Refund"
                names = ", ".join(map(str, sorted(ids)))
                lines.append(
                    f"{what} {names} cannot be read: WooCommerce fails with a critical error. Open it in the "
                    "shop's admin, and see the error log; it is left out until then"
                )
        return lines

    def _leave_out(self, listing: Listing) -> None:
        broken = self._client.broken[listing.endpoint]
        if len(broken) >= MOST_BROKEN:
            raise UnexpectedAnswerError(
                f"WooCommerce fails at {len(broken) + 1} rows of {listing.endpoint} (500), for instance at id "
                f"{min(broken)}. See the shop's error log: that many rows are not left out"
            )
        broken.add(self._broken_id(listing))
        self._client.reset_size()

    def _broken_id(self, listing: Listing) -> int:
        if ids := self._client.probe(listing):  # ids alone may work
            return ids[0]
        if self._client.probe(listing, before=OLDEST.strftime(SECONDS)) is None:
            raise PlatformDownError(
                f"WooCommerce fails at every request to {listing.endpoint} (500). See the shop's error log",
                500,
            )
        made = self._made(listing)
        second = replace(listing, by="date", start=made, end=made + SECOND)
        for some in self._candidates(second):
            if self._fails(second, some):
                return self._one_of(second, some)
        raise UnexpectedAnswerError(
            f"WooCommerce fails (500) at a row of {listing.endpoint} that was made at "
            f"{made.strftime(SECONDS)} UTC. Look it up in the shop's admin by its date, and see the error log"
        )

    def _made(self, listing: Listing) -> datetime:
        """Return the second in which the first row was made."""
        is_by_date = listing.by == "date"
        low = listing.start if is_by_date and listing.start else OLDEST
        high = listing.end if is_by_date and listing.end else self._latest
        while high - low > SECOND:
            middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
            if self._client.probe(listing, before=middle.strftime(SECONDS)) is None:
                high = middle
            else:
                low = middle
        return low

    def _candidates(self, second: Listing) -> list[Sequence[int]]:
        """Return the ids between the last row made before a second and the first after it, in chunks."""
        nearby = replace(second, order="date")
        before = self._client.probe(
            replace(nearby, start=None, end=second.start, is_descending=True)
        )
        after = self._client.probe(replace(nearby, start=second.end, end=None))
        if before is None or after is None:
            return []
        low = before[0] if before else 0
        high = after[0] if after else low + MOST_IN_QUERY
        if not before:
            low = max(high - MOST_IN_QUERY, 0)
        ids = range(low + 1, high)
        if len(ids) > MOST_IDS:
            return []
        return [ids[at : at + MOST_IN_QUERY] for at in range(0, len(ids), MOST_IN_QUERY)]

    def _fails(self, second: Listing, ids: Sequence[int]) -> bool:
        include = ",".join(map(str, ids))
        return self._client.probe(second, include=include, per_page="10") is None

    def _one_of(self, second: Listing, ids: Sequence[int]) -> int:
        while len(ids) > 1:
            half = ids[: len(ids) // 2]
            ids = half if self._fails(second, half) else ids[len(half) :]
        return ids[0]
