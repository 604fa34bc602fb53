"""One window's orders, by a bulk operation or by pages, from wherever a killed pull stopped."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from connectors.live.http import Clock
from connectors.live.pulls import Pull
from connectors.live.records import JsonObject, RawRow, Record, Window
from connectors.live.shopify import queries
from connectors.live.shopify.bulk import BulkOperations, read_orders
from connectors.live.shopify.client import ShopifyClient, moment
from connectors.live.shopify.complete import SecondPass, groups
from connectors.live.shopify.errors import (
    BulkFailedError,
    BulkRefusedError,
    StaleCursorError,
    TooDearError,
)
from connectors.live.shopify.queries import Reach, search_of

FEW = 250  # orders that are read by pages: a bulk operation takes minutes
SHORTEST = timedelta(
    hours=2
)  # a window that fails in bulk is halved down to this, then read by pages
PAGE, AT_ONCE = 25, 250
RESTARTS = 3


class Cursor(Record):
    """Where a pull of a window is.

    Attributes
    ----------
    windows
        Those that are left, the current one first.
    way
        How the current one is read; None where that is not decided.
    asked_at, operation, done
        Of a bulk operation: when it was asked for, its id, and how many of its orders are added.
    after
        Of pages: where the next one begins.
    """

    windows: tuple[Window, ...]
    way: Literal["bulk", "pages"] | None = None
    asked_at: datetime | None = None
    operation: str | None = None
    done: int = 0
    after: str | None = None

    def at(self, **changes: object) -> "Cursor":
        """Return the cursor with some changes."""
        return self.model_copy(update=changes)

    def begin_again(self, *windows: Window) -> "Cursor":
        """Return the cursor before the first of some windows, in place of the current one."""
        return Cursor(windows=(*windows, *self.windows[1:]))


class SliceReader:
    """Reads the orders of a window into a pull.

    Parameters
    ----------
    client
        The store's API.
    clock
        Waits.
    reach
        What the key can read.
    scratch
        Folder for bulk results; its owner's only.
    few
        Up to how many orders a window is read by pages.
    """

    def __init__(
        self, client: ShopifyClient, clock: Clock, *, reach: Reach, scratch: Path, few: int = FEW
    ) -> None:
        self._client, self._clock, self._reach = client, clock, reach
        self._scratch, self._few = scratch, few
        self._bulks = BulkOperations(client, clock)
        self._second_pass = SecondPass(client, reach)
        self._page_size = PAGE
        self.warnings: set[str] = set()

    def read(self, pull: Pull, field: str, window: Window) -> None:
        """Add a window's orders to a pull, from its cursor on.

        Parameters
        ----------
        pull
            A new or resumed one.
        field
            What the window is of: when orders were created, or changed.
        window
            In whole seconds.

        Raises
        ------
        StaleCursorError
            Shopify refuses cursors that it has just given.
        """
        restarts = 0
        cursor = _cursor_of(pull, window)
        while cursor.windows:
            try:
                cursor = self._read_first(pull, field, cursor)
            except StaleCursorError:
                restarts += 1
                if restarts > RESTARTS:
                    raise
                pull.restart()
                cursor = Cursor(windows=(window,))

    def _read_first(self, pull: Pull, field: str, cursor: Cursor) -> Cursor:
        """Read the first of the cursor's windows, and return the cursor of the others."""
        search = search_of(field, cursor.windows[0])
        if cursor.way is None:
            is_few = self._client.count(search) <= self._few
            cursor = cursor.at(way="pages" if is_few else "bulk")
        if cursor.way == "pages":
            self._read_pages(pull, field, cursor)
            return cursor.begin_again()
        try:
            self._read_bulk(pull, field, cursor)
        except BulkFailedError as error:
            return self._smaller(cursor, error)
        except BulkRefusedError as error:
            self.warnings.add(f"{error}. Orders were read by pages, which takes longer")
            return cursor.at(way="pages", asked_at=None)
        return cursor.begin_again()

    def _smaller(self, cursor: Cursor, error: BulkFailedError) -> Cursor:
        window = cursor.windows[0]
        half = timedelta(seconds=(window.end - window.start) // timedelta(seconds=2))
        if half < SHORTEST:
            self.warnings.add(f"{error}. Orders of {window} were read by pages")
            return Cursor(windows=cursor.windows, way="pages")
        middle = window.start + half
        return cursor.begin_again(Window(window.start, middle), Window(middle, window.end))

    # Pages

    def _read_pages(self, pull: Pull, field: str, cursor: Cursor) -> None:
        search = search_of(field, cursor.windows[0])
        query = queries.page_query(field, self._reach)
        after = cursor.after
        while True:
            try:
                page = self._client.page(query, search, first=self._page_size, after=after)
            except TooDearError:
                if self._page_size == 1:
                    raise
                self._page_size //= 2
                continue
            self._add(pull, page.orders)
            after = page.after
            if after is None:
                return
            pull.checkpoint(_json(cursor.at(after=after)))

    # Bulk

    def _read_bulk(self, pull: Pull, field: str, cursor: Cursor) -> None:
        cursor = self._begun(
            pull, queries.bulk_query(field, cursor.windows[0], self._reach), cursor
        )
        operation = cursor.operation or ""
        state = self._bulks.wait(operation)
        path = self._scratch / "bulk.jsonl"
        if not self._bulks.download(operation, state, path):
            return
        done = cursor.done
        for group in groups(islice(read_orders(path, self._scratch), done, None), AT_ONCE):
            self._add(pull, group)
            done += len(group)
            pull.checkpoint(_json(cursor.at(done=done)))
        path.unlink()

    def _begun(self, pull: Pull, query: str, cursor: Cursor) -> Cursor:
        """Return the cursor with an operation that is noted on disk: a killed pull does not begin another."""
        if cursor.operation is not None:
            return cursor
        may_run = cursor.asked_at is not None
        asked_at = cursor.asked_at or self._clock.now()
        cursor = cursor.at(asked_at=asked_at)
        pull.checkpoint(_json(cursor), force=True)
        cursor = cursor.at(operation=self._bulks.start(query, asked_at, may_run=may_run))
        pull.checkpoint(_json(cursor), force=True)
        return cursor

    def _add(self, pull: Pull, orders: Iterable[JsonObject]) -> None:
        pull.add(row_of(order) for order in self._second_pass.complete(list(orders)))


def row_of(order: JsonObject) -> RawRow:
    """Return an order's raw row."""
    return RawRow(order["id"], order, moment(order["updatedAt"]), moment(order["createdAt"]))


def _cursor_of(pull: Pull, window: Window) -> Cursor:
    """Return a resumed pull's cursor; one that cannot be read begins its window again."""
    if pull.cursor is not None:
        try:
            return Cursor.model_validate(pull.cursor)
        except ValidationError:
            pull.restart()
    return Cursor(windows=(window,))


def _json(cursor: Cursor) -> dict[str, object]:
    return cursor.model_dump(mode="json")
