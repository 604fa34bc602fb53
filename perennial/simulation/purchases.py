"""When customers buy, and what an investment action changes.

A customer's clock runs with the weekday, the season, promotions and actions; orders come when it
has run far enough. An action makes it run faster for a while, and may keep somebody who would have
left after the last order. All else stays as it is without the action.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import exprel

from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Array, Draws
from perennial.simulation.people import People
from perennial.simulation.prices import Flags, Ints
from perennial.simulation.profiles import ACTIONS, EFFECT_DAYS

MOST_STAGES = 700.0  # beyond it exp(-stages) is zero; nobody orders so often


@dataclass(frozen=True)
class Actions:
    """What is done for customers, sorted by customer and day.

    Attributes
    ----------
    first, count
        Shape (customers,): where a customer's actions begin, and how many there are.
    day, until
        Shape (actions,): first day of the effect, and the day after its last.
    lift, keep, incentive, kind
        Shape (actions,): see :class:`perennial.simulation.profiles.Effect`; number in ``ACTIONS``.
    """

    first: Ints
    count: Ints
    day: Ints
    until: Ints
    lift: Array
    keep: Array
    incentive: Array
    kind: Ints

    def rounds(self, who: Ints) -> list[tuple[Ints, Ints]]:
        """Return (positions in `who`, numbers of actions) for everybody's first action, second, ..."""
        most = int(self.count[who].max()) if len(self.day) and len(who) else 0
        pairs = []
        for turn in range(most):
            rows = np.flatnonzero(self.count[who] > turn)
            pairs.append((rows, self.first[who[rows]] + turn))
        return pairs

    def incentive_of(self, who: Ints, day: Ints) -> Array:
        """Return the discount share that an action gives an order of the day; 0 = none."""
        share = np.zeros(len(who))
        for rows, action in self.rounds(who):
            works = (self.day[action] <= day[rows]) & (day[rows] < self.until[action])
            share[rows[works]] = self.incentive[action[works]]
        return share


def plan_actions(people: People, who: Ints, day: Ints, kind: Ints) -> Actions:
    """Say what each action does to its customer; a later one ends the effect of the one before.

    Parameters
    ----------
    people
        All customers.
    who, day, kind
        Arrays of shape (actions,): position of the customer, first day, number in ``ACTIONS``.
    """
    order = np.lexsort((kind, day, who))
    who, day, kind = who[order], day[order], kind[order]
    is_last = np.r_[who[1:] != who[:-1], np.ones(min(len(who), 1), dtype=bool)]
    following = np.where(is_last, np.iinfo(np.int64).max, np.r_[day[1:], day[:1]])
    by_kind = {
        name: np.stack([getattr(people, name)(action) for action in ACTIONS])[kind, who]
        for name in ("lift", "keep", "incentive")
    }
    count = np.bincount(who, minlength=len(people))
    return Actions(
        first=np.cumsum(count) - count,
        count=count,
        day=day,
        until=np.minimum(day + EFFECT_DAYS, following),
        kind=kind,
        **by_kind,
    )


@dataclass(frozen=True)
class Clock:
    """How far each customer's clock of buying has run."""

    calendar: Calendar
    people: People
    actions: Actions

    def at(self, who: Ints, time: Array) -> Array:
        """Return the clock of customers `who` at times, both of shape (n,)."""
        value = self._usual(who, time)
        for rows, action in self.actions.rounds(who):
            some = who[rows]
            since, until = self.actions.day[action], self.actions.until[action]
            ran = self._usual(some, np.clip(time[rows], since, until).astype(np.float64))
            before = self._usual(some, since.astype(np.float64))
            value[rows] += self.actions.lift[action] * (ran - before)
        return value

    def _usual(self, who: Ints, time: Array) -> Array:
        """Return the clock as it would be without actions."""
        time = np.minimum(time, self.calendar.days)
        day = np.minimum(time.astype(np.int64), self.calendar.days - 1)
        part = time - day
        usual, season, promotion = (
            pace[day] + part * (pace[day + 1] - pace[day]) for pace in self.calendar.pace
        )
        moved = self.people.season[who] * season + self.people.discount[who] * promotion
        return np.asarray(usual + moved)

    def when(self, who: Ints, value: Array) -> Array:
        """Return the times at which the clocks of customers `who` reach values, both of shape (n,)."""
        low, high = np.zeros(len(who), dtype=np.int64), np.full(len(who), self.calendar.days)
        for _ in range(int(self.calendar.days).bit_length()):
            middle = (low + high) // 2
            is_past = self.at(who, middle.astype(np.float64)) <= value
            low, high = np.where(is_past, middle, low), np.where(is_past, high, middle)
        day = low.astype(np.float64)
        before, after = self.at(who, day), self.at(who, day + 1)
        return day + np.clip((value - before) / (after - before), 0, 1 - 1e-9)


