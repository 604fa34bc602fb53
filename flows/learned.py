"""What is learned beyond the purchase and spend models: trees and weights, kept in files, and its answer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.tables import Recent
from models.blend import Blend
from models.cells import distinct
from models.purchases import PurchaseModel
from models.spend import Spend
from models.two_part import TwoPart, design
from models.value import Learned

Array = NDArray[np.float64]

RECENT = tuple(name for name in Recent.columns() if name != "customer_id")
TREES_FILE = "two_part.skops"


class Base(NamedTuple):
    """What purchase and spend models say of customers over a window; arrays of shape (n,)."""

    chance: Array
    orders: Array
    value: Array
    order_value: Array


def base_forecasts(
    purchases: PurchaseModel, spend: Spend, state: pd.DataFrame, days: float
) -> Base:
    """Forecast by the models alone, undiscounted; each distinct state is computed once."""
    x, t_x, T, m = (
        np.asarray(state[name], dtype=np.float64)
        for name in ("frequency", "recency_days", "age_days", "monetary_value")
    )
    states, where = distinct(x, t_x, T)
    orders = purchases.expected_orders(days, *states)[where]
    order_value = spend.expected_order_value(x, m)
    return Base(purchases.p_order(days, *states)[where], orders, orders * order_value, order_value)


def tree_features(state: pd.DataFrame, base: Base) -> Array:
    """Lay out what is known of customers for the trees."""
    return design({name: state[name] for name in state.columns}, RECENT, base)


def rivals(state: pd.DataFrame, base: Base, chance: Array, value: Array) -> tuple[Array, Array]:
    """Return the forecasts that are blended: of value, shape (n, 3), and of ordering, shape (n, 2)."""
    total = np.nan_to_num(np.asarray(state["revenue"], dtype=np.float64))
    return np.column_stack([base.value, value, total]), np.column_stack([base.chance, chance])


@dataclass(frozen=True)
class LearnedModel:
    """Trees and weights.

    Attributes
    ----------
    days
        Window that they were learned on.
    two_part
        The trees.
    blend
        How their forecasts, the models' and past revenue are weighted.
    """

    days: int
    two_part: TwoPart
    blend: Blend

    # What scikit-learn's trees are made of: reviewed, arrays and plain numbers only.
    TRUSTED: ClassVar = [
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "numpy.dtype",
    ]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the trees, and return the rest as JSON values."""
        import skops.io

        trees = {"any_order": self.two_part.any_order, "log_value": self.two_part.log_value}
        skops.io.dump(trees, folder / TREES_FILE)
        return {"days": self.days, "smear": self.two_part.smear, "blend": asdict(self.blend)}

    @classmethod
    def load(cls, said: Mapping[str, Any], folder: Path) -> "LearnedModel":
        """Read what :meth:`save` wrote."""
        import skops.io

        trees = skops.io.load(folder / TREES_FILE, trusted=cls.TRUSTED)
        blend: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in said["blend"].items()
        }
        two_part = TwoPart(trees["any_order"], trees["log_value"], said["smear"])
        return cls(said["days"], two_part, Blend(**blend))


def learned_factors(
    learned: LearnedModel, purchases: PurchaseModel, spend: Spend, state: pd.DataFrame
) -> Learned:
    """Say what the models' answers are multiplied by, for states of shape (n,).

    Where `state` does not tell what customers did of late, the models speak alone.
    """
    if not {"revenue", *RECENT}.issubset(state.columns):
        one = np.ones(len(state))
        return Learned(one, one, one)
    base = base_forecasts(purchases, spend, state, learned.days)
    chance, value = learned.two_part.predict(tree_features(state, base))
    return blended(learned.blend, base, *rivals(state, base, chance, value))


def blended(blend: Blend, base: Base, values: Array, chances: Array) -> Learned:
    """Say how a blend's forecasts stand to the models'."""
    chance = np.clip(blend.chance(chances), 1e-9, 1 - 1e-9)
    own = np.clip(base.chance, 1e-12, 1 - 1e-12)
    return Learned(
        np.log1p(-chance) / np.log1p(-own),
        blend.orders_level * chance / own,
        blend.value(values) / np.maximum(base.value, 1e-300),
    )
