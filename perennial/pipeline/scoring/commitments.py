"""What is committed to whom, from one day to the next: nobody drawn again, nothing spent twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.draws import buckets
from connectors.programs import Programs, empty, since
from features.tables import Assignments, Commitments, DataError
from models.lift import Effect
from perennial.pipeline.experiments.effects import read_effects
from perennial.pipeline.experiments.uplift_targeting import read_uplift_targeting
from perennial.pipeline.settings.decisions import HoldoutSettings, InvestmentSettings
from segments.holdout import BUCKETS, CONTROL, Draw, RedrawError, assign
from segments.investment import Action, EffectEstimates, Granted, IncrementalValue, Plan


@dataclass(frozen=True)
class PriorDecisions:
    """What earlier days decided, and must not be decided again.

    Attributes
    ----------
    assignments, commitments
        Tables :class:`features.tables.Assignments` and :class:`features.tables.Commitments`.
    effects
        Effects that were measured.
    uplift_targeting
        By tier, what predicts each customer's effect, where that was proved.
    """

    assignments: pd.DataFrame = field(default_factory=lambda: empty(Assignments))
    commitments: pd.DataFrame = field(default_factory=lambda: empty(Commitments))
    effects: EffectEstimates = field(default_factory=dict)
    uplift_targeting: Mapping[str, Effect] = field(default_factory=dict)

    @classmethod
    def read(cls, programs: Programs, state: Path, as_of: date, days: int) -> "PriorDecisions":
        """Read what `days` near a day committed, on either side, and all that was drawn and measured."""
        return cls(
            programs.assignments(),
            programs.commitments(since(as_of, days), since(as_of, -days), but=as_of),
            read_effects(state, as_of),
            read_uplift_targeting(state, as_of),
        )


def draw_arms(
    settings: HoldoutSettings, customer_id: pd.Series, assignments: pd.DataFrame, as_of: date
) -> tuple[NDArray[np.bool_], pd.DataFrame]:
    """Draw whoever is new into the control group and the arms of the programs."""
    control = Draw(CONTROL, settings.share, settings.salt)
    others = [
        Draw(name, share, f"{settings.salt}:{name}") for name, share in settings.programs.items()
    ]
    try:
        held, drawn = assign(customer_id, assignments, control, as_of, buckets)
        rows = [
            drawn,
            *(
                assign(customer_id[~held], assignments, other, as_of, buckets)[1]
                for other in others
            ),
        ]
    except RedrawError as error:
        raise DataError(str(error)) from error
    return held, pd.concat([part for part in rows if len(part)] or [drawn], ignore_index=True)


@dataclass(frozen=True)
class Standing:
    """What is committed already: arrays of shape (n,), the tier empty where nothing is, and its rows."""

    tier: NDArray[np.object_]
    expected_return: NDArray[np.float64]
    is_bound: NDArray[np.bool_]
    in_force: pd.DataFrame


@dataclass(frozen=True)
class ActiveCommitments:
    """What earlier days committed: the last of each customer who is not past resting from it.

    Attributes
    ----------
    last
        Rows of :class:`features.tables.Commitments`, by customer id, and ``age_days`` since.
    period_days
        For how long a customer keeps a tier.
    """

    last: pd.DataFrame
    period_days: int

    @classmethod
    def of_day(
        cls, settings: InvestmentSettings, commitments: pd.DataFrame, as_of: date
    ) -> "ActiveCommitments":
        """Find what counts on a day."""
        days = (pd.Timestamp(as_of) - pd.to_datetime(commitments["committed_date"])).dt.days
        counts = (days > 0) & (days < settings.period_days + settings.rest_days)
        before = commitments.assign(age_days=days)[counts].sort_values("committed_date")
        last = before.drop_duplicates("customer_id", keep="last").set_index("customer_id")
        return cls(last, settings.period_days)

    def of(self, customers: pd.Series) -> Standing:
        """Say who of some customers has a tier from an earlier day, and who rests from one."""
        commitments = self.last.reindex(customers)
        age = commitments["age_days"].to_numpy(dtype=np.float64)
        has_tier = age < self.period_days
        returns = (commitments["expected_gain"] / commitments["expected_cost"]).to_numpy(
            dtype=np.float64
        )
        tier = np.where(has_tier, commitments["investment_tier"].to_numpy(dtype=object), "")
        in_force = commitments[has_tier].reset_index(names="customer_id")[
            list(Commitments.schema())
        ]
        return Standing(tier.astype(object), returns, ~np.isnan(age), in_force)


def plan_budget(settings: InvestmentSettings, commitments: pd.DataFrame, as_of: date) -> Plan:
    """Leave of the period's budget what no day within a period of this one has committed."""
    days = (pd.to_datetime(commitments["committed_date"]) - pd.Timestamp(as_of)).dt.days.abs()
    mine = commitments[(days < settings.period_days) & ~commitments["is_holdout"].astype(bool)]
    return Plan(
        budget=max(settings.budget - float(mine["expected_cost"].sum()), 0.0),
        caution=settings.caution,
        hurdle=settings.hurdle,
        exploration=settings.exploration,
        seed=as_of.toordinal(),
    )


def explorers(
    settings: InvestmentSettings, customer_id: pd.Series, as_of: date
) -> NDArray[np.bool_]:
    """Draw the test share: the same customers for a period, others in the next."""
    period = as_of.toordinal() // settings.period_days
    key, ids = f"{period:016d}"[-16:], customer_id.to_numpy(dtype=object)
    hashed = pd.util.hash_array(ids, hash_key=key, categorize=False)
    return np.asarray(hashed % BUCKETS < settings.exploration * BUCKETS)


def chosen_of(granted: Granted, rows: NDArray[np.bool_]) -> pd.DataFrame:
    """Return what some customers get: ``tier, gain, gain_low, gain_high, is_measured, cost``."""
    columns = ("tier", "gain", "gain_low", "gain_high", "is_measured", "cost")
    return pd.DataFrame({name: getattr(granted, name)[rows] for name in columns})


def list_commitments(
    scores: pd.DataFrame,
    grants: pd.DataFrame,
    watched: IncrementalValue,
    actions: Sequence[Action],
    as_of: date,
) -> pd.DataFrame:
    """List what is newly committed, to the customers of `scores`, by what an experiment will see of it."""
    by_tier = {action.tier: action for action in actions}
    assumed = grants["tier"].map({t: (a.assumed_lift, a.assumed_keep) for t, a in by_tier.items()})
    lift, keep = np.array([*assumed], dtype=np.float64).reshape(-1, 2).T
    rows = scores[["customer_id", "segment", "is_holdout", "expected_margin"]]
    return rows.assign(
        committed_date=as_of,
        investment_tier=grants["tier"].to_numpy(),
        expected_cost=grants["cost"].to_numpy(),
        expected_gain=grants["gain"].to_numpy(),
        gain_low=grants["gain_low"].to_numpy(),
        gain_high=grants["gain_high"].to_numpy(),
        is_measured=grants["is_measured"].to_numpy(),
        assumed_gain=(watched.faster * lift + watched.kept * keep) * watched.margin_per_order,
    )[list(Commitments.schema())].reset_index(drop=True)
