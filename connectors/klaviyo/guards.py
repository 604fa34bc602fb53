"""What stops a sync before it does harm."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connectors.klaviyo.answers import KeyScopes
from connectors.klaviyo.api import SUPPRESSIONS
from connectors.klaviyo.client import Klaviyo
from connectors.klaviyo.errors import SyncRefusedError
from connectors.klaviyo.properties import Property
from connectors.klaviyo.records import SyncCounts
from connectors.store import replace_file


@dataclass(frozen=True)
class Limits:
    """How far a sync may go.

    Attributes
    ----------
    stale_days
        Age from which scores are not sent.
    most_changed_share
        Share of the customers known from before who may change segment in one sync.
    least_rows_share
        Customers there must be at least, as a share of how many there were at the last sync.
    most_created
        Profiles that one sync may make in Klaviyo; each is billed.
    """

    stale_days: int
    most_changed_share: float
    least_rows_share: float
    most_created: int


def check_fresh(as_of: date, yesterday: date, limits: Limits) -> None:
    """Refuse scores that are too old, and those of a day that has not come."""
    age = (yesterday - as_of).days
    if age < -1:
        raise SyncRefusedError(
            f"scores are of days that have come: the published day, {as_of}, lies {-age - 1} days ahead. Look at "
            "this machine's clock and at --as-of"
        )
    if age > limits.stale_days:
        raise SyncRefusedError(
            f"scores are sent while they are fresh: the published day, {as_of}, is {age} days before the last "
            f"whole day. Run `perennial run`, or raise klaviyo.stale_days from {limits.stale_days}"
        )


def check_account(klaviyo: Klaviyo, account: str) -> None:
    """Refuse a key of another account."""
    actual = klaviyo.account().id
    if actual != account:
        raise SyncRefusedError(
            f"scores go to the account in the settings: klaviyo.account is {account}, the key's is {actual}. Set "
            "that account's key in the environment, or mend klaviyo.account"
        )


def check_key(klaviyo: Klaviyo) -> KeyScopes:
    """Refuse a key that may do more than a sync does, where a read shows it; return what reads showed.

    In Klaviyo's settings a scope's write access includes its read access, so a read shows both. A write
    scope without its read scope, and ``data-privacy:write``, cannot be seen.

    Raises
    ------
    SyncRefusedError
        A read shows a scope that a sync does not need, or does not rule out one to subscribe people.
    """
    scopes = klaviyo.scopes_beyond()
    fix = "Make a key with the scopes in docs/klaviyo.md only, or set klaviyo.allow_wide_key"
    if scopes.granted:
        raise SyncRefusedError(
            f"The key has scopes that a sync does not need: {', '.join(scopes.granted)}. {fix}"
        )
    unclear = set(SUPPRESSIONS.scopes) & set(scopes.unclear)
    if unclear:
        raise SyncRefusedError(
            f"The key may have {', '.join(unclear)}, and so may subscribe and suppress people: Klaviyo did not refuse "
            f"it that read for want of the scope (403). {fix}"
        )
    return scopes


def check_counts(counts: SyncCounts, limits: Limits) -> None:
    """Refuse a plan that changes more than a day plausibly does: every reason at once."""
    reasons = []
    compared, moved = counts.compared, counts.moved
    if compared and moved > limits.most_changed_share * compared:
        reasons.append(
            f"at most {limits.most_changed_share:.0%} of the customers change segment at once: {moved:,} of "
            f"{compared:,} would. Look at the page; if it is right, raise klaviyo.most_changed_share for this sync"
        )
    before, now = counts.customers_before, counts.customers
    if now < limits.least_rows_share * before:
        reasons.append(
            f"customers do not vanish: {now:,} are published, {before:,} were the last time. Look at the orders' "
            "source; if it is right, lower klaviyo.least_rows_share for this sync"
        )
    if counts.created > limits.most_created:
        reasons.append(
            f"at most {limits.most_created:,} profiles are made at once, since each is billed: {counts.created:,} "
            "are not known to Klaviyo. Is klaviyo.identifier right? If so, raise klaviyo.most_created"
        )
    if reasons:
        raise SyncRefusedError("; ".join(reasons))


def check_types(path: Path, properties: Sequence[Property], *, keep: bool) -> None:
    """Refuse a property whose type would change, which Klaviyo's segments and flows would not survive.

    Parameters
    ----------
    path
        JSON file of the types that were ever sent.
    properties
        Those to send.
    keep
        Whether to remember their types from now on.

    Raises
    ------
    SyncRefusedError
        A type would change.
    """
    recorded: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    types = {one.name: "number" if one.kind == "percent" else one.kind for one in properties}
    other = [name for name, kind in types.items() if recorded.get(name, kind) != kind]
    if other:
        raise SyncRefusedError(
            f"a property keeps its type for ever: {', '.join(other)} would change it. Give it another name "
            "in klaviyo.properties"
        )
    if keep and not types.items() <= recorded.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**recorded, **types}, indent=2)
        replace_file(path, lambda draft: draft.write_text(text))
