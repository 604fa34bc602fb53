"""What was measured of the investment's effects, kept from one run to the next."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from connectors.store import replace_file
from segments.investment import Belief, Beliefs

FILE = "measured.json"


def read_beliefs(state: Path, as_of: date) -> Beliefs:
    """Return the effects as they were measured by a day, by tier and segment."""
    known = [said for said in _read(state) if date.fromisoformat(said["as_of"]) <= as_of]
    if not known:
        return {}
    newest = max(known, key=lambda said: str(said["as_of"]))
    return {
        (row["tier"], row["segment"]): Belief(row["mean"], row["deviation"], is_measured=True)
        for row in newest["effects"]
    }


def keep_beliefs(state: Path, as_of: date, beliefs: Mapping[tuple[str, str], Belief]) -> None:
    """Keep what was measured as of a day, in place of what was measured before as of the same."""
    rows = [
        {"tier": tier, "segment": segment, "mean": said.mean, "deviation": said.deviation}
        for (tier, segment), said in beliefs.items()
    ]
    others = [said for said in _read(state) if said["as_of"] != as_of.isoformat()]
    text = json.dumps([*others, {"as_of": as_of.isoformat(), "effects": rows}], indent=2) + "\n"
    state.mkdir(parents=True, exist_ok=True)
    replace_file(state / FILE, lambda draft: draft.write_text(text))


def _read(state: Path) -> list[dict[str, Any]]:
    path = state / FILE
    found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return found
