"""What the commands do with live sources."""

from datetime import UTC, datetime
from pathlib import Path

from connectors.live.address import LiveAddress
from connectors.live.records import AccountFacts, PullKind
from connectors.store import replace_file
from perennial.cli.facts import Facts
from perennial.cli.runner import choose_runner
from perennial.cli.terminal import Outcome
from perennial.pipeline.ingestion.pull import open_store
from perennial.pipeline.ingestion.pull_record import PullRecord
from perennial.pipeline.runtime.context import RunContext, home_context
from perennial.pipeline.runtime.exits import ExitCode
from perennial.pipeline.settings.store import (
    SettingsError,
    build_settings,
    read_settings,
)
from perennial.pipeline.settings.template import Draft, write_template

NAMED_BY_EMAIL = {"shopify"}  # platforms whose customers Klaviyo knows by e-mail


def pull_source(config: Path, *, repair: bool, reconcile: bool, prefect: bool) -> Outcome:
    """Run the flow ``pull``."""
    settings = read_settings(config)
    kind = PullKind.RECONCILE if reconcile else PullKind.REPAIR if repair else None
    with choose_runner(settings.home, prefect=prefect) as runner:
        from flows.pull import pull  # Ibis and Arrow take seconds

        day = settings.yesterday(datetime.now(UTC))
        record = runner.run(pull, config=config.resolve(), as_of=day, kind=kind)
    facts = {**_facts_of(record), "seconds": round(sum(runner.timings.values()), 1)}
    code = ExitCode.DONE if record.horizon is not None else ExitCode.TRY_AGAIN
    return Outcome("said", facts, code)


def _facts_of(record: PullRecord) -> Facts:
    horizon = record.horizon
    return {
        "pulled": record.source,
        "complete_until": None if horizon is None else horizon.isoformat(timespec="minutes"),
        "rows": record.rows,
        "deleted": record.deleted,
        "requests": record.requests,
        "warnings": list(record.warnings),
        "next": "perennial check, to compare the orders with the shop's own reports",
    }


def check_account(config: Path) -> Outcome:
    """Ask the platform of a live source for the account's facts; nothing is written."""
    settings = read_settings(config)
    address = settings.orders.live_address
    if address is None:
        raise SettingsError(
            "`perennial pull` is for live sources: orders.source names files or a database. Check those with "
            "`perennial check`"
        )
    facts = preflight(home_context(settings), address)
    return Outcome("said", {**account_facts(facts), "next": "perennial pull"})


def preflight(run: RunContext, address: LiveAddress, *, is_new: bool = False) -> AccountFacts:
    """Return the facts of an account, or refuse it."""
    with open_store(run, address, is_new=is_new) as puller:
        return puller.preflight()


def account_facts(facts: AccountFacts) -> Facts:
    """Return an account's facts as the terminal and ``--json`` show them."""
    first = facts.first_order_at
    return {
        "account": f"{facts.platform}://{facts.account}",
        "name": facts.name,
        "currency": facts.currency,
        "timezone": facts.timezone,
        "first_order": None if first is None else first.date().isoformat(),
        "permissions": ", ".join(facts.permissions),
        "notes": list(facts.notes),
    }


def write_live_settings(path: Path, address: LiveAddress) -> Outcome:
    """Write settings for a live source, with what its platform tells of the account."""
    bare = build_settings({"orders": {"source": str(address)}}, path.resolve().parent)
    facts = preflight(home_context(bare), address, is_new=True)
    store: dict[str, object] = {"name": facts.name}
    store |= {"currency": facts.currency} if facts.currency else {}
    store |= {"timezone": facts.timezone} if facts.timezone else {}
    values: dict[str, dict[str, object]] = {"store": store, "orders": {"source": str(address)}}
    if address.platform in NAMED_BY_EMAIL:
        values["klaviyo"] = {"identifier": "email"}
    text = write_template(Draft(values))
    replace_file(path, lambda draft: draft.write_text(text, encoding="utf-8"))
    missing = [f"store.{name}" for name in ("currency", "timezone") if name not in store]
    advice = "perennial pull, then perennial check"
    if missing:
        advice = f"set {' and '.join(missing)} in {path}, then run {advice}"
    return Outcome("said", {"written": str(path), **account_facts(facts), "next": advice})
