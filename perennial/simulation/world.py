"""The store as a whole: who comes, what they do, and the tables that a store would keep of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import pdtr, pdtrik

from perennial.simulation.aftermath import Events, invitations, marketing_spend
from perennial.simulation.assignment import Assignment, read_assignment
from perennial.simulation.baskets import Orders, discounts, fill
from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Array, Draws
from perennial.simulation.people import Arrivals, People, join, make_people, order_keys
from perennial.simulation.prices import Ints
from perennial.simulation.profiles import Profile, SimulationError, find_profile
from perennial.simulation.profiles.checks import is_whole, lies
from perennial.simulation.purchases import Clock, order_times
from perennial.simulation.records import TABLES, Life, to_tables, write_table

PIECE = 100_000  # arrivals that are simulated at once where the store is cut into pieces


@dataclass(frozen=True)
class World:
    """A simulated store: the tables that a store keeps, and what only the simulation knows.

    Attributes
    ----------
    profile, start, end, seed
        What was simulated: the days [start, end) in the store's time zone.
    orders, order_lines, line_amounts, customers, marketing_spend, referrals, nps, reviews, loyalty_events, touches
        As in ``features.tables``, sorted by time.
    truth
        One row per customer, in the order of `customers`.
    """

    profile: Profile
    start: date
    end: date
    seed: int
    orders: pa.Table
    order_lines: pa.Table
    line_amounts: pa.Table
    customers: pa.Table
    marketing_spend: pa.Table
    referrals: pa.Table
    nps: pa.Table
    reviews: pa.Table
    loyalty_events: pa.Table
    touches: pa.Table
    truth: pa.Table

    @property
    def tables(self) -> dict[str, pa.Table]:
        """All tables by name."""
        return {name: getattr(self, name) for name in TABLES}


def simulate(
    customers: int,
    start: date,
    end: date,
    seed: int,
    profile: str | Profile = "coffee",
    assignment: pd.DataFrame | None = None,
) -> World:
    """Simulate a whole store.

    Every number is a function of the seed and of what it is for. So the same seed gives the same
    world to the last row, a later end changes nothing before it, and a world with an `assignment`
    differs from the one without by the effect alone.

    Parameters
    ----------
    customers
        Expected new customers in the first 365 days.
    start, end
        The days [start, end) in the store's time zone; of a moment, its day.
    seed
        Any whole number from 0 on.
    profile
        Name of one of :data:`perennial.simulation.PROFILES`, or a profile of your own.
    assignment
        Investment actions, columns ``customer_id``, ``day`` and ``action`` (``heavy``, ``standard``
        or ``light``); none by default. An action for somebody who is no customer on the day before
        does nothing.

    Returns
    -------
    World
        Tables and truth.

    Raises
    ------
    SimulationError
        No customers, no days, no whole seed from 0 on, an unknown profile, or an assignment that
        does not fit the world.
    """
    return next(simulate_pieces(customers, start, end, seed, profile, assignment, piece=None))


def simulate_pieces(
    customers: int,
    start: date,
    end: date,
    seed: int,
    profile: str | Profile = "coffee",
    assignment: pd.DataFrame | None = None,
    piece: int | None = PIECE,
) -> Iterator[World]:
    """Simulate the same store piece by piece: millions of customers in bounded memory.

    Parameters
    ----------
    customers, start, end, seed, profile, assignment
        As of :func:`simulate`.
    piece
        Customers of a piece, those aside who were referred by them; None = all.

    Returns
    -------
    Iterator of World
        The tables of some customers after the others; what was spent to win them all is in the
        first. All pieces together have the rows of :func:`simulate`, whatever their size.

    Raises
    ------
    SimulationError
        As :func:`simulate`.
    """
    calendar, draws = _calendar(customers, start, end, profile), Draws(_whole_seed(seed))
    if piece is not None and not is_whole(piece, 1):
        raise SimulationError(f"a piece has customers: {piece} were asked for. Ask for 1 or more")
    done = read_assignment(assignment, calendar)
    return _pieces(calendar, draws, customers, done, piece)


def expected_customers(
    customers: int, start: date, end: date, profile: str | Profile = "coffee"
) -> float:
    """Return how many new customers to expect between two days, those aside who are referred."""
    calendar = _calendar(customers, start, end, profile)
    return float(calendar.arrivals(customers * (1 - calendar.profile.referred_share)).sum())


def _calendar(customers: float, start: date, end: date, profile: str | Profile) -> Calendar:
    """Return the store's days, if it has customers and days at all."""
    if not lies(customers, 0):
        raise SimulationError(
            f"a store needs customers: {customers} were asked for. Ask for 1 or more"
        )
    first, after = _day("start", start), _day("end", end)
    if after <= first:
        raise SimulationError(
            f"a store needs days: the end, {after}, is not after the start, {first}. Name a later end"
        )
    return Calendar(find_profile(profile), first, after)


