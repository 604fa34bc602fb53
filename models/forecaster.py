"""The model that is registered: its parts, and what it predicts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from features.tables import HISTORY, DataError, FirstBasket, Recent
from models.corrections import ModelCorrection, StackedModel, history_of
from models.history import CALENDAR, CustomerHistory
from models.intervals import Levels, Outcomes, covered, informed_position
from models.monitoring import Counts, expected_counts
from models.operational_time import OperationalTime, PaceIndex
from models.order_value import OrderValue
from models.purchases import PurchaseModel
from models.second_purchase import BY_DAYS as DAYS_COLUMNS
from models.second_purchase import FEATURES, Classifier, design
from models.spend import Spend
from models.value import Forecast, ForecastMultipliers, SecondOrder, forecast, hazards, raised

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
Array = np.ndarray[Any, np.dtype[np.float64]]
OUTPUTS = (
    "p_alive",
    "p_order_90d",
    "churn_probability",
    "expected_orders",
    "expected_order_value",
    "discount_factor",
    "expected_value",
    "value_low",
    "value_high",
    "p_second_order",
    "median_days",
)


@dataclass(frozen=True)
class ForecastInputs:
    """Corrections of customers' forecasts, whatever the horizon.

    Attributes
    ----------
    history
        What purchase and spend models see of the customers.
    second_order
        The classifier's forecast of one-time buyers; None without a classifier or one-time buyers.
    multipliers
        The correction's and the level's; None without either.
    """

    history: CustomerHistory
    second_order: SecondOrder | None
    multipliers: ForecastMultipliers | None


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """Everything that is needed to predict from customer states.

    Attributes
    ----------
    purchases
        Fitted purchase model.
    order_value
        Fitted model of order value.
    classifier
        Second-purchase classifier; None where the history was too short for one.
    second_purchase_days
        The classifier's window.
    trained_as_of
        Last day whose orders it was fitted to.
    levels
        At which chances the ends of the interval of value lie.
    correction
        Stacked model or simple rule; None = purchase and spend models as they are.
    level
        Logarithms by which expected orders and order value are corrected for everybody.
    by_days
        The second-purchase base rate by days since the first order; None without a classifier.
    pace
        What operational time is measured by; None = every day counts as one.
    dropout_model, alternative_model
        The best models in which customers leave after an order, and in which they leave by the clock or
        never: what an action can win is asked of both. None = of `purchases`.
    dropout_weight
        How far the history tells that they leave after an order, 0 to 1.
    """

    purchases: PurchaseModel
    order_value: OrderValue
    classifier: Classifier | None
    second_purchase_days: int
    trained_as_of: date
    levels: Levels = field(default_factory=Levels)
    correction: ModelCorrection | None = None
    level: tuple[float, float] = (0.0, 0.0)
    by_days: Classifier | None = None
    pace: PaceIndex | None = None
    dropout_model: PurchaseModel | None = None
    alternative_model: PurchaseModel | None = None
    dropout_weight: float = 1.0

    @property
    def spend(self) -> Spend:
        """The fitted Gamma-Gamma model."""
        return self.order_value.spend

    @property
    def needs_extended_features(self) -> bool:
        """Whether it asks for more than the customer state: recent days, or the first basket."""
        return self.correction is not None or self.classifier is not None

    def predict(
        self,
        state: pd.DataFrame,
        *,
        horizon_days: int,
        annual_discount_rate: float,
        as_of: date | None = None,
        inputs: ForecastInputs | None = None,
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
        as_of
            Day at whose end the states are known; None = the day that the model was trained on.
        inputs
            What :meth:`inputs` returns of `state`, where it was computed already; `as_of` is that of
            the inputs.

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
        inputs = inputs or self.inputs(state, as_of)
        f = self._forecast(inputs, horizon_days, annual_discount_rate, self.levels)
        chance = self._second_chance(inputs)
        return pd.DataFrame(
            {
                "p_alive": f.p_alive,
                "p_order_90d": f.p_order_90d,
                "churn_probability": 1 - f.p_order,
                "expected_orders": f.expected_orders,
                "expected_order_value": f.expected_order_value,
                "discount_factor": f.discount_factor,
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
        cls,
        purchases: PurchaseModel,
        order_value: OrderValue,
        correction: ModelCorrection | None = None,
        level: tuple[float, float] = (0.0, 0.0),
        pace: PaceIndex | None = None,
    ) -> "Forecaster":
        """Return a model without classifier and interval, to compare with."""
        trained = date.min if pace is None else pace.as_of
        return cls(
            purchases=purchases,
            order_value=order_value,
            classifier=None,
            second_purchase_days=0,
            trained_as_of=trained,
            correction=correction,
            level=level,
            pace=pace,
        )

    def expect(
        self,
        state: pd.DataFrame,
        horizon_days: int,
        annual_discount_rate: float = 0.0,
        as_of: date | None = None,
    ) -> Forecast:
        """Forecast without interval and median; arguments as those of :meth:`predict`."""
        return self._forecast(self.inputs(state, as_of), horizon_days, annual_discount_rate, None)

    def time(self, as_of: date | None = None) -> OperationalTime:
        """Return operational time around a day; None = the day that the model was trained on."""
        return OperationalTime(as_of or self.trained_as_of, self.pace)

    def inputs(self, state: pd.DataFrame, as_of: date | None = None) -> ForecastInputs:
        """Return histories and corrections of customers, which every horizon shares."""
        time = self.time(as_of)
        second_order, lift = self._second_order(state, time)
        multipliers = None
        if isinstance(self.correction, StackedModel):
            multipliers = self.correction.multipliers(
                self.purchases, self.order_value, state, lift, time
            )
        elif self.correction is not None:
            factors = self.correction.multipliers(self.purchases, self.order_value, state, time)
            multipliers = replace(factors, orders=factors.orders * lift)
        elif second_order is not None:
            one = np.ones(len(state))
            multipliers = ForecastMultipliers(one, lift, one)
        if any(self.level):
            factors = multipliers or ForecastMultipliers.none(len(state))
            orders, value = np.exp(self.level)
            multipliers = ForecastMultipliers(
                orders * factors.hazard, orders * factors.orders, value * factors.order_value
            )
        history = history_of(self.order_value, state, time)
        return ForecastInputs(history, second_order, multipliers)

    def counts(
        self,
        state: pd.DataFrame,
        windows: Sequence[int],
        as_of: date | None = None,
        inputs: ForecastInputs | None = None,
    ) -> dict[float, Counts]:
        """Expect purchase days within windows, with their variance, and their undiscounted value.

        Parameters
        ----------
        state
            As for :meth:`predict`.
        windows
            Their lengths in days.
        as_of, inputs
            As for :meth:`predict`.

        Returns
        -------
        dict
            By window. The means are those of :meth:`expect`.
        """
        inputs = inputs or self.inputs(state, as_of)
        return expected_counts(
            self.purchases,
            self.spend,
            inputs.history,
            windows=windows,
            second_order=inputs.second_order,
            multipliers=inputs.multipliers,
        )

    def covered(
        self,
        state: pd.DataFrame,
        value: ArrayLike,
        horizon_days: int,
        as_of: date | None = None,
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return which outcomes lie in the interval; for nothing, which has a chance of its own, how likely.

        Parameters
        ----------
        state
            As for :meth:`predict`.
        value
            Shape (n,): net amounts of the horizon, undiscounted.
        horizon_days
            Length of the horizon.
        as_of
            As for :meth:`predict`.

        Returns
        -------
        Array
            Shape (n,), in [0, 1].
        """
        inputs = self.inputs(state, as_of)
        f = self._forecast(inputs, horizon_days, 0.0, None)
        horizon = float(inputs.history.time.after(horizon_days))
        own = self.purchases.p_order(horizon, *inputs.history.times)
        relative = np.asarray(value) / np.maximum(f.stretch, 1e-12)
        place = Outcomes(self.purchases, self.spend, horizon).position(inputs.history, relative)
        below, up_to = informed_position(*place, own, f.p_order)
        return covered(below, up_to, *self.levels.of(f.expected_value))

    def _second_order(
        self, state: pd.DataFrame, time: OperationalTime
    ) -> tuple[SecondOrder | None, Array]:
        """Return the classifier's forecast of one-time buyers, None without either, and its lift."""
        if self.classifier is None or not (state["frequency"] == 0).any():
            return None, np.ones(len(state))
        window = self.second_purchase_days
        chance, lift = second_order_lift(
            self.classifier, self.by_days, state, self.purchases, window, time
        )
        return SecondOrder(chance, window), lift

    def _second_chance(self, inputs: ForecastInputs) -> Array:
        """Return one-time buyers' chances of a second order within the next days, NaN for others.

        The days are those of the classifier's window, on the calendar.
        """
        history, second_order = inputs.history, inputs.second_order
        window = float(history.time.after(self.second_purchase_days))
        if second_order is not None and window == second_order.window_days:
            return second_order.chance
        once = history.is_once
        own = self.purchases.p_order(window, *(column[once] for column in history.times))
        chance = np.full(len(once), np.nan)
        factors = inputs.multipliers or ForecastMultipliers.none(len(history))
        hazard = hazards(self.purchases, history, second_order, factors)
        chance[once] = raised(own, hazard[once])
        return chance

    def _forecast(
        self,
        inputs: ForecastInputs,
        horizon_days: int,
        annual_discount_rate: float,
        levels: Levels | None,
    ) -> Forecast:
        return forecast(
            self.purchases,
            self.spend,
            inputs.history,
            horizon_days=horizon_days,
            annual_discount_rate=annual_discount_rate,
            second_order=inputs.second_order,
            multipliers=inputs.multipliers,
            levels=levels,
            has_median=levels is not None,
        )