def order_times(clock: Clock, draws: Draws) -> tuple[Ints, Ints, Array]:
    """Return when customers order.

    Parameters
    ----------
    clock
        Of all customers.
    draws
        The seed's random numbers.

    Returns
    -------
    tuple
        Arrays of shape (orders,), sorted by customer and number: position of the customer, number
        of the order from 0 on, time in days.
    """
    people, calendar = clock.people, clock.calendar
    profile = calendar.profile
    everyone = np.arange(len(people))
    value = clock.at(everyone, people.time)
    over = np.full(len(people), float(calendar.days))
    if profile.dropout == "pareto":
        over = np.minimum(over, people.time + people.life_days)
    limit = clock.at(everyone, over)
    who, number, values = [everyone], [np.zeros(len(people), dtype=np.int64)], [value.copy()]
    active, turn = everyone, 0
    while len(active):
        if profile.dropout == "mbg" or (profile.dropout == "bg" and turn):
            leaves = draws.uniform("leaves", people.key[active], turn) < people.leave[active]
            kept = _keep(clock, active[leaves], value, turn, draws)
            active = np.sort(np.r_[active[~leaves], kept])
        turn += 1
        value[active] += _gap(people, active, turn, profile.regularity, draws)
        active = active[value[active] < limit[active]]
        who.append(active)
        number.append(np.full(len(active), turn))
        values.append(value[active])
    buyers, numbers = np.concatenate(who), np.concatenate(number)
    time = np.r_[people.time, clock.when(buyers[len(people) :], np.concatenate(values[1:]))]
    order = np.argsort(buyers, kind="stable")
    buyers, numbers, time = buyers[order], numbers[order], time[order]
    if not profile.same_day_orders:
        time = _one_a_day(buyers, numbers, time)
    is_past = time < calendar.days
    return buyers[is_past], numbers[is_past], time[is_past]


def _one_a_day(who: Ints, number: Ints, time: Array) -> Array:
    """Move an order that falls on the day of the customer's one before to the next day."""
    day = np.floor(time)
    far = (
        day.max(initial=0.0) + number.max(initial=0) + 2
    )  # keeps customers apart in one running maximum
    latest = np.maximum.accumulate(day - number + who * far) - who * far + number
    return np.asarray(time + (latest - day))


def _gap(people: People, who: Ints, turn: int, regularity: int, draws: Draws) -> Array:
    """Clock until the next order: Erlang distributed."""
    total = np.zeros(len(who))
    for step in range(regularity):
        total += draws.exponential("gap", people.key[who], turn, step)
    return total / (regularity * people.rate[who])


def _keep(clock: Clock, leaving: Ints, value: Array, turn: int, draws: Draws) -> Ints:
    """Return who stays because of any action soon after the order; their clocks go on from the first that wins."""
    actions, people = clock.actions, clock.people
    leaving = leaving[actions.count[leaving] > 0]
    if not len(leaving):
        return leaving
    left_at = clock.when(leaving, value[leaving])
    chance = draws.uniform("keeps", people.key[leaving], turn)
    is_kept: Flags = np.zeros(len(leaving), dtype=bool)
    for rows, action in actions.rounds(leaving):
        day = actions.day[action]
        open_until = left_at[rows] + clock.calendar.profile.keep_gaps / people.rate[leaving[rows]]
        asked = (day > left_at[rows]) & (day <= open_until) & ~is_kept[rows]
        won = asked & (chance[rows] < actions.keep[action])
        is_kept[rows[won]] = True
        back = leaving[rows[won]]
        value[back] = clock.at(back, day[won].astype(np.float64))
    return leaving[is_kept]


def expected_orders(people: People, regularity: int, days: float, lift: Array) -> Array:
    """Orders expected of an active customer in a neutral season.

    Parameters
    ----------
    people
        The customers.
    regularity
        k of the Erlang time between orders.
    days
        From an order on.
    lift
        Shape (n,): rise of the purchase rate in the first :data:`EFFECT_DAYS` days.

    Returns
    -------
    Array
        Shape (n,).

    Notes
    -----
    Leaving after an order with chance p, the j-th next order happens with chance (1 - p)^(j - 1) if
    there is time for it, and there is where a Poisson count of stages reaches j k. The chances are
    summed one by one: the geometric series in closed form cancels where p is near 0. Leaving by the
    clock at rate mu, the mean is the integral of the purchase rate times exp(-mu t).
    """
    window = min(float(EFFECT_DAYS), days)
    if np.isnan(people.leave).all():
        lived = (t * exprel(-people.life_rate * t) for t in (window, days))
        early, whole = lived
        return np.asarray(people.rate * (whole + lift * early))
    stages = np.minimum(regularity * people.rate * (days + lift * window), MOST_STAGES)
    order = np.argsort(stages)
    stages, stays = stages[order], 1 - people.leave[order]
    last = stages + 10 * np.sqrt(stages + 1) + 20  # beyond it a Poisson count does not come
    chance, total = np.exp(-stages), np.zeros(len(people))
    reached, orders = np.ones(len(people)), np.zeros(len(people))
    for stage in range(1, int(last.max(initial=0.0))):
        on = slice(int(np.searchsorted(last, stage)), None)
        chance[on] *= stages[on] / stage
        if stage % regularity == 0:
            orders[on] += reached[on]
            reached[on] *= stays[on]
        total[on] += chance[on] * orders[on]
    expected = np.empty(len(people))
    expected[order] = total
    return expected


def action_effects(
    people: People, regularity: int, margin: float, days: float = 365.0
) -> dict[str, Array]:
    """Return what each action adds when it is taken right after an order, its own cost aside.

    Returns
    -------
    dict
        ``{action}_order_lift``, ``_keep_chance``, ``_extra_orders`` and ``_extra_margin``, each of
        shape (n,). The order is one after which the customer may leave.
    """
    none = np.zeros(len(people))
    leave = np.nan_to_num(people.leave)
    without = (1 - leave) * expected_orders(people, regularity, days, none)
    columns = {}
    for action in ACTIONS:
        lift, keep = people.lift(action), people.keep(action)
        stays = 1 - leave * (1 - keep)
        more = stays * expected_orders(people, regularity, days, lift) - without
        discounted = stays * expected_orders(people, regularity, EFFECT_DAYS, lift)
        given = people.incentive(action) * discounted
        columns[f"{action}_order_lift"] = lift
        columns[f"{action}_keep_chance"] = keep
        columns[f"{action}_extra_orders"] = more
        columns[f"{action}_extra_margin"] = people.spend * (margin * more - given)
    return columns
