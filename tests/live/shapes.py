"""The shape of JSON: which fields, of which types; to compare a double with a vendor's payload."""

import json
import os
from pathlib import Path
from typing import Any

from tests.requirements import require

DATA = os.environ.get("PERENNIAL_DATA") or str(Path(__file__).parents[3] / "shared" / "data")
PAYLOADS = Path(DATA).parent / "live" / "payloads"


def payload(platform: str, name: str) -> Any:
    """Return a stored payload of a vendor; skip the test where there are none."""
    return json.loads(payload_text(platform, name))


def payload_text(platform: str, name: str) -> bytes:
    """Return the bytes of a stored payload."""
    path = PAYLOADS / platform / name
    require(path.exists(), f"{platform}/{name}", "PERENNIAL_DATA beside live/payloads")
    return path.read_bytes()


def paths(value: Any, place: str = "") -> dict[str, set[str]]:
    """Return the types by path; an element of a list is ``[]``, null is any type."""
    if isinstance(value, dict):
        fields = {place: {"object"}}
        for name, inner in value.items():
            _join(fields, paths(inner, f"{place}.{name}"))
        return fields
    if isinstance(value, list):
        elements = {place: {"list"}}
        for inner in value:
            _join(elements, paths(inner, f"{place}[]"))
        return elements
    return {place: set() if value is None else {type(value).__name__}}


def _join(into: dict[str, set[str]], more: dict[str, set[str]]) -> None:
    for place, types in more.items():
        into.setdefault(place, set()).update(types)


def differences(theirs: Any, ours: Any, extra: tuple[str, ...] = ()) -> list[str]:
    """Return where two values differ in shape; of empty lists nothing is compared inside.

    `extra` names paths that only ours has, and everything below them.
    """
    left, right = paths(theirs), paths(ours)
    lines = []
    for place in sorted(left.keys() | right.keys()):
        if extra and place.startswith(extra):
            continue
        theirs_here, ours_here = left.get(place), right.get(place)
        if ours_here is None:
            lines += [] if _is_in_empty_list(place, right) else [f"only theirs: {place}"]
        elif theirs_here is None:
            lines += [] if _is_in_empty_list(place, left) else [f"only ours: {place}"]
        elif theirs_here and ours_here and not theirs_here & ours_here:
            lines.append(f"{place}: {theirs_here} or {ours_here}")
    return lines


def _is_in_empty_list(place: str, types: dict[str, set[str]]) -> bool:
    """Tell whether a path is inside a list that has no elements, or inside a null."""
    parent = place
    while parent:
        parent = parent[: max(parent.rfind("."), parent.rfind("[]"), 0)]
        if parent in types:
            is_list = types[parent] == {"list"} and f"{parent}[]" not in types
            return is_list or not types[parent]
    return False
