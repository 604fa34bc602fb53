"""What was measured of the investment's effects, kept from one run to the next."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from connectors.kept import checked, with_digest
from connectors.store import replace_file
from segments.investment import Belief, Beliefs

FILE, READOUTS = "measured.json", "readouts.json"


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
    _write(state, FILE, [*others, {"as_of": as_of.isoformat(), "effects": rows}])


def read_readouts(state: Path, as_of: date) -> list[dict[str, Any]]:
    """Return the newest read-out of each program by a day, as ``perennial measure`` printed it."""
    known = [said for said in _read(state, READOUTS) if date.fromisoformat(said["as_of"]) <= as_of]
    newest = {said["program"]: said for said in sorted(known, key=lambda said: str(said["as_of"]))}
    return list(newest.values())


def keep_readout(state: Path, found: dict[str, Any]) -> None:
    """Keep a read-out, in place of what was read of the same program as of the same day."""
    same = ("program", "as_of")
    others = [
        said for said in _read(state, READOUTS) if any(said[name] != found[name] for name in same)
    ]
    _write(state, READOUTS, [*others, found])


def _write(state: Path, name: str, rows: list[dict[str, Any]]) -> None:
    text = json.dumps(with_digest({"rows": rows}), indent=2, allow_nan=False) + "\n"
    state.mkdir(parents=True, exist_ok=True)
    replace_file(state / name, lambda draft: draft.write_text(text))


def _read(state: Path, name: str = FILE) -> list[dict[str, Any]]:
    path = state / name
    if not path.exists():
        return []
    kept = json.loads(path.read_text())
    rows: list[dict[str, Any]] = checked(kept)["rows"] if isinstance(kept, dict) else kept
    return rows  # an earlier version kept the rows alone
