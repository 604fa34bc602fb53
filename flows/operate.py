"""Commands of those who run Perennial: serve it, and try who is told."""

from pathlib import Path

from flows.notify import FAILED, PASSWORD, WEBHOOK, notify, receivers
from flows.settings import SettingsError, read_settings
from flows.terminal import Outcome

DONE, TRY_AGAIN = 0, 30


def try_receivers(config: Path, *, test: bool) -> Outcome:
    """Say who is told, and if asked send a test to each.

    Raises
    ------
    SettingsError
        Nobody is told.
    """
    settings = read_settings(config)
    names = receivers(settings)
    if not names:
        raise SettingsError(
            f"somebody must be told of failures: set notify.webhook, ${WEBHOOK}, or notify.email_to, "
            f"notify.sender and notify.smtp_host (its password is ${PASSWORD})"
        )
    if not test:
        return Outcome("said", {"receivers": names, "next": "perennial notify --test"})
    undelivered = notify(settings, FAILED, "a test: nothing happened", {"settings": config.name})
    told = [name for name in names if not any(one.startswith(name) for one in undelivered)]
    facts = {"told": told, "undelivered": undelivered}
    return Outcome("said", facts, TRY_AGAIN if undelivered else DONE)
