"""Whether a day may be published: named checks of what came in and of what comes out.

Each check states its rule, what was found, its threshold, and what to do next. The thresholds are
defaults that a store may set.
"""

from models.checks.check import ACCEPTED, PASSED, REFUSED, WARNED, Check, accept, refused
from models.checks.scores import Moved, check_scores, compare_scores
from models.checks.source import Source, check_source
from models.checks.volume import Volume, expected_orders, judge_volume

__all__ = [
    "ACCEPTED",
    "PASSED",
    "REFUSED",
    "WARNED",
    "Check",
    "Moved",
    "Source",
    "Volume",
    "accept",
    "check_scores",
    "check_source",
    "compare_scores",
    "expected_orders",
    "judge_volume",
    "refused",
]
