"""What a backtest reports: the record that MLflow keeps, the gate judges by and the page shows."""

from collections.abc import Mapping
from datetime import date

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
)


class _Record(BaseModel):
    """A part of a backtest: made by keyword, written with the values that it was made with.

    Earlier versions wrote fewer values. Those keep their defaults here, and are not written again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_serializer(mode="wrap")
    def _as_made(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        values = write(self)
        return {name: values[name] for name in values if name in self.model_fields_set}


class Metrics(_Record):
    """How good a forecast was, by the metrics of :data:`models.evaluation.METRICS`.

    Attributes
    ----------
    orders_ratio, value_ratio
        Actual over expected; 1 = the level is right.
    mae_orders, rmse_orders
        Errors in purchase days per customer.
    mae_value
        Error in net amount per customer, store's currency, undiscounted.
    gini_value
        1 = perfect ranking, 0 = by chance.
    capture_top20
        Share of later value, 0 to 1.
    calibration_slope
        1 = customers differ as far as predicted.
    auc_active, logloss_active, brier_active, accuracy_active
        Of the chance of an order.
    coverage_80, coverage_80_repeat, coverage_80_likely, coverage_80_top
        Shares of net amounts inside the 80 % interval, 0 to 1.
    """

    orders_ratio: float | None = None
    mae_orders: float | None = None
    rmse_orders: float | None = None
    value_ratio: float | None = None
    mae_value: float | None = None
    gini_value: float | None = None
    capture_top20: float | None = None
    calibration_slope: float | None = None
    auc_active: float | None = None
    logloss_active: float | None = None
    brier_active: float | None = None
    accuracy_active: float | None = None
    coverage_80: float | None = None
    coverage_80_repeat: float | None = None
    coverage_80_likely: float | None = None
    coverage_80_top: float | None = None

    @classmethod
    def unknown(cls) -> "Metrics":
        """Return the metrics of a model that made no forecast: each is None."""
        return cls.model_validate(dict.fromkeys(cls.model_fields))

    def value(self, metric: str) -> float | None:
        """Return a metric by its name; None where it could not be measured."""
        value: float | None = getattr(self, metric)
        return value


class Lead(_Record):
    """How much better one forecast is than another in one metric.

    Attributes
    ----------
    difference
        The metric of the first forecast less that of the other.
    low, high
        Ends of its 95 % interval over draws of customers.
    """

    difference: float
    low: float
    high: float


class Comparison(_Record):
    """How one forecast ranks the same customers compared with another.

    Attributes
    ----------
    gini_value, capture_top20
        Leads in these metrics; None where nobody brought anything.
    """

    gini_value: Lead | None = None
    capture_top20: Lead | None = None


class Decile(_Record):
    """A tenth of the customers by prediction.

    Attributes
    ----------
    decile
        10 = highest prediction.
    customers
        How many are in it; 0 = not counted.
    expected, actual
        Means per customer, in the unit of the prediction.
    """

    decile: int
    customers: int = 0
    expected: float
    actual: float


class CoverageRow(_Record):
    """How often the interval was right, in a tenth of the customers by expected value.

    Attributes
    ----------
    decile
        10 = highest expected value.
    inside
        Share of outcomes inside the interval, 0 to 1.
    wanted
        Share that should be, 0 to 1.
    """

    decile: int
    inside: float
    wanted: float


class WeekRow(_Record):
    """Orders of all customers in a week of the window.

    Attributes
    ----------
    week
        1 = the seven days after the cutoff.
    expected, actual
        Purchase days.
    """

    week: int
    expected: float
    actual: float


class Curves(_Record):
    """What is drawn of a cutoff.

    Attributes
    ----------
    weekly
        Orders of each whole week.
    gain
        Rows of shares, 0 to 1: ``share_of_customers``, best first, and by model the share of later value
        that they brought.
    coverage
        The interval of value by tenth.
    """

    weekly: tuple[WeekRow, ...] = ()
    gain: tuple[Mapping[str, float], ...] = ()
    coverage: tuple[CoverageRow, ...] = ()


class CutoffReport(_Record):
    """How forecasts from one past day compare with what happened.

    Attributes
    ----------
    as_of
        The day: orders up to its end were known.
    customers
        Customers known on that day.
    buyers
        Those of them who ordered in the window; 0 = not counted.
    is_blind
        Whether features are the same without the orders after the day; False also where it was not tried.
    models
        Metrics by model; the recipe is ``champion``.
    differences
        The recipe compared with each other model.
    notes
        What a reader must know of the fit.
    deciles
        Later value by tenth of the recipe's prediction, store's currency.
    curves
        What is drawn.
    """

    as_of: date
    customers: int
    buyers: int = 0
    is_blind: bool = False
    models: Mapping[str, Metrics]
    differences: Mapping[str, Comparison] = {}
    notes: tuple[str, ...] = ()
    deciles: tuple[Decile, ...] = ()
    curves: Curves = Curves()


class BacktestReport(_Record):
    """How a recipe's forecasts from past days compare with what happened.

    Attributes
    ----------
    horizon_days
        Length of each window.
    cutoffs
        The past days, ascending.
    mean
        Means over the cutoffs of the metrics of each model that all of them have.
    """

    horizon_days: int
    cutoffs: tuple[CutoffReport, ...]
    mean: Mapping[str, Metrics] = {}


class NotBacktested(_Record):
    """A training without a backtest.

    Attributes
    ----------
    not_backtested
        Why there is none.
    """

    not_backtested: str


_EITHER: TypeAdapter[BacktestReport | NotBacktested] = TypeAdapter(BacktestReport | NotBacktested)


def read_backtest(text: str) -> BacktestReport | NotBacktested:
    """Read the JSON of a training's backtest, or of why there is none."""
    return _EITHER.validate_json(text)
