"""Pull orders from a live source, without scoring."""

from datetime import date
from pathlib import Path

from connectors.live.records import PullKind
from perennial.pipeline.ingestion.pull import pull_orders
from perennial.pipeline.ingestion.pull_record import PullRecord
from perennial.pipeline.runtime.context import open_run
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import SettingsError, read_settings


@flow
def pull(config: Path, as_of: date, *, kind: PullKind | None = None) -> PullRecord:
    """Pull what changed since the last pull; `kind` reads recent weeks again, or compares all counts.

    Raises
    ------
    SettingsError
        The source is not a live one.
    LiveError
        The platform is down or refuses, or its answer is not understood.
    """
    settings = read_settings(config)
    with open_run(settings, as_of) as run:
        record = pull_orders(run, kind)
    if record is None:
        raise SettingsError(
            "`perennial pull` is for live sources: orders.source names files or a database, which each run reads "
            "itself. For a live source write shopify://…, woocommerce://…, stripe://… or klaviyo://…"
        )
    return record
