"""The dated moments of a day, from scores and from what the store's optional tables tell."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from connectors.csv import write_csv
from connectors.orders import History
from perennial.pipeline.ingestion.signals import read_refunded, read_signals, read_upgrades
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.scoring.score_table import WRITTEN
from segments.loyalty import loyalty_tiers
from segments.moments import find_moments

MOMENTS = "moments.csv"


@step
def list_moments(run: RunContext, history: History, decided: Path, refills: Path) -> Path:
    """List whom marketing may write to, when and why; return the file. Nobody who is held out is in it.

    What customers run out of is in `refills`; there is no such file where there are no order lines.
    """
    settings, as_of = run.settings, run.as_of
    scores = pd.read_parquet(decided / WRITTEN)
    told = scores[~scores["is_holdout"]].reset_index(drop=True)
    with run.engine() as engine:
        refunded = read_refunded(engine, history, as_of)
        signals = read_signals(engine, settings.optional_tables, as_of, run.folder / "tables")
        upgrades = read_upgrades(engine, history, as_of, settings.kpis.least_customers)
    due = pd.read_parquet(refills) if refills.exists() else None
    found = find_moments(
        told,
        loyalty_tiers(told["orders"], told["revenue"], settings.loyalty.tiers),
        as_of,
        cycle_days=settings.kpis.natural_cycle_days,
        has_refund=told["customer_id"].isin(refunded),
        signals=replace(signals, refills=due, upgrades=upgrades),
        rules=settings.moments,
    )
    write_csv(found, run.folder / MOMENTS)
    return run.folder / MOMENTS