def check_states(state: pd.DataFrame) -> None:
    """Refuse states that no history can have, so that no prediction is made of nonsense."""
    x, t_x, T = (state[name] for name in HISTORY)
    possible = (x >= 0) & (t_x >= 0) & (t_x <= T) & ((x > 0) | (t_x == 0))
    possible &= (state["monetary_value"] >= 0) & (state["first_amount"] >= 0)
    if not possible.all():
        raise DataError(
            "customer states need frequency >= 0, 0 <= recency_days <= age_days and amounts >= 0: "
            f"{int((~possible).sum()):,} of {len(state):,} rows do not. Mend these rows"
        )


def first_order_design(
    state: pd.DataFrame,
    purchases: PurchaseModel,
    window_days: float,
    time: OperationalTime = CALENDAR,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Lay out what is known of first-time buyers for the classifier of a window, operational days."""
    t_x, age = time.since_first(state["recency_days"], state["age_days"])
    columns = {name: state[name] for name in FEATURES if name in state.columns}
    chance = purchases.p_order(window_days, state["frequency"], t_x, age)
    return design({**columns, "age_days": age, "p_by_rhythm": chance})


def second_order_lift(
    classifier: Classifier,
    by_days: Classifier | None,
    state: pd.DataFrame,
    purchases: PurchaseModel,
    window_days: float,
    time: OperationalTime = CALENDAR,
) -> tuple[Array, Array]:
    """Return a classifier's chances of one-time buyers, and how many times that by days alone they are.

    Parameters
    ----------
    classifier, by_days
        Fitted alike, the second to days since the first order alone; None = not there.
    state
        Customers, n rows; of repeat customers the chance is NaN and the lift 1.
    purchases
        Fitted purchase model.
    window_days
        Window of the classifier, operational days.
    time
        Operational time around the day of `state`.
    """
    once = (state["frequency"] == 0).to_numpy()
    chance, lift = np.full(len(state), np.nan), np.ones(len(state))
    if not once.any():
        return chance, lift
    features = first_order_design(state[once], purchases, window_days, time)
    chance[once] = classifier.predict_proba(features)[:, 1]
    if by_days is not None:
        features[:, DAYS_COLUMNS:] = 0.0
        lift[once] = chance[once] / by_days.predict_proba(features)[:, 1]
    return chance, lift
