"""A bulk operation from its start to its orders: begun once, waited for, read in little memory."""

import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from connectors.live.errors import (
    AccessRefusedError,
    PlatformDownError,
    RequestRefusedError,
    UnexpectedAnswerError,
)
from connectors.live.http import Clock
from connectors.live.records import JsonObject
from connectors.live.shopify.client import BulkState, ShopifyClient
from connectors.live.shopify.errors import BulkFailedError, BulkRefusedError

STARTS, START_PAUSE = 8, 10.0  # tries to begin an operation, and seconds between them
BUSY_WAIT, BUSY_PAUSE = timedelta(minutes=15), 30.0  # for other operations to end
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0  # seconds between two looks
STUCK_AFTER = timedelta(hours=2)  # without progress; Shopify itself gives up after ten days
DOWNLOADS, DOWNLOAD_PAUSE = 6, 5.0
BUCKET_BYTES = 32_000_000  # of a result that are in memory at once
PARENT = b'"__parentId":'


class BulkOperations:
    """Runs bulk queries.

    Parameters
    ----------
    client
        The store's API.
    clock
        Waits.
    """

    def __init__(self, client: ShopifyClient, clock: Clock) -> None:
        self._client, self._clock = client, clock

    def start(self, query: str, asked_at: datetime, *, may_run: bool) -> str:
        """Begin an operation and return its id; one that was begun without an answer is used.

        Parameters
        ----------
        query
            The bulk query.
        asked_at
            When it was first asked for.
        may_run
            Whether an earlier process may have begun it.

        Raises
        ------
        BulkRefusedError
            Shopify starts none, or other operations do not end.
        PlatformDownError
            No try had an answer.
        UnexpectedAnswerError
            No try had an answer that is whole.
        RequestRefusedError
            Shopify refuses the request.
        """
        give_up_at = self._clock.now() + BUSY_WAIT
        tries = 0
        while True:
            running = self._client.find_bulk(query, asked_at) if may_run else None
            if running is not None:
                return running
            try:
                return self._client.start_bulk(query)
            except BulkRefusedError as error:
                if not error.is_busy or self._clock.now() >= give_up_at:
                    raise
                self._clock.sleep(BUSY_PAUSE)
            except RequestRefusedError:
                raise
            except (PlatformDownError, UnexpectedAnswerError):  # no answer, or none that is whole
                tries += 1
                if tries >= STARTS:
                    raise
                self._clock.sleep(START_PAUSE)
            may_run = True

    def wait(self, operation: str) -> BulkState:
        """Return an operation's state when it has completed.

        Raises
        ------
        BulkFailedError
            It ended in another way, makes no progress, or is gone.
        AccessRefusedError
            The key may not read a field of the query.
        """
        pause, objects, moved_at = FIRST_PAUSE, -1, self._clock.now()
        while True:
            state = self._client.bulk(operation)
            if state is None:
                raise BulkFailedError("Shopify does not have a bulk operation any more")
            if state.status == "COMPLETED":
                return state
            _check_running(state)
            if state.objects != objects:
                objects, moved_at = state.objects, self._clock.now()
            if self._clock.now() - moved_at > STUCK_AFTER:
                self._client.cancel_bulk(operation)
                raise BulkFailedError("A bulk operation made no progress, and was canceled")
            self._clock.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE)

    def download(self, operation: str, state: BulkState, path: Path) -> bool:
        """Write a completed operation's result to a file; return whether it has any.

        Raises
        ------
        BulkFailedError
            The result is not there any more.
        PlatformDownError
            No try gave the whole file.
        """
        for _ in range(DOWNLOADS):
            if state.url is None:
                if state.objects:
                    raise BulkFailedError("A bulk operation's result is not there any more")
                return False
            try:
                size = self._client.download(state.url, path)
            except (AccessRefusedError, RequestRefusedError):
                raise BulkFailedError("A bulk operation's result has expired") from None
            if is_whole(path, size, state):
                return True
            self._clock.sleep(DOWNLOAD_PAUSE)
            state = self.wait(operation)
        raise PlatformDownError(
            "Shopify gave no whole result of a bulk operation. Try again later"
        )


def is_whole(path: Path, size: int, state: BulkState) -> bool:
    """Tell whether a downloaded result is as long as Shopify says it is."""
    if state.size_bytes is not None:
        return size == state.size_bytes
    with path.open("rb") as file:
        return sum(1 for _ in file) == state.objects


def read_orders(
    path: Path, folder: Path, bucket_bytes: int = BUCKET_BYTES
) -> Iterator[JsonObject]:
    """Yield a result's orders with their lines, in the same order each time.

    A line of an order is anywhere in the file. A large file is parted by orders first, so that only a part of
    it is in memory.

    Parameters
    ----------
    path
        The result.
    folder
        For the parts.
    bucket_bytes
        How much of a result is in memory at once, as text.
    """
    buckets = max(1, ceil(path.stat().st_size / bucket_bytes))
    if buckets == 1:
        with path.open("rb") as file:
            yield from _joined(file)
        return
    for part in _parted(path, folder, buckets):
        with part.open("rb") as file:
            yield from _joined(file)
        part.unlink()


def _check_running(state: BulkState) -> None:
    if state.status == "FAILED" and state.error == "ACCESS_DENIED":
        raise AccessRefusedError(
            "Shopify denies the key a field of an order in bulk. Give the app the scopes and the protected "
            "customer data that the preflight names",
            200,
        )
    if state.status not in ("CREATED", "RUNNING", "CANCELING"):
        raise BulkFailedError(f"A bulk operation ended {state.status} ({state.error})")


def _parted(path: Path, folder: Path, buckets: int) -> list[Path]:
    """Write each order's lines to one of some files."""
    parts = [folder / f"{path.stem}-{number:04d}.jsonl" for number in range(buckets)]
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("wb")) for part in parts]
        with path.open("rb") as source:
            for line in source:
                files[zlib.crc32(_root(line).encode()) % buckets].write(line)
    return parts


def _root(line: bytes) -> str:
    row = _parse(line)
    return str(row.get("__parentId") or row["id"])


def _joined(lines: Iterable[bytes]) -> Iterator[JsonObject]:
    orders: dict[str, dict[str, Any]] = {}
    children: dict[str, list[JsonObject]] = {}
    for line in lines:
        row = _parse(line)
        parent = row.pop("__parentId", None)
        if parent is None:
            orders[row["id"]] = row
        else:
            children.setdefault(parent, []).append(row)
    if not children.keys() <= orders.keys():
        raise UnexpectedAnswerError(
            "A bulk operation's result has order lines without their order"
        )
    for key, order in orders.items():
        yield order | {"lineItems": {"nodes": children.get(key, [])}}


def _parse(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or "id" not in row:
        raise UnexpectedAnswerError("A bulk operation's result has a line that is no object")
    return row
