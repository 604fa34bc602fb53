"""What was measured of the investment's effects, kept from one run to the next."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

from connectors.kept import checked, with_digest
from connectors.store import replace_file
from models.lift import Readout
from models.records import Record
from segments.investment import EffectEstimate, EffectEstimates

FILE, READOUTS = "measured.json", "readouts.json"

Row = TypeVar("Row", bound=Record)


class MeasuredEffect(Record):
    """A tier's effect on a segment, as a multiple of the assumed one."""

    tier: str
    segment: str
    mean: float
    deviation: float  # standard deviation


class MeasuredEffects(Record):
    """The effects as they were measured on a day."""

    as_of: date
    effects: tuple[MeasuredEffect, ...]


def read_effects(state: Path, as_of: date) -> EffectEstimates:
    """Return the effects as they were measured by a day, by tier and segment."""
    measured = [row for row in _read(state / FILE, MeasuredEffects) if row.as_of <= as_of]
    if not measured:
        return {}
    newest = max(measured, key=lambda row: row.as_of)
    return {
        (row.tier, row.segment): EffectEstimate(row.mean, row.deviation, is_measured=True)
        for row in newest.effects
    }


def save_effects(
    state: Path, as_of: date, effects: Mapping[tuple[str, str], EffectEstimate]
) -> None:
    """Keep what was measured as of a day, in place of what was measured before as of the same."""
    measured = tuple(
        MeasuredEffect(
            tier=tier, segment=segment, mean=estimate.mean, deviation=estimate.deviation
        )
        for (tier, segment), estimate in effects.items()
    )
    others = [row for row in _read(state / FILE, MeasuredEffects) if row.as_of != as_of]
    _write(state / FILE, [*others, MeasuredEffects(as_of=as_of, effects=measured)])


def read_readouts(state: Path, as_of: date) -> list[Readout]:
    """Return the newest read-out of each program by a day, as ``perennial measure`` printed it."""
    readouts = [row for row in _read(state / READOUTS, Readout) if row.as_of <= as_of]
    newest = {row.program: row for row in sorted(readouts, key=lambda row: row.as_of)}
    return list(newest.values())


def save_readout(state: Path, readout: Readout) -> None:
    """Keep a read-out, in place of what was read of the same program as of the same day."""
    same = (readout.program, readout.as_of)
    others = [row for row in _read(state / READOUTS, Readout) if (row.program, row.as_of) != same]
    _write(state / READOUTS, [*others, readout])


def _write(path: Path, rows: Sequence[Record]) -> None:
    kept = with_digest({"rows": [row.to_json() for row in rows]})
    text = json.dumps(kept, indent=2, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda draft: draft.write_text(text))


def _read(path: Path, kind: type[Row]) -> list[Row]:
    if not path.exists():
        return []
    kept = json.loads(path.read_text())
    rows = checked(kept)["rows"] if isinstance(kept, dict) else kept
    return [kind.model_validate(row) for row in rows]  # an earlier version kept the rows alone
