"""The registered model: its parts, how it is kept in files, and what it predicts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from features.tables import DataError, FirstBasket, Recent
from flows.learned import TREES_FILE, LearnedModel, learned_factors
from models.intervals import Levels, Outcomes, covered, informed_position
from models.monitoring import Counts, expected_counts
from models.purchases import FAMILY, PurchaseModel
from models.second_purchase import FEATURES, Classifier, design
from models.spend import Spend
from models.value import Forecast, Learned, SecondOrder, forecast

PARAMETERS = "parameters.json"
CLASSIFIER = "second_purchase.skops"
BINS = "bins.json"  # what :mod:`flows.drift` writes beside them
# skops trusts a scaler and a logistic regression by itself; nothing else is loaded there
TRUSTED_TYPES: list[str] = []

INPUTS = {  # column of CustomerState, Recent or FirstBasket: whether it must be given
    "frequency": True,
    "recency_days": True,
    "age_days": True,
    "monetary_value": True,
    "first_amount": True,
    "first_discount_share": False,
    "revenue": False,
    **{name: False for name in Recent.columns() if name != "customer_id"},
    **{name: False for name in FirstBasket.columns() if name != "customer_id"},
}
EXAMPLE = {  # what a row of inputs looks like
    "frequency": 2.0,
    "recency_days": 60.0,
    "age_days": 100.0,
    "monetary_value": 35.0,
    "first_amount": 30.0,
    "first_discount_share": 0.0,
    "revenue": 100.0,
    "last_amount": 40.0,
    "largest_amount": 40.0,
    "orders_30d": 0.0,
    "orders_60d": 1.0,
    "orders_90d": 2.0,
    "orders_180d": 3.0,
    "orders_365d": 3.0,
    "amount_30d": 0.0,
    "amount_60d": 40.0,
    "amount_90d": 70.0,
    "amount_180d": 100.0,
    "amount_365d": 100.0,
    "first_orders": 1.0,
    "first_hour": 14.0,
    "first_weekday": 2.0,
    "first_month": 3.0,
    "first_refund_share": 0.0,
    "first_items": 2.0,
    "first_categories": 1.0,
    "first_channel_rate": 0.3,
    "first_product_rate": 0.3,
}
HISTORY = ("frequency", "recency_days", "age_days")
Array = np.ndarray[Any, np.dtype[np.float64]]
OUTPUTS = (
    "p_alive",
    "p_order_90d",
    "churn_probability",
    "expected_orders",
    "expected_order_value",
    "expected_value",
    "value_low",
    "value_high",
    "p_second_order",
    "median_days",
)


@dataclass(frozen=True)
class Told:
    """What is known of customers beyond the purchase and spend models, whatever the horizon.

    Attributes
    ----------
    second_order
        Shape (n,): the classifier's chances of first-time buyers, NaN for others; None without either.
    learned
        What trees and weights say, without a season; None where they do not speak.
    """

    second_order: Array | None
    learned: Learned | None


@dataclass(frozen=True)
class Forecaster:
    """Everything that is needed to predict from customer states.

    Attributes
    ----------
    purchases, spend
        Fitted models.
    classifier
        Second-purchase classifier; None where the history was too short for one.
    second_purchase_days
        The window that the classifier speaks of.
    trained_as_of
        Last day whose orders it has seen.
    levels
        At which chances the ends of the interval of value lie.
    learned
        What was learned beyond the purchase and spend models; None = they speak alone.
    leaving, otherwise
        The best models in which customers leave after an order, and in which they leave by the clock or
        never: what an action can win is asked of both. None = of `purchases`.
    leaving_weight
        How far the history tells that they leave after an order, 0 to 1.
    first_level
        What first orders are multiplied by to stand for later ones.
    season_days, season
        Length of the window from the training day on that a season is known for, and what orders within
        it are multiplied by.
    """

    purchases: PurchaseModel
    spend: Spend
    classifier: Classifier | None
    second_purchase_days: int
    trained_as_of: date
    levels: Levels = field(default_factory=Levels)
    learned: LearnedModel | None = None
    season_days: int = 0
    season: float = 1.0
    leaving: PurchaseModel | None = None
    otherwise: PurchaseModel | None = None
    leaving_weight: float = 1.0
    first_level: float = 1.0

    @property
    def looks_further(self) -> bool:
        """Whether it asks for more than the customer state: recent days, or the first basket."""
        return self.learned is not None or self.classifier is not None

    def predict(
        self,
        state: pd.DataFrame,
        *,
        horizon_days: int,
        annual_discount_rate: float,
        told: Told | None = None,
    ) -> pd.DataFrame:
        """Predict what each customer will do.

        Parameters
        ----------
        state
            Columns of :data:`INPUTS`, one row per customer.
        horizon_days
            Length of the horizon.
        annual_discount_rate
            0.10 means that money in a year is worth 1 / 1.10 today.
        told
            What :meth:`tell` says of `state`, where it was asked already.

        Returns
        -------
        DataFrame
            Columns of :data:`OUTPUTS`, all double, with the index of `state`. ``median_days`` is
            infinite and ``p_second_order`` NaN where there is none.

        Raises
        ------
        DataError
            States that no history can have.
        """
        check_states(state)
        told = told or self.tell(state)
        chance = told.second_order
        f = self._forecast(state, told, horizon_days, annual_discount_rate, self.levels)
        if chance is None:
            once = (state["frequency"] == 0).to_numpy()
            columns = (state[name] for name in HISTORY)
            own = self.purchases.p_order(self.second_purchase_days, *columns)
            chance = np.where(once, own, np.nan)
        return pd.DataFrame(
            {
                "p_alive": f.p_alive,
                "p_order_90d": f.p_order_90d,
                "churn_probability": 1 - f.p_order,
                "expected_orders": f.expected_orders,
                "expected_order_value": f.expected_order_value,
                "expected_value": f.expected_value,
                "value_low": f.value_low,
                "value_high": f.value_high,
                "p_second_order": chance,
                "median_days": f.median_days,
            },
            index=state.index,
        )

    @classmethod
    def plain(
        cls, purchases: PurchaseModel, spend: Spend, learned: LearnedModel | None = None
    ) -> "Forecaster":
        """Return a model without classifier, season and interval, to compare with."""
        return cls(purchases, spend, None, 0, date.min, learned=learned)

    def expect(
        self, state: pd.DataFrame, horizon_days: int, annual_discount_rate: float = 0.0
    ) -> Forecast:
        """Forecast without an interval, for `state` as :meth:`predict` takes it."""
        return self._forecast(state, self.tell(state), horizon_days, annual_discount_rate, None)

    def tell(self, state: pd.DataFrame) -> Told:
        """Say what is known of each customer beyond the purchase and spend models."""
        learned = None
        if self.learned is not None:
            learned = learned_factors(self.learned, self.purchases, self.spend, state)
        return Told(self._second_order(state), learned)

    def counts(
        self, state: pd.DataFrame, windows: Sequence[int], told: Told | None = None
    ) -> dict[float, Counts]:
        """Expect purchase days within windows, with their variance, and their undiscounted value.

        Parameters
        ----------
        state
            As for :meth:`predict`.
        windows
            Their lengths in days.
        told
            What :meth:`tell` says of `state`, where it was asked already.

        Returns
        -------
        dict
            By window. The means are those of :meth:`expect`: what was learned counts for every window, a
            season for one as long as that it was learned for.
        """
        told = told or self.tell(state)
        x, t_x, T = (state[name].to_numpy(dtype=np.float64) for name in HISTORY)
        known = {days: self._known(told, days, len(state)) for days in windows}
        return expected_counts(
            self.purchases,
            self.spend.expected_order_value(x, state["monetary_value"]),
            x,
            t_x,
            T,
            windows=windows,
            second_order=next(iter(known.values()))[0],
            learned={days: one for days, (_, one) in known.items() if one is not None},
        )

    def covered(
        self, state: pd.DataFrame, value: ArrayLike, horizon_days: int
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Say which outcomes lie in the interval; of nothing, which has a chance of its own, how likely.

        Parameters
        ----------
        state
            As for :meth:`predict`.
        value
            Shape (n,): net amounts that came, undiscounted.
        horizon_days
            Length of the horizon.

        Returns
        -------
        Array
            Shape (n,), in [0, 1].
        """
        f = self.expect(state, horizon_days)
        x, t_x, T = (state[name] for name in HISTORY)
        own = self.purchases.p_order(horizon_days, x, t_x, T)
        relative = np.asarray(value) / np.maximum(f.stretch, 1e-12)
        place = Outcomes(self.purchases, self.spend, horizon_days).position(
            x, t_x, T, state["monetary_value"], relative
        )
        below, up_to = informed_position(*place, own, f.p_order)
        return covered(below, up_to, *self.levels.of(f.expected_value))

    def _second_order(self, state: pd.DataFrame) -> Array | None:
        """Return the classifier's chances of first-time buyers, NaN for others; None without either."""
        once = (state["frequency"] == 0).to_numpy()
        if self.classifier is None or not once.any():
            return None
        chance = np.full(len(state), np.nan)
        known = first_order_design(state[once], self.purchases, self.second_purchase_days)
        chance[once] = self.classifier.predict_proba(known)[:, 1]
        return chance

    def _known(
        self, told: Told, days: int, customers: int
    ) -> tuple[SecondOrder | None, Learned | None]:
        """Return what is known for a horizon: the season is one horizon's."""
        season = self.season if days == self.season_days else 1.0
        learned = told.learned
        if season != 1:
            factors = learned or Learned(*np.ones((3, customers)))
            learned = Learned(
                season * factors.hazard, season * factors.orders, season * factors.value, season
            )
        if told.second_order is None:
            return None, learned
        return SecondOrder(told.second_order, self.second_purchase_days), learned

    def _forecast(
        self,
        state: pd.DataFrame,
        told: Told,
        horizon_days: int,
        annual_discount_rate: float,
        levels: Levels | None,
    ) -> Forecast:
        once, learned = self._known(told, horizon_days, len(state))
        return forecast(
            self.purchases,
            self.spend,
            state["frequency"],
            state["recency_days"],
            state["age_days"],
            state["monetary_value"],
            horizon_days=horizon_days,
            annual_discount_rate=annual_discount_rate,
            second_order=once,
            learned=learned,
            levels=levels,
        )

    def save(self, folder: Path) -> None:
        """Write the model as JSON and skops."""
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        parameters = {
            "purchases": _said(self.purchases),
            "leaving": _said(self.leaving),
            "otherwise": _said(self.otherwise),
            "leaving_weight": self.leaving_weight,
            "first_level": self.first_level,
            "spend": {"model": "gamma_gamma", **self.spend.to_dict()},
            "second_purchase_days": self.second_purchase_days,
            "trained_as_of": self.trained_as_of.isoformat(),
            "levels": asdict(self.levels),
            "season": {"days": self.season_days, "multiplier": self.season},
            "learned": None if self.learned is None else self.learned.save(folder),
        }
        (folder / PARAMETERS).write_text(json.dumps(parameters, indent=2) + "\n")
        if self.classifier is not None:
            skops.io.dump(self.classifier, folder / CLASSIFIER)

    @classmethod
    def load(cls, folder: Path) -> "Forecaster":
        """Read a model that :meth:`save` wrote."""
        said = json.loads((folder / PARAMETERS).read_text())
        classifier = None
        if (folder / CLASSIFIER).exists():
            import skops.io

            classifier = skops.io.load(folder / CLASSIFIER, trusted=TRUSTED_TYPES)
        return cls(
            _model(said["purchases"]),
            Spend(**{name: said["spend"][name] for name in ("p", "q", "gamma", "slope")}),
            classifier,
            said["second_purchase_days"],
            date.fromisoformat(said["trained_as_of"]),
            Levels(**{name: tuple(values) for name, values in said["levels"].items()}),
            None if said["learned"] is None else LearnedModel.load(said["learned"], folder),
            said["season"]["days"],
            said["season"]["multiplier"],
            None if said["leaving"] is None else _model(said["leaving"]),
            _model(said["otherwise"]) if said.get("otherwise") else None,
            said.get("leaving_weight", 1.0),  # models of earlier versions do not say these three
            said.get("first_level", 1.0),
        )


