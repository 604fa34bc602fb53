"""Objects that were erased: they are counted, and filtered out of later pulls."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from connectors.live.parts import BeforeWrite, text_hash, write_private
from connectors.live.records import Window
from features.tables import DataError


class ErasedKeys:
    """The erased objects of a stream: hashes of their keys, and when they happened.

    Without their times, counts would differ from the platform's for ever.

    Parameters
    ----------
    folder
        The stream's; the list is ``erased.json`` in it.
    before_write
        Called before each write.
    """

    def __init__(self, folder: Path, before_write: BeforeWrite) -> None:
        self.path = folder / "erased.json"
        self._before_write = before_write
        self._moments: dict[str, str | None] = {}
        if self.path.exists():
            try:
                self._moments = dict(json.loads(self.path.read_text())["keys"])
            except (ValueError, KeyError, TypeError):
                raise DataError(
                    f"{self.path} cannot be read. Bring it back from a backup: without it, a pull could bring "
                    "back what was erased"
                ) from None

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self._moments) and text_hash(key) in self._moments

    def add(self, moments: Mapping[str, datetime | None]) -> None:
        """Put keys with their times on the list; it is on disk when this returns."""
        new = {
            text_hash(key): None if moment is None else moment.isoformat()
            for key, moment in moments.items()
        }
        if new.keys() <= self._moments.keys():
            return
        self._moments = new | self._moments
        write_private(self.path, json.dumps({"keys": self._moments}) + "\n", self._before_write)

    def count(self, window: Window) -> int:
        """Return how many of them happened in a window."""
        moments = (datetime.fromisoformat(one) for one in self._moments.values() if one)
        return sum(moment in window for moment in moments)
