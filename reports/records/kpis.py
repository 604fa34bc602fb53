"""``kpis.json``: the retention measures of a day, each with what it rests on."""

from datetime import date

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from models.records import Record


class Rate(Record):
    """A rate with its 95 % interval.

    Attributes
    ----------
    value, low, high
        0 to 1; None where there is too little to measure it.
    n, count
        Of how many, and how many of them.
    why
        Why there is no value.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    count: int
    why: str | None = None


class Need(Record):
    """The table or column that a measure needs."""

    needs: str
    measure: str


class Missing(Record):
    """A measure whose table is not given."""

    missing: Need


class Repeat(Record):
    """How many come back: within a year, by Kaplan-Meier, and by days since the first order."""

    rate_12m: Rate
    estimate_12m: Rate
    benchmark: float | None
    returned: dict[str, Rate]


class CurvePoint(Record):
    """Share who ordered again by a day since the first order, and customers still watched then."""

    day: float
    share: float
    low: float
    high: float
    at_risk: int


class SecondOrder(Record):
    """Days from the first purchase to the second: median with its interval, and the curve."""

    median_days: float | None
    low: float | None
    high: float | None
    is_late: bool
    curve: tuple[CurvePoint, ...]


class OrderStep(Record):
    """Share who go from one order to the next within a year."""

    from_order: int = Field(alias="from")
    to_order: int = Field(alias="to")
    rate: Rate


class CohortAge(Record):
    """A cohort in a month of its life: who ordered, and cumulative amounts per customer."""

    age: int
    active: Rate
    revenue: float | None
    margin: float | None
    is_partial: bool


class CohortMonth(Record):
    """Customers by month of the first order.

    Attributes
    ----------
    month
        ``YYYY-MM``.
    first_order_amount, cac
        Amounts per customer.
    spend
        Amount paid to win them; None where no spend is given.
    payback_month
        First age, in months, whose margin covers the cost.
    is_partial
        Whether the month is not over.
    """

    month: str
    customers: int
    first_order_amount: float | None
    spend: float | None
    cac: float | None
    payback_month: int | None
    is_partial: bool
    ages: tuple[CohortAge, ...]


class AverageAge(Record):
    """All cohorts in a month of their life: share who ordered, amounts per customer, customers."""

    age: int
    active: float
    revenue: float
    margin: float
    n: int


class Cohorts(Record):
    """Each month's new customers, and their average."""

    months: tuple[CohortMonth, ...]
    average: tuple[AverageAge, ...]


class ValueAlarm(Record):
    """Mean revenue of the newest cohorts and of those a year before; None where there are too few."""

    recent: float | None
    before: float | None
    n: int
    n_before: int
    difference: float | None
    low: float | None
    high: float | None
    is_alarm: bool


