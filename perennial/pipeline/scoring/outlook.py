"""What each customer will do and what there is to win of them: found portion by portion, and put aside."""

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
from perennial.pipeline.scoring.expected import WINDOWS
from perennial.pipeline.scoring.portions import Portion, Shelf
from perennial.pipeline.scoring.prospects import prospects
from perennial.pipeline.settings.store import DecisionPolicy
from segments.investment import Prospects

Array = NDArray[np.float64]

SEEN = (*HISTORY, "revenue", "expected_value", "expected_orders")  # looked at for all together
TO_WIN = ("margin_per_order", "faster", "kept", "orders_soon", "low_margin_per_order")
COUNTED = ("orders", "variance", "value")


@dataclass(frozen=True)
class Seen:
    """Of the n customers of a portion, what is looked at for all customers together.

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
class Outlook:
    """What was found of n customers: by name, arrays of shape (n,)."""

    found: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        """Return what is predicted: a column of :data:`models.forecaster.OUTPUTS`."""
        return self.found[name]

    @property
    def predicted(self) -> dict[str, Array]:
        """All that is predicted."""
        return {name: self.found[name] for name in OUTPUTS}

    @property
    def to_win(self) -> Prospects:
        """What there is to win of them within the horizon."""
        return Prospects(segment=None, **{name: self.found[name] for name in TO_WIN})

    @property
    def counts(self) -> dict[float, Counts]:
        """What the next weeks are expected to bring, by window."""
        return {
            days: Counts(*(self.found[f"{name}_{days}"] for name in COUNTED)) for days in WINDOWS
        }

    def moved(self, tiers: Mapping[str, Effect]) -> dict[str, Array]:
        """How each one's effect compares with the assumed one, by tier."""
        return {
            tier: self.found[f"moved_{tier}"] for tier in tiers if f"moved_{tier}" in self.found
        }


@dataclass(frozen=True)
class Lookout:
    """Looks at customers, portion by portion.

    Attributes
    ----------
    policy
        What the store decides by.
    forecaster
        The model.
    responders
        By tier, what predicts each customer's effect, where that was proved.
    shelf
        Where it is put aside.
    as_of
        The day whose end the states are known at.
    """

    policy: DecisionPolicy
    forecaster: Forecaster
    responders: Mapping[str, Effect]
    shelf: Shelf
    as_of: date

    def look(self, portion: Portion) -> Seen:
        """Say what a portion's customers will do and what there is to win, and put it aside."""
        model, state = self.policy.model, portion.numbers
        inputs = self.forecaster.inputs(state, self.as_of)
        predicted = self.forecaster.predict(
            state,
            horizon_days=model.horizon_days,
            annual_discount_rate=model.annual_discount_rate,
            inputs=inputs,
        )
        won = self.prospects(state, predicted, model.horizon_days)
        counts = self.forecaster.counts(state, WINDOWS, inputs=inputs)
        found = {name: predicted[name].to_numpy() for name in OUTPUTS}
        found |= {name: getattr(won, name) for name in TO_WIN}
        for days, of in counts.items():
            found |= {f"{name}_{days}": getattr(of, name) for name in COUNTED}
        found |= {f"moved_{tier}": by for tier, by in self._moved(state, predicted).items()}
        self.shelf.put(portion.number, found)
        whole = {**state[[*HISTORY, "revenue"]], **predicted}
        return Seen(portion.customers, np.array([whole[name] for name in SEEN], dtype=np.float64))

    def outlook(self, number: int) -> Outlook:
        """Return what was found of a portion."""
        return Outlook(self.shelf.take(number))

    def prospects(self, state: pd.DataFrame, predicted: pd.DataFrame, days: int) -> Prospects:
        """Say what there is to win within some days."""
        return prospects(self.policy, state, predicted, self.forecaster, None, days, self.as_of)

    def _moved(self, state: pd.DataFrame, predicted: pd.DataFrame) -> dict[str, Array]:
        """Say how each customer's effect compares with the assumed one, where that is known."""
        if not self.responders:
            return {}
        margin = predicted["expected_value"] * self.policy.margin
        known = pd.concat(
            [predicted, state.drop(columns=predicted.columns, errors="ignore")], axis=1
        )
        seen = self.prospects(state, predicted, self.policy.holdout.measure_days)
        features = features_of(known.assign(expected_margin=margin))
        return multiples(self.responders, features, seen, self.policy.actions)
