"""The headline: five figures, their change since the last page, and one line that says how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.records import KpiReport, RunRecord
from reports.records.kpis import CohortAlarm
from reports.records.run import BudgetRow, Figure, Figures, TierRow, Totals
from reports.words import Words

MISSING = {
    "second_order_days": "not reached",
    "expected_return": "nothing spent",
    "repeat_rate": "not known",
}


@dataclass(frozen=True)
class Tile:
    """A headline figure.

    Attributes
    ----------
    name
        By which the next page finds it.
    label, text, meaning
        As people read it.
    change
        Since the last page; empty where there is none to compare with.
    """

    name: str
    label: str
    text: str
    meaning: str
    change: str


@dataclass(frozen=True)
class Investment:
    """Sums over what is invested in: customers, and amounts with the gain's 80 % interval."""

    customers: int
    cost: float
    gain: float
    low: float
    high: float
    is_measured: bool

    @classmethod
    def of(cls, rows: Sequence[BudgetRow]) -> "Investment":
        """Sum up the segments."""
        return cls(
            customers=sum(row.customers for row in rows),
            cost=sum(row.cost for row in rows),
            gain=sum(row.gain for row in rows),
            low=sum(row.low for row in rows),
            high=sum(row.high for row in rows),
            is_measured=all(row.is_measured for row in rows),
        )


def figures(totals: Totals, tiers: Sequence[TierRow], kpis: KpiReport) -> Figures:
    """Return the headline figures by name.

    Parameters
    ----------
    totals, tiers
        Sums over all customers, and over those of a tier.
    kpis
        The retention measures.
    """
    gain, cost = sum(tier.gain for tier in tiers), sum(tier.cost for tier in tiers)
    rate = kpis.repeat.estimate_12m.value
    return {
        "repeat_rate": Figure(value=rate, unit="share"),
        "second_order_days": Figure(value=kpis.second_order.median_days, unit="days"),
        "expected_value": Figure(value=totals.expected_value, unit="money"),
        "budget_used": Figure(value=cost, unit="money"),
        "expected_return": Figure(value=gain / cost if cost else None, unit="money"),
    }


def tiles(record: RunRecord, kpis: KpiReport, words: Words) -> list[Tile]:
    """Return the headline figures in words."""
    before = record.previous.figures or {}
    return [
        Tile(
            name,
            label,
            _text(name, record.figures[name], words),
            meaning,
            _change(record.figures[name], before.get(name), words),
        )
        for name, (label, meaning) in _meanings(record, kpis, words).items()
    ]


def _meanings(record: RunRecord, kpis: KpiReport, words: Words) -> Mapping[str, tuple[str, str]]:
    """Return label and meaning of each tile."""
    benchmark, budget = kpis.repeat.benchmark, record.budget
    beside = f"; benchmark {words.percent(benchmark, 0)}" if benchmark else ""
    return {
        "repeat_rate": (
            "Come back within 12 months",
            f"{words.based_on(kpis.repeat.estimate_12m)}{beside}",
        ),
        "second_order_days": (
            "Half have ordered again after",
            f"of all who bought once; natural cycle {words.count(kpis.natural_cycle_days)} days",
        ),
        "expected_value": (
            f"Revenue, next {record.horizon_days} days",
            "expected from today's customers, at today's worth",
        ),
        "budget_used": (
            "Retention budget used",
            f"of {words.money(budget.amount or 0.0)} for {budget.period_days} days",
        ),
        "expected_return": (
            f"Margin back per {words.one}",
            _return_span(record.budget_by_segment, words),
        ),
    }


def _text(name: str, figure: Figure, words: Words) -> str:
    return MISSING[name] if figure.value is None else words.unit(figure.value, figure.unit)


def _return_span(rows: Sequence[BudgetRow], words: Words) -> str:
    """Say between what ends the return lies, and what that rests on."""
    if not rows:
        return "nobody is invested in"
    sums = Investment.of(rows)
    basis = "as measured" if sums.is_measured else "if actions do as assumed"
    return f"{words.money(sums.low / sums.cost)} to {words.money(sums.high / sums.cost)}, {basis}"


def verdict(record: RunRecord, kpis: KpiReport, words: Words) -> str:
    """Say in one line how retention stands and what the budget is to bring."""
    parts = [_retention(kpis, words)]
    if record.budget_by_segment:
        sums = Investment.of(record.budget_by_segment)
        span = f"{words.money(sums.low)} to {words.money(sums.high)}"
        parts.append(
            f"{words.count(sums.customers)} customers get {words.money(sums.cost)} of investment, to bring back about "
            f"{words.money(sums.gain)} of margin ({span})."
        )
    else:
        parts.append("No investment pays for itself today.")
    return " ".join(parts)


def _retention(kpis: KpiReport, words: Words) -> str:
    alarm = kpis.cohort_alarm
    if alarm is not None and alarm.difference is not None:
        return _trend(alarm, words)
    rate = kpis.repeat.estimate_12m
    if rate.value is not None:
        return f"{words.percent(rate.value)} of customers come back within 12 months."
    return "Too few customers yet to say how many come back."


def _trend(alarm: CohortAlarm, words: Words) -> str:
    """Say how the newest cohorts compare with those of a year before."""
    recent, before = (words.percent(rate.value or 0.0) for rate in (alarm.recent, alarm.before))
    within = f"within {alarm.age_days} days"
    if alarm.is_alarm:
        return (
            f"Retention is falling: {recent} of the newest cohorts came back {within}, {before} a "
            "year before."
        )
    if alarm.low is not None and alarm.low > 0:
        return f"Retention is rising: {recent} came back {within}, {before} a year before."
    return f"Retention is steady: {recent} came back {within}, {before} a year before."


def _change(now: Figure, before: Figure | None, words: Words) -> str:
    if before is None or now.value is None or before.value is None:
        return ""
    difference = now.value - before.value
    if now.unit == "share":
        text = words.decimal(abs(100 * difference), 1) + " points"
    else:
        text = words.unit(abs(difference), now.unit)
    if text == words.unit(0, now.unit) or text.startswith(words.decimal(0, 1) + " points"):
        return "unchanged"
    return f"{'up' if difference > 0 else 'down'} {text}"
