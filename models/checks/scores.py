"""Whether what comes out may be published."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from models.checks.check import Check, verdict_of

LEAST_MOVED = 30  # customers: fewer moving says nothing
MOST_DAYS = 7  # between two publications that limits grow with
NEW_MODEL = 2.0  # times as far may a new model move scores
CHANCES = ("p_alive", "p_order_90d", "churn_probability")
AMOUNTS = ("expected_orders", "expected_order_value", "expected_value", "expected_margin")
FARTHEST = 20.0  # times the most that a customer ever brought: no forecast goes beyond


@dataclass(frozen=True)
class ScoreLimits:
    """From where on scores are refused; see the settings."""

    most_value_change: float = 0.20
    most_share_change: float = 0.05
    most_switched: float = 0.10


@dataclass(frozen=True)
class Moved:
    """How scores moved since the day published before, over the customers of both.

    Attributes
    ----------
    customers
        How many are in both.
    value_change
        Change of their mean expected value, as a share.
    share_change, segment, segment_moved
        Largest change of a segment's share of them, which segment's, and by how many customers.
    switched
        How many are in another segment.
    days
        Days between the two.
    is_new_model
        Whether another model scored them.
    """

    customers: int
    value_change: float
    share_change: float
    segment: str
    segment_moved: int
    switched: int
    days: int
    is_new_model: bool

    @property
    def slack(self) -> float:
        """By how much limits widen: time passes, and a new model says something new."""
        return min(max(self.days, 1), MOST_DAYS) * (NEW_MODEL if self.is_new_model else 1.0)


def compare_scores(
    before: pd.DataFrame, now: pd.DataFrame, days: int, *, is_new_model: bool
) -> Moved | None:
    """Compare two days' scores; None where they share no customer.

    Parameters
    ----------
    before, now
        Columns ``customer_id, segment, expected_value``.
    days
        Days between the two.
    is_new_model
        Whether another model scored them.
    """
    both = before.merge(now, on="customer_id", suffixes=("_before", "_now"))
    if both.empty:
        return None
    was, is_ = (both[f"segment_{when}"].value_counts() for when in ("before", "now"))
    moved = is_.sub(was, fill_value=0)
    largest = str(moved.abs().idxmax())
    value = [float(both[f"expected_value_{when}"].mean()) for when in ("before", "now")]
    return Moved(
        len(both),
        value[1] / value[0] - 1 if value[0] > 0 else 0.0,
        float(moved[largest]) / len(both),
        largest,
        abs(int(moved[largest])),
        int((both["segment_before"] != both["segment_now"]).sum()),
        days,
        is_new_model,
    )


def check_scores(
    scores: pd.DataFrame,
    moved: Moved | None = None,
    limits: ScoreLimits | None = None,
    *,
    committed: float = 0.0,
    left: float = 0.0,
) -> list[Check]:
    """Check what comes out: that it can be right, and that it is like the day before.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`.
    moved
        What :func:`compare_scores` says; None on a first day.
    limits
        From where on they are refused.
    committed, left
        What the day commits, and what was left of the period's budget, store's currency.
    """
    limits = limits or ScoreLimits()
    checks = [_possible(scores), _coherent(scores), _budget(committed, left)]
    if moved is not None:
        checks += [_value(moved, limits), _shares(moved, limits), _switches(moved, limits)]
    return checks


def _possible(scores: pd.DataFrame) -> Check:
    chances, amounts = scores[list(CHANCES)], scores[list(AMOUNTS)]
    largest = FARTHEST * max(float(scores["revenue"].max()), 0.0)
    wrong: dict[str, ArrayLike] = {
        "customers are scored twice": scores["customer_id"].duplicated(),
        "customers have no id": scores["customer_id"].isna(),
        "chances lie outside 0 to 1": ~((chances >= 0) & (chances <= 1)).all(axis=1),
        "values are missing, infinite or negative": ~(np.isfinite(amounts) & (amounts >= 0)).all(
            axis=1
        ),
        f"values are over {FARTHEST:.0f} times the most that a customer ever brought": (
            scores["expected_value"] > largest
        ),
    }
    return Check(
        "scores_are_possible",
        "every customer has one score, and it is possible",
        _counted(wrong, len(scores)),
        "refused where one is not",
        "Look at the model's parameters in MLflow; `perennial rollback` brings the one before back",
        verdict_of(refuses=any(np.any(rows) for rows in wrong.values())),
    )


def _coherent(scores: pd.DataFrame) -> Check:
    again = scores["frequency"] > 0
    wrong: dict[str, ArrayLike] = {
        "recency is beyond age": scores["recency_days"] > scores["age_days"],
        "repeat buyers have no mean value": again & ~(scores["monetary_value"] >= 0),
        "the first order is after the day": pd.to_datetime(scores["first_order_date"])
        > pd.to_datetime(scores["as_of"]),
    }
    return Check(
        "states_are_coherent",
        "what is known of each customer is coherent",
        _counted(wrong, len(scores)),
        "refused where it is not",
        "Look at the orders' source and the rejects; this is a defect if both are right",
        verdict_of(refuses=any(np.any(rows) for rows in wrong.values())),
    )


def _counted(wrong: Mapping[str, ArrayLike], of: int) -> str:
    counts = {what: int(np.sum(rows)) for what, rows in wrong.items()}
    messages = [f"{count:,} of {of:,}: {what}" for what, count in counts.items() if count]
    return "; ".join(messages) or f"all {of:,} are"


def _budget(committed: float, left: float) -> Check:
    return Check(
        "budget_is_kept",
        "a day commits no more than is left of the period's budget",
        f"{committed:,.2f} committed, {left:,.2f} left",
        "refused above it",
        "Look at the actions' costs and at `commitments.parquet` of the last days; this is a defect if they are right",
        verdict_of(refuses=not committed <= left * (1 + 1e-9) + 1e-6),
    )


def _value(moved: Moved, limits: ScoreLimits) -> Check:
    most = limits.most_value_change * moved.slack
    return Check(
        "value_is_steady",
        "what customers are expected to bring changes little from day to day",
        f"the mean of {moved.customers:,} customers changed by {moved.value_change:+.1%} in {moved.days} days",
        f"refused beyond {most:.0%}",
        "Look at the page and at what changed in orders or model; if it is right, accept it",
        verdict_of(refuses=abs(moved.value_change) > most),
    )


def _shares(moved: Moved, limits: ScoreLimits) -> Check:
    most = limits.most_share_change * moved.slack
    return Check(
        "segments_are_steady",
        "segments grow and shrink little from day to day",
        f"{moved.segment.replace('_', ' ')} changed by {100 * moved.share_change:+.1f} points of all customers, most of all",
        f"refused beyond {100 * most:.0f} points and {LEAST_MOVED} customers",
        "Look at the page and at what changed in orders or model; if it is right, accept it",
        verdict_of(refuses=abs(moved.share_change) > most and moved.segment_moved >= LEAST_MOVED),
    )


def _switches(moved: Moved, limits: ScoreLimits) -> Check:
    most = limits.most_switched * moved.slack
    share = moved.switched / moved.customers
    return Check(
        "customers_stay_put",
        "few customers change their segment from day to day",
        f"{moved.switched:,} of {moved.customers:,} did ({share:.1%}) in {moved.days} days",
        f"refused beyond {most:.0%} and {LEAST_MOVED} customers",
        "Look at the page and at what changed in orders or model; if it is right, accept it",
        verdict_of(refuses=share > most and moved.switched >= LEAST_MOVED),
    )
