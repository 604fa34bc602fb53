"""What depends on all customers at once: segments, scores by rank, who is held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.baselines import rfm_cells
from models.monitoring import tenth_starts
from perennial.pipeline.scoring.batch_predictions import Seen
from perennial.pipeline.scoring.commitments import draw_arms
from perennial.pipeline.settings.store import DecisionPolicy
from segments.evidence import Signals, advocates
from segments.lifecycle import lifecycle_segments
from segments.rhythm import store_cycle_days

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """All n customers, with what depends on all of them.

    Attributes
    ----------
    begins
        Where each batch begins, and where the last one ends.
    customers
        Their ids.
    segment, segments
        Shape (n,): codes of their segments, and the names.
    rfm
        Shape (n,): RFM scores.
    cycle_days
        Natural cycle of what is bought.
    is_advocate, is_held
        Shape (n,): of whom there is evidence of advocacy, and who is held out.
    drawn
        Who is newly drawn.
    starts
        Expected orders at which their tenths begin.
    """

    begins: NDArray[np.intp]
    customers: pd.Series
    segment: NDArray[np.int8]
    segments: Sequence[str]
    rfm: NDArray[np.int16]
    cycle_days: float
    is_advocate: NDArray[np.bool_]
    is_held: NDArray[np.bool_]
    drawn: pd.DataFrame
    starts: Array

    @classmethod
    def of(
        cls,
        policy: DecisionPolicy,
        as_of: date,
        seen: Sequence[Seen],
        assignments: pd.DataFrame,
        signals: Signals,
    ) -> "Population":
        """Name segments, find advocates, draw arms."""
        customers = pd.concat([one.customers for one in seen], ignore_index=True)
        columns = np.concatenate([one.columns for one in seen], axis=1)
        x, t_x, T, revenue, value, orders = columns
        cycle_days = policy.cycle_days or store_cycle_days(x, t_x, T)
        segment, segments = pd.factorize(
            lifecycle_segments(x, t_x, T, revenue, value, policy.lifecycle, cycle_days=cycle_days),
            sort=True,
        )
        held, drawn = draw_arms(policy.holdout, customers, assignments, as_of)
        return cls(
            np.cumsum([0, *(len(one.customers) for one in seen)]),
            customers,
            segment.astype(np.int8),
            list(segments),
            rfm_cells(T - t_x, x, revenue).astype(np.int16),
            cycle_days,
            advocates(pd.Index(customers), signals),
            held,
            drawn,
            tenth_starts(orders) if len(orders) else np.zeros(0),
        )

    def rows(self, number: int) -> slice:
        """Return the rows of a batch."""
        return slice(int(self.begins[number]), int(self.begins[number + 1]))