class CohortAlarm(Record):
    """Who of the newest cohorts came back, compared with those of a year before.

    Attributes
    ----------
    age_days
        Age at which they are compared.
    difference, low, high
        Of the rates; None where they cannot be compared.
    why
        Why they cannot; not written where they can.
    value
        The same of what they brought; a day of an earlier version has none.
    """

    age_days: int
    recent: Rate
    before: Rate
    is_alarm: bool
    difference: float | None
    low: float | None
    high: float | None
    why: str | None = None
    value: ValueAlarm | None = None

    @model_serializer(mode="wrap")
    def _without_why(self, dump: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        return {name: v for name, v in dump(self).items() if name != "why" or v is not None}


class SegmentDiscount(Record):
    """Share of a segment's repeat revenue that was bought with a discount, of n orders."""

    segment: str
    share: float | None
    n: int


class Discounts(Record):
    """Share of the repeat revenue that was bought with a discount, of n orders."""

    share_of_repeat_revenue: float | None
    n: int
    by_segment: tuple[SegmentDiscount, ...]


class OriginGroup(Record):
    """Customers who were referred, or paid for.

    Attributes
    ----------
    customers, seen
        All of them, and those watched for 90 days.
    value_90d, cac
        Amounts per customer.
    value_per_cost
        One over the other.
    cost_needs
        Table or column that the cost needs; None where it is given.
    """

    customers: int
    seen: int
    value_90d: float | None
    cac: float | None
    value_per_cost: float | None
    cost_needs: str | None


class PromoterRates(Record):
    """Who refers, by their answer."""

    nines_and_tens: Rate
    sevens_and_eights: Rate


class NpsMonth(Record):
    """The net promoter score of a month (``YYYY-MM``), -100 to 100, of n answers."""

    month: str
    score: float | None
    low: float | None
    high: float | None
    n: int


class Advocacy(Record):
    """Who refers, recommends and reviews; None in a day of an earlier version."""

    referral_rate_12m: Rate | Missing
    share_of_new_referred: Rate | Missing | None = None
    referred: OriginGroup | Missing | None = None
    paid: OriginGroup | Missing | None = None
    ratio: float | None = None
    promoters_refer: PromoterRates | Missing | None = None
    nps: tuple[NpsMonth, ...] | Missing | None = None
    review_rate: Rate | Missing | None = None


class Loyalty(Record):
    """Who takes part in the loyalty program; ``is_low``: fewer are active than the store expects."""

    enrolled: Rate
    active_quarter: Rate
    is_low: bool
    ascension: Rate


class ExistingForecast(Record):
    """Orders and revenue of today's customers in the next days, with the revenue's 80 % interval."""

    days: int
    orders: float
    revenue: float
    low: float | None
    high: float | None


class NewForecast(Record):
    """Customers who are still to come in the next days, their orders and revenue."""

    days: int
    customers: float
    orders: float
    revenue: float


class FivePoints(Record):
    """What five more of a hundred new customers who come back would bring in a year.

    Attributes
    ----------
    customers, orders, revenue
        More of them; None where too few came back.
    n
        Customers whom that is taken from.
    """

    customers: float
    orders: float | None
    revenue: float | None
    n: int


class Forecast(Record):
    """What the next days are to bring.

    Attributes
    ----------
    existing, new
        From today's customers and from new ones.
    season
        Pace of orders by week of the year, 1 = usual; None where no season is used.
    operational_days
        Days at the usual pace, by calendar days.
    """

    existing: tuple[ExistingForecast, ...]
    season: tuple[float, ...] | None = None
    operational_days: dict[str, float] = Field(default_factory=dict)
    new: tuple[NewForecast, ...]
    five_points: FivePoints


class ProductCycle(Record):
    """Median days until a product is bought again, and customers due for it now."""

    product_id: str
    customers: int
    median_days: float | None
    low: float | None
    high: float | None
    product_name: str
    category: str | None
    due: int | None


class CategoryCycle(Record):
    """Median days until a category is bought again."""

    category: str | None
    customers: int
    median_days: float | None
    low: float | None
    high: float | None


class FirstProduct(Record):
    """What follows a first product: the rate of coming back, an amount per customer, the next one."""

    product_id: str
    product_name: str
    customers: int
    repeat: Rate
    value_90d: float | None
    next_product: str | None
    next_share: float | None


class BreadthRow(Record):
    """Customers by number of categories: an amount each, and times that of one category."""

    categories: str
    customers: int
    revenue_per_customer: float | None
    multiplier: float | None


class ProductRefills(Record):
    """Customers who are due for a refill, and of how many products."""

    customers: int
    products: int


class Products(Record):
    """When products are bought again, and what the first one leads to."""

    cycles: tuple[ProductCycle, ...]
    categories: tuple[CategoryCycle, ...]
    first_products: tuple[FirstProduct, ...]
    breadth: tuple[BreadthRow, ...]
    refill_due: ProductRefills


class BundleRow(Record):
    """A bundle.

    Attributes
    ----------
    parts
        Names of its main products.
    reorder_90d
        Share who order again within 90 days.
    value_multiplier
        Value per customer, times that of a single product.
    box, action
        What to do with it; empty where there are too few customers.
    due
        Customers who are due for a refill, from ``from_day`` to ``to_day`` after the last purchase.
    """

    bundle_id: str
    parts: tuple[str, ...]
    customers: int
    reorder_90d: Rate
    value_multiplier: float | None
    box: str
    action: str
    due: int
    from_day: int
    to_day: int


class Gateway(Record):
    """The bundle that most often follows a single product."""

    bundle_id: str
    rate: Rate


class SingleBuyers(Record):
    """Customers who began with a single product, and what one of them brings in 180 days."""

    customers: int
    value_180d: float | None


class BundleRefills(Record):
    """Customers who are due for a refill."""

    customers: int


class Bundles(Record):
    """What bundles do for retention."""

    attach: Rate
    rows: tuple[BundleRow, ...] = Field(alias="list")
    gateway: Gateway | None
    single_buyers: SingleBuyers
    refill_due: BundleRefills


class Point(Record):
    """A measure in a week or a month: its first day (ISO 8601), and of how many it is."""

    start: str
    value: float | None
    n: int


class DashboardRow(Record):
    """A measure by whole weeks and months, and whether the last ones are unusual."""

    quadrant: str
    measure: str
    unit: str
    weeks: tuple[Point, ...]
    months: tuple[Point, ...]
    is_anomaly_week: bool
    is_anomaly_month: bool


class MissingRow(Record):
    """A measure of the dashboard whose table is not given."""

    quadrant: str
    measure: str
    missing: Need


class KpiReport(Record):
    """The retention measures of a day.

    Attributes
    ----------
    least_customers
        Customers below whom a rate is not given.
    natural_cycle_days
        Days between two purchases, usually.
    steps
        From order to order.
    """

    as_of: date
    least_customers: int
    natural_cycle_days: float
    repeat: Repeat
    second_order: SecondOrder
    steps: tuple[OrderStep, ...]
    cohorts: Cohorts
    cohort_alarm: CohortAlarm | None = None
    discounts: Discounts | Missing
    advocacy: Advocacy | Missing
    loyalty: Loyalty | Missing
    forecast: Forecast
    products: Products | Missing
    bundles: Bundles | Missing
    dashboard: tuple[DashboardRow | MissingRow, ...]
