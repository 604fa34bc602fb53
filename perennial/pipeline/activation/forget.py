"""Forget a person: out of state and exports, onto the erasure list, and out of Klaviyo."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from connectors.csv import write_csv
from connectors.kept import CHECKSUMS, read_parquet
from connectors.klaviyo.client import Klaviyo, connect
from connectors.klaviyo.clock import SystemClock
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.guards import check_account
from connectors.klaviyo.manifest import Manifest
from connectors.klaviyo.payloads import (
    EMAIL,
    DeletedAttributes,
    DeletedData,
    DeletedProfile,
    Deletion,
    DeletionAttributes,
    DeletionBody,
)
from connectors.klaviyo.printable import printable
from connectors.klaviyo.synced_profiles import SyncedProfiles
from connectors.mentions import forms, matches, one_of
from connectors.order_source import OrderSource
from connectors.published import PublishedFile
from connectors.store import replace_file
from perennial.pipeline.activation.account import api_url, open_context, read_key
from perennial.pipeline.activation.sync import one_sync
from perennial.pipeline.activation.sync_plan import SyncPlaces
from perennial.pipeline.ingestion.people import (
    contacts_path,
    customers_of,
    known_names,
    named_people,
    rejected_people,
)
from perennial.pipeline.ingestion.pull import forget_pulled
from perennial.pipeline.publishing.mirrored import mirror_exports
from perennial.pipeline.runtime.context import RunContext, waiting_lease
from perennial.pipeline.settings.store import SettingsError

SOURCES = "remove them from the sources too; until then the list of the forgotten keeps them out"
UNDER_WAY = (
    "a killed sync had handed them in: say `perennial sync --apply`, so that it ends, and then this again; and "
    "remove them from the sources too"
)
NOBODY = (
    "nobody of that name is in the state or the exports: check the spelling, or name another id, e-mail or phone "
    "number of theirs. The name is on the list of the forgotten, should it come with an order"
)
PRIVACY_KEY = "KLAVIYO_PRIVACY_KEY"  # the variable's name


@dataclass(frozen=True)
class RemovedRows:
    """How many rows were removed.

    Attributes
    ----------
    state
        From what outlives a day.
    exports
        From the published days and the rejects.
    """

    state: int
    exports: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.state + self.exports


@dataclass(frozen=True)
class Erasure:
    """What was done to forget a person.

    Attributes
    ----------
    is_found
        Whether anything names them, or they were forgotten before.
    removed
        Rows.
    klaviyo
        What Klaviyo was asked, in a sentence.
    advice
        What is left to do.
    """

    is_found: bool
    removed: RemovedRows
    klaviyo: str
    advice: str

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the record as JSON values."""
        return {
            "found": self.is_found,
            "removed": asdict(self.removed),
            "klaviyo": self.klaviyo,
            "next": self.advice,
        }


def forget_person(run: RunContext, customer: str) -> Erasure:
    """Forget a person for good.

    The erasure list comes first, so that whatever fails later, nothing of them goes out again.
    Doing it again does no harm, and goes on where it failed.

    Parameters
    ----------
    run
        The home.
    customer
        Customer id, e-mail or phone number.
    """
    settings = run.settings
    with waiting_lease(run.state), one_sync(run):
        names = known_names(customers_of(run, date.max), contacts_path(run.state), customer)
        erasures = Erasures(run.state)
        was_forgotten = all(form in erasures for form in forms(customer))
        erasures.add(names)
        state, may_come = _forget_state(run, names)
        state += forget_pulled(run, names)
        exports = sum(
            _forget_rows(settings.order_source, path, names)
            for path in _exports(settings.home, settings.exports)
        )
        removed = RemovedRows(state, exports)
        mirror_exports(settings.exports, run.state, settings.paths.mirror)
        is_found = (
            was_forgotten or removed.total > 0 or names != {customer.strip(), *forms(customer)}
        )
        klaviyo = _ask_klaviyo(run, names)
        advice = UNDER_WAY if may_come else SOURCES if is_found else NOBODY
        return Erasure(is_found, removed, klaviyo, advice)


