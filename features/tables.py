"""Every table that crosses a border: column, type, unit, one line each.

The papers of the purchase models speak of ``x``, ``t_x`` and ``T``; the tables say ``frequency``,
``recency_days`` and ``age_days``. :data:`PAPER_SYMBOLS` is the one place where the two meet.
"""

from dataclasses import dataclass

PAPER_SYMBOLS = {"x": "frequency", "t_x": "recency_days", "T": "age_days"}
HISTORY = tuple(PAPER_SYMBOLS.values())  # columns of a customer's purchase history


class DataError(ValueError):
    """The data break a rule that no setting can change: the message has the problem, the fix and the rule."""

    was_notified = False  # whether people were notified of it

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


class OrderLines(Table):
    """One row per product of an order."""

    order_id = Column("string", "the order")
    product_id = Column("string", "one product")
    product_name = Column("string", "what the product is called")
    category = Column("string", "kind of product")
    bundle_id = Column("string", "bundle that the product was bought in; null = on its own")
    quantity = Column("int64", "units")
    net_amount = Column("float64", "line after discounts and refunds, store's currency")
    cost_amount = Column("float64", "what the goods cost the store, store's currency")


class LineAmounts(Table):
    """One row per row of the order lines, in their order: what a line's net amount is made of."""

    order_id = OrderLines.order_id
    unit_price = Column("float64", "price of a unit, store's currency")
    gross_amount = Column("float64", "all units at that price, store's currency")
    discount_amount = Column("float64", "discount on them, store's currency")
    refund_amount = Column("float64", "refund of them, store's currency")


class Customers(Table):
    """One row per customer."""

    customer_id = Column("string", "one customer")
    email = Column("string", "e-mail address; null = not given")
    phone = Column("string", "phone number, E.164; null = not given")
    external_id = Column("string", "the shop system's number; null = not given")
    acquired_via = Column("string", "channel that brought the customer")
    referred_by = Column("string", "customer who referred this one; null = nobody")
    accepts_marketing = Column("boolean", "whether the customer agreed to marketing")


class MarketingSpend(Table):
    """One row per day and channel that money was spent on to win customers."""

    date = Column("date", "day in the store's time zone")
    channel = Column("string", "as in customers.acquired_via")
    amount = Column("float64", "store's currency")


class Referrals(Table):
    """One row per event of the referral program: an invitation, or the first order that it brought."""

    referrer_id = Column("string", "customer who invited")
    occurred_at = Column("timestamp", "moment, UTC")
    event = Column("string", "invited or converted")
    referred_id = Column("string", "customer whom the invitation brought; null = invited only")
    reward_amount = Column("float64", "paid to the referrer, store's currency; 0 = none")


class Nps(Table):
    """One row per answer to "how likely are you to recommend us?"."""

    customer_id = Column("string", "one customer")
    answered_at = Column("timestamp", "moment of the answer, UTC")
    score = Column("int64", "0 to 10; 9 and 10 promote, 0 to 6 detract")


class Reviews(Table):
    """One row per product review."""

    customer_id = Column("string", "one customer")
    order_id = Column("string", "the order that brought the product")
    product_id = Column("string", "the product")
    reviewed_at = Column("timestamp", "moment of the review, UTC")
    rating = Column("int64", "1 to 5 stars")


class LoyaltyEvents(Table):
    """One row per event of the loyalty program."""

    customer_id = Column("string", "one customer")
    occurred_at = Column("timestamp", "moment, UTC")
    event = Column("string", "enrolled, earned, redeemed or tier_reached")
    points = Column("int64", "points earned, or minus the points redeemed; else 0")
    tier = Column("string", "tier reached; else null")


class Touches(Table):
    """One row per message or gift that a customer was sent."""

    customer_id = Column("string", "one customer")
    sent_at = Column("timestamp", "moment, UTC")
    channel = Column("string", "email or sms")
    campaign = Column("string", "what it was for")
    action = Column("string", "investment action that it was part of; null = none")
    cost_amount = Column("float64", "what it cost, store's currency")


