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
from connectors.mentions import forms, plain
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
                record = json.loads(self.path.read_text())
                self._salt, self._hashes = record["salt"], frozenset(record["people"])
                bytes.fromhex(self._salt)

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, names: Iterable[str]) -> None:
        """Put a person on the list, by everything that names them; it is on disk when this returns."""
        self._salt = self._salt or secrets.token_hex(16)
        self._hashes |= {self._hash(form) for name in names if name for form in forms(name)}
        record = {"salt": self._salt, "people": sorted(self._hashes)}
        self.path.parent.mkdir(parents=True, exist_ok=True)

        def write(draft: Path) -> None:
            draft.touch(mode=0o600)  # hash and key together tell who a guessed name is
            draft.write_text(json.dumps(record))

        replace_file(self.path, write)

    def __contains__(self, name: object) -> bool:
        """Tell whether a name, as :func:`connectors.mentions.plain` returns it, is on the list."""
        return isinstance(name, str) and bool(self._hashes) and self._hash(name) in self._hashes

    def covers(self, *names: pd.Series) -> NDArray[np.bool_]:
        """Tell who of the customers is on the list, by any of their names.

        Parameters
        ----------
        names
            Ids, e-mails, phone numbers: texts or null, of the same customers.
        """
        is_covered = np.zeros(len(names[0]), dtype=bool)
        if not self._hashes:
            return is_covered
        for column in names:
            is_covered |= np.fromiter(
                (isinstance(name, str) and self._hash(name) in self._hashes for name in column),
                dtype=bool,
                count=len(is_covered),
            )
        return is_covered

    def _hash(self, name: str) -> str:
        return blake2b(
            plain(name).encode(), digest_size=16, key=bytes.fromhex(self._salt)
        ).hexdigest()
