"""Every table that crosses a border: column, type, unit, one line each.

The papers of the purchase models speak of ``x``, ``t_x`` and ``T``; the tables say ``frequency``,
``recency_days`` and ``age_days``. :data:`PAPER_SYMBOLS` is the one place where the two meet.
"""

from dataclasses import dataclass

PAPER_SYMBOLS = {"x": "frequency", "t_x": "recency_days", "T": "age_days"}


class DataError(ValueError):
    """The data break a rule that no setting can mend: says the rule, the finding, the next step."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # one line, whatever a name in it has


@dataclass(frozen=True)
class Column:
    """A column's type and meaning.

    Attributes
    ----------
    dtype
        Ibis data type.
    meaning
        One line, with the unit.
    """

    dtype: str
    meaning: str


class Table:
    """A named set of columns; its docstring says what one row is."""

    @classmethod
    def columns(cls) -> dict[str, Column]:
        """Return the columns by name, in order."""
        return {name: column for name, column in vars(cls).items() if isinstance(column, Column)}

    @classmethod
    def schema(cls) -> dict[str, str]:
        """Return the Ibis type of each column by name, in order."""
        return {name: column.dtype for name, column in cls.columns().items()}


class Orders(Table):
    """One row per order."""

    order_id = Column("string", "the source's order number")
    customer_id = Column("string", "one customer, however often they ordered")
    ordered_at = Column("timestamp", "moment of the order, UTC")
    order_date = Column("date", "day of the order in the store's time zone")
    gross_amount = Column("float64", "items before discounts, store's currency; null = not given")
    discount_amount = Column("float64", "discounts on items, store's currency; null = not given")
    refund_amount = Column("float64", "refunds of items, store's currency; null = not given")
    net_amount = Column("float64", "items - discounts - refunds of items, store's currency")
    currency = Column("string", "ISO 4217 code")
    channel = Column("string", "where the order was placed; null = not given")
    discount_code = Column("string", "code used; null = none")
    source = Column("string", "file or table that the order was read from")


class Rejects(Table):
    """One row per source row that could not become part of an order, with the raw columns beside it."""

    rule = Column("string", "short name of the broken rule")
    reason = Column("string", "the rule and the finding, in words")
    source = Column("string", "file or table that the row was read from")


class CustomerState(Table):
    """One row per customer, as known at the end of the as-of day."""

    customer_id = Column("string", "one customer")
    as_of = Column("date", "last day whose orders are known")
    frequency = Column("int64", "repeat purchase days (x)")
    recency_days = Column("int64", "days from the first to the last purchase (t_x)")
    age_days = Column("int64", "days from the first purchase to the as-of day (T)")
    monetary_value = Column(
        "float64", "mean net amount of the repeat purchase days, store's currency; 0 = no repeat"
    )
    first_order_date = Column("date", "day of the first purchase")
    last_order_date = Column("date", "day of the last purchase")
    orders = Column("int64", "orders so far; several on one day count each")
    revenue = Column("float64", "net amount so far, store's currency")
    first_amount = Column("float64", "net amount of the first purchase day, store's currency")
    first_discount_share = Column(
        "float64", "discount as a share of the first day's gross amount, 0 to 1; null = not given"
    )


class Outcomes(Table):
    """One row per customer of a state: what the later window brought."""

    customer_id = Column("string", "one customer")
    later_orders = Column("int64", "purchase days in the window")
    later_value = Column("float64", "net amount in the window, store's currency")


class Scores(Table):
    """One row per customer and as-of day: what will happen, and what to do about it."""

    customer_id = CustomerState.customer_id
    as_of = CustomerState.as_of
    frequency = CustomerState.frequency
    recency_days = CustomerState.recency_days
    age_days = CustomerState.age_days
    monetary_value = CustomerState.monetary_value
    first_order_date = CustomerState.first_order_date
    last_order_date = CustomerState.last_order_date
    orders = CustomerState.orders
    revenue = CustomerState.revenue
    p_alive = Column(
        "float64",
        "chance that the customer has not left for good; 1 for one-time buyers by the model's "
        "assumption, so never a churn figure",
    )
    p_order_90d = Column("float64", "chance of an order in the next 90 days")
    churn_probability = Column("float64", "chance of no order within the horizon")
    expected_orders = Column("float64", "purchase days expected within the horizon")
    expected_order_value = Column(
        "float64", "expected net amount of a purchase day, store's currency"
    )
    expected_value = Column(
        "float64", "net revenue expected over the horizon, discounted, store's currency"
    )
    expected_margin = Column(
        "float64", "margin expected over the horizon, discounted, store's currency"
    )
    p_second_order = Column(
        "float64",
        "first-time buyers: chance of a second order within the second-purchase window; else null",
    )
    next_order_date = Column(
        "date", "median day of the next order; null = more likely never than ever"
    )
    rfm_score = Column(
        "string", "quintiles of last order, orders and revenue, 5 = best: 555 is best"
    )
    segment = Column("string", "where the customer stands: see the segments")
    investment_tier = Column(
        "string",
        "heavy, standard, light or none; a held-out customer keeps the tier it would have",
    )
    expected_return = Column(
        "float64",
        "margin gained per unit of currency spent, before that unit is paid back (1 = breaks "
        "even); null for tier none",
    )
    is_holdout = Column(
        "boolean", "kept out of all retention marketing, to measure what it brings"
    )
    reason = Column("string", "why this segment and tier, in one line")
    model_version = Column("string", "version of the registered model")
    run_id = Column("string", "MLflow run that made the scores")


TABLES: tuple[type[Table], ...] = (Orders, Rejects, CustomerState, Outcomes, Scores)