class Truth(Table):
    """One row per simulated customer: what a real store never knows. Independent of how long the world runs."""

    customer_id = Column("string", "one customer")
    purchase_rate = Column("float64", "orders per day while active, in a neutral season")
    regularity = Column(
        "int64", "k of the Erlang time between orders: 1 = at random, more = steadier"
    )
    dropout_chance = Column(
        "float64", "chance of leaving for good after an order; null = leaves by the clock"
    )
    dropout_rate = Column("float64", "chance of leaving per day; null = leaves after orders only")
    may_leave_first = Column("boolean", "whether the first order can be the last one by leaving")
    spend_level = Column(
        "float64", "mean order value at list prices of the first day, store's currency"
    )
    spend_variance = Column(
        "float64",
        "variance of what is meant to be spent on an order, to which whole units add; store's "
        "currency squared",
    )
    season_response = Column(
        "float64", "how strongly the season moves the purchase rate: 0 = not, 1 = as usual"
    )
    discount_response = Column("float64", "how strongly promotions move the customer, 0 to 1")
    product_cycle_days = Column(
        "float64", "days that the first product lasts as a rule; null = durable"
    )
    satisfaction = Column("float64", "how content, in standard deviations from the usual customer")
    referral_propensity = Column("float64", "friends whom an order brings, in expectation")
    is_wholesale = Column("boolean", "whether a business that buys in bulk")
    heavy_order_lift = Column(
        "float64", "rise of the purchase rate while the heavy action works; 0.1 = 10 %"
    )
    heavy_keep_chance = Column(
        "float64", "chance that the heavy action keeps the customer who is about to leave"
    )
    heavy_extra_orders = Column(
        "float64",
        "orders that the heavy action adds in 365 days, taken right after an order after which the "
        "customer may leave; in a neutral season, without promotions",
    )
    heavy_extra_margin = Column(
        "float64",
        "margin that it adds at list prices of the first day, its discounts counted; before its "
        "cost, without promotions and refunds; store's currency",
    )
    standard_order_lift = Column("float64", "as heavy_order_lift")
    standard_keep_chance = Column("float64", "as heavy_keep_chance")
    standard_extra_orders = Column("float64", "as heavy_extra_orders")
    standard_extra_margin = Column("float64", "as heavy_extra_margin")
    light_order_lift = Column("float64", "as heavy_order_lift")
    light_keep_chance = Column("float64", "as heavy_keep_chance")
    light_extra_orders = Column("float64", "as heavy_extra_orders")
    light_extra_margin = Column("float64", "as heavy_extra_margin")


class Assignments(Table):
    """One row per customer and program: the arm that was drawn, once for ever."""

    customer_id = Column("string", "one customer")
    program = Column("string", "what the arm is held out of; control = everything")
    is_holdout = Column("boolean", "whether kept out")
    share = Column("float64", "chance of being kept out when drawn, 0 to 1")
    salt = Column("string", "name of the draw")
    assigned_date = Column("date", "day of the draw")


class Commitments(Table):
    """One row per customer to whom a day newly commits an investment tier, held-out customers included."""

    customer_id = Column("string", "one customer")
    committed_date = Column("date", "as-of day")
    investment_tier = Column("string", "heavy, standard or light")
    segment = Column("string", "on that day")
    is_holdout = Column("boolean", "gets nothing, so that what the tier brings can be measured")
    expected_cost = Column(
        "float64",
        "of contact and offers, store's currency; what it would be for the held-out, who use no budget",
    )
    expected_gain = Column("float64", "margin that the tier is taken to add before its cost")
    gain_low = Column(
        "float64",
        "lower end of the 80 % interval of that, its effect and order value both taken low",
    )
    gain_high = Column("float64", "upper end, with the expected order value")
    is_measured = Column("boolean", "a holdout stands behind the effect; false = it is assumed")
    assumed_gain = Column(
        "float64",
        "margin that it would add in the days that an experiment watches, were every effect as assumed "
        "in the settings; before its cost",
    )
    expected_margin = Column("float64", "expected over the horizon without the tier")


class Rejects(Table):
    """One row per source row that could not become part of an order, with the raw columns beside it."""

    rule = Column("string", "short name of the broken rule")
    reason = Column("string", "the rule and the problem, in words")
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


class FirstBasket(Table):
    """One row per customer: the first purchase day, as known at the end of the as-of day."""

    customer_id = Column("string", "one customer")
    first_orders = Column("float64", "orders on that day")
    first_hour = Column("float64", "hour of the day, UTC, mean of that day's orders")
    first_weekday = Column("float64", "0 = Monday")
    first_month = Column("float64", "1 to 12")
    first_refund_share = Column(
        "float64", "refunds as a share of gross, as known by now; null = not given"
    )
    first_items = Column("float64", "units; null = no order lines given")
    first_categories = Column("float64", "different categories; null = not given")
    first_channel_rate = Column(
        "float64",
        "share of earlier first-time buyers by the same channel who came back within the second-"
        "purchase window, shrunk to the store's; null = not given",
    )
    first_product_rate = Column(
        "float64", "the same of buyers of the product that most was spent on; null = not given"
    )


