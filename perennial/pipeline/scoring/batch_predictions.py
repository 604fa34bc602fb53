"""Predictions and incremental value of each customer, computed batch by batch and cached."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.tables import HISTORY
from models.forecaster import OUTPUTS, Forecaster
from models.lift import Effect
from models.monitoring import Counts
from perennial.pipeline.experiments.uplift_targeting import features_of, multiples
from perennial.pipeline.scoring.batches import Batch, BatchCache
from perennial.pipeline.scoring.expected import WINDOWS
from perennial.pipeline.scoring.incremental_value import incremental_value
from perennial.pipeline.settings.store import DecisionPolicy
from segments.investment import IncrementalValue

Array = NDArray[np.float64]

SEEN = (*HISTORY, "revenue", "expected_value", "expected_orders")  # looked at for all together
TO_WIN = ("margin_per_order", "faster", "kept", "orders_soon", "low_margin_per_order")
COUNTED = ("orders", "variance", "value")


@dataclass(frozen=True)
class Seen:
    """Of the n customers of a batch, what is looked at for all customers together.

    Attributes
    ----------
    customers
        Their ids.
    columns
        Shape (:data:`SEEN`, n).
    """

    customers: pd.Series
    columns: Array


@dataclass(frozen=True)
class BatchPredictions:
    """Predictions of n customers: by name, arrays of shape (n,)."""

    arrays: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        """Return what is predicted: a column of :data:`models.forecaster.OUTPUTS`."""
        return self.arrays[name]

    @property
    def predicted(self) -> dict[str, Array]:
        """All that is predicted."""
        return {name: self.arrays[name] for name in OUTPUTS}

    @property
    def to_win(self) -> IncrementalValue:
        """What there is to win of them within the horizon."""
        return IncrementalValue(segment=None, **{name: self.arrays[name] for name in TO_WIN})

    @property
    def counts(self) -> dict[float, Counts]:
        """What the next weeks are expected to bring, by window."""
        return {
            days: Counts(*(self.arrays[f"{name}_{days}"] for name in COUNTED)) for days in WINDOWS
        }

    def moved(self, tiers: Mapping[str, Effect]) -> dict[str, Array]:
        """How each one's effect compares with the assumed one, by tier."""
        return {
            tier: self.arrays[f"moved_{tier}"] for tier in tiers if f"moved_{tier}" in self.arrays
        }


@dataclass(frozen=True)
class BatchPredictor:
    """Predicts customers, batch by batch.

    Attributes
    ----------
    policy
        What the store decides by.
    forecaster
        The model.
    uplift_targeting
        By tier, what predicts each customer's effect, where that was proved.
    cache
        Where predictions are stored.
    as_of
        The day whose end the states are known at.
    """

    policy: DecisionPolicy
    forecaster: Forecaster
    uplift_targeting: Mapping[str, Effect]
    cache: BatchCache
    as_of: date

    def look(self, batch: Batch) -> Seen:
        """Predict a batch's customers and their incremental value, and cache both."""
        model, state = self.policy.model, batch.numbers
        inputs = self.forecaster.inputs(state, self.as_of)
        predicted = self.forecaster.predict(
            state,
            horizon_days=model.horizon_days,
            annual_discount_rate=model.annual_discount_rate,
            inputs=inputs,
        )
        won = self.incremental_value(state, predicted, model.horizon_days)
        counts = self.forecaster.counts(state, WINDOWS, inputs=inputs)
        arrays = {name: predicted[name].to_numpy() for name in OUTPUTS}
        arrays |= {name: getattr(won, name) for name in TO_WIN}
        for days, of in counts.items():
            arrays |= {f"{name}_{days}": getattr(of, name) for name in COUNTED}
        arrays |= {f"moved_{tier}": by for tier, by in self._moved(state, predicted).items()}
        self.cache.put(batch.number, arrays)
        whole = {**state[[*HISTORY, "revenue"]], **predicted}
        return Seen(batch.customers, np.array([whole[name] for name in SEEN], dtype=np.float64))

    def predictions(self, number: int) -> BatchPredictions:
        """Return the cached predictions of a batch."""
        return BatchPredictions(self.cache.take(number))

    def incremental_value(
        self, state: pd.DataFrame, predicted: pd.DataFrame, days: int
    ) -> IncrementalValue:
        """Say what there is to win within some days."""
        return incremental_value(
            self.policy, state, predicted, self.forecaster, None, days, self.as_of
        )

    def _moved(self, state: pd.DataFrame, predicted: pd.DataFrame) -> dict[str, Array]:
        """Say how each customer's effect compares with the assumed one, where that is known."""
        if not self.uplift_targeting:
            return {}
        margin = predicted["expected_value"] * self.policy.margin
        customers = pd.concat(
            [predicted, state.drop(columns=predicted.columns, errors="ignore")], axis=1
        )
        seen = self.incremental_value(state, predicted, self.policy.holdout.measure_days)
        features = features_of(customers.assign(expected_margin=margin))
        return multiples(self.uplift_targeting, features, seen, self.policy.actions)
