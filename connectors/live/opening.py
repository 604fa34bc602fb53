"""Open the puller of a live source."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from connectors.live.address import LiveAddress
from connectors.live.puller import Puller
from connectors.live.queries import Memory
from connectors.live.raw import nobody
from connectors.live.records import JsonObject


@dataclass(frozen=True)
class LiveStore:
    """What a puller needs to know of a store.

    Attributes
    ----------
    address
        The account.
    state
        Folder of what outlives a day; raw files are under it.
    currency, timezone
        The store's; None where they are not set yet: then they are not compared with the account's.
    history_start
        First day to pull; None = the day of the first order.
    integration
        Of Klaviyo: the key of the integration that sends orders; None = the only one.
    memory
        What DuckDB may use.
    is_erased
        Tells whether an object is of a person who was forgotten.
    """

    address: LiveAddress
    state: Path
    currency: str | None = None
    timezone: str | None = None
    history_start: date | None = None
    integration: str | None = None
    memory: Memory | None = None
    is_erased: Callable[[JsonObject], bool] = field(default=nobody)


OpenPuller = Callable[[LiveStore, Mapping[str, str], Callable[[], datetime]], Iterator[Puller]]


@contextmanager
def open_puller(
    store: LiveStore, environment: Mapping[str, str], now: Callable[[], datetime]
) -> Iterator[Puller]:
    """Open the puller of a store's platform; its connection is closed at the end.

    Parameters
    ----------
    store
        The store.
    environment
        Variables with the platform's keys.
    now
        Tells the time.

    Raises
    ------
    AccessRefusedError
        A key is not set.
    """
    raise NotImplementedError(store.address.platform)
    yield  # pragma: no cover