def _day(what: str, day: object) -> date:
    """Return a day, of a moment its day."""
    if not isinstance(day, date) or pd.isna(day):
        raise SimulationError(
            f"the {what} of a store is a day: {day!r} is none. Give a datetime.date"
        )
    return day.date() if isinstance(day, datetime) else day


def _whole_seed(seed: int) -> int:
    if not is_whole(seed, 0):
        raise SimulationError(f"a seed is a whole number from 0 on: {seed} is not. Choose another")
    return int(seed)


def _pieces(
    calendar: Calendar, draws: Draws, customers: int, done: Assignment, piece: int | None
) -> Iterator[World]:
    expected = calendar.arrivals(customers * (1 - calendar.profile.referred_share))
    until = np.cumsum(_poisson(draws.uniform("arrivals", np.arange(calendar.days)), expected))
    total = int(until[-1])
    spent, treated = _spent(calendar, expected, draws), 0
    for first in range(0, max(total, 1), piece or max(total, 1)):
        number = np.arange(first, min(first + (piece or total), total))
        tables = {}
        if len(number):
            life = _live(_arrive(number, until, calendar, draws), calendar, draws, done)
            tables, treated = to_tables(life, calendar, draws), treated + len(life.actions.day)
        if first + len(number) == total and len(done.key) and not treated:
            raise SimulationError(
                f"an assignment is for the world's own customers, after their first orders: none of "
                f"{len(done.key):,} actions is. Take ids and days from the same world"
            )
        tables = {"marketing_spend": spent} | tables if not first else tables
        filled = {name: tables.get(name, write_table(name)) for name in TABLES}
        yield World(calendar.profile, calendar.start, calendar.end, draws.seed, **filled)


def _poisson(u: Array, mean: Array) -> Ints:
    """Return the Poisson counts at quantiles `u`."""
    count = np.maximum(np.ceil(pdtrik(u, mean)), 0)
    below = np.maximum(count - 1, 0)
    draws = np.where(pdtr(below, mean) >= u, below, count)
    return np.asarray(draws, dtype=np.int64)


def _spent(calendar: Calendar, expected: Array, draws: Draws) -> pa.Table:
    """Return the table of what was spent to win customers, by day and channel."""
    channels = list(marketing_spend(calendar, expected, draws))
    if not channels:
        return write_table("marketing_spend")
    day = np.tile(np.arange(calendar.days), len(channels))
    by_day = np.argsort(day, kind="stable")
    columns = {
        "date": calendar.dates(day[by_day].astype(np.float64)),
        "channel": pa.array(np.repeat([n for n, _ in channels], calendar.days)[by_day]),
        "amount": np.concatenate([amount for _, amount in channels])[by_day],
    }
    return write_table("marketing_spend", columns)


def _arrive(number: Ints, until: Ints, calendar: Calendar, draws: Draws) -> Arrivals:
    """Return the arrivals of the given numbers, counted from the first day on."""
    channels = calendar.profile.channels
    key = draws.keys("customer", number)
    day = np.searchsorted(until, number, side="right")
    return Arrivals(
        key=key,
        time=day + draws.uniform("arrival", key) * (1 - 1e-9),
        channel=draws.choice([c.share for c in channels], "channel", key),
        referrer=np.zeros(len(key), dtype=np.uint64),
        inherited=np.zeros(len(key)),
    )


def _live(arrivals: Arrivals, calendar: Calendar, draws: Draws, done: Assignment) -> Life:
    """Let customers buy, and the friends whom they bring, and theirs."""
    generations: list[People] = []
    bought: list[Orders] = []
    invited: list[Events] = []
    while len(arrivals.key):
        people = make_people(arrivals, calendar, draws)
        clock = Clock(calendar, people, done.of(people))
        who, number, time = order_times(clock, draws)
        orders = Orders(who, number, time, order_keys(people.key[who], number, draws))
        events, arrivals = invitations(orders, people, draws)
        arrivals = arrivals[arrivals.time < calendar.days]
        before = sum(map(len, generations))
        generations.append(people)
        bought.append(replace(orders, who=who + before))
        invited.append(replace(events, who=events.who + before))
    people = join(generations)
    actions = done.of(people)
    orders = join(bought)
    orders = orders[~calendar.is_lost(orders.day)]
    given = discounts(
        orders, people, actions.incentive_of(orders.who, orders.day), calendar, draws
    )
    lines = fill(orders, given, people, calendar, draws)
    return Life(people, orders, given, lines, actions, join(invited))
