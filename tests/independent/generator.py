"""Simulate stores from the papers alone, with a truth per customer that no product code has touched.

Times are days since the store's first midnight, with fractions: day ``d`` of the history is [d, d + 1),
the last one is the as-of day, and the horizon is [days, days + HORIZON).

References
----------
.. [1] Schmittlein, Morrison & Colombo (1987), Counting Your Customers, Management Science 33(1):
   Poisson purchases, gamma rates, exponential lifetimes with gamma rates (Pareto/NBD).
.. [2] Batislam, Denizel & Filiztekin (2007), Empirical Validation and Comparison of Models for Customer
   Base Analysis, IJRM 24(3): dropout after each purchase, the first included (MBG/NBD).
.. [3] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025.
.. [4] Chatfield & Goodhardt (1973), A Consumer Purchasing Model with Erlang Inter-Purchase Times.
.. [5] Lewis & Shedler (1979), Simulation of Nonhomogeneous Poisson Processes by Thinning.
"""

import zlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr

Array = NDArray[np.float64]
Counts = NDArray[np.intp]

HORIZON = 365  # days after the as-of day
SOON = 90  # days of the short horizon
FUTURES = 20  # whose mean is the truth
PRODUCTS = 8  # the first half of them belongs to the category that brings customers back
KEEP_GOOD, KEEP_DISCOUNT = 2.0, 0.5  # what a planted signal multiplies the return rate by
DISCOUNT_SHARE = 0.25  # of the net amount


@dataclass(frozen=True)
class StoreSpec:
    """What a store is like.

    Attributes
    ----------
    name, seed
        They determine every draw.
    customers, days, as_of
        Customers who arrive within the last `days` days up to `as_of`.
    r, alpha
        Orders per day while active: Gamma(r, rate alpha) [1]_.
    regularity
        k of the Erlang time between orders [4]_; 1 = Poisson.
    dropout
        ``by_order`` [2]_ or ``by_clock`` [1]_.
    a, b
        Chance of leaving after an order: Beta(a, b).
    leaves_after_first
        Whether the first order can be the last one by leaving; False is the BG/NBD.
    s, beta
        Leaving per day, by the clock: Gamma(s, rate beta).
    p, q, gamma
        Order values: Gamma(p, rate nu) with nu ~ Gamma(q, rate gamma) [3]_; mean p gamma / (q - 1).
    growth
        Arrivals per day at the end, relative to the beginning.
    viral_share, viral_days
        Share of customers who arrive in the month that begins `viral_days` days before the end.
    amplitude
        Of a sine of the year by which repeat orders rise and fall.
    q4_peak
        What repeat orders are multiplied by from November 10 to December 24.
    pace_trend
        What repeat orders are multiplied by on the as-of day, relative to the first day of the history:
        an exponential trend over the days between, and constant after the as-of day.
    sale_days_ago, sale_length, sale_lift
        A sale: what repeat orders are multiplied by on `sale_length` days, the first of which lies
        `sale_days_ago` days before the as-of day; 0 days ago = no sale.
    quality
        Value of the last cohort relative to the first: falls by return chance and rate alike.
    price_rise
        What order values are multiplied by in the last half year and later.
    wholesale_share
        Share of customers who order twice as often and ten times the value.
    dependence
        Correlation of rate and order value, of the normal scores behind them.
    signal_keep
        Chance of staying after the first order that holds an ordinary category without a discount;
        None = no first basket tells anything.
    discounted_share
        Share of first orders with a discount, where a signal is planted.
    """

    name: str
    seed: int = 1
    customers: int = 8_000
    days: int = 1_095
    as_of: date = date(2025, 12, 31)
    r: float = 1.2
    alpha: float = 60.0
    regularity: int = 1
    dropout: str = "by_order"
    a: float = 1.0
    b: float = 2.5
    leaves_after_first: bool = True
    s: float = 1.5
    beta: float = 300.0
    p: float = 6.0
    q: float = 4.0
    gamma: float = 25.0
    growth: float = 1.0
    viral_share: float = 0.0
    viral_days: int = 425
    amplitude: float = 0.0
    q4_peak: float = 1.0
    pace_trend: float = 1.0
    sale_days_ago: int = 0
    sale_length: int = 14
    sale_lift: float = 3.0
    quality: float = 1.0
    price_rise: float = 1.0
    wholesale_share: float = 0.0
    dependence: float = 0.0
    signal_keep: float | None = None
    discounted_share: float = 0.5


