"""The dated triggers of a day, from scores and from the store's optional tables."""

from dataclasses import replace

import pandas as pd

from connectors.csv import write_csv
from connectors.orders import History
from perennial.pipeline.ingestion.signals import read_refunded, read_signals, read_upgrades
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step
from segments.loyalty import loyalty_tiers
from segments.triggers import find_triggers


@step
def list_triggers(run: RunContext, history: History) -> None:
    """List whom marketing may write to, when and why; nobody who is held out is in it."""
    settings, as_of, files = run.settings, run.as_of, run.files
    scores = pd.read_parquet(files.decided_scores)
    reachable = scores[~scores["is_holdout"]].reset_index(drop=True)
    with run.engine() as engine:
        refunded = read_refunded(engine, history, as_of)
        signals = read_signals(engine, settings.optional_tables, as_of, files.optional_tables)
        upgrades = read_upgrades(engine, history, as_of, settings.kpis.least_customers)
    due = pd.read_parquet(files.refills) if files.refills.exists() else None
    triggers = find_triggers(
        reachable,
        loyalty_tiers(reachable["orders"], reachable["revenue"], settings.loyalty.tiers),
        as_of,
        cycle_days=settings.kpis.natural_cycle_days,
        has_refund=reachable["customer_id"].isin(refunded),
        signals=replace(signals, refills=due, upgrades=upgrades),
        rules=settings.triggers,
    )
    write_csv(triggers, files.triggers)
