"""What monitoring found, kept under ``state/``: the matured weeks, and whether to train again."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from connectors.kept import checked, with_digest
from connectors.store import replace_file
from features.tables import DataError

MONITORING, RETRAIN = "monitoring.json", "retrain.json"
SCHEMA = 1  # of both files; a change of meaning raises it
SHOWN_WEEKS = 26  # on the page

Json = dict[str, Any]


def read_monitoring(state: Path) -> Json | None:
    """Return what was found last; None where nothing was looked at yet."""
    return _read(state / MONITORING)


def read_request(state: Path) -> Json | None:
    """Return the last request to train again: ``asked_for`` says whether it is open; None without any."""
    return _read(state / RETRAIN)


def frozen_because(state: Path) -> str | None:
    """Say why nothing should be sent to marketing; None where nothing speaks against it."""
    found = read_monitoring(state)
    because: str | None = None if found is None else found["frozen"]["because"]
    return because


def monitoring_known_by(state: Path, as_of: date) -> Json | None:
    """Return what a page of a day shows: the newest weeks counted by then; None without any."""
    found = read_monitoring(state)
    if found is None or found["as_of"] > as_of.isoformat():
        return None
    return {**found, "weeks": found["weeks"][-SHOWN_WEEKS:]}


def keep_monitoring(state: Path, found: Json) -> bool:
    """Keep what was found, in place of what an earlier day found; tell whether it is new.

    What a later day found stays.
    """
    before = read_monitoring(state)
    if before is not None and before["as_of"] > found["as_of"]:
        return False
    return _replace(state / MONITORING, found)


def keep_request(state: Path, request: Json) -> bool:
    """Keep a request to train again; tell whether it is new."""
    return _replace(state / RETRAIN, request)


def _replace(path: Path, said: Json) -> bool:
    text = json.dumps(with_digest(said), indent=1, allow_nan=False) + "\n"
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda draft: draft.write_text(text))
    return True


def _read(path: Path) -> Json | None:
    if not path.exists():
        return None
    try:
        found: Json = checked(json.loads(path.read_text()))
        schema = int(found["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"what monitoring keeps is JSON with a schema: {path} cannot be read. Remove it: weeks whose "
            "days are still published are counted again"
        ) from error
    if schema > SCHEMA:
        raise DataError(
            f"this version reads {path.name} up to schema {SCHEMA}: found {schema}, written by a newer "
            "one. Use that version"
        )
    return found