def _forget_state(run: RunContext, names: set[str]) -> tuple[int, bool]:
    """Remove a person from what outlives a day, and what no sync needs any more.

    Tells how many rows that were, and whether a killed sync may still bring them to Klaviyo.
    """
    may_come = False
    source, places = run.settings.order_source, SyncPlaces.of(run)
    removed = _forget_rows(source, run.state / "assignments.parquet", names)
    removed += _forget_rows(source, contacts_path(run.state), names)
    for left in (run.settings.home / "scratch").glob("run-*"):  # of runs that were killed
        shutil.rmtree(left, ignore_errors=True)
    for account in (run.state / "klaviyo").glob("*/"):
        removed += SyncedProfiles(account / "confirmed.parquet").forget(names)
        for left in account.glob(".open.*"):
            shutil.rmtree(left)
        manifest = Manifest.open(account / "open")
        if manifest is not None:
            may_come |= manifest.forget(names)
    for path in (places.would_send, places.rejects):
        path.unlink(missing_ok=True)  # the next plan writes them again
    return removed, may_come


def _exports(home: Path, exports: Path) -> Iterator[Path]:
    """Give every file of every published day that names customers."""
    yield home / PublishedFile.REJECTS
    for folder in exports.glob("scores/as_of=*/run=*"):
        files = sorted([*folder.rglob("*.parquet"), *folder.glob("*.csv")])
        # numbers of customers only
        named = (path for path in files if path.name != PublishedFile.EXPECTED)
        yield from (path for path in named if path.is_file())  # scores may be a folder of parts


def _forget_rows(source: OrderSource, path: Path, names: set[str]) -> int:
    """Remove a person's rows from a file, at once or not at all; return how many there were."""
    if not path.exists() or not path.stat().st_size:
        return 0
    if path.suffix == ".parquet":
        rows = read_parquet(path)
    else:
        rows = pd.read_csv(path, dtype="str", keep_default_na=False)
    if path.name == PublishedFile.REJECTS:
        gone = rejected_people(source, rows, one_of(names))
    else:
        gone = named_people(rows, one_of(names))
    if not gone.any():
        return 0
    kept = rows[~gone]
    if path.suffix == ".parquet":
        table = pa.Table.from_pandas(kept, schema=pq.read_schema(path), preserve_index=False)
        mode = path.stat().st_mode & 0o777

        def write(draft: Path) -> None:
            draft.touch(mode=mode)
            pq.write_table(table, draft, **CHECKSUMS)

        replace_file(path, write)
    else:
        replace_file(path, lambda draft: write_csv(kept, draft))
    return int(gone.sum())


def _ask_klaviyo(run: RunContext, names: set[str]) -> str:
    """Ask Klaviyo to delete a person, with a key that may do that and nothing else."""
    account = run.settings.klaviyo.account
    if account is None:
        return "not asked: klaviyo.account is not set"
    key = read_key(PRIVACY_KEY)
    if not key.get_secret_value():
        return f"not asked: set {PRIVACY_KEY} and say it again, or delete the profile in Klaviyo"
    who = _klaviyo_names(run, names)
    with connect(key.get_secret_value(), api_url()) as connection:
        klaviyo = Klaviyo(connection, SystemClock())
        check_account(klaviyo, account)
        for one in who:
            deletion = Deletion(attributes=DeletionAttributes(profile=DeletedData(data=one)))
            klaviyo.delete_person(DeletionBody(data=deletion))
    if not who:
        return "not asked: Klaviyo knows nobody of that name, as far as the keys show"
    return f"asked to delete {len(who)} profile{'s' if len(who) > 1 else ''}"


def _klaviyo_names(run: RunContext, names: set[str]) -> list[DeletedProfile]:
    """Return what a person is called in Klaviyo: e-mails as they are, ids looked up.

    By an id Klaviyo may know somebody under an address that the shop no longer has.

    Raises
    ------
    SettingsError
        Nothing but an id is known, and there is no key to look it up with.
    """
    emails = pd.Series(sorted(names), dtype="str").str.extract(f"({EMAIL})")[0].dropna()
    by_email = [DeletedProfile(attributes=DeletedAttributes(email=email)) for email in emails]
    settings = run.settings.klaviyo
    if settings.identifier == "email":
        return by_email
    with open_context(run.state, needs_key=False) as context:
        if context is None and by_email:
            return by_email
        if context is None:
            raise SettingsError(
                "a person without a known e-mail is looked up in Klaviyo: KLAVIYO_API_KEY is not set. Set it and "
                "say it again; the erasure list has them already"
            )
        check_account(context.klaviyo, str(settings.account))
        asked = [name for name in sorted(names) if printable(name) == name]
        profiles = context.klaviyo.profiles(settings.identifier, asked) if asked else []
    others = [one for one in profiles if not matches(pd.Series([one.email]), emails).any()]
    return [*by_email, *(DeletedProfile(id=one.id) for one in others)]