@dataclass(frozen=True)
class People:
    """Latent state of customers; arrays of shape (n,).

    Attributes
    ----------
    arrival
        Time of the first order.
    rate
        Orders per day while active.
    leave_first, leave
        Chance of leaving after the first order, and after each later one; 0 where the clock decides.
    leave_rate
        Leaving per day; 0 where orders decide.
    nu
        Rate of the gamma distribution of order values.
    is_good, is_discounted
        What a planted signal shows of the first order.
    """

    arrival: Array
    rate: Array
    leave_first: Array
    leave: Array
    leave_rate: Array
    nu: Array
    is_good: NDArray[np.bool_]
    is_discounted: NDArray[np.bool_]


@dataclass(frozen=True)
class Walk:
    """Later orders of some customers, and how each stands at the end.

    Attributes
    ----------
    who, when
        Row of the customer and time, one per order.
    is_active, phase
        Shape (n,): whether still active at the end, and stages since the last order.
    """

    who: Counts
    when: Array
    is_active: NDArray[np.bool_]
    phase: Counts


@dataclass(frozen=True)
class Futures:
    """Orders within the horizon, of several futures; arrays of shape (n,), one entry per order.

    Attributes
    ----------
    count
        How many futures there are.
    future, customer
        Which future an order belongs to, and the row of its customer.
    time
        Days since the end of the as-of day.
    value
        Order value.
    """

    count: int
    future: Counts
    customer: Counts
    time: Array
    value: Array


@dataclass(frozen=True)
class Store:
    """A simulated store.

    Attributes
    ----------
    spec
        What was asked for.
    orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_amount`` and ``discount_amount``, none after
        the as-of day.
    lines
        ``order_id``, ``product_id``, ``category``, ``quantity``, ``net_amount``; None without a planted
        signal.
    latent
        One row per customer: ``rate``, ``leave_first``, ``leave``, ``leave_rate``, ``mean_order`` at
        first-day prices, ``is_active`` at the end of the as-of day, ``phase``, ``is_good``,
        ``is_discounted``.
    truth
        One row per customer: ``p_order_90`` (chance of an order within 90 days), ``orders_90``,
        ``orders_365`` (purchase days) and ``value_365``, the mean of many futures from the latent state.
    future
        The same of one more future: what a store would see. Also ``first_order_time``, days from the end
        of the as-of day to the next order, and ``first_order_day``, on which day it is (1 = the day after
        the as-of day); infinite without an order within the horizon.
    """

    spec: StoreSpec
    orders: pd.DataFrame
    lines: pd.DataFrame | None
    latent: pd.DataFrame
    truth: pd.DataFrame
    future: pd.DataFrame


def simulate(spec: StoreSpec, futures: int = FUTURES) -> Store:
    """Simulate a store up to its as-of day, and its futures after it.

    Parameters
    ----------
    spec
        The store.
    futures
        How many futures the truth is the mean of.
    """
    seeds = np.random.SeedSequence([spec.seed, zlib.crc32(spec.name.encode())]).spawn(4)
    of_people, of_history, of_truth, of_future = (np.random.default_rng(s) for s in seeds)
    people = draw_people(of_people, spec)
    walk = walk_history(of_history, spec, people)
    orders, lines = _records(of_history, spec, people, walk)
    ids = customer_ids(spec.customers)
    truth = _means(draw_futures(of_truth, spec, people, walk, futures), spec.customers)
    realized = draw_futures(of_future, spec, people, walk, 1)
    future = _means(realized, spec.customers).join(_first_orders(realized, spec.customers))
    latent = pd.DataFrame(
        {
            "rate": people.rate,
            "leave_first": people.leave_first,
            "leave": people.leave,
            "leave_rate": people.leave_rate,
            "mean_order": spec.p / people.nu,
            "is_active": walk.is_active,
            "phase": walk.phase,
            "is_good": people.is_good,
            "is_discounted": people.is_discounted,
        },
        index=ids,
    )
    return Store(spec, orders, lines, latent, truth.set_axis(ids), future.set_axis(ids))


def customer_ids(customers: int) -> pd.Index:
    """Return the names of customers by row."""
    return pd.Index([f"c{i:05}" for i in range(customers)], name="customer_id")


def multipliers(spec: StoreSpec) -> Array:
    """Return what the rate is multiplied by on each day of history and horizon."""
    first = pd.Timestamp(spec.as_of) - pd.Timedelta(days=spec.days - 1)
    calendar = pd.date_range(first, periods=spec.days + HORIZON)
    sine = 1 + spec.amplitude * np.sin(2 * np.pi * calendar.dayofyear.to_numpy() / 365.25)
    month_day = 100 * calendar.month + calendar.day
    is_peak = np.asarray((month_day >= 1110) & (month_day <= 1224))
    day = np.arange(len(calendar))
    pace = spec.pace_trend ** (np.minimum(day, spec.days - 1) / (spec.days - 1))
    sale_day = day - (spec.days - 1 - spec.sale_days_ago)
    is_sale = (spec.sale_days_ago > 0) & (sale_day >= 0) & (sale_day < spec.sale_length)
    sale = np.where(is_sale, spec.sale_lift, 1.0)
    return np.where(is_peak, spec.q4_peak, 1.0) * sine * pace * sale


