"""When to train again, and when to send nothing: from weeks that have matured."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.monitoring.bands import NEARLY_SURE, SURE, band

OF_LAST, NEEDED = 3, 2  # so many of the last weeks must be off, the latest among them
SILENT = 9.21  # expected orders of which none comes by chance once in 10,000


@dataclass(frozen=True)
class Rule:
    """What a store puts up with.

    Attributes
    ----------
    tolerance
        Share by which a week's orders may differ from the expected; beyond it, and beyond luck, it is off.
    freeze
        The same beyond which nothing should be sent to marketing.
    """

    tolerance: float = 0.10
    freeze: float = 0.25


@dataclass(frozen=True)
class Week:
    """A matured week.

    Attributes
    ----------
    actual, expected, variance
        Orders that came, that were expected, and the variance of that.
    is_peak
        Whether people said that it would be unlike others: then it tells nothing of the model.
    is_partial
        Whether its last orders seem not to have arrived: a model cannot learn from that.
    """

    actual: float
    expected: float
    variance: float
    is_peak: bool = False
    is_partial: bool = False


def standing(week: Week, tolerance: float, chance: float = SURE) -> int:
    """Return 1 or -1 for a week above or below its expectation by more than allowed and than luck, else 0.

    Parameters
    ----------
    week
        The week.
    tolerance
        Share of the expected that is allowed.
    chance
        Of luck alone staying inside the band.
    """
    if week.is_peak or not week.expected > 0:
        return 0
    ratio = week.actual / week.expected
    luck = band([week.expected], [week.variance], chance)
    if ratio > max(1 + tolerance, float(luck.high[0])):
        return 1
    return -1 if ratio < min(1 - tolerance, float(luck.low[0])) else 0


def is_silence(expected: float, days: int, silent_days: int) -> bool:
    """Tell whether so many days without an order at a window's end are unlikely to be luck.

    Parameters
    ----------
    expected
        Orders expected of the window.
    days
        Its length.
    silent_days
        Days from the last known order of all to its end.
    """
    return expected / days * min(silent_days, days) > SILENT


def is_retrain_due(weeks: Sequence[Week], rule: Rule) -> bool:
    """Tell whether two of the last three weeks, the latest included, are off to the same side.

    Parameters
    ----------
    weeks
        Matured weeks, the oldest first; peaks and partial ones are passed over.
    rule
        What a store puts up with.
    """
    usual = [week for week in weeks if not (week.is_peak or week.is_partial)]
    last = [standing(week, rule.tolerance) for week in usual[-OF_LAST:]]
    return bool(last) and last[-1] != 0 and last.count(last[-1]) >= NEEDED


def is_frozen(weeks: Sequence[Week], rule: Rule) -> bool:
    """Tell whether the latest week is so far off, beyond three standard deviations, that forecasts mislead.

    A partial one counts: whatever is missing, nobody should be told of it.
    """
    last = [week for week in weeks if not week.is_peak][-1:]
    return bool(last) and standing(last[0], rule.freeze, NEARLY_SURE) != 0
