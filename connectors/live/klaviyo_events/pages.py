"""Reads a window of events page by page, and goes on where a killed pull stopped."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connectors.live.errors import PlatformDownError, UnexpectedAnswerError
from connectors.live.http import TryAgainError
from connectors.live.klaviyo_events.client import (
    CursorRefusedError,
    EventPage,
    KlaviyoEvents,
    events_query,
)
from connectors.live.pulls import Pull
from connectors.live.records import RawRow, Window

SMALLEST_PAGE = 10
TRIES_OF_PAGE = 3  # before a smaller one is asked for
MOST_RESTARTS = 5  # of a window, after cursors that were refused
SIZE = "page[size]"


@dataclass(frozen=True)
class PageSizes:
    """Events of a page: an order has 10 to 30 KB, engagement little."""

    orders: int = 200
    engagement: int = 1000


def read_pages(
    client: KlaviyoEvents, metric_id: str, pull: Pull, window: Window, size: int
) -> None:
    """Add a window's events to a pull; after a kill, go on at its cursor.

    Parameters
    ----------
    client
        Asks Klaviyo.
    metric_id
        Whose events.
    pull
        Gets them; it is not finished here.
    window
        What is read.
    size
        Events of a page, halved where a page gets no answer.

    Raises
    ------
    UnexpectedAnswerError
        Klaviyo refuses one cursor after another, or lists events outside of the window.
    """
    first = events_query(metric_id, window, size=size)
    for _ in range(MOST_RESTARTS):
        query = dict(pull.cursor["query"]) if pull.cursor is not None else first
        try:
            _add_pages(client, metric_id, pull, window, query)
        except CursorRefusedError:
            pull.restart()
        else:
            return
    raise UnexpectedAnswerError(
        f"Klaviyo refused {MOST_RESTARTS} cursors in {window}. Pull again: if this repeats, its cursors expire too soon"
    )


def window_rows(
    client: KlaviyoEvents, metric_id: str, window: Window, size: int
) -> Iterator[RawRow]:
    """Yield a window's events, without a pull; a cursor that is refused ends it.

    Raises
    ------
    CursorRefusedError
        Begin again.
    """
    for page in _pages(client, metric_id, window, events_query(metric_id, window, size=size)):
        yield from page.rows


def _add_pages(
    client: KlaviyoEvents, metric_id: str, pull: Pull, window: Window, query: Mapping[str, str]
) -> None:
    for page in _pages(client, metric_id, window, query):
        pull.add(page.rows)
        if page.following is not None:
            pull.checkpoint({"query": dict(page.following)})


def _pages(
    client: KlaviyoEvents, metric_id: str, window: Window, query: Mapping[str, str]
) -> Iterator[EventPage]:
    following: Mapping[str, str] | None = query
    size = int(query[SIZE])
    while following is not None:
        page, size = _page(client, metric_id, following, size)
        _check_inside(page, window)
        yield page
        following = page.following


def _page(
    client: KlaviyoEvents, metric_id: str, query: Mapping[str, str], size: int
) -> tuple[EventPage, int]:
    """Return a page, a smaller one where the larger gets no answer, and its size."""
    while True:
        is_smallest = size <= SMALLEST_PAGE
        tries = None if is_smallest else TRIES_OF_PAGE
        try:
            return client.events(metric_id, {**query, SIZE: str(size)}, tries=tries), size
        except PlatformDownError as error:
            was_tried = isinstance(
                error.__context__, TryAgainError
            )  # else it asks to wait for long
            if is_smallest or not was_tried:
                raise
            size = max(SMALLEST_PAGE, size // 2)


def _check_inside(page: EventPage, window: Window) -> None:
    outside = sum(row.happened_at is None or row.happened_at not in window for row in page.rows)
    if outside:
        raise UnexpectedAnswerError(
            f"Klaviyo lists {outside} events outside of {window}, which was asked for. Nothing was read"
        )
