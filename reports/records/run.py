"""``run.json``: what went into a published day, what was decided and how it was made."""

from datetime import date

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from models.checks import Check
from models.evaluation import BacktestReport
from models.lift import ExperimentPower, Readout
from models.monitoring import MonitoringReport
from models.records import Record


class Accounting(Record):
    """Where every source row went: ``rows_in = orders + merged + rejected``.

    Attributes
    ----------
    rows_in, orders
        Rows of the source, and orders kept.
    merged, rejected
        Rows by cause and by rule.
    """

    rows_in: int
    orders: int
    merged: dict[str, int]
    rejected: dict[str, int]


class Totals(Record):
    """Sums over all customers.

    Attributes
    ----------
    share_once
        Bought once, 0 to 1.
    orderers_90d, held_out
        Customers: expected to order in 90 days, and in the control group.
    expected_orders, expected_value, expected_margin
        Orders and amounts within the horizon.
    """

    share_once: float
    orderers_90d: float
    held_out: float = 0.0
    expected_orders: float
    expected_value: float
    expected_margin: float


class SegmentRow(Record):
    """A segment.

    Attributes
    ----------
    share
        Of all customers, 0 to 1.
    revenue, expected_margin
        Amounts, summed.
    p_order_90d, expected_value
        Means: a probability and an amount.
    held_out, heavy, standard, light
        Customers.
    """

    segment: str
    meaning: str
    customers: int
    share: float
    revenue: float
    p_order_90d: float
    expected_value: float
    expected_margin: float
    held_out: int
    heavy: int
    standard: int
    light: int


class TierRow(Record):
    """An investment tier: customers, amounts over those not held out, and gain per unit of cost."""

    tier: str
    customers: int
    held_out: int
    cost: float
    gain: float
    expected_return: float | None


class BudgetRow(Record):
    """A segment in which somebody is invested in.

    Attributes
    ----------
    cost, gain, low, high
        Amounts; the interval of the gain holds 80 %.
    heavy, standard, light, customers, held_out
        Customers.
    expected_return
        Gain per unit of cost.
    is_measured
        Whether every gain was measured.
    """

    segment: str
    cost: float
    gain: float
    low: float
    high: float
    heavy: int
    standard: int
    light: int
    customers: int
    held_out: int
    expected_return: float
    is_measured: bool
    action: str


class BudgetCurve(Record):
    """What budgets would gain: amounts, the gain net of cost; ``spent`` without the test share."""

    budget: tuple[float, ...]
    gain: tuple[float, ...]
    spent: float


class Budget(Record):
    """What a day decides of the budget.

    Attributes
    ----------
    committed
        Amount committed today.
    left
        Amount of the period's budget that was left before today.
    next_return
        What one more unit of currency would bring back; None where there is nothing to fund.
    curve
        What other budgets would gain.
    experiment
        What those newly committed can show.
    """

    committed: float = 0.0
    left: float = 0.0
    next_return: float | None = None
    curve: BudgetCurve | None = None
    experiment: ExperimentPower | None = None


class PeriodBudget(Record):
    """The budget of a period, and what a day decides of it, as :class:`Budget` has it.

    Attributes
    ----------
    amount, period_days
        What may be spent in so many days; None in a day of the first format.
    """

    amount: float | None
    period_days: int | None
    committed: float = 0.0
    left: float = 0.0
    next_return: float | None = None
    curve: BudgetCurve | None = None
    experiment: ExperimentPower | None = None

    @property
    def test_amount(self) -> float:
        """What is committed to the test share today."""
        return max(self.committed - self.curve.spent, 0.0) if self.curve else 0.0


class NewcomerRow(Record):
    """First-time buyers, the ``top`` ones or the ``others``: means, and a share of both's margin."""

    group: str
    customers: int
    p_second_order: float | None
    expected_margin: float | None
    margin_share: float | None


class RfmCell(Record):
    """Customers by quintile of recency and frequency, 5 = best, and their mean expected margin."""

    recency: int
    frequency: int
    customers: int
    expected_margin: float | None


class ChanceCell(Record):
    """Customers by orders and days since the last, and the mean probability of an order in 90 days."""

    orders: str
    silent_days: str
    customers: int
    p_order_90d: float | None


class FrequencyRow(Record):
    """Customers by repeat orders so far, and how many the model expects."""

    repeat_orders: str
    expected: float
    actual: float


class SegmentsFile(Record):
    """Customers in ``segments.csv``, and those who are not: held out, and without a key."""

    rows: int
    held_out: int
    no_key: int


class Figure(Record):
    """A headline figure: None where it is not available; the unit as ``Words.unit`` reads it."""

    value: float | None
    unit: str


Figures = dict[str, Figure]


class PreviousDay(Record):
    """The day published before; a field that it did not have is left out."""

    as_of: date | None = None
    figures: Figures | None = None

    @model_serializer(mode="wrap")
    def _without_none(self, dump: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        return {name: value for name, value in dump(self).items() if value is not None}


class EarlierPage(Record):
    """Where the page of an earlier day is, from the folder of this one."""

    as_of: date
    path: str


class RunRecord(Record):
    """The record of a published day; what an earlier version did not write has a default.

    Attributes
    ----------
    format
        Of the record.
    first_order_date, last_order_date
        Of the orders that are counted.
    zero_amount
        Whether orders of no value are purchases, as a sentence.
    holdout_share
        Of all customers, 0 to 1.
    timings
        Seconds by step.
    published_at
        Moment, ISO 8601 in UTC.
    trained_run_id
        MLflow run that trained the model.
    frequency_fit
        None where the model has no such picture.
    notes
        What to know of the data and the fit.
    purpose
        Why the day was published: ``current``, ``missed`` or ``history``.
    figures
        By name: the page's headline.
    history
        Earlier pages, the newest first.
    """

    format: int = 1
    store: str
    currency: str
    locale: str = "en_US"
    as_of: date
    run_id: str
    model_version: str
    data_digest: str
    settings_digest: str = ""
    customers: int
    first_order_date: date
    last_order_date: date
    accounting: Accounting
    zero_amount: str
    horizon_days: int
    holdout_share: float
    totals: Totals
    segments: tuple[SegmentRow, ...]
    timings: dict[str, float] = Field(default_factory=dict)
    published_at: str
    perennial_version: str
    tiers: tuple[TierRow, ...]
    budget_by_segment: tuple[BudgetRow, ...] = ()
    budget: PeriodBudget
    newcomers: tuple[NewcomerRow, ...] = ()
    rfm: tuple[RfmCell, ...] = ()
    order_chances: tuple[ChanceCell, ...] = ()
    trained_run_id: str | None = None
    backtest: BacktestReport | None = None
    frequency_fit: tuple[FrequencyRow, ...] | None = None
    notes: tuple[str, ...] = ()
    readouts: tuple[Readout, ...] = ()
    monitoring: MonitoringReport | None = None
    segments_csv: SegmentsFile | None = None
    checks: tuple[Check, ...] = ()
    purpose: str = "current"
    figures: Figures = Field(default_factory=dict)
    previous: PreviousDay = PreviousDay()
    history: tuple[EarlierPage, ...] = ()
