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
from connectors.published import PublishedFile
from connectors.store import PublishedDay
from features.labels import beside, outcomes
from features.window import Window, outcome_window
from models.evaluation import capture, normalized_gini
from models.monitoring import (
    TENURES,
    GroupOutcome,
    MonitoredWeek,
    RankComparison,
    RankQuality,
    WindowOutcome,
    band,
    is_silence,
    ratio,
    slope_through,
    tenure_places,
)
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.scoring.expected import WINDOWS

WEEK = WINDOWS[0]
RULES = {
    "total_past": "what each has brought so far",
    "rfm": "the RFM cell",
    "hiatus": "days since the last order",
}
SCORED = ("customer_id", "age_days", "recency_days", "expected_orders", "expected_value", "revenue", "rfm_score")  # fmt: skip


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
    selected = sorted(recorded)
    for day in sorted(published):
        if all(abs((day - other).days) >= WEEK for other in selected):
            selected.append(day)
    return sorted(selected)


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
) -> MonitoredWeek:
    """Count the orders after a published day, and compare them with what it expected.

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
        Days of the windows that have matured, the first week among them.
    peaks
        Days that are unlike others.
    """
    expected = read_parquet(day.file(PublishedFile.EXPECTED))
    scores = engine.parquet(day.file(PublishedFile.SCORES)).select(*SCORED)

    def count(days: int) -> WindowOutcome:
        window = outcome_window(day.as_of, days)
        joined = scores.join(outcomes(orders, scores, window), "customer_id")
        return _count(
            _Counted(
                window,
                expected[expected["window_days"] == days],
                engine.frame(joined.order_by("customer_id")),
                engine.frame(beside(orders, scores.select("customer_id"), window)).iloc[0],
            ),
            last_date,
            is_peak=any(peak.meets(window) for peak in peaks),
        )

    week, four_weeks = WINDOWS
    return MonitoredWeek(
        as_of=day.as_of,
        model_version=read_record(day).model_version,
        first_week=count(week),
        four_weeks=count(four_weeks) if four_weeks in windows else None,
    )


@dataclass(frozen=True)
class _Counted:
    """What is compared in a window.

    Attributes
    ----------
    window
        Its days.
    expected
        Table :class:`features.tables.Expected` of the window.
    rows
        Scores of each customer, with ``later_orders`` and ``later_value`` in the window.
    others
        Orders of customers without scores: ``new_orders`` and ``unmatched_orders``.
    """

    window: Window
    expected: pd.DataFrame
    rows: pd.DataFrame
    others: pd.Series


def _count(counted: _Counted, last_date: date, *, is_peak: bool) -> WindowOutcome:
    """Compare actual with expected orders: of all customers, by tenure and by tenth."""
    rows, window = counted.rows, counted.window
    cells = _with_actual(counted.expected, rows)
    tenths = _groups(cells, "decile", sorted(cells["decile"].unique()))
    [whole] = _groups(cells.assign(whole="all"), "whole", ["all"])
    value = float(rows["later_value"].sum())
    wanted = float(cells["expected_value"].sum())
    until, days = window.end - timedelta(days=1), (window.end - window.start).days
    return WindowOutcome(
        until=until,
        is_peak=is_peak,
        is_partial=is_silence(whole.expected, days, (until - last_date).days),
        **dict(whole),
        active=int((rows["later_orders"] > 0).sum()),
        actual_value=value,
        expected_value=wanted,
        value_ratio=ratio(value, wanted),
        slope=slope_through(
            [row.customers for row in tenths],
            [row.expected for row in tenths],
            [row.actual for row in tenths],
            [row.variance for row in tenths],
        ),
        by_tenure=_groups(cells, "tenure", [t for t in TENURES if t in set(cells["tenure"])]),
        by_decile=tenths,
        new_orders=int(counted.others["new_orders"]),
        unmatched_orders=int(counted.others["unmatched_orders"]),
        rank=_rank(rows) if days == WINDOWS[-1] else None,
    )


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


def _groups(cells: pd.DataFrame, by: str, names: Sequence[Any]) -> tuple[GroupOutcome, ...]:
    """Sum up cells, each group with actual over expected and its band."""
    columns = ["customers", "expected_orders", "variance_orders", "actual"]
    sums = cells.groupby(by)[columns].sum().reindex(list(names))
    customers, expected, variance, actual = (sums[column].to_list() for column in columns)
    ends = band(expected, variance)
    return tuple(
        GroupOutcome(
            group=name if isinstance(name, str) else int(name),
            customers=customers[place],
            expected=expected[place],
            variance=variance[place],
            actual=actual[place],
            ratio=ratio(actual[place], expected[place]),
            low=_end_of(ends.low[place]),
            high=_end_of(ends.high[place]),
        )
        for place, name in enumerate(names)
    )


def _end_of(end: float) -> float | None:
    return None if np.isnan(end) else float(end)


def _rank(rows: pd.DataFrame) -> RankComparison | None:
    """Compare how the scores and simple rules ranked what customers then brought."""
    value = rows["later_value"].to_numpy(dtype=np.float64)

    def quality(by: pd.Series) -> RankQuality:
        return RankQuality(gini=normalized_gini(by, value), top_fifth=capture(by, value))

    ranks = RankComparison(
        model=quality(rows["expected_value"]),
        total_past=quality(rows["revenue"]),
        rfm=quality(rows["rfm_score"].astype(np.int64)),
        hiatus=quality(rows["recency_days"] - rows["age_days"]),
    )
    return None if ranks.model.gini is None else ranks
