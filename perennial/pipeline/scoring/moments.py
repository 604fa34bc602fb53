"""The dated moments of a day, from scores and from what the store's optional tables tell."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from connectors.csv import write_csv
from connectors.orders import History
from perennial.pipeline.ingestion.signals import read_refunded, read_signals, read_upgrades
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.scoring.score_table import WRITTEN
from perennial.pipeline.settings.store import Settings
from segments.loyalty import loyalty_tiers
from segments.moments import find_moments

MOMENTS = "moments.csv"


@step
def list_moments(
    settings: Settings,
    history: History,
    decided: Path,
    refills: Path,
    as_of: date,
    work: Path,
) -> Path:
    """List whom marketing may write to, when and why; return the file. Nobody who is held out is in it.

    What customers run out of is in `refills`; there is no such file where there are no order lines.
    """
    scores = pd.read_parquet(decided / WRITTEN)
    told = scores[~scores["is_holdout"]].reset_index(drop=True)
    found = find_moments(
        told,
        loyalty_tiers(told["orders"], told["revenue"], settings.loyalty.tiers),
        as_of,
        cycle_days=settings.kpis.natural_cycle_days,
        has_refund=told["customer_id"].isin(read_refunded(settings, history, as_of, work)),
        signals=replace(
            read_signals(settings, as_of, work),
            refills=pd.read_parquet(refills) if refills.exists() else None,
            upgrades=read_upgrades(settings, history, as_of, work),
        ),
        rules=settings.moments,
    )
    write_csv(found, work / MOMENTS)
    return work / MOMENTS
