"""The dated moments of a day, from scores and from what the store's optional tables tell."""

from datetime import date
from pathlib import Path

import pandas as pd

from connectors.csv import write_csv
from connectors.optional import read_table
from flows.prepare import engine_for
from flows.settings import Settings
from flows.steps import step
from segments.loyalty import loyalty_tiers
from segments.moments import Signals, find_moments

MOMENTS = "moments.csv"
TOLD_BY = ("reviews", "nps", "loyalty_events", "touches")


@step
def list_moments(
    settings: Settings, decided: Path, refills: Path, as_of: date, work: Path
) -> Path:
    """List whom marketing may write to, when and why; return the file. Nobody who is held out is in it.

    What customers run out of is in `refills`; there is no such file where there are no order lines.
    """
    scores = pd.read_parquet(decided / "decided.parquet")
    told = scores[~scores["is_holdout"]].reset_index(drop=True)
    found = find_moments(
        told,
        loyalty_tiers(told["orders"], told["revenue"], settings.loyalty.tiers),
        as_of,
        signals=_signals(settings, refills, as_of, work),
        rules=settings.moments,
    )
    write_csv(found, work / MOMENTS)
    return work / MOMENTS


def _signals(settings: Settings, refills: Path, as_of: date, work: Path) -> Signals:
    """Read the optional tables that tell of customers, as known at the end of the day."""
    given = {name: where for name, where in settings.optional_tables.items() if name in TOLD_BY}
    with engine_for(settings, work) as engine:
        read = {
            name: pd.read_parquet(read_table(engine, name, where, as_of, work / "tables").path)
            for name, where in given.items()
        }
    if refills.exists():
        read["refills"] = pd.read_parquet(refills)
    return Signals(**read)
