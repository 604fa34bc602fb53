"""The dated moments of a day, from scores and from what the store's optional tables tell."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from connectors.csv import write_csv
from connectors.orders import History
from flows.settings import Settings
from flows.signals import read_refills, read_refunded, read_signals
from flows.steps import step
from segments.loyalty import loyalty_tiers
from segments.moments import find_moments

MOMENTS = "moments.csv"


@step
def list_moments(
    settings: Settings, history: History, decided: Path, as_of: date, work: Path
) -> Path:
    """List whom marketing may write to, when and why; return the file. Nobody who is held out is in it."""
    scores = pd.read_parquet(decided / "decided.parquet")
    told = scores[~scores["is_holdout"]].reset_index(drop=True)
    refills, upgrades = read_refills(settings, history, as_of, work)
    found = find_moments(
        told,
        loyalty_tiers(told["orders"], told["revenue"], settings.loyalty.tiers),
        as_of,
        cycle_days=settings.kpis.natural_cycle_days,
        has_refund=told["customer_id"].isin(read_refunded(settings, history, as_of, work)),
        signals=replace(read_signals(settings, as_of, work), refills=refills, upgrades=upgrades),
        rules=settings.moments,
    )
    write_csv(found, work / MOMENTS)
    return work / MOMENTS