def draw_arrivals(rng: np.random.Generator, spec: StoreSpec) -> Array:
    """Draw when customers order first: a Poisson process with an exponential trend, given its count."""
    u = rng.random(spec.customers)
    if spec.growth == 1:
        times = spec.days * u
    else:
        times = spec.days * np.log1p(u * (spec.growth - 1)) / np.log(spec.growth)
    viral = spec.days - spec.viral_days + 30 * rng.random(spec.customers)
    return np.where(rng.random(spec.customers) < spec.viral_share, viral, times)


def draw_people(rng: np.random.Generator, spec: StoreSpec) -> People:
    """Draw the latent state of every customer."""
    n = spec.customers
    arrival = draw_arrivals(rng, spec)
    score = rng.standard_normal((2, n))
    score[1] = spec.dependence * score[0] + np.sqrt(1 - spec.dependence**2) * score[1]
    rate = gammaincinv(spec.r, ndtr(score[0])) / spec.alpha
    nu = gammaincinv(spec.q, ndtr(-score[1])) / spec.gamma  # a low nu is a high value
    is_wholesale = rng.random(n) < spec.wholesale_share
    rate, nu = np.where(is_wholesale, 2 * rate, rate), np.where(is_wholesale, nu / 10, nu)
    stays, leave_rate = np.ones(n), np.zeros(n)
    if spec.dropout == "by_clock":
        leave_rate = rng.gamma(spec.s, 1 / spec.beta, n)
    else:
        stays = 1 - rng.beta(spec.a, spec.b, n)
    is_good, is_discounted = rng.random(n) < 0.5, rng.random(n) < spec.discounted_share
    stays_first = stays if spec.leaves_after_first else np.ones(n)
    if spec.signal_keep is None:
        is_good, is_discounted = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    else:
        stays_first = spec.signal_keep * np.where(is_good, KEEP_GOOD, 1.0)
        stays_first = stays_first * np.where(is_discounted, KEEP_DISCOUNT, 1.0)
    worth = spec.quality ** (arrival / spec.days / 2)  # once by the rate, once by staying
    return People(
        arrival,
        rate * worth,
        1 - stays_first * worth if spec.leaves_after_first else np.zeros(n),
        1 - stays * worth,
        leave_rate,
        nu,
        is_good,
        is_discounted,
    )


def walk_orders(
    rng: np.random.Generator,
    spec: StoreSpec,
    rate: Array,
    leave: Array,
    begin: tuple[Array, Counts, Array],
    end: int,
) -> Walk:
    """Walk customers through their later orders, stage by stage, by thinning [5]_.

    Parameters
    ----------
    rng
        Draws.
    spec
        The store.
    rate, leave
        Shape (n,): orders per day, and chance of leaving after each.
    begin
        Three arrays of shape (n,): the time at which each begins, the stages since the last order, and
        the time at which the clock ends it (infinite = never; 0 = not active from the beginning).
    end
        Day at whose beginning the walk ends.
    """
    at, phase, leaves_at = (array.copy() for array in begin)
    index = multipliers(spec)
    peak = index.max()
    is_active = np.zeros(len(at), dtype=bool)
    rows = np.flatnonzero(leaves_at > at)
    who, when = [], []
    while len(rows):
        at[rows] += rng.exponential(1 / (rate[rows] * spec.regularity * peak))
        is_active[rows[(at[rows] >= end) & (leaves_at[rows] >= end)]] = True
        rows = rows[at[rows] < np.minimum(leaves_at[rows], end)]
        accepted = rng.random(len(rows)) * peak < index[at[rows].astype(np.intp)]
        phase[rows] += accepted
        ordered = rows[phase[rows] == spec.regularity]
        phase[ordered] = 0
        who.append(ordered)
        when.append(at[ordered])
        leaves_at[ordered[rng.random(len(ordered)) < leave[ordered]]] = 0.0
        rows = rows[leaves_at[rows] > 0]
    none = np.zeros(0)
    return Walk(
        np.concatenate([none.astype(np.intp), *who]),
        np.concatenate([none, *when]),
        is_active,
        phase,
    )


