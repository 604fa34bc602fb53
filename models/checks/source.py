"""Whether what came in may be scored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.checks.check import Check, verdict_of
from models.checks.volume import IMPROBABLE, MANY, Volume, expected_orders, judge_volume

MOST_WINDOW_DAYS = 56  # before the day, that its volume is judged by


@dataclass(frozen=True)
class Source:
    """What is known of a day's orders and of the model that is to score them.

    Attributes
    ----------
    daily
        Array of shape (n,): orders of the days up to the day itself, which is the last.
    customers, customers_before
        Customers known now, and at the day published before; None = none was.
    orders_then, orders_now
        Orders up to the day published before: as they were known then, and now; None = none was.
    model_age_days
        Days since the orders that the model was trained on; None where it is not known.
    """

    daily: NDArray[np.int64]
    customers: int
    customers_before: int | None = None
    orders_then: int | None = None
    orders_now: int | None = None
    model_age_days: int | None = None


@dataclass(frozen=True)
class SourceLimits:
    """From where on a source is refused; see the settings."""

    least_orders_share: float = 0.4
    usual_orders_share: float = 0.3
    least_customers_share: float = 0.98
    most_history_change: float = 0.05
    old_model_days: int = 45
    oldest_model_days: int = 90


def check_source(source: Source, limits: SourceLimits | None = None) -> list[Check]:
    """Check what came in: its freshness, its volume, its past, and the model's age."""
    limits = limits or SourceLimits()
    checks = [_fresh(source), _volume(source, limits)]
    if source.customers_before is not None:
        checks.append(_customers(source.customers, source.customers_before, limits))
    if source.orders_then is not None and source.orders_now is not None:
        checks.append(_history(source.orders_now, source.orders_then, limits))
    if source.model_age_days is not None:
        checks.append(_model(source.model_age_days, limits))
    return checks


def silent_days(daily: NDArray[np.int64]) -> int:
    """Return how many days at the end have no order."""
    busy = np.flatnonzero(daily)
    return len(daily) - 1 - int(busy[-1]) if len(busy) else len(daily)


def _fresh(source: Source) -> Check:
    """Find days without any order at the end that chance does not explain: the source is late."""
    silent = silent_days(source.daily)
    days = np.arange(len(source.daily) - silent, len(source.daily))
    complete = source.daily[: len(source.daily) - silent]
    expected = [_expected_after(complete, int(day) - len(complete)) for day in days]
    missing = float(np.nansum(expected)) if expected else 0.0
    improbable = np.exp(-missing) < IMPROBABLE
    return Check(
        "orders_are_fresh",
        "orders reach up to the day",
        f"the last {silent} days have none, where about {missing:,.0f} are usual"
        if silent
        else "the last day has orders",
        f"refused where chance brings that less than once in {1 / IMPROBABLE:,.0f}",
        "Run again when the source has them; an export that ends earlier is run as of its last day, with --as-of; if "
        "the store was closed, accept it",
        verdict_of(refuses=bool(silent and improbable)),
        is_late=True,
    )


def _expected_after(daily: NDArray[np.int64], ahead: int) -> float:
    """Return the orders to expect of a day `ahead` days after the first unknown one."""
    if ahead == 0:
        return expected_orders(daily)
    # the days between are as unknown as the day itself: its weekday's median of what is known
    padded = daily[: len(daily) - (7 - ahead % 7) % 7] if ahead % 7 else daily
    return expected_orders(padded)


def _volume(source: Source, limits: SourceLimits) -> Check:
    day = judge_volume(
        int(source.daily[-1]),
        expected_orders(source.daily[:-1]),
        least_share=limits.least_orders_share,
        usual_share=limits.usual_orders_share,
    )
    by_share = f"refused below {limits.least_orders_share:.0%} of them"
    by_chance = f"refused where chance brings so few less than once in {1 / IMPROBABLE:,.0f} days"
    return Check(
        "orders_of_the_day",
        "a day has about as many orders as its weekday usually has",
        _volume_in_words(day),
        by_share if day.expected >= MANY else by_chance,
        "See whether the export is complete; if the day was like that, accept it",
        day.verdict,
    )


def _volume_in_words(day: Volume) -> str:
    if np.isnan(day.expected):
        return f"{day.orders:,} orders; too few weeks are known to say what is usual"
    return f"{day.orders:,} orders, where {day.expected:,.0f} are usual"


def _customers(now: int, before: int, limits: SourceLimits) -> Check:
    return Check(
        "customers_stay",
        "customers do not vanish from one day to the next",
        f"{now:,} customers, {before:,} the day published before",
        f"refused below {limits.least_customers_share:.0%}",
        "See whether the source still has its whole history; if customers were merged or removed, accept it",
        verdict_of(refuses=now < limits.least_customers_share * before),
    )


def _history(now: int, then: int, limits: SourceLimits) -> Check:
    change = now / then - 1 if then else 0.0
    return Check(
        "history_stays",
        "orders of past days stay as they were, but for a few that come late",
        f"{now:,} orders up to the day published before, {then:,} when it was published ({change:+.1%})",
        f"refused beyond {limits.most_history_change:.0%} either way",
        "See whether rows are missing or came twice; if the past was mended, accept it",
        verdict_of(refuses=abs(now - then) > limits.most_history_change * then),
    )


def _model(age: int, limits: SourceLimits) -> Check:
    verdict = verdict_of(refuses=age > limits.oldest_model_days, warns=age > limits.old_model_days)
    return Check(
        "model_is_young",
        "a model is trained on orders of late",
        f"the model's orders end {age} days before the day",
        f"warned of above {limits.old_model_days}, refused above {limits.oldest_model_days} days",
        "Run `perennial train`",
        verdict,
    )
