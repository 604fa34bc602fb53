"""The headline: five figures, their change since the last page, and one line that says how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.words import Words

Record = Mapping[str, Any]


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


def figures(record: Record, kpis: Record) -> dict[str, dict[str, Any]]:
    """Return the headline figures: ``value`` (None = not known) and ``unit`` by name.

    Parameters
    ----------
    record
        What ``run.json`` says of a day.
    kpis
        What ``kpis.json`` says of it.
    """
    gain, cost = (sum(tier[name] for tier in record["tiers"]) for name in ("gain", "cost"))
    values = {
        "repeat_rate": (_known(kpis, "repeat", "estimate_12m", "value"), "share"),
        "second_order_days": (_known(kpis, "second_order", "median_days"), "days"),
        "expected_value": (record["totals"]["expected_value"], "money"),
        "budget_used": (cost, "money"),
        "expected_return": (gain / cost if cost else None, "money"),
    }
    return {name: {"value": value, "unit": unit} for name, (value, unit) in values.items()}


def tiles(record: Record, kpis: Record, words: Words) -> list[Tile]:
    """Return the headline figures in words."""
    now, before = record["figures"], (record.get("previous") or {}).get("figures", {})
    benchmark = _known(kpis, "repeat", "benchmark")
    rate = _known(kpis, "repeat", "estimate_12m")
    span = f"{words.based_on(rate)}" if rate else ""
    beside = f"; benchmark {words.percent(benchmark, 0)}" if benchmark else ""
    horizon = record["horizon_days"]
    budget = record["budget"]
    said = {
        "repeat_rate": ("Come back within 12 months", f"{span}{beside}"),
        "second_order_days": (
            "Half have ordered again after",
            f"of all who bought once; natural cycle {words.count(kpis['natural_cycle_days'])} days",
        ),
        "expected_value": (
            f"Revenue, next {horizon} days",
            "expected from today's customers, at today's worth",
        ),
        "budget_used": (
            "Retention budget used",
            f"of {words.money(budget['amount'])} for {budget['period_days']} days",
        ),
        "expected_return": (f"Margin back per {words.one}", _return_span(record, words)),
    }
    missing = {
        "second_order_days": "not reached",
        "expected_return": "nothing spent",
        "repeat_rate": "not known",
    }
    return [
        Tile(
            name,
            label,
            missing[name] if now[name]["value"] is None else words.unit(**now[name]),
            meaning,
            _change(now[name], before.get(name), words),
        )
        for name, (label, meaning) in said.items()
    ]


def _return_span(record: Record, words: Words) -> str:
    """Say between what ends the return lies, and what that rests on."""
    rows = record["budget_by_segment"]
    if not rows:
        return "nobody is invested in"
    cost, low, high = (sum(row[name] for row in rows) for name in ("cost", "low", "high"))
    basis = (
        "as measured" if all(row["is_measured"] for row in rows) else "if actions do as assumed"
    )
    return f"{words.money(low / cost)} to {words.money(high / cost)}, {basis}"


def verdict(record: Record, kpis: Record, words: Words) -> str:
    """Say in one line how retention stands and what the budget is to bring."""
    parts = [_retention(kpis, words)]
    rows = record["budget_by_segment"]
    if rows:
        customers = sum(row["customers"] for row in rows)
        cost, gain, low, high = (
            sum(row[name] for row in rows) for name in ("cost", "gain", "low", "high")
        )
        span = f"{words.money(low)} to {words.money(high)}"
        parts.append(
            f"{words.count(customers)} customers get {words.money(cost)} of investment, to bring back about "
            f"{words.money(gain)} of margin ({span})."
        )
    else:
        parts.append("No investment pays for itself today.")
    return " ".join(parts)


def _retention(kpis: Record, words: Words) -> str:
    alarm = kpis.get("cohort_alarm") or {}
    if alarm.get("difference") is not None:
        rates = [words.percent(alarm[name]["value"]) for name in ("recent", "before")]
        within = f"within {alarm['age_days']} days"
        if alarm["is_alarm"]:
            return (
                f"Retention is falling: {rates[0]} of the newest cohorts came back {within}, {rates[1]} a "
                "year before."
            )
        if alarm["low"] > 0:
            return f"Retention is rising: {rates[0]} came back {within}, {rates[1]} a year before."
        return f"Retention is steady: {rates[0]} came back {within}, {rates[1]} a year before."
    rate = _known(kpis, "repeat", "estimate_12m")
    if rate and rate["value"] is not None:
        return f"{words.percent(rate['value'])} of customers come back within 12 months."
    return "Too few customers yet to say how many come back."


def _known(kpis: Record, *path: str) -> Any:  # noqa: ANN401  # any JSON value
    found: Any = kpis
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def _change(now: Record, before: Record | None, words: Words) -> str:
    if before is None or now["value"] is None or before["value"] is None:
        return ""
    difference = now["value"] - before["value"]
    if now["unit"] == "share":
        text = words.decimal(abs(100 * difference), 1) + " points"
    else:
        text = words.unit(abs(difference), now["unit"])
    if text == words.unit(0, now["unit"]) or text.startswith(words.decimal(0, 1) + " points"):
        return "unchanged"
    return f"{'up' if difference > 0 else 'down'} {text}"
