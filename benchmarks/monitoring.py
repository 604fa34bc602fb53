"""How soon a fall is noticed and how often calm is taken for one: ``python -m benchmarks.monitoring [SEEDS [VOLUME...]]``.

Customers of MBG/NBD's story: rates of buying and chances of leaving differ, some leave after each
order, new ones come each day. The model is fitted once, to what is known on the first day, and grows
old; each week the same functions as in ``perennial monitor`` say whether it is off. A fall multiplies
everybody's rate of buying.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.cells import counted
from models.history import CustomerHistory
from models.monitoring import Rule, Week, expected_counts, is_frozen, is_retrain_due
from models.purchases import MBGNBD, PurchaseModel, fit_purchases
from models.spend import Spend

Array = NDArray[np.float64]

TRUTH = MBGNBD(0.9, 60.0, 0.6, 2.4)
BEFORE = 546  # days of history that the model is fitted to
WEEKS = 100  # after it
PER_NEW = 4.6  # repeat purchases a day for each customer who comes a day, once the history is over
VOLUMES = (100, 300, 1_000, 2_000)  # orders a week
SPEND = Spend(6.0, 4.0, 15.0)  # of no consequence: orders are watched
FALL = 0.8
FALL_WEEKS = 20  # for which a fall is watched
COOLDOWN = 4  # weeks


@dataclass(frozen=True)
class World:
    """A store's customers and the days of their purchases, in operational time.

    Attributes
    ----------
    first
        Shape (customers,): day of the first purchase, on day 0 or later.
    customer, moment
        Shape (purchases,): whose and when, in days, repeat purchases only, by customer and time.
    """

    first: Array
    customer: NDArray[np.intp]
    moment: Array

    @classmethod
    def draw(cls, orders_a_week: float, seed: int, days: int = BEFORE + 7 * WEEKS) -> "World":
        """Draw a store with about so many repeat orders a week once the history is over."""
        rng = np.random.default_rng(seed)
        count = rng.poisson(orders_a_week / 7 / PER_NEW * days)
        first = np.floor(rng.uniform(0, days, count))
        rate = rng.gamma(TRUTH.r, 1 / TRUTH.alpha, count)
        leaves = rng.beta(TRUTH.a, TRUTH.b, count)
        who, now = np.flatnonzero(rng.random(count) >= leaves), first.copy()
        customers, moments = [], []
        while len(who):
            now[who] += rng.exponential(1 / rate[who])
            who = who[now[who] < days]
            customers.append(who)
            moments.append(now[who])
            who = who[rng.random(len(who)) >= leaves[who]]
        customer, moment = np.concatenate(customers), np.concatenate(moments)
        order = np.lexsort((moment, customer))
        return cls(first, customer[order], moment[order])

    def days_of(self, fall_on: float = np.inf, factor: float = 1.0) -> tuple[Array, Array]:
        """Return whose and on what day each repeat purchase is, once rates fall on a day by a factor.

        Time passes for purchases as much slower from then on; days of several purchases are one.
        """
        begins = np.maximum(self.first[self.customer], fall_on)
        late = np.maximum(self.moment - begins, 0.0)
        day = np.floor(np.where(late > 0, begins + late / factor, self.moment))
        is_new = np.r_[True, (np.diff(self.customer) != 0) | (np.diff(day) != 0)]
        is_new &= day > self.first[self.customer]  # on the first day there is one purchase
        return self.customer[is_new], day[is_new]


@dataclass(frozen=True)
class Seen:
    """What is known of a store's customers: first days, and whose and when repeat purchases are."""

    first: Array
    customer: Array
    day: Array

    def state(self, as_of: int) -> tuple[Array, Array, Array]:
        """Return x, t_x and T of everybody known at the end of a day."""
        is_known = self.first <= as_of
        past = self.day <= as_of
        who, count = self.customer[past].astype(np.intp), len(self.first)
        x = np.bincount(who, minlength=count).astype(np.float64)
        last = self.first.copy()
        last[who] = self.day[past]  # in the order of time: the last stays
        return x[is_known], (last - self.first)[is_known], as_of - self.first[is_known]

    def orders(self, as_of: int, days: int) -> int:
        """Count repeat purchases within the days after one, by customers known on it."""
        inside = (self.day > as_of) & (self.day <= as_of + days)
        return int((self.first[self.customer[inside].astype(np.intp)] <= as_of).sum())


