"""What people read of a command's outcome, on standard output."""

import json
import sys

from rich.console import Console

from features.renamed import with_old_keys
from perennial.cli.shown.check import show_checked
from perennial.cli.shown.day import show_day
from perennial.cli.shown.models import show_backtest, show_measured, show_monitored, show_trained
from perennial.cli.shown.state import show_backfilled, show_said, show_status, show_synced
from perennial.cli.terminal import Outcome


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Show how a command ended; one that told all along has nothing to add."""
    if outcome.kind == "silent":
        return
    if as_json:
        sys.stdout.write(
            json.dumps(with_old_keys(outcome.facts), indent=2, allow_nan=False) + "\n"
        )
        return
    console = Console(highlight=False)
    show = {
        "day": show_day,
        "trained": show_trained,
        "backtest": show_backtest,
        "measured": show_measured,
        "monitored": show_monitored,
        "synced": show_synced,
        "backfilled": show_backfilled,
        "status": show_status,
        "checked": show_checked,
        "said": show_said,
    }
    show[outcome.kind](console, outcome.facts)
