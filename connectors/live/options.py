"""How an account is pulled."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors.live.queries import Memory
from connectors.live.raw import nobody
from connectors.live.reconcile import DEFAULT_LIMITS, Limits
from connectors.live.records import JsonObject


@dataclass(frozen=True)
class PullOptions:
    """How an account is pulled.

    Attributes
    ----------
    currency
        The store's by the settings; None = any.
    limits
        How many deletions are credible.
    is_erased
        Tells whether a payload is of a person who asked to be forgotten.
    memory
        What DuckDB may use.
    """

    currency: str | None = None
    limits: Limits = DEFAULT_LIMITS
    is_erased: Callable[[JsonObject], bool] = nobody
    memory: Memory | None = None