def _said(model: PurchaseModel | None) -> dict[str, Any] | None:
    if model is None:
        return None
    return {"model": model.name, "unit": "days", "parameters": model.to_dict()}


def _model(said: dict[str, Any]) -> PurchaseModel:
    return FAMILY[said["model"]](**said["parameters"])


def check_states(state: pd.DataFrame) -> None:
    """Refuse states that no history can have, so that no prediction is made of nonsense."""
    x, t_x, T = (state[name] for name in ("frequency", "recency_days", "age_days"))
    possible = (x >= 0) & (t_x >= 0) & (t_x <= T) & ((x > 0) | (t_x == 0))
    possible &= (state["monetary_value"] >= 0) & (state["first_amount"] >= 0)
    if not possible.all():
        raise DataError(
            "customer states need frequency >= 0, 0 <= recency_days <= age_days and amounts >= 0: "
            f"{int((~possible).sum()):,} of {len(state):,} rows do not. Mend these rows"
        )


def model_files(folder: Path) -> dict[str, Path]:
    """Return the files of a saved model, by the name that serving knows them by."""
    named = {
        "parameters": folder / PARAMETERS,
        "classifier": folder / CLASSIFIER,
        "trees": folder / TREES_FILE,
        "bins": folder / BINS,
    }
    return {name: path for name, path in named.items() if path.exists()}


def first_order_design(
    state: pd.DataFrame, purchases: PurchaseModel, window_days: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Lay out what is known of first-time buyers for the classifier of a window."""
    history = (state[name] for name in ("frequency", "recency_days", "age_days"))
    known = {name: state[name] for name in FEATURES if name in state.columns}
    return design({**known, "p_by_rhythm": purchases.p_order(window_days, *history)})
