"""What a check says."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

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
    finding
        What was found.
    threshold
        From where on it does not hold.
    next_step
        What to do where it does not.
    verdict
        ``passed``, ``warned``, ``refused``, or ``accepted``: refused, and a person let it pass.
    is_late
        Whether waiting may mend it: the source is late.
    because
        Why a person accepted it.
    """

    name: str
    rule: str
    finding: str
    threshold: str
    next_step: str
    verdict: str
    is_late: bool = False
    because: str | None = None

    def __str__(self) -> str:
        """Say rule, finding and next step in one line."""
        return f"{self.rule}: {self.finding} ({self.threshold}). {self.next_step}"

    def to_dict(self) -> dict[str, str | bool | None]:
        """Return it as JSON values."""
        return asdict(self)


def verdict_of(*, refuses: bool, warns: bool = False) -> str:
    """Return the verdict of a finding."""
    return REFUSED if refuses else WARNED if warns else PASSED


def accept(checks: Iterable[Check], because: Mapping[str, str]) -> list[Check]:
    """Let the refusals pass that a person accepted.

    Parameters
    ----------
    checks
        What was found.
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