def watch(seen: Seen, model: PurchaseModel, first_day: int, weeks: int) -> Iterator[Week]:
    """Yield what came and what was expected of each week, by the model as it was fitted."""
    for week in range(weeks):
        as_of = first_day + 7 * week
        *states, customers = history_of(seen, as_of)
        history = CustomerHistory.of(*states, 0.0)
        counts = expected_counts(model, SPEND, history, windows=[7])[7]
        expected = float((customers * counts.orders).sum())
        yield Week(seen.orders(as_of, 7), expected, float((customers * counts.variance).sum()))


def history_of(seen: Seen, as_of: int) -> tuple[Array, Array, Array, Array]:
    """Return distinct states on a day, and how many customers have each."""
    (x, t_x, T), customers = counted(*seen.state(as_of))
    return x, t_x, T, customers


def fitted(world: World) -> PurchaseModel:
    """Fit the model to what is known when the history is over."""
    seen = Seen(world.first, *world.days_of())
    return fit_purchases(*history_of(seen, BEFORE), model=MBGNBD, start=TRUTH).model


def requests(weeks: list[Week], rule: Rule, *, cooldown: int = COOLDOWN) -> list[int]:
    """Return the places of the weeks after which it is asked to train again."""
    asked: list[int] = []
    for place in range(len(weeks)):
        is_free = not asked or place - asked[-1] >= cooldown
        if is_free and is_retrain_due(weeks[: place + 1], rule):
            asked.append(place)
    return asked


def calm(world: World, model: PurchaseModel, weeks: int) -> list[Week]:
    """Watch a store in which nothing changes."""
    return list(watch(Seen(world.first, *world.days_of()), model, BEFORE, weeks))


def noticed_after(world: World, model: PurchaseModel, fall_on: int, weeks: int) -> int | None:
    """Return after how many weeks that matured since it began a fall is noticed; None = not within `weeks`."""
    seen = Seen(world.first, *world.days_of(fall_on, FALL))
    asked = requests(list(watch(seen, model, fall_on, weeks)), Rule())
    return asked[0] + 1 if asked else None


def measure(orders_a_week: int, seeds: int) -> str:
    """Return a row of the table: what happens at so many orders a week, over so many draws of a store."""
    false, frozen, off, seen, widths, volume = 0, 0, [], [], [], []
    for seed in range(seeds):
        world = World.draw(orders_a_week, seed)
        model = fitted(world)
        weeks = calm(world, model, WEEKS)
        false += len(requests(weeks, Rule()))
        frozen += sum(is_frozen(weeks[: k + 1], Rule()) for k in range(WEEKS))
        volume.append(np.mean([week.actual for week in weeks]))
        off.append(np.mean([week.actual for week in weeks]) / np.mean([w.expected for w in weeks]))
        widths.append(
            np.mean([1.96 * np.sqrt(max(w.variance, w.expected)) / w.expected for w in weeks])
        )
        starts = range(0, WEEKS - FALL_WEEKS, FALL_WEEKS)
        seen += [noticed_after(world, model, BEFORE + 7 * s, FALL_WEEKS) for s in starts]
    actual = [week for week in seen if week is not None]
    within = [sum(week <= most for week in actual) / len(seen) for most in (2, 4, 8)]
    middle = f"{np.median(actual):.0f}" if len(actual) > len(seen) / 2 else "over half not"
    return (
        f"| {orders_a_week:,} | {np.mean(volume):,.0f} | {np.mean(widths):.1%} | {np.mean(off):.3f} "
        f"| {false / seeds:.2f} | {frozen / seeds:.2f} | {within[0]:.0%} | {within[1]:.0%} | {within[2]:.0%} "
        f"| {middle} |"
    )


def main() -> int:
    """Print the table."""
    seeds = int(sys.argv[1]) if sys.argv[1:] else 20
    print(f"{seeds} draws of a store at each volume, {WEEKS} weeks each; a fall to {FALL:.0%}")
    print(
        "| orders a week | drawn | band ± | actual over expected, 100 weeks | false requests in 100 weeks "
        "| weeks frozen of 100 | fall noticed within 2 weeks | 4 | 8 | median weeks |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for orders_a_week in [int(volume) for volume in sys.argv[2:]] or VOLUMES:
        started = time.perf_counter()
        row = measure(orders_a_week, seeds)
        print(row, flush=True)
        print(f"  {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
