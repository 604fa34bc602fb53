"""Public names that were replaced. Each old name works for one version, :data:`WORKS_IN`.

A settings file may use old keys, which warns. Records that an earlier version wrote keep their old keys,
and are read for good. ``--json`` prints new and old keys, and a published day has a file under its old
name and with its old columns.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import AliasChoices, Field

WORKS_IN, REMOVED_IN = "0.2", "0.3"


class RenamedWarning(FutureWarning):
    """A settings file has a key that was renamed."""


class RenamedKey(NamedTuple):
    """A key of a record.

    Attributes
    ----------
    old, new
        Its names.
    beside
        Another key of the same record, by which ``--json`` recognizes it.
    """

    old: str
    new: str
    beside: str


class RenamedFile(NamedTuple):
    """A file of a published day.

    Attributes
    ----------
    old, new
        Its names.
    columns
        New names of its columns by their old ones.
    """

    old: str
    new: str
    columns: Mapping[str, str]


SETTINGS = {
    "moments": "triggers",
    "model.learned": "model.stacking",
}  # tables and keys: old to new
KEYS = (
    RenamedKey("finding", "problem", beside="threshold"),
    RenamedKey("next_step", "fix", beside="threshold"),
    RenamedKey("responders", "uplift_targeting", beside="program"),
)
NOTIFICATION_KEYS = (
    RenamedKey("next step", "fix", beside="fix"),
)  # of the facts of a notification
FILES = (RenamedFile("moments.csv", "triggers.csv", {"moment": "trigger"}),)


def either_name(new: str) -> Any:  # noqa: ANN401  # as pydantic's Field
    """Return pydantic's description of a field that is read under its old name too."""
    return Field(validation_alias=AliasChoices(new, *(key.old for key in KEYS if key.new == new)))


def with_new_settings(values: Mapping[str, object]) -> Mapping[str, object]:
    """Return nested settings under their new keys, and warn of each old one.

    Raises
    ------
    ValueError
        A setting has a value under both keys.
    """
    renamed = {name: _copied(value) for name, value in values.items()}
    for old, new in SETTINGS.items():
        *above, last = old.split(".")
        place: object = renamed
        for name in above:
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            continue
        name = new.rpartition(".")[2]
        if name in place:
            raise ValueError(f"{old} and {new} are the same setting. Remove {old}")
        warnings.warn(
            f"The setting {old} is now called {new}. Rename it: the old name works in version {WORKS_IN} "
            f"and is removed in {REMOVED_IN}",
            RenamedWarning,
            stacklevel=2,
        )
        place[name] = place.pop(last)
    return renamed


def with_old_keys(value: object, keys: Sequence[RenamedKey] = KEYS) -> object:
    """Return a JSON value in which every renamed key stands under its old name too."""
    if isinstance(value, list | tuple):
        return [with_old_keys(one, keys) for one in value]
    if not isinstance(value, dict):
        return value
    old = {key.old: value[key.new] for key in keys if key.new in value and key.beside in value}
    return {name: with_old_keys(one, keys) for name, one in (value | old).items()}


def old_file(new: str) -> RenamedFile | None:
    """Return what a file of a published day was renamed from; None where it never was."""
    return next((renamed for renamed in FILES if renamed.new == new), None)


def _copied(value: object) -> object:
    return (
        {name: _copied(one) for name, one in value.items()} if isinstance(value, dict) else value
    )
