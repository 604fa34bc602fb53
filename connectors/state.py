"""The state's folder: who was drawn, what was measured, what Klaviyo confirmed.

It says which format it has, and is brought up to date before a run, step by step.
"""

import json
from collections.abc import Callable
from pathlib import Path

from connectors.formats import FORMAT, check_not_newer
from connectors.store import replace_file
from features.tables import DataError

MARKER = "format.json"


def bring_up_to_date(state: Path) -> None:
    """Bring the state's folder to this code's format; one run at a time may.

    Raises
    ------
    DataError
        A newer Perennial wrote it, or the marker is broken.
    """
    marker = state / MARKER
    version = _format_of(marker) if marker.exists() else 1
    check_not_newer(version, f"the state under {state}")
    if version == FORMAT and marker.exists():
        return
    for number in range(version, FORMAT):
        STEPS[number](state)
    state.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT}) + "\n"
    replace_file(marker, lambda draft: draft.write_text(text))


def _format_of(marker: Path) -> int:
    try:
        return int(json.loads(marker.read_text())["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the state must name its format: {marker} cannot be read. Bring it back from a backup, or write "
            f'{{"format": {FORMAT}}} into it if this Perennial wrote the state'
        ) from error


def _from_1(state: Path) -> None:
    """Nothing changed its form: draws, readouts and what Klaviyo confirmed are as they were."""


STEPS: dict[int, Callable[[Path], None]] = {1: _from_1}
