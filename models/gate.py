"""Whether a newly fitted model may score from now on: named checks, and a verdict.

A schedule trusts it: no model replaces the one that scores if it is worse than that, than a plain
purchase model, than a simple rule, or than its own numbers allow. A tie keeps the one that scores, so
that scores do not move for nothing. The first model of a store is refused for faults of the data only:
there is always a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log, sqrt
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from features.renamed import either_name
from models.evaluation import CutoffReport, Lead

BASELINES = ("last_period", "total_past", "rfm", "hiatus")
INCUMBENT = "incumbent"
FLOOR_MARGIN = 0.02  # of Gini, by which a simple rule may rank better
CHAMPION_MARGIN = 0.01  # of Gini, by which the new model may rank worse than the champion
TIE = 0.001  # of Gini: a lead no larger is none
PURCHASE_MODELS = "_gamma_gamma"  # how the names of plain purchase models end in a backtest
LEVEL = 1.5  # times too much or too little value that may be expected
FIRST_LEVEL = 10.0  # the same of a store's first model: beyond it a unit is wrong
LEVEL_SLACK = 0.1  # of a logarithm, by which the level may be further off than the window before
LEAST_BUYERS = 30  # customers who ordered after a cutoff
SCALE = 3.0  # times the champion's mean order value, and its inverse
LEAD = "lead"  # the check that decides a tie
PASSED, TIED, FAILED, WAIVED = "passed", "tie", "failed", "waived"


class Check(BaseModel):
    """One check.

    Attributes
    ----------
    name
        What is checked.
    is_passed
        Whether it allows the model.
    problem, threshold, fix
        In words.
    is_blocking
        Whether a model that does not pass is refused; otherwise it is warned of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    is_passed: bool
    problem: Annotated[str, either_name("problem")]
    threshold: str
    fix: Annotated[str, either_name("fix")]
    is_blocking: bool = True

    @property
    def text(self) -> str:
        """The check in one line."""
        return f"{self.name}: {self.problem} ({self.threshold}). {self.fix}"


class GateVerdict(BaseModel):
    """What becomes of a model.

    Attributes
    ----------
    gate
        ``passed``, ``tie`` (no better than the champion, which stays) or ``failed``.
    checks
        Every check.
    reasons
        Why the model is not promoted; empty where it is.
    warnings
        What a reader must know of a model that is promoted all the same.
    champion
        Version of the model that scored before; None = there was none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    checks: tuple[Check, ...]
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    champion: str | None = None

    @classmethod
    def of(cls, checks: Sequence[Check]) -> "GateVerdict":
        """Return the verdict that checks lead to."""
        failed = [check for check in checks if not check.is_passed and check.is_blocking]
        is_tie = all(check.name == LEAD for check in failed)
        return cls(
            gate=PASSED if not failed else TIED if is_tie else FAILED,
            checks=tuple(checks),
            reasons=tuple(check.text for check in failed),
            warnings=tuple(
                check.text for check in checks if not check.is_passed and not check.is_blocking
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the gate judges by.

    Attributes
    ----------
    parameters
        The new model's parameters by name.
    mean_order_value
        Expected value of an order, store's currency.
    cutoffs
        Of a backtest, in which the new model's recipe is ``champion``; empty = not backtested.
    champion_mean_order_value
        Of the model that scores; None = there is none for this store and these settings.
    """

    parameters: Mapping[str, float]
    mean_order_value: float
    cutoffs: Sequence[CutoffReport] = ()
    champion_mean_order_value: float | None = None


def judge(evidence: Evidence) -> GateVerdict:
    """Judge a new model.

    Parameters
    ----------
    evidence
        Its parameters, and how its recipe did on past days beside rules and the champion.

    Returns
    -------
    GateVerdict
        Without a champion a model passes if its parameters are sound, its features do not look ahead
        and its value is not off by a unit: nothing else could score. Other checks only warn then, and
        are left out where too few customers ordered to tell.
    """
    checks = [_parameters(evidence), _scale(evidence)]
    is_first = evidence.champion_mean_order_value is None
    if evidence.cutoffs and not (is_first and _buyers(evidence) < LEAST_BUYERS):
        checks += [_support(evidence), _blind(evidence)]
        checks += [
            check.model_copy(update={"is_blocking": not is_first}) for check in _floors(evidence)
        ]
        checks.append(_level(evidence, is_first=is_first))
    return GateVerdict.of(checks + _beside_champion(evidence))


def _parameters(evidence: Evidence) -> Check:
    wrong = [
        name for name, value in evidence.parameters.items() if not (isfinite(value) and value > 0)
    ]
    return Check(
        name="parameters",
        is_passed=not wrong,
        problem=f"not so: {', '.join(wrong)}" if wrong else f"all {len(evidence.parameters)} are",
        threshold="finite and above 0",
        fix="Look for impossible histories with `perennial check`",
    )


def _scale(evidence: Evidence) -> Check:
    own, champion = evidence.mean_order_value, evidence.champion_mean_order_value
    is_sound = isfinite(own) and own > 0
    if is_sound and champion is not None:
        is_sound = 1 / SCALE <= own / champion <= SCALE
    beside = "" if champion is None else f", the champion's {champion:,.2f}"
    return Check(
        name="spend_scale",
        is_passed=is_sound,
        problem=f"a mean order of {own:,.2f}{beside}",
        threshold=f"finite, and within {SCALE:g} times of the champion's",
        fix="Look whether amounts changed their unit, cents for instance",
    )


