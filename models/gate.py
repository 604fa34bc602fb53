"""Whether a newly fitted model may score from now on: named checks, and a verdict.

A schedule trusts it: no model replaces the one that scores if it is worse than that, than a plain
purchase model, than a simple rule, or than its own numbers allow. A tie keeps the one that scores, so
that scores do not move for nothing. The first model of a store is refused for faults of the data only:
there is always a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite, log, sqrt
from typing import Any

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
PASSED, TIED, FAILED, WAIVED = "passed", "tie", "failed", "waived"


@dataclass(frozen=True)
class Check:
    """One check: what it asks, what it found, what to do.

    Attributes
    ----------
    name
        What is checked.
    is_passed
        Whether it allows the model.
    finding, threshold, next_step
        In words.
    is_blocking
        Whether a model that does not pass is refused; otherwise it is warned of.
    """

    name: str
    is_passed: bool
    finding: str
    threshold: str
    next_step: str
    is_blocking: bool = True

    @property
    def text(self) -> str:
        """The check in one line."""
        return f"{self.name}: {self.finding} ({self.threshold}). {self.next_step}"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a model.

    Attributes
    ----------
    gate
        ``passed``, ``tie`` (no better than the champion, which stays) or ``failed``.
    checks
        Every check.
    """

    gate: str
    checks: tuple[Check, ...]

    @property
    def reasons(self) -> list[str]:
        """Why the model is not promoted; empty where it is."""
        return [check.text for check in self.checks if not check.is_passed and check.is_blocking]

    @property
    def warnings(self) -> list[str]:
        """What a reader must know of a model that is promoted all the same."""
        return [
            check.text for check in self.checks if not check.is_passed and not check.is_blocking
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {"gate": self.gate, "checks": [asdict(check) for check in self.checks]}


@dataclass(frozen=True)
class Evidence:
    """What the gate judges by.

    Attributes
    ----------
    parameters
        The new model's parameters by name.
    mean_order_value
        What it expects of an order, store's currency.
    cutoffs
        A backtest's: each with ``models`` (metrics by model, the new one's recipe as ``champion``),
        ``differences`` (of the new recipe to each other model), ``buyers`` and ``is_blind`` (whether
        features are the same without the orders after the cutoff). Empty = not backtested.
    champion_mean_order_value
        Of the model that scores; None = there is none for this store and these settings.
    """

    parameters: Mapping[str, float]
    mean_order_value: float
    cutoffs: Sequence[Mapping[str, Any]]
    champion_mean_order_value: float | None = None


def judge(evidence: Evidence) -> Verdict:
    """Judge a new model.

    Parameters
    ----------
    evidence
        Its parameters, and how its recipe did on past days beside rules and the champion.

    Returns
    -------
    Verdict
        Without a champion a model passes if its parameters are sound, its features do not look ahead
        and its value is not off by a unit: nothing else could score. Other checks only warn then, and
        are left out where too few customers ordered to tell.
    """
    checks = [_parameters(evidence), _scale(evidence)]
    is_first = evidence.champion_mean_order_value is None
    if evidence.cutoffs and not (is_first and _buyers(evidence) < LEAST_BUYERS):
        checks += [_support(evidence), _blind(evidence)]
        checks += [replace(check, is_blocking=not is_first) for check in _floors(evidence)]
        checks.append(_level(evidence, is_first=is_first))
    checks += _beside_champion(evidence)
    failed = [check for check in checks if not check.is_passed and check.is_blocking]
    if any(check.name != "lead" for check in failed):
        return Verdict(FAILED, tuple(checks))
    return Verdict(TIED if failed else PASSED, tuple(checks))


def _parameters(evidence: Evidence) -> Check:
    wrong = [
        name for name, value in evidence.parameters.items() if not (isfinite(value) and value > 0)
    ]
    return Check(
        "parameters",
        not wrong,
        f"not so: {', '.join(wrong)}" if wrong else f"all {len(evidence.parameters)} are",
        "finite and above 0",
        "Look for impossible histories with `perennial check`",
    )


def _scale(evidence: Evidence) -> Check:
    own, known = evidence.mean_order_value, evidence.champion_mean_order_value
    is_sound = isfinite(own) and own > 0
    if is_sound and known is not None:
        is_sound = 1 / SCALE <= own / known <= SCALE
    beside = "" if known is None else f", the champion's {known:,.2f}"
    return Check(
        "spend_scale",
        is_sound,
        f"a mean order of {own:,.2f}{beside}",
        f"finite, and within {SCALE:g} times of the champion's",
        "Look whether amounts changed their unit, cents for instance",
    )


def _support(evidence: Evidence) -> Check:
    least = _buyers(evidence)
    return Check(
        "support",
        least >= LEAST_BUYERS,
        f"{least:,} customers ordered after a cutoff",
        f"at least {LEAST_BUYERS}",
        "Wait for more orders, or promote it by hand",
    )


def _buyers(evidence: Evidence) -> int:
    return min(int(cutoff["buyers"]) for cutoff in evidence.cutoffs)


def _blind(evidence: Evidence) -> Check:
    seeing = [cutoff["as_of"] for cutoff in evidence.cutoffs if not cutoff["is_blind"]]
    return Check(
        "no_future",
        not seeing,
        f"features of {', '.join(seeing)} change with later orders" if seeing else "they are",
        "features are the same without later orders",
        "Mend the feature that looks ahead",
    )


def _floors(evidence: Evidence) -> list[Check]:
    """Compare the ranking with simple rules, and with the best of the plain purchase models."""
    plain = {name for cutoff in evidence.cutoffs for name in cutoff["differences"]}
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
                name,
                not is_worse,
                f"Gini {difference:+.3f} compared with {rival}, give or take {1.96 * error:.3f}",
                f"no more than {FLOOR_MARGIN:g} worse, or within noise",
                "Look at what the model misses in the deciles",
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
        "calibration",
        own is not None and own <= bound,
        f"value differed from the forecast by {ratio} in logarithm",
        f"at most {bound:.2f}: {LEVEL:g} times, or as much as the window before was off",
        "Look for a season, a price rise or a unit that changed",
        is_blocking=not is_first or (own is not None and own > max(bound, log(FIRST_LEVEL))),
    )


