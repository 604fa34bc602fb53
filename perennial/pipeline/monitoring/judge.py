"""What matured weeks and moved inputs mean: alerts in words, the freeze, and the request to train again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from models.monitoring import OF_LAST, Rule, Week, is_frozen, is_retrain_due, standing
from perennial.pipeline.monitoring.weeks import RULES
from perennial.pipeline.runtime.monitoring_state import SCHEMA, Json
from perennial.pipeline.settings.store import MonitoringSettings
from perennial.pipeline.training.drift import FAR_MOVED

LATE_DAYS = 1
OLD_MODEL_DAYS, TOO_OLD_DAYS = 45, 90
OUTSIDE, UNMATCHED = 0.05, 0.05  # shares of customers and of orders
SLOPES = (0.8, 1.2)
WORSE = 0.02  # of Gini, by which a simple rule may rank better, as in the gate
WARN, ACT = "warn", "act"


def of_weeks(settings: MonitoringSettings, weeks: Sequence[Json]) -> Json:
    """Say how each week stands, whether to freeze, and whether to train again.

    Returns
    -------
    dict
        ``standings`` (1 = above, -1 = below, 0 = neither, by week), ``frozen`` and ``due``, each with
        ``because`` (None = not).
    """
    rule = Rule(settings.tolerance, settings.freeze)
    seen = [_week(week["7"]) for week in weeks]
    told = [week for week in weeks if not week["7"]["is_peak"]]
    frozen = due = None
    if is_frozen(seen, rule):
        frozen = (
            f"orders of the week after {told[-1]['as_of']} were {_ratio(told[-1])} of the expected, over "
            f"{settings.freeze:.0%} off and beyond three standard deviations"
        )
    if is_retrain_due(seen, rule):
        whole = [week for week in told if not week["7"]["is_partial"]][-OF_LAST:]
        sides = [standing(_week(week["7"]), rule.tolerance) for week in whole]
        off = [week for week, side in zip(whole, sides, strict=True) if side == sides[-1]]
        listed = ", ".join(f"{_ratio(week)} after {week['as_of']}" for week in off)
        due = (
            f"orders were over {settings.tolerance:.0%} off, beyond luck and to the same side, in "
            f"{len(off)} of the last {len(whole)} weeks: {listed}"
        )
    return {
        "standings": [standing(week, rule.tolerance) for week in seen],
        "frozen": {"is_frozen": frozen is not None, "because": frozen},
        "due": {"is_due": due is not None, "because": due},
    }


def judge_request(
    before: Json | None, found: Mapping[str, Any], as_of: date, cooldown_days: int
) -> Json | None:
    """Say whether to train again is asked for, as of a day.

    Parameters
    ----------
    before
        The last request; None without any.
    found
        ``due`` and ``model``, as :func:`perennial.pipeline.monitoring.steps.judge_forecasts` says them.
    as_of
        The day.
    cooldown_days
        Least distance between two requests.

    Returns
    -------
    dict or None
        ``asked_for`` (open: no model was trained since), ``as_of, because, model_version, until`` (no
        other is made before), ``announced``; None where none was ever made. A request made on a later
        day stays as it is.
    """
    day = as_of.isoformat()
    if before is not None and before["as_of"] > day:
        return before
    trained = found["model"]["newest_trained_as_of"]
    if before is not None and trained is not None and trained >= before["as_of"]:
        before = {**before, "asked_for": False}
    is_free = before is None or (not before["asked_for"] and day >= before["until"])
    if before is not None and before["as_of"] == day:
        is_free = False
    if not found["due"]["is_due"] or not is_free:
        return before
    return {
        "schema": SCHEMA,
        "asked_for": True,
        "as_of": day,
        "because": found["due"]["because"],
        "model_version": found["model"]["version"],
        "trained_as_of": found["model"]["trained_as_of"],
        "until": (as_of + timedelta(days=cooldown_days)).isoformat(),
        "announced": False,
    }


def find_alerts(found: Mapping[str, Any]) -> list[Json]:
    """Say what a person should look at: ``name, level`` (warn or act)``, finding, threshold, next_step``."""
    return [
        *_of_orders(found),
        *_of_shape(found["weeks"]),
        *_of_inputs(found),
        *_of_age(found["model"], found["freshness"]),
    ]


def _of_orders(found: Mapping[str, Any]) -> Iterator[Json]:
    weeks = found["weeks"]
    if found["frozen"]["is_frozen"]:
        yield _alert(
            "frozen", ACT, found["frozen"]["because"], f"{found['freeze']:.0%}",
            "Send nothing to marketing; look for doubled or missing orders first",
        )  # fmt: skip
    if found["due"]["is_due"]:
        yield _alert(
            "orders", ACT, found["due"]["because"], f"{found['tolerance']:.0%}",
            "Train again; if it stays off, look at what changed in the store",
        )  # fmt: skip
    elif weeks and found["standings"][-1]:
        yield _alert(
            "orders", WARN, f"orders of the week after {weeks[-1]['as_of']} were {_ratio(weeks[-1])} of the expected",
            f"{found['tolerance']:.0%}", "Wait for the next week, or name the days in monitoring.peaks",
        )  # fmt: skip
    if weeks:
        lost, came = (weeks[-1]["7"][name] for name in ("unmatched_orders", "actual"))
        if lost > UNMATCHED * max(lost + came, 1):
            yield _alert(
                "unmatched", WARN, f"{lost:,} of {lost + came:,} orders came of older customers whom the forecast did not know",
                f"{UNMATCHED:.0%}", "Look whether customer ids changed, or old orders arrived late",
            )  # fmt: skip


def _of_shape(weeks: Sequence[Json]) -> Iterator[Json]:
    matured = [week for week in weeks if week["28"] is not None and not week["28"]["is_peak"]]
    if not matured:
        return
    newest = matured[-1]["28"]
    slope, rank = newest["slope"], newest["rank"]
    if slope and (slope["high"] < SLOPES[0] or slope["low"] > SLOPES[1]):
        yield _alert(
            "slope", WARN, f"customers differ {slope['estimate']:.2f} times as much as expected",
            f"{SLOPES[0]:g} to {SLOPES[1]:g}", "Compare the tenths; train again if the ends stay off",
        )  # fmt: skip
    if rank:
        better = [name for name in RULES if _leads(rank, name)]
        if better:
            yield _alert(
                "rank", WARN, f"later value was ranked better by {', '.join(RULES[name] for name in better)}",
                f"{WORSE:g} of Gini", "Run `perennial backtest`, and look at the notes of the training",
            )  # fmt: skip


def _leads(rank: Json, name: str) -> bool:
    gini = rank[name]["gini"]
    return gini is not None and gini > rank["model"]["gini"] + WORSE


def _of_inputs(found: Mapping[str, Any]) -> Iterator[Json]:
    figures = found["drift"]["figures"]
    moved = [
        row for row in figures if row["psi"] is not None and not row["is_mechanical"] and row["psi"] > FAR_MOVED
    ]  # fmt: skip
    if moved:
        listed = ", ".join(f"{row['meaning']} {row['psi']:.2f}" for row in moved)
        yield _alert(
            "drift", WARN, f"moved since training: {listed}", f"{FAR_MOVED:g}",
            "Ask what changed: prices, channels, campaigns. It does not order a retrain",
        )  # fmt: skip
    outside = found["drift"]["outside_share"]
    if outside is not None and outside > OUTSIDE:
        yield _alert(
            "support", WARN, f"{outside:.1%} of customers are older or buy more often than any at training",
            f"{OUTSIDE:.0%}", "Train again",
        )  # fmt: skip


def _of_age(model: Mapping[str, Any], freshness: Mapping[str, Any]) -> Iterator[Json]:
    if model["age_days"] > OLD_MODEL_DAYS:
        level = ACT if model["age_days"] > TOO_OLD_DAYS else WARN
        yield _alert(
            "model_age", level, f"the model has seen no order since {model['trained_as_of']}, {model['age_days']} days",
            f"{OLD_MODEL_DAYS} days, {TOO_OLD_DAYS} at most", "Train again",
        )  # fmt: skip
    if freshness["orders_late_days"] > LATE_DAYS:
        yield _alert(
            "orders_late", WARN, f"the last order is of {freshness['last_order_date']}",
            f"{LATE_DAYS} day", "Look whether the source is still filled",
        )  # fmt: skip
    if freshness["published_late_days"] > LATE_DAYS:
        yield _alert(
            "published_late", WARN, f"the newest published day is {freshness['published_as_of']}",
            f"{LATE_DAYS} day", "Run `perennial run`, and look why it did not",
        )  # fmt: skip


def _alert(name: str, level: str, finding: str, threshold: str, next_step: str) -> Json:
    return {
        "name": name,
        "level": level,
        "finding": finding,
        "threshold": threshold,
        "next_step": next_step,
    }


def _week(counted: Mapping[str, Any]) -> Week:
    names = ("actual", "expected", "variance", "is_peak", "is_partial")
    return Week(*(counted[name] for name in names))


def _ratio(week: Mapping[str, Any]) -> str:
    return "not known" if week["7"]["ratio"] is None else f"{week['7']['ratio']:.2f}"