RECENT_DAYS = (30, 60, 90, 180, 365)


class Recent(Table):
    """One row per customer: what they did of late, as known at the end of the as-of day."""

    customer_id = Column("string", "one customer")
    last_amount = Column("float64", "net amount of the last purchase day, store's currency")
    largest_amount = Column("float64", "the same of the largest")
    orders_30d = Column("float64", "purchase days in the last 30 days")
    orders_60d = Column("float64", "the same of 60 days")
    orders_90d = Column("float64", "the same of 90 days")
    orders_180d = Column("float64", "the same of 180 days")
    orders_365d = Column("float64", "the same of 365 days")
    amount_30d = Column("float64", "net amount of the last 30 days, store's currency")
    amount_60d = Column("float64", "the same of 60 days")
    amount_90d = Column("float64", "the same of 90 days")
    amount_180d = Column("float64", "the same of 180 days")
    amount_365d = Column("float64", "the same of 365 days")


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
        "chance that the customer has not left for good; by BG/NBD it is 1 for one-time buyers before "
        "corrections, so never a churn figure",
    )
    p_order_90d = Column("float64", "chance of an order in the next 90 days")
    churn_probability = Column("float64", "chance of no order within the horizon")
    expected_orders = Column("float64", "purchase days expected within the horizon")
    expected_order_value = Column(
        "float64",
        "expected net amount of a purchase day less later refunds, the first order counted, store's currency",
    )
    discount_factor = Column(
        "float64",
        "present value of an order of the horizon over its amount; 1 where settings discount nothing",
    )
    expected_value = Column(
        "float64",
        "net revenue expected over the horizon, discounted, store's currency: expected_orders x "
        "expected_order_value x discount_factor",
    )
    expected_margin = Column(
        "float64", "margin expected over the horizon, discounted, store's currency"
    )
    value_low = Column(
        "float64",
        "lower end of the 80 % interval of that revenue as it may turn out; mostly 0, since most "
        "customers may well buy nothing, and always where the chance of an order is 25 % or less",
    )
    value_high = Column(
        "float64",
        "upper end of that interval, store's currency; above expected_value where the chance of an "
        "order is over 25 %",
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
    journey_stage = Column("string", "where the customer is between two orders: see the stages")
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
    loyalty_tier = Column(
        "string", "tier that the whole history has earned; none = below the lowest"
    )
    orders_to_next_tier = Column(
        "int64", "orders to the next tier; null = has the highest, or tiers are by revenue"
    )
    reason = Column("string", "why this segment and tier, in one line")
    model_version = Column("string", "version of the registered model")
    run_id = Column("string", "MLflow run that made the scores")


class Expected(Table):
    """One row per window, tenure band and tenth of customers, as expected at the end of the as-of day.

    All scored customers count, held out or not. Windows begin on the day after.
    """

    as_of = Column("date", "last day whose orders are known")
    window_days = Column("int64", "length of the window: 7 or 28")
    tenure = Column("string", "days since the first purchase: 0-30, 31-90, ..., over 730")
    decile = Column("int64", "tenth of that day's customers by expected_orders, 10 = highest")
    orders_from = Column(
        "float64",
        "expected_orders (of the scores) at which the tenth begins; equal ones are in one",
    )
    customers = Column("int64", "customers in the cell")
    expected_orders = Column("float64", "sum of the purchase days that they are expected to have")
    variance_orders = Column(
        "float64",
        "variance of that sum by the models' own distribution: over customers the sum of the mean of "
        "n (n - 1), plus the mean, less its square",
    )
    expected_value = Column(
        "float64", "sum of the net amount expected, undiscounted, store's currency"
    )


TABLES: tuple[type[Table], ...] = (
    Orders,
    OrderLines,
    LineAmounts,
    Customers,
    MarketingSpend,
    Referrals,
    Nps,
    Reviews,
    LoyaltyEvents,
    Touches,
    Assignments,
    Commitments,
    Rejects,
    CustomerState,
    FirstBasket,
    Recent,
    Outcomes,
    Scores,
    Expected,
    Truth,
)
