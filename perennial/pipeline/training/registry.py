"""What people decide over the gate: promote a version, or go back to the one before."""

from dataclasses import dataclass

from connectors.tracking import Tracking
from features.tables import DataError
from models.gate import WAIVED


@dataclass(frozen=True)
class Decided:
    """Which version scores now, and which did before; None = none did."""

    champion: str
    before: str | None


def promote_version(
    tracking: Tracking, version: str, because: str, who: str, training_digest: str
) -> Decided:
    """Make a registered version the champion, with a person's reason on record.

    Raises
    ------
    DataError
        No such version, no reason, or one that was trained for other settings.
    """
    if not because.strip():
        raise DataError("a promotion needs a reason: --because is empty. Say why in a few words")
    if not tracking.has(version):
        raise DataError(
            f"only registered versions score: there is no version {version}. See MLflow"
        )
    if tracking.tags(version).get("training_digest") != training_digest:
        raise DataError(
            f"a version scores the store that it was trained for: {version} was trained for another store "
            "or other import settings. Run `perennial train`"
        )
    tags = {"gate": WAIVED} if tracking.tags(version).get("gate") != "passed" else {}
    return _put(tracking, version, because, who, tags)


def roll_back(tracking: Tracking, because: str, who: str) -> Decided:
    """Make the version before the champion again.

    Raises
    ------
    DataError
        There was none before.
    """
    previous = tracking.previous()
    if previous is None or previous == tracking.champion():
        raise DataError(
            "going back needs a version that scored before: there is none. Use `perennial promote VERSION`"
        )
    return _put(tracking, previous, because, who, {})


def _put(
    tracking: Tracking, version: str, because: str, who: str, tags: dict[str, str]
) -> Decided:
    before = tracking.champion()
    decision = {"decision": "promoted", "decided_by": who, "because": because}
    tracking.note(version, {**tags, **decision})
    tracking.promote(version)
    return Decided(version, before)
