"""Tell of a refused day: an event and a red artifact where Prefect runs, and people by what the settings name."""

import logging
from datetime import date

from features.tables import DataError
from perennial.pipeline.runtime.events import announce
from perennial.pipeline.runtime.notifications import REFUSED, notify
from perennial.pipeline.runtime.steps import in_prefect
from perennial.pipeline.settings.store import Settings

KEY = "day-refused"  # by which Prefect keeps their history

_log = logging.getLogger(__name__)


def notify_refusal(settings: Settings, as_of: date, error: DataError) -> None:
    """Tell of a refusal in a scheduled run; by hand, who ran it reads it anyway.

    Parameters
    ----------
    settings
        The store's.
    as_of
        The day.
    error
        Why it is not published.
    """
    if not in_prefect():
        return
    facts = {
        "as_of": as_of.isoformat(),
        "why": str(error),
        "is_late": getattr(error, "is_late", False),
    }
    announce("refused", facts)
    _show(settings, as_of, error)
    notify(settings, REFUSED, f"{settings.store.name}: {as_of} is not published", facts)
    error.was_notified = True


def _show(settings: Settings, as_of: date, error: DataError) -> None:
    import httpx
    from prefect.artifacts import create_markdown_artifact
    from prefect.exceptions import PrefectException

    text = f"# 🔴 {settings.store.name}: {as_of} is not published\n\n{error}\n"
    try:
        create_markdown_artifact(text, key=KEY, description=f"{as_of} is refused")
    except (httpx.HTTPError, PrefectException) as unreachable:  # the refusal is what counts
        _log.warning("the refusal is not shown: %s", type(unreachable).__name__)