def _beside_champion(evidence: Evidence) -> list[Check]:
    if evidence.champion_mean_order_value is None:
        return []
    lead = _lead(evidence, INCUMBENT)
    if lead is None:
        finding = "not compared: no past window has outcomes"
        return [Check("lead", False, finding, f"over {TIE:g}", "Wait for more orders")]
    difference, error = lead
    said = f"Gini {difference:+.4f} beside the champion, give or take {1.96 * error:.4f}"
    is_worse = difference < -CHAMPION_MARGIN or difference + 1.96 * error < 0
    return [
        Check(
            "champion",
            not is_worse,
            said,
            f"no more than {CHAMPION_MARGIN:g} worse, and not worse beyond noise",
            "The champion stays; look at what changed in the orders",
        ),
        Check("lead", difference > TIE, said, f"over {TIE:g}", "The champion stays: a tie"),
    ]


def _lead(evidence: Evidence, name: str) -> tuple[float, float] | None:
    """Return the mean lead in Gini over the cutoffs, and its standard error, taking them as one."""
    found = [cutoff["differences"].get(name, {}).get("gini_value") for cutoff in evidence.cutoffs]
    known = [one for one in found if one is not None]
    if not known:
        return None
    count = len(known)
    error = sum((one["high"] - one["low"]) / 3.92 for one in known) / count
    return sum(one["difference"] for one in known) / count, error


def _off(evidence: Evidence, name: str) -> float | None:
    """Return how far value is from what a model expected: the root mean square of log ratios."""
    ratios = [cutoff["models"].get(name, {}).get("value_ratio") for cutoff in evidence.cutoffs]
    if not ratios or any(ratio is None or not ratio > 0 for ratio in ratios):
        return None
    return sqrt(sum(log(ratio) ** 2 for ratio in ratios) / len(ratios))
