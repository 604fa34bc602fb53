"""What monitoring reports of a day, as ``state/monitoring.json`` and ``state/retrain.json`` hold it."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from features.renamed import either_name
from models.monitoring.bands import Slope
from models.records import Record

WARN: Literal["warn"] = "warn"
ACT: Literal["act"] = "act"


class Freshness(Record):
    """How late orders and published days are."""

    last_order_date: date
    orders_late_days: int  # days from the last order to the day
    published_as_of: date  # newest published day
    published_late_days: int  # days from it to the day


class MonitoredModel(Record):
    """The model that scored the newest published day."""

    version: str
    trained_as_of: date  # last day whose orders it has seen
    age_days: int  # days since then
    newest_trained_as_of: date | None  # the same of the newest model; None = none is registered


class DriftFigure(Record):
    """How far a figure of customers has moved since training."""

    name: str
    meaning: str
    psi: float | None  # population stability index; None = too few customers, or not comparable
    n_then: int  # customers at training
    n_now: int  # customers now
    is_mechanical: bool  # it moves as customers grow older


class Drift(Record):
    """How far inputs and scores have moved since training."""

    figures: tuple[DriftFigure, ...] = ()  # none where the model keeps no bins
    outside_share: float | None = (
        None  # of customers beyond those of training; None = not measured
    )


class GroupOutcome(Record):
    """Expected and actual orders of a group of customers within a window."""

    group: str | int  # band of tenure, or tenth by expected orders, 10 = highest
    customers: int
    expected: float  # orders
    variance: float  # of the expected orders
    actual: int  # orders
    ratio: float | None  # actual over expected; None = none expected
    low: float | None  # ends of the ratio's 95 % band; None = none expected
    high: float | None


class RankQuality(Record):
    """How well a ranking of customers foresaw their later value."""

    gini: float | None  # 1 = perfect, 0 = by chance; None = nobody ordered
    top_fifth: float | None  # share of the value that its top fifth brought, 0 to 1


class RankComparison(Record):
    """The ranking by the model compared with those by simple rules."""

    model: RankQuality
    total_past: RankQuality
    rfm: RankQuality
    hiatus: RankQuality

    @property
    def rules(self) -> Mapping[str, RankQuality]:
        """The simple rules by name."""
        return {"total_past": self.total_past, "rfm": self.rfm, "hiatus": self.hiatus}


class WindowOutcome(Record):
    """Expected and actual orders of all customers within a window; orders are purchase days."""

    until: date  # last day of the window
    is_peak: bool  # declared unlike other days
    is_partial: bool = False  # its last orders seem not to have arrived
    group: str | int
    customers: int
    expected: float  # orders
    variance: float  # of the expected orders
    actual: int  # orders
    ratio: float | None  # actual over expected; None = none expected
    low: float | None  # ends of the ratio's 95 % band; None = none expected
    high: float | None
    active: int  # customers who ordered
    actual_value: float  # net amount, store's currency
    expected_value: float  # the same as expected
    value_ratio: float | None  # actual over expected value; None = none expected
    slope: Slope | None  # differences between tenths; None = tenths do not differ
    by_tenure: tuple[GroupOutcome, ...]
    by_decile: tuple[GroupOutcome, ...]  # ascending by expected orders
    new_orders: int  # of customers whose first order is in the window
    unmatched_orders: int  # of older customers whom the forecast did not cover
    rank: RankComparison | None  # None = a window of seven days, or nobody ordered


class MonitoredWeek(Record):
    """Expected and actual orders after a published day, by length of the window."""

    as_of: date
    model_version: str
    first_week: WindowOutcome = Field(alias="7")
    four_weeks: WindowOutcome | None = Field(alias="28")  # None = not matured

    @property
    def windows(self) -> Mapping[int, WindowOutcome | None]:
        """The outcomes by the window's days."""
        return {7: self.first_week, 28: self.four_weeks}


class Freeze(Record):
    """Whether nothing should be sent to marketing."""

    is_frozen: bool
    because: str | None  # None = not frozen


class RetrainDue(Record):
    """Whether to train again."""

    is_due: bool
    because: str | None  # None = not due


class Alert(Record):
    """What a person should look at."""

    name: str
    level: Literal["warn", "act"]
    problem: Annotated[str, either_name("problem")]
    threshold: str
    fix: Annotated[str, either_name("fix")]


class MonitoringInputs(Record):
    """How fresh orders, scores and model are, and how far inputs have moved."""

    freshness: Freshness
    model: MonitoredModel
    drift: Drift


class MonitoringReport(Record):
    """What monitoring reports of a day."""

    schema_version: int = Field(alias="schema")  # rises when a key changes its meaning
    as_of: date
    tolerance: float  # share by which a week's orders may be off
    freeze: float  # share beyond which nothing is sent to marketing
    freshness: Freshness
    model: MonitoredModel
    drift: Drift
    weeks: tuple[MonitoredWeek, ...]  # the oldest first
    first_matures: (
        date | None
    )  # day on which a first week matures; None = one has, or none is awaited
    standings: tuple[int, ...]  # by week: 1 = above, -1 = below, 0 = neither
    frozen: Freeze
    due: RetrainDue
    alerts: tuple[Alert, ...]


class RetrainRequest(Record):
    """A request to train again."""

    schema_version: int = Field(alias="schema")
    asked_for: bool  # open: no model was trained since
    as_of: date
    because: str
    model_version: str
    trained_as_of: date
    until: date  # no other request is made before
    announced: bool  # Prefect was told
