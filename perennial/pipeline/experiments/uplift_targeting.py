"""Uplift targeting: fitted where arms were drawn at random, proved, and saved from one run to the next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.kept import checked, with_digest
from connectors.store import replace_file
from features.tables import HISTORY
from models.lift import (
    Effect,
    Interval,
    LiftError,
    PolicyValue,
    Qini,
    Uplift,
    UpliftTargetingReadout,
    policy_value,
    qini,
)
from perennial.pipeline.training.model_files import TRUSTED_TREES
from segments.investment import Action, IncrementalValue

Array = NDArray[np.float64]

NAME = "uplift_targeting"  # of the folder of the state, and of the files for each day in it
OLD_NAME = "responders"  # in earlier versions, whose fits still count
KNOWN = (  # columns of Scores, as published on the day that a customer was drawn
    *HISTORY,
    "monetary_value",
    "orders",
    "revenue",
    "p_alive",
    "p_order_90d",
    "churn_probability",
    "expected_orders",
    "expected_order_value",
    "expected_margin",
)
LARGEST_MULTIPLE = 3.0  # of the assumed effect: what is learned of one customer is noisy


def learn_uplift_targeting(rows: pd.DataFrame) -> tuple[UpliftTargetingReadout, Effect | None]:
    """Learn whose margin an action raises, and whether that ranks those who were not seen.

    Parameters
    ----------
    rows
        Customers of one tier: :data:`KNOWN` as of the draw, ``is_holdout, margin, cost, share``.

    Returns
    -------
    tuple
        What was learned, its Qini that of customers predicted by trees that have not seen them. The
        trees, where the interval of the Qini lies above 0; else None.
    """
    treated = ~rows["is_holdout"].to_numpy(dtype=bool)
    margin, cost = (rows[name].to_numpy(dtype=np.float64) for name in ("margin", "cost"))
    try:
        learned = Uplift.fit(features_of(rows), treated, margin)
        area: Qini = qini(learned.cross_fitted, treated, margin)
        is_used = bool(area.low > 0)
        usual = float(cost[treated].mean())
        value = _PolicyValues(treated, margin, cost, float(rows["share"].mean()))
        readout = UpliftTargetingReadout(
            learner=learned.learner,
            qini=_interval(area),
            is_used=is_used,
            rule=value.of(learned.cross_fitted > usual),
            everybody=value.of(np.ones(len(rows), dtype=bool)),
            nobody=value.of(np.zeros(len(rows), dtype=bool)),
        )
    except LiftError as error:
        return UpliftTargetingReadout(note=str(error), is_used=False), None
    return readout, learned.effect if is_used else None


@dataclass(frozen=True)
class _PolicyValues:
    """Outcomes to value rules by, weighed by the inverse of the chance of the arm.

    Attributes
    ----------
    treated, margin, cost
        Arrays of shape (n,).
    held_share
        Chance of being held out.
    """

    treated: NDArray[np.bool_]
    margin: Array
    cost: Array
    held_share: float

    def of(self, acts: NDArray[np.bool_]) -> Interval:
        """Value a rule that acts for some customers, by margin net of cost."""
        net = self.margin - np.where(self.treated, self.cost, 0.0)
        propensity = np.where(self.treated, 1 - self.held_share, self.held_share)
        return _interval(
            policy_value(self.treated, propensity, net, acts, is_self_normalized=True)
        )


def _interval(interval: Qini | PolicyValue) -> Interval:
    """Return an estimate and its ends; None for an end that is not finite."""

    def finite(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return Interval(
        estimate=finite(interval.estimate), low=finite(interval.low), high=finite(interval.high)
    )


def features_of(rows: pd.DataFrame) -> Array:
    """Lay out what is known of customers, shape (n, k)."""
    return np.column_stack([rows[name].to_numpy(dtype=np.float64) for name in KNOWN])


def save_uplift_targeting(state: Path, as_of: date, effects: Mapping[str, Effect]) -> None:
    """Save what was proved as of a day, by tier; an empty file ends the use of an earlier fit."""
    import skops.io

    folder = state / NAME / as_of.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    if effects:
        trees = {tier: list(effect.trees) for tier, effect in effects.items()}
        replace_file(folder / f"{NAME}.skops", lambda draft: skops.io.dump(trees, draft))
    weights = {tier: list(effect.weights) for tier, effect in effects.items()}
    text = json.dumps(with_digest(weights), indent=2) + "\n"
    replace_file(folder / f"{NAME}.json", lambda draft: draft.write_text(text))


def read_uplift_targeting(state: Path, as_of: date) -> dict[str, Effect]:
    """Return what was proved by a day, by tier."""
    saved = [path for name in (NAME, OLD_NAME) for path in (state / name).glob(f"*/{name}.json")]
    past = [path for path in saved if date.fromisoformat(path.parent.name) <= as_of]
    if not past:
        return {}
    newest = max(past, key=lambda path: path.parent.name)  # of one day the first, by the new name
    weights: dict[str, list[float]] = checked(json.loads(newest.read_text()))
    if not weights:
        return {}
    import skops.io

    trees = skops.io.load(newest.with_suffix(".skops"), trusted=TRUSTED_TREES)
    return {tier: Effect(tuple(trees[tier]), tuple(of)) for tier, of in weights.items()}


def multiples(
    effects: Mapping[str, Effect],
    features: Array,
    watched: IncrementalValue,
    actions: Sequence[Action],
) -> dict[str, Array]:
    """Say how each customer's effect compares with the assumed one, by tier.

    Parameters
    ----------
    effects
        What was proved, by tier.
    features
        Shape (n, k): see :func:`features_of`.
    watched
        What there is to win within the days that an experiment watches.
    actions
        The tiers and what is assumed of them.

    Returns
    -------
    dict
        Shape (n,) each: the predicted uplift over the assumed gain, from 0 to 3.
    """
    by_tier = {action.tier: action for action in actions}
    by_action = {}
    for tier, effect in effects.items():
        if tier not in by_tier:
            continue
        action = by_tier[tier]
        orders = watched.faster * action.assumed_lift + watched.kept * action.assumed_keep
        assumed = np.maximum(orders * watched.margin_per_order, 1e-9)
        by_action[tier] = np.clip(effect(features) / assumed, 0.0, LARGEST_MULTIPLE)
    return by_action
