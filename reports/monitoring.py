"""Whether forecasts that have matured came true, arranged for the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.words import Words

WEEKS = 8  # shown one by one
ENOUGH = 0.10  # of the index from which a figure has moved

Found = Mapping[str, Any]


def monitoring_tables(found: Found | None, words: Words) -> dict[str, Any] | None:
    """Arrange what monitoring found; None where no week has matured.

    Parameters
    ----------
    found
        What ``state/monitoring.json`` says; None where nothing was looked at.
    words
        How figures are written.
    """
    if found is None or not found["weeks"]:
        return None
    weeks = found["weeks"]
    matured = [week for week in weeks if week["28"] is not None]
    newest, days = (matured[-1], 28) if matured else (weeks[-1], 7)
    shown = newest[str(days)]
    standings = found["standings"][-len(weeks) :]
    figures = found["drift"]["figures"]
    rows = list(zip(weeks, standings, strict=True))[-WEEKS:][::-1]
    return {
        "as_of": found["as_of"],
        "status": _status(found, words),
        "alerts": [{"level": a["level"], "text": _sentence(a)} for a in found["alerts"]],
        "weeks": [_week(week, standing, words) for week, standing in rows],
        "groups": {
            "days": days,
            "after": newest["as_of"],
            "tables": [
                {"name": "Days since first order", "rows": _groups(shown["by_tenure"], words)},
                {
                    "name": "Tenth by expected orders, 10 = highest",
                    "rows": _groups(shown["by_decile"][::-1], words),
                },
            ],
            "slope": _slope(shown["slope"], words),
            "rank": _rank(shown["rank"], words),
        },
        "drift": [_moved(row, words) for row in figures if row["psi"] is not None],
        "untold": ", ".join(row["meaning"] for row in figures if row["psi"] is None),
    }


def _status(found: Found, words: Words) -> str:
    model, fresh = found["model"], found["freshness"]
    said = (
        f"Looked at on {found['as_of']}: orders up to {fresh['last_order_date']}, model version "
        f"{model['version']} trained {words.count(model['age_days'])} days before."
    )
    outside = found["drift"]["outside_share"]
    if outside is not None:
        said += f" {words.percent(outside)} of customers are beyond what it was trained on."
    return said


def _sentence(alert: Found) -> str:
    said = f"{alert['finding']}. {alert['next_step']}.".replace("`", "")
    return said[0].upper() + said[1:]


def _week(week: Found, standing: int, words: Words) -> dict[str, Any]:
    counted, later = week["7"], week["28"]
    verdict = {1: "more than expected", -1: "less than expected", 0: "as expected"}[standing]
    if counted["is_partial"]:
        verdict = "the last orders seem to be missing"
    return {
        "as_of": week["as_of"],
        "actual": words.count(counted["actual"]),
        "expected": words.decimal(counted["expected"], 1),
        **_ratio(counted, words),
        "value": _number(counted["value_ratio"], words),
        "four_weeks": "too early" if later is None else _number(later["ratio"], words),
        "is_odd": standing != 0,
        "verdict": "unlike others, not judged" if counted["is_peak"] else verdict,
    }


def _groups(rows: Sequence[Found], words: Words) -> list[dict[str, Any]]:
    return [
        {
            "group": row["group"],
            "customers": words.count(row["customers"]),
            "actual": words.count(row["actual"]),
            "expected": words.decimal(row["expected"], 1),
            **_ratio(row, words),
            "is_odd": _is_outside(row),
        }
        for row in rows
    ]


def _is_outside(row: Found) -> bool:
    if row["ratio"] is None:
        return False
    return bool(not row["low"] <= row["ratio"] <= row["high"])


def _ratio(row: Found, words: Words) -> dict[str, str]:
    if row["ratio"] is None:
        return {"ratio": "none expected", "band": ""}
    ends = (words.decimal(row[name]) for name in ("low", "high"))
    return {"ratio": words.decimal(row["ratio"]), "band": " to ".join(ends)}


def _number(value: float | None, words: Words) -> str:
    return "-" if value is None else words.decimal(value)


def _slope(slope: Found | None, words: Words) -> str:
    if slope is None:
        return ""
    ends = " to ".join(words.decimal(slope[name]) for name in ("low", "high"))
    return (
        f"Tenths differ {words.decimal(slope['estimate'])} times as much as expected ({ends}); 1 = as "
        "expected."
    )


def _rank(rank: Found | None, words: Words) -> str:
    if rank is None:
        return ""
    named = {
        "model": "the forecast",
        "total_past": "past revenue",
        "rfm": "the RFM cell",
        "hiatus": "days since the last order",
    }
    listed = ", ".join(
        f"{name} {words.decimal(rank[key]['gini'] or 0.0, 3)}" for key, name in named.items()
    )
    return f"Ranking of what customers then brought (Gini, 1 = perfect): {listed}."


def _moved(row: Found, words: Words) -> dict[str, Any]:
    return {
        "label": row["meaning"],
        "text": words.decimal(row["psi"], 3),
        "basis": f"n = {words.count(row['n_now'])}, at training {words.count(row['n_then'])}",
        "note": "moves as customers grow older" if row["is_mechanical"] else "",
        "is_odd": not row["is_mechanical"] and row["psi"] > ENOUGH,
    }
