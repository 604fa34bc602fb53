"""What a day is published for."""

from enum import StrEnum


class Purpose(StrEnum):
    """What a day is published for.

    Attributes
    ----------
    CURRENT
        Readers see it, unless they see a later one.
    MISSED
        It should have been published: what it commits holds, and readers see the newest day instead.
    HISTORY
        It is looked at and nothing else: nobody is told, and nothing is committed.
    """

    CURRENT = "current"
    MISSED = "missed"
    HISTORY = "history"
