"""How lists are read whole while rows change.

A row that changes moves to the end of a list sorted by change, and every page after it loses its first row to the
page before. So there is one page only: the next request begins where the last one ended. A second that has more rows
than a page is read by id, until its count is the same before and after.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connectors.live.errors import PlatformDownError, UnexpectedAnswerError
from connectors.live.records import JsonObject
from connectors.live.woocommerce.api import MOST_ROWS
from connectors.live.woocommerce.broken import OLDEST, SteadyLists
from connectors.live.woocommerce.client import SECOND, Listing, Page

ROUNDS = 8  # through a second that changes while it is read
FUTURE = timedelta(days=2)  # a list without an end ends here, where halves are needed


@dataclass(frozen=True)
class Batch:
    """Rows of a list, and where to go on after them.

    Attributes
    ----------
    rows
        As the shop sent them.
    after
        All rows before this moment are read; None = all rows of the list.
    """

    rows: tuple[JsonObject, ...]
    after: datetime | None


class ListReader:
    """Reads lists whole.

    Parameters
    ----------
    lists
        The shop's.
    now
        The moment.
    """

    def __init__(self, lists: SteadyLists, now: datetime) -> None:
        self._lists = lists
        self._latest = now.replace(microsecond=0) + FUTURE

    def follow(self, listing: Listing, column: str) -> Iterator[Batch]:
        """Yield a list's rows in the order of a moment, up to rows that appear meanwhile.

        Rows of the same second may come twice.

        Parameters
        ----------
        listing
            Sorted by the moment; it has a start.
        column
            Of the moment, in UTC.
        """
        at = listing.start or OLDEST
        previous: tuple[JsonObject, ...] = ()
        while True:
            page = self._lists.page(replace(listing, start=at))
            moments = [moment_of(row, column) for row in page.rows]
            if moments != sorted(moments) or any(one < at for one in moments):
                yield from self.halve(replace(listing, start=at))  # the shop does not sort
                return
            yield Batch(
                tuple(row for row in page.rows if row not in previous),
                None if page.is_whole else moments[-1] if moments else at,
            )
            if page.is_whole:
                return
            if not moments or moments[-1] == at:
                for part in self.second(replace(listing, start=at, end=at + SECOND)):
                    yield Batch(part.rows, at)
                at, previous = at + SECOND, ()
            else:
                at, previous = moments[-1], page.rows

    def halve(self, listing: Listing) -> Iterator[Batch]:
        """Yield a list's rows by halves of its range, so small that each is one page."""
        for page, end in self._halves(self._bounded(listing)):
            yield Batch(page.rows, end)
        yield Batch((), None)

    def second(self, listing: Listing) -> Iterator[Page]:
        """Yield pages of a second by id, again until nothing left it meanwhile.

        Raises
        ------
        UnexpectedAnswerError
            It changes all the time.
        PlatformDownError
            The shop does not manage the smallest page.
        """
        by_id, size = replace(listing, order="id"), MOST_ROWS
        for _ in range(ROUNDS):
            pages = []
            try:
                for page in self._round(by_id, size):
                    pages.append(page.total)
                    size = page.size
                    yield page
            except PlatformDownError as error:
                if error.asks_to_wait or not pages or size == 1:
                    raise
                size = max(size // 2, 1)
                continue
            if len(set(pages)) == 1:
                return
        raise UnexpectedAnswerError(
            f"More than a page of {listing.endpoint} has the same second, and it changed in each of {ROUNDS} "
            "rounds. Pull again when the shop is quiet"
        )

    def _round(self, by_id: Listing, most: int) -> Iterator[Page]:
        """Yield a list's pages, all of the first one's size."""
        page = self._lists.page(by_id, most=most)
        yield page
        for number in range(2, -(-page.total // page.size) + 1):
            page = self._lists.page(by_id, number, most=page.size)
            yield page

    def _halves(self, listing: Listing) -> Iterator[tuple[Page, datetime]]:
        start, end = listing.start or OLDEST, listing.end or self._latest
        page = self._lists.page(listing)
        if page.is_whole:
            yield page, end
        elif end - start <= SECOND:
            for part in self.second(listing):
                yield part, start
        else:
            middle = start + timedelta(seconds=int((end - start).total_seconds()) // 2)
            yield from self._halves(replace(listing, end=middle))
            yield from self._halves(replace(listing, start=middle))

    def _bounded(self, listing: Listing) -> Listing:
        start = listing.start or OLDEST
        end = listing.end or max(self._latest, start + FUTURE)
        return replace(listing, start=start, end=end, order="id")


def moment_of(row: JsonObject, column: str) -> datetime:
    """Return a row's moment in UTC, which WooCommerce writes without saying so.

    Raises
    ------
    UnexpectedAnswerError
        There is none.
    """
    moment = moment_or_none(row, column)
    if moment is None:
        raise UnexpectedAnswerError(
            f"WooCommerce's id {row.get('id')} has no {column}. Save it again in the shop's admin"
        )
    return moment


def moment_or_none(row: JsonObject, column: str) -> datetime | None:
    """Return a row's moment in UTC; None where it has none."""
    text = row.get(column)
    if not isinstance(text, str) or not text or text.startswith("0000"):
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None
