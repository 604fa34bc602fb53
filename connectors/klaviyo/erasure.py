"""Who asked to be forgotten: kept as keyed hashes, and left out of everything that goes out."""

import json
import secrets
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.klaviyo.errors import readable
from connectors.store import replace_file


class Erasures:
    """The list of the forgotten.

    A person is on it once for each id, e-mail and phone number that was known of them.

    Parameters
    ----------
    state
        Folder of what outlives a day; the list is ``erasures.json`` in it.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / "erasures.json"
        self._salt, self._hashes = "", frozenset[str]()
        if self.path.exists():
            with readable(self.path, "Bring it back from a backup: nothing goes out without it"):
                said = json.loads(self.path.read_text())
                self._salt, self._hashes = said["salt"], frozenset(said["people"])
                bytes.fromhex(self._salt)

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, names: Iterable[str]) -> None:
        """Put a person on the list, by everything that names them; it is on disk when this returns."""
        self._salt = self._salt or secrets.token_hex(16)
        self._hashes |= {self._hash(name) for name in names if name}
        said = {"salt": self._salt, "people": sorted(self._hashes)}
        self.path.parent.mkdir(parents=True, exist_ok=True)

        def write(draft: Path) -> None:
            draft.touch(mode=0o600)  # hash and key together tell who a guessed name is
            draft.write_text(json.dumps(said))

        replace_file(self.path, write)

    def covers(self, *names: pd.Series) -> NDArray[np.bool_]:
        """Tell who of the customers is on the list, by any of their names.

        Parameters
        ----------
        names
            Ids, e-mails, phone numbers: texts or null, of the same customers.
        """
        found = np.zeros(len(names[0]), dtype=bool)
        if not self._hashes:
            return found
        for column in names:
            found |= np.fromiter(
                (isinstance(name, str) and self._hash(name) in self._hashes for name in column),
                dtype=bool,
                count=len(found),
            )
        return found

    def _hash(self, name: str) -> str:
        return blake2b(
            plain(name).encode(), digest_size=16, key=bytes.fromhex(self._salt)
        ).hexdigest()


def plain(name: str) -> str:
    """Return a name as names are compared: an e-mail is the same in any case, an id is not."""
    trimmed = name.strip()
    return trimmed.lower() if "@" in trimmed else trimmed


def matches(column: pd.Series, names: Iterable[str]) -> "pd.Series[bool]":
    """Tell which texts are one of some names."""
    wanted, texts = {plain(name) for name in names}, column.astype("str").str.strip()
    return texts.where(~texts.str.contains("@", na=False), texts.str.lower()).isin(wanted)
