"""The state's folder: who was drawn, what was measured, what Klaviyo confirmed.

It says which format it has, and is brought up to date before a run, step by step.
"""

import json
from collections.abc import Callable
from pathlib import Path

from connectors.formats import FORMAT, check_not_newer
from connectors.store import replace_file

MARKER = "format.json"


def bring_up_to_date(state: Path) -> None:
    """Bring the state's folder to this code's format; one run at a time may.

    Raises
    ------
    DataError
        A newer Perennial wrote it.
    """
    marker = state / MARKER
    found = int(json.loads(marker.read_text())["format"]) if marker.exists() else 1
    check_not_newer(found, f"the state under {state}")
    if found == FORMAT and marker.exists():
        return
    for number in range(found, FORMAT):
        STEPS[number](state)
    state.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT}) + "\n"
    replace_file(marker, lambda draft: draft.write_text(text))


def _from_1(state: Path) -> None:
    """Nothing changed its form: draws, readouts and what Klaviyo confirmed are as they were."""


STEPS: dict[int, Callable[[Path], None]] = {1: _from_1}
