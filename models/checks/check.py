"""The result of a check."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated

from features.renamed import either_name

PASSED, WARNED, REFUSED, ACCEPTED = "passed", "warned", "refused", "accepted"


@dataclass(frozen=True)
class Check:
    """One check of a day.

    Attributes
    ----------
    name
        What a person accepts it by, such as ``orders_of_the_day``.
    rule
        What must hold.
    problem
        What the data show, such as the number of orders and the number expected.
    threshold
        Limit beyond which the rule is broken.
    fix
        What to do if the rule is broken.
    verdict
        ``passed``, ``warned``, ``refused``, or ``accepted``: refused, and a person let it pass.
    is_late
        Whether waiting may mend it: the source is late.
    because
        Why a person accepted it.
    """

    name: str
    rule: str
    problem: Annotated[str, either_name("problem")]
    threshold: str
    fix: Annotated[str, either_name("fix")]
    verdict: str
    is_late: bool = False
    because: str | None = None

    def __str__(self) -> str:
        """Return rule, problem and fix in one line."""
        return f"{self.rule}: {self.problem} ({self.threshold}). {self.fix}"

    def to_dict(self) -> dict[str, str | bool | None]:
        """Return it as JSON values."""
        return asdict(self)


def verdict_of(*, refuses: bool, warns: bool = False) -> str:
    """Return the verdict: refused, warned or passed."""
    return REFUSED if refuses else WARNED if warns else PASSED


def accept(checks: Iterable[Check], because: Mapping[str, str]) -> list[Check]:
    """Let the refusals pass that a person accepted.

    Parameters
    ----------
    checks
        The results of the checks.
    because
        Why, by the name of the check.
    """
    return [
        replace(check, verdict=ACCEPTED, because=because[check.name])
        if check.verdict == REFUSED and check.name in because
        else check
        for check in checks
    ]


def refused(checks: Iterable[Check]) -> list[Check]:
    """Return those that refuse the day."""
    return [check for check in checks if check.verdict == REFUSED]
