"""Commands of those who run Perennial: serve it, and try who is told."""

import json
import sys
from pathlib import Path

from perennial.cli.terminal import Outcome, say
from perennial.pipeline.runtime.notifications import FAILED, PASSWORD, WEBHOOK, notify, receivers
from perennial.pipeline.settings.store import SettingsError, read_settings
from perennial.service.events import Event, Serving
from perennial.service.supervise import Supervisor


def try_receivers(config: Path, *, test: bool) -> Outcome:
    """Say who is told, and if asked send a test to each.

    Raises
    ------
    SettingsError
        Nobody is told.
    """
    from perennial.pipeline.runtime.exits import ExitCode  # lifetimes takes a second

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
    delivered = [name for name in names if not any(one.startswith(name) for one in undelivered)]
    facts = {"told": delivered, "undelivered": undelivered}
    return Outcome("said", facts, ExitCode.TRY_AGAIN if undelivered else ExitCode.DONE)


def serve_store(config: Path, *, as_json: bool) -> Outcome:
    """Serve a store's flows on their schedules until asked to stop; each event is told at once."""
    settings = read_settings(config)

    def tell(event: Event) -> None:
        if as_json:
            sys.stdout.write(json.dumps({"event": event.name, **event.to_dict()}) + "\n")
            sys.stdout.flush()
        else:
            for line in in_words(event):
                say(line)

    Supervisor(settings, config, tell).run()
    return Outcome("silent", {})


def in_words(event: Event) -> list[str]:
    """Return the lines that tell people of an event."""
    if isinstance(event, Serving):
        lines = [f"Prefect's pages are at {event.ui}, its database and logs in {event.home}"]
        for one in event.deployments:
            when = one.next or (f"after {one.event}" if one.event else "by hand")
            cron = f" ({one.cron}, {event.timezone})" if one.cron else ""
            lines.append(f"{one.deployment}: {when}{cron}")
        return [*lines, "Stop with Ctrl-C or SIGTERM"]
    facts = event.to_dict().items()
    text = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts)
    return [f"{event.name}: {text}" if text else event.name]