def _support(evidence: Evidence) -> Check:
    least = _buyers(evidence)
    return Check(
        name="support",
        is_passed=least >= LEAST_BUYERS,
        problem=f"{least:,} customers ordered after a cutoff",
        threshold=f"at least {LEAST_BUYERS}",
        fix="Wait for more orders, or promote it by hand",
    )


def _buyers(evidence: Evidence) -> int:
    return min(cutoff.buyers for cutoff in evidence.cutoffs)


def _blind(evidence: Evidence) -> Check:
    seeing = [f"{cutoff.as_of}" for cutoff in evidence.cutoffs if not cutoff.is_blind]
    return Check(
        name="no_future",
        is_passed=not seeing,
        problem=f"features of {', '.join(seeing)} change with later orders"
        if seeing
        else "they are",
        threshold="features are the same without later orders",
        fix="Mend the feature that looks ahead",
    )


def _floors(evidence: Evidence) -> list[Check]:
    """Compare the ranking with simple rules, and with the best of the plain purchase models."""
    plain = {name for cutoff in evidence.cutoffs for name in cutoff.differences}
    plain = {name for name in plain if name.endswith(PURCHASE_MODELS)}
    leads = {f"floor_{rule}": _lead(evidence, rule) for rule in BASELINES}
    of_plain = [lead for lead in (_lead(evidence, name) for name in sorted(plain)) if lead]
    leads["floor_purchase_model"] = min(of_plain, default=None)
    checks = []
    for name, lead in leads.items():
        if lead is None:
            continue
        difference, error = lead
        is_worse = difference < -FLOOR_MARGIN and difference + 1.96 * error < 0
        rival = name.removeprefix("floor_").replace("_", " ")
        checks.append(
            Check(
                name=name,
                is_passed=not is_worse,
                problem=f"Gini {difference:+.3f} compared with {rival}, give or take {1.96 * error:.3f}",
                threshold=f"no more than {FLOOR_MARGIN:g} worse, or within noise",
                fix="Look at what the model misses in the deciles",
            )
        )
    return checks


def _level(evidence: Evidence, *, is_first: bool) -> Check:
    """Compare the level of value; of a first model only a gross error refuses."""
    own = _off(evidence, "champion")
    rule = _off(evidence, "last_period")
    bound = max(log(LEVEL), 0.0 if rule is None else rule + LEVEL_SLACK)
    ratio = "unknown" if own is None else f"{own:.2f}"
    return Check(
        name="calibration",
        is_passed=own is not None and own <= bound,
        problem=f"value differed from the forecast by {ratio} in logarithm",
        threshold=f"at most {bound:.2f}: {LEVEL:g} times, or as much as the window before was off",
        fix="Look for a season, a price rise or a unit that changed",
        is_blocking=not is_first or (own is not None and own > max(bound, log(FIRST_LEVEL))),
    )


def _beside_champion(evidence: Evidence) -> list[Check]:
    if evidence.champion_mean_order_value is None:
        return []
    lead = _lead(evidence, INCUMBENT)
    if lead is None:
        return [
            Check(
                name=LEAD,
                is_passed=False,
                problem="not compared: no past window has outcomes",
                threshold=f"over {TIE:g}",
                fix="Wait for more orders",
            )
        ]
    difference, error = lead
    problem = f"Gini {difference:+.4f} compared with the champion, give or take {1.96 * error:.4f}"
    is_worse = difference < -CHAMPION_MARGIN or difference + 1.96 * error < 0
    return [
        Check(
            name="champion",
            is_passed=not is_worse,
            problem=problem,
            threshold=f"no more than {CHAMPION_MARGIN:g} worse, and not worse beyond noise",
            fix="The champion stays; look at what changed in the orders",
        ),
        Check(
            name=LEAD,
            is_passed=difference > TIE,
            problem=problem,
            threshold=f"over {TIE:g}",
            fix="The champion stays: a tie",
        ),
    ]


def _lead(evidence: Evidence, name: str) -> tuple[float, float] | None:
    """Return the mean lead in Gini over the cutoffs, and its standard error, taking them as one."""
    leads = [lead for cutoff in evidence.cutoffs if (lead := _gini_lead(cutoff, name))]
    if not leads:
        return None
    count = len(leads)
    error = sum((lead.high - lead.low) / 3.92 for lead in leads) / count
    return sum(lead.difference for lead in leads) / count, error


def _gini_lead(cutoff: CutoffReport, name: str) -> Lead | None:
    comparison = cutoff.differences.get(name)
    return None if comparison is None else comparison.gini_value


def _off(evidence: Evidence, name: str) -> float | None:
    """Return how far value is from what a model expected: the root mean square of log ratios."""
    metrics = [cutoff.models.get(name) for cutoff in evidence.cutoffs]
    ratios = [None if one is None else one.value_ratio for one in metrics]
    positive = [ratio for ratio in ratios if ratio is not None and ratio > 0]
    if not ratios or len(positive) < len(ratios):
        return None
    return sqrt(sum(log(ratio) ** 2 for ratio in positive) / len(positive))
