"""Which published days tell of weeks that do not overlap, and what came of what they expected."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.engine import Engine
from connectors.kept import read_parquet
from connectors.store import PublishedDay
from features.labels import beside, outcomes
from features.window import Window, outcome_window
from models.evaluation import capture, normalized_gini
from models.monitoring import (
    TENURES,
    Band,
    band,
    is_silence,
    ratio,
    slope_through,
    tenure_places,
)
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.runtime.files import EXPECTED
from perennial.pipeline.scoring.expected import WINDOWS

WEEK = WINDOWS[0]
RULES = {
    "total_past": "what each has brought so far",
    "rfm": "the RFM cell",
    "hiatus": "days since the last order",
}
SCORED = ("customer_id", "age_days", "recency_days", "expected_orders", "expected_value", "revenue", "rfm_score")  # fmt: skip

Json = dict[str, Any]


@dataclass(frozen=True)
class Peak:
    """Days that people say are unlike others, both included."""

    first: date
    last: date

    def meets(self, window: Window) -> bool:
        """Tell whether any of them lies in a window."""
        return self.first < window.end and self.last >= window.start


def weeks_apart(recorded: Iterable[date], published: Iterable[date]) -> list[date]:
    """Choose days whose weeks do not overlap: those recorded before stay, others fill in, the earliest first.

    Parameters
    ----------
    recorded
        Days that were chosen before.
    published
        Days that could be.
    """
    chosen = sorted(recorded)
    for day in sorted(published):
        if all(abs((day - other).days) >= WEEK for other in chosen):
            chosen.append(day)
    return sorted(chosen)


def has_matured(day: date, days: int, as_of: date, settle_days: int) -> bool:
    """Tell whether a window after a day is over, and its late orders are in."""
    return day + timedelta(days=days + settle_days) <= as_of


def count_day(
    engine: Engine,
    orders: ir.Table,
    last_date: date,
    day: PublishedDay,
    windows: Sequence[int],
    peaks: list[Peak],
) -> Json:
    """Say what came of what a published day expected.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`.
    last_date
        Of the last order that is known.
    day
        A day with its expectations.
    windows
        Days of the windows that have matured.
    peaks
        Days that are unlike others.

    Returns
    -------
    dict
        ``as_of, model_version``, and by window ``"7"`` and ``"28"`` what :func:`_count` says; None
        where it has not matured.
    """
    expected = read_parquet(day.file(EXPECTED))
    scores = engine.parquet(day.file("scores.parquet")).select(*SCORED)
    said: Json = {
        "as_of": day.as_of.isoformat(),
        "model_version": read_record(day).model_version,
    }
    for days in WINDOWS:
        said[str(days)] = None
        if days in windows:
            window = outcome_window(day.as_of, days)
            rows = engine.frame(
                scores.join(outcomes(orders, scores, window), "customer_id").order_by(
                    "customer_id"
                )
            )
            others = engine.frame(beside(orders, scores.select("customer_id"), window)).iloc[0]
            counted = _count(expected[expected["window_days"] == days], rows)
            until = window.end - timedelta(days=1)
            said[str(days)] = {
                "until": until.isoformat(),
                "is_peak": any(peak.meets(window) for peak in peaks),
                "is_partial": is_silence(counted["expected"], days, (until - last_date).days),
                **counted,
                **{name: int(others[name]) for name in ("new_orders", "unmatched_orders")},
                "rank": _rank(rows) if days == WINDOWS[-1] else None,
            }
    return said


def _count(expected: pd.DataFrame, rows: pd.DataFrame) -> Json:
    """Lay what came beside what was expected: in all, by tenure and by tenth."""
    whole = _with_actual(expected, rows)
    tenths = _groups(whole, "decile", sorted(whole["decile"].unique()))
    slope = slope_through(
        *(
            [row[name] for row in tenths]
            for name in ("customers", "expected", "actual", "variance")
        )
    )
    value = float(rows["later_value"].sum())
    wanted = float(whole["expected_value"].sum())
    return {
        **_groups(whole.assign(whole="all"), "whole", ["all"])[0],
        "active": int((rows["later_orders"] > 0).sum()),
        "actual_value": value,
        "expected_value": wanted,
        "value_ratio": ratio(value, wanted),
        "slope": None
        if slope is None
        else {"estimate": slope.estimate, "low": slope.low, "high": slope.high},
        "by_tenure": _groups(whole, "tenure", [t for t in TENURES if t in set(whole["tenure"])]),
        "by_decile": tenths,
    }


def _with_actual(expected: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Add to each cell the orders that its customers made."""
    tenths = expected.groupby("decile")["orders_from"].first()
    place = np.searchsorted(tenths.to_numpy(), rows["expected_orders"].to_numpy(), side="right")
    cells = pd.DataFrame(
        {
            "tenure": np.array(TENURES, dtype=object)[tenure_places(rows["age_days"])],
            "decile": tenths.index.to_numpy()[np.maximum(place - 1, 0)],
            "actual": rows["later_orders"].to_numpy(),
        }
    )
    came = cells.groupby(["tenure", "decile"], as_index=False)["actual"].sum()
    whole = expected.merge(came, on=["tenure", "decile"], how="left")
    return whole.assign(actual=whole["actual"].fillna(0).astype(np.int64))


def _groups(whole: pd.DataFrame, by: str, names: list[Any]) -> list[Json]:
    """Sum up cells, each group with actual over expected and its band."""
    columns = {
        "customers": "customers",
        "expected_orders": "expected",
        "variance_orders": "variance",
        "actual": "actual",
    }
    sums = whole.groupby(by)[list(columns)].sum().rename(columns=columns).reindex(names)
    ends = band(sums["expected"], sums["variance"])
    rows: list[Any] = sums.reset_index(names="group").to_dict("records")
    return [
        {**row, "ratio": ratio(row["actual"], row["expected"]), **_ends(ends, place)}
        for place, row in enumerate(rows)
    ]


def _ends(ends: Band, place: int) -> Json:
    found = {"low": float(ends.low[place]), "high": float(ends.high[place])}
    return {name: None if np.isnan(end) else end for name, end in found.items()}


def _rank(rows: pd.DataFrame) -> Json | None:
    """Compare how the scores and simple rules ranked what customers then brought."""
    value = rows["later_value"].to_numpy(dtype=np.float64)
    rankings = {
        "model": rows["expected_value"],
        "total_past": rows["revenue"],
        "rfm": rows["rfm_score"].astype(np.int64),
        "hiatus": rows["recency_days"] - rows["age_days"],
    }
    found = {
        name: {"gini": normalized_gini(by, value), "top_fifth": capture(by, value)}
        for name, by in rankings.items()
    }
    return None if found["model"]["gini"] is None else found
