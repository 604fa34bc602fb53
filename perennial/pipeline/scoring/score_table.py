"""The table of scores: what is said of each customer, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors.klaviyo.erasure import Erasures
from connectors.programs import arrow_schema
from features.tables import CustomerState, Scores
from perennial.pipeline.scoring.batches import Batch, parallel_map, texts
from segments.lifecycle import SEGMENTS

Array = NDArray[np.float64]
Names = NDArray[np.object_]
Flags = NDArray[np.bool_]

FARTHEST_ORDER_DAYS = 3650  # a median further away than ten years is no date
RFM_SCORES = [str(number) for number in range(556)]
CARRIED_OVER = [name for name in Scores.columns() if name in CustomerState.columns()]
MADE_LATER = ("model_version", "run_id")  # known when a day is published
SCHEMA = pa.schema([field for field in arrow_schema(Scores) if field.name not in MADE_LATER])


@dataclass(frozen=True)
class CustomerAssignments:
    """What n customers are assigned to: arrays of shape (n,).

    Attributes
    ----------
    segment
        Codes of their segments.
    segments
        What the codes stand for.
    rfm
        RFM scores, 111 to 555.
    journey_stage, loyalty_tier, investment_tier
        Names.
    orders_to_next_tier, expected_return
        NaN where there is none.
    is_holdout, is_measured
        Whether they are held out, and whether the effect of their tier was measured.
    """

    segment: NDArray[np.int8]
    segments: Sequence[str]
    rfm: NDArray[np.int16]
    journey_stage: Names
    loyalty_tier: Names
    investment_tier: Names
    orders_to_next_tier: Array
    expected_return: Array
    is_holdout: Flags
    is_measured: Flags


def score_table(
    batch: Batch,
    as_of: date,
    predicted: Mapping[str, Array],
    margin: Array,
    assignments: CustomerAssignments,
) -> pa.Table:
    """Lay out :class:`features.tables.Scores` of a batch, but for :data:`MADE_LATER`.

    Parameters
    ----------
    batch
        The customers.
    as_of
        The day.
    predicted
        By column: what they will do; a median that is never is infinite.
    margin
        Expected within the horizon.
    assignments
        Their segments, tiers and arms.
    """
    columns: dict[str, Any] = {name: batch.table[name] for name in CARRIED_OVER}
    columns |= {name: values for name, values in predicted.items() if name in SCHEMA.names}
    columns |= {
        "expected_margin": margin,
        "next_order_date": _dates(as_of, predicted["median_days"]),
        "rfm_score": texts(assignments.rfm, RFM_SCORES),
        "segment": texts(assignments.segment, assignments.segments),
        "journey_stage": assignments.journey_stage,
        "loyalty_tier": assignments.loyalty_tier,
        "investment_tier": assignments.investment_tier,
        "orders_to_next_tier": assignments.orders_to_next_tier,
        "expected_return": assignments.expected_return,
        "is_holdout": assignments.is_holdout,
        "reason": _reasons(assignments),
    }
    return pa.table([_column(columns[field.name], field) for field in SCHEMA], schema=SCHEMA)


def _column(values: Any, field: pa.Field) -> Any:  # noqa: ANN401  # an array of any kind
    if isinstance(values, np.ndarray):
        return pa.array(values, field.type, from_pandas=True)  # NaN is null
    return values.cast(field.type)


def _dates(as_of: date, days: Array) -> pa.Array:
    """Return the days ahead as dates, rounded up; null where there is none within ten years."""
    is_near = days <= FARTHEST_ORDER_DAYS
    first = (as_of - date(1970, 1, 1)).days
    ahead = first + np.ceil(np.where(is_near, days, 0)).astype(np.int32)
    return pa.array(ahead, pa.int32(), mask=~is_near).cast(pa.date32())


def _reasons(assignments: CustomerAssignments) -> pa.Array:
    """Say in one line why a customer is where they are; there are few reasons, each told once."""
    what, tiers = pd.factorize(assignments.investment_tier)
    is_measured, held = (
        flag.astype(np.intp) for flag in (assignments.is_measured, assignments.is_holdout)
    )
    code = (
        (assignments.segment.astype(np.intp) * max(len(tiers), 1) + what) * 2 + is_measured
    ) * 2 + held
    reasons = [
        _reason(name, tier, is_held=is_held, is_measured=measured)
        for name, tier, measured, is_held in product(
            assignments.segments, tiers, (False, True), (False, True)
        )
    ]
    return texts(code, reasons)


def _reason(segment: str, tier: str, *, is_held: bool, is_measured: bool) -> str:
    basis = "as measured" if is_measured else "if its effect is as assumed"
    decision = f"{tier} investment gains most per unit of cost, {basis}"
    if tier == "none":
        decision = "no investment that the budget reaches pays for itself"
    held = "; held out to measure what it brings" if is_held else ""
    return f"{SEGMENTS[segment].definition}; {decision}{held}"


def published_scores(
    decided: Path, erased: Erasures, made: Mapping[str, str]
) -> Iterator[pa.Table]:
    """Yield a decided day's scores as they are published, batch by batch.

    Parameters
    ----------
    decided
        Scores as they were decided.
    erased
        Who is left out.
    made
        Value of each of :data:`MADE_LATER`.
    """
    schema = arrow_schema(Scores)

    def publish(number: int) -> pa.Table:
        with pq.ParquetFile(decided) as file:
            rows = file.read_row_group(number)
        if len(erased):
            rows = rows.filter(pa.array(~erased.covers(rows["customer_id"].to_pandas())))
        for name, value in made.items():
            rows = rows.append_column(name, pa.repeat(value, len(rows)))
        return rows.select(schema.names).cast(schema)

    groups = pq.read_metadata(decided).num_row_groups
    yield from parallel_map(publish, range(groups))