def walk_history(rng: np.random.Generator, spec: StoreSpec, people: People) -> Walk:
    """Walk everybody from the first order to the end of the as-of day."""
    leaves_at = people.arrival + _lifetimes(rng, people.leave_rate)
    leaves_at[rng.random(spec.customers) < people.leave_first] = 0.0
    phase = np.zeros(spec.customers, dtype=np.intp)
    begin = (people.arrival, phase, leaves_at)
    return walk_orders(rng, spec, people.rate, people.leave, begin, spec.days)


def _lifetimes(rng: np.random.Generator, leave_rate: Array) -> Array:
    """Draw the times that remain: exponential, so the same at every moment; infinite at a rate of 0."""
    with np.errstate(divide="ignore"):
        return rng.exponential(size=len(leave_rate)) / leave_rate


def _amounts(rng: np.random.Generator, spec: StoreSpec, nu: Array, when: Array) -> Array:
    """Draw order values, in whole cents."""
    is_late = when >= spec.days - HORIZON // 2
    values = rng.gamma(spec.p, 1 / nu) * np.where(is_late, spec.price_rise, 1.0)
    return np.maximum(np.round(values, 2), 0.01)


def _records(
    rng: np.random.Generator, spec: StoreSpec, people: People, walk: Walk
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Write down what the store sees: orders, and lines where they tell something."""
    rows = np.concatenate([np.arange(spec.customers), walk.who])
    when = np.concatenate([people.arrival, walk.when])
    is_first = np.arange(len(rows)) < spec.customers
    net = _amounts(rng, spec, people.nu[rows], when)
    discount = np.where(
        is_first & people.is_discounted[rows], np.round(DISCOUNT_SHARE * net, 2), 0
    )
    first = pd.Timestamp(spec.as_of) - pd.Timedelta(days=spec.days - 1)
    orders = pd.DataFrame(
        {
            "customer_id": customer_ids(spec.customers).to_numpy()[rows],
            "ordered_at": first + pd.to_timedelta(np.floor(when * 86_400), unit="s"),
            "net_amount": net,
            "discount_amount": discount,
        }
    )
    is_good = np.where(is_first, people.is_good[rows], rng.random(len(rows)) < 0.5)
    product = rng.integers(0, PRODUCTS // 2, len(rows)) + np.where(is_good, 0, PRODUCTS // 2)
    orders["category"] = np.where(is_good, "good", "ordinary")
    orders["product_id"] = pd.Series(product).map("p{}".format)
    orders = orders.sort_values(["ordered_at", "customer_id"], ignore_index=True)
    orders.insert(0, "order_id", [f"o{i:06}" for i in range(len(orders))])
    columns = ["order_id", "product_id", "category", "net_amount"]
    lines = None if spec.signal_keep is None else orders[columns].assign(quantity=1)
    return orders.drop(columns=["product_id", "category"]), lines


def draw_futures(
    rng: np.random.Generator, spec: StoreSpec, people: People, walk: Walk, futures: int
) -> Futures:
    """Draw so many futures, each from the same latent state."""
    active = np.flatnonzero(walk.is_active)
    rows = np.tile(active, futures)
    begin = (
        np.full(len(rows), float(spec.days)),
        walk.phase[rows],
        spec.days + _lifetimes(rng, people.leave_rate[rows]),
    )
    end = spec.days + HORIZON
    later = walk_orders(rng, spec, people.rate[rows], people.leave[rows], begin, end)
    customer = rows[later.who]
    value = _amounts(rng, spec, people.nu[customer], later.when)
    future = later.who // max(len(active), 1)
    return Futures(futures, future, customer, later.when - spec.days, value)


def _means(futures: Futures, customers: int) -> pd.DataFrame:
    """Return each customer's mean of the futures."""
    day = futures.time.astype(np.intp)
    once = np.unique((futures.future * customers + futures.customer) * HORIZON + day)
    owner, bought_on = once // HORIZON, once % HORIZON
    buyer, is_soon = owner % customers, bought_on < SOON
    totals = {
        "p_order_90": np.bincount(np.unique(owner[is_soon]) % customers, minlength=customers),
        "orders_90": np.bincount(buyer[is_soon], minlength=customers),
        "orders_365": np.bincount(buyer, minlength=customers),
        "value_365": np.bincount(futures.customer, weights=futures.value, minlength=customers),
    }
    return pd.DataFrame({name: total / futures.count for name, total in totals.items()})


def _first_orders(future: Futures, customers: int) -> pd.DataFrame:
    """Return when each customer orders first in a single future."""
    time = np.full(customers, np.inf)
    np.minimum.at(time, future.customer, future.time)
    return pd.DataFrame({"first_order_time": time, "first_order_day": np.floor(time) + 1})
