"""What a sync writes down: the plan, what would be sent, and who could not be told."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from connectors.csv import write_csv
from connectors.kept import read_arrow
from connectors.klaviyo.apply import ERASED, UNCLEAR, SyncContext
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import SyncRefusedError
from connectors.klaviyo.guards import Limits, check_counts, check_types
from connectors.klaviyo.lookup import look_up
from connectors.klaviyo.manifest import Manifest, SyncHeader
from connectors.klaviyo.pack import fewest_jobs, pack, write_profiles
from connectors.klaviyo.plan import REJECTS, Audience, Plan, broken_rules, plan_changes
from connectors.klaviyo.properties import columns_needed, property_table
from connectors.klaviyo.records import SyncCounts, SyncPlan
from connectors.klaviyo.synced_profiles import SyncedProfiles, newest
from connectors.published import PublishedFile
from connectors.store import PublishedDay, replace_file
from perennial.pipeline.ingestion.people import contacts_path, customers_of, name_customers
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import progress
from perennial.pipeline.settings.klaviyo import KlaviyoSettings

SAMPLE = 3
NO_TERMS = {"enabled", "allow_wide_key", "segments", "lists", "fresh_days", "stale_days"}
HINTS = {UNCLEAR: "Klaviyo did not say which rows failed; the row is sent again next time"}
OTHER_HINT = "mend the field in the shop system; the row is sent again next time"


@dataclass(frozen=True)
class SyncPlaces:
    """Where a sync keeps what it knows, and where it writes what people read.

    Attributes
    ----------
    state
        Of the account, for good.
    out
        For people; replaced by every plan.
    """

    state: Path
    out: Path

    @classmethod
    def of(cls, run: RunContext) -> "SyncPlaces":
        """Return a store's places."""
        account = str(run.settings.klaviyo.account)
        return cls(run.state / "klaviyo" / account, run.settings.home / "klaviyo")

    @property
    def lock(self) -> Path:
        """Held by the one sync that runs."""
        return self.state.parent / ".lock"

    @property
    def open(self) -> Path:
        """The sync under way."""
        return self.state / "open"

    @property
    def confirmed(self) -> Path:
        """What Klaviyo has confirmed."""
        return self.state / "confirmed.parquet"

    @property
    def segments(self) -> Path:
        """Which segments are ours."""
        return self.state / "segments.json"

    @property
    def lists(self) -> Path:
        """Which lists are ours."""
        return self.state / "lists.json"

    @property
    def last(self) -> Path:
        """How many customers the last sync had."""
        return self.state / "last.json"

    @property
    def types(self) -> Path:
        """The type of every property that was ever sent."""
        return self.state / "types.json"

    @property
    def plan(self) -> Path:
        """Counts of the newest plan."""
        return self.out / "plan.json"

    @property
    def would_send(self) -> Path:
        """The newest plan's profiles, a JSON line each."""
        return self.out / "would_send.jsonl"

    @property
    def rejects(self) -> Path:
        """Who could not be told, and why."""
        return self.out / PublishedFile.REJECTS

    @property
    def outcome(self) -> Path:
        """Counts of the newest sync."""
        return self.out / "outcome.json"


def read_audience(run: RunContext, day: PublishedDay) -> Audience:
    """Read the published scores, and who their customers are to Klaviyo."""
    klaviyo = run.settings.klaviyo
    properties, kind = klaviyo.all_properties, klaviyo.identifier
    read = read_arrow(day.file(PublishedFile.SCORES), columns_needed(properties))
    scores = read.to_pandas(date_as_object=False, self_destruct=True, split_blocks=True)
    table = customers_of(run, day.as_of)
    names = name_customers(scores["customer_id"], table, contacts_path(run.state), kind)
    return Audience(scores, names.key, names.email, kind)


def write_plan(
    run: RunContext,
    day: PublishedDay,
    context: SyncContext | None,
    *,
    create_missing: bool,
    apply: bool,
) -> SyncPlan:
    """Compare, look up, pack and write down; with `apply`, make it the sync under way.

    Parameters
    ----------
    run, day
        What is published.
    context
        To look people up; None = nobody is, and everybody counts as known.
    create_missing
        Whether people whom Klaviyo does not know are sent.
    apply
        Whether it is to be carried out.

    Raises
    ------
    SyncRefusedError
        The plan breaks a guard; it is written down all the same.
    """
    places, settings = SyncPlaces.of(run), run.settings.klaviyo
    check_types(places.types, settings.all_properties, keep=False)
    plan = _plan(run, day, context, create_missing=create_missing)
    bodies = write_profiles(plan.rows, plan.properties)
    sizes = np.array([len(body) for body in bodies], dtype=np.int64)
    job = pack(sizes)
    counts = replace(plan.counts, to_send=len(bodies), customers_before=_customers_before(places))
    record = SyncPlan(
        as_of=day.as_of,
        run_id=day.run_id,
        looked_up=context is not None,
        counts=counts,
        jobs=int(job.max() + 1) if len(job) else 0,
        least_jobs=fewest_jobs(sizes),
        megabytes=round(float(sizes.sum()) / 1e6, 3),
        refused=_refusal(counts, settings.limits),
        files={"plan": places.plan, "would_send": places.would_send, "rejects": places.rejects},
    )
    _write_down(places, plan, bodies, record)
    if record.refused:
        raise SyncRefusedError(record.refused)
    if apply:
        check_types(places.types, settings.all_properties, keep=True)
        text = json.dumps({"customers": counts.customers})
        replace_file(places.last, lambda draft: draft.write_text(text))
    if apply and bodies:
        rows = plan.rows.assign(row=np.arange(len(bodies)), body=bodies)
        parts = [rows[job == number] for number in range(record.jobs)]
        terms = terms_of(settings, create_missing=create_missing)
        Manifest.create(places.open, _header(record, settings, terms), parts)
    return record


def _plan(
    run: RunContext, day: PublishedDay, context: SyncContext | None, *, create_missing: bool
) -> Plan:
    """Compare a day with what Klaviyo has, and look people up where there is a `context` for it."""
    settings = run.settings.klaviyo
    plan = plan_changes(
        read_audience(run, day),
        settings.all_properties,
        _confirmed(SyncPlaces.of(run)),
        Erasures(run.state),
        day.as_of,
        settings.refresh_days,
    )
    if context is None:
        return plan
    return look_up(plan, context.klaviyo, create_missing=create_missing, progress=_say_looked_up)


def _header(record: SyncPlan, settings: KlaviyoSettings, terms: str) -> SyncHeader:
    """Return what a sync that is under way is known by."""
    return SyncHeader(
        record.as_of.isoformat(),
        record.run_id,
        str(settings.account),
        record.jobs,
        terms,
        f"{settings.prefix} Segment Changed" if settings.events else "",
    )


def terms_of(settings: KlaviyoSettings, *, create_missing: bool) -> str:
    """Return a digest of what a plan is made by: another asks for another plan."""
    terms = settings.model_dump(mode="json", exclude=NO_TERMS)
    text = json.dumps([terms, create_missing], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def list_rejects(places: SyncPlaces, manifest: Manifest) -> int:
    """Add the rows that Klaviyo did not confirm to those that were never sent; return how many."""
    rows = [
        {
            "customer_id": customer,
            "key": key,
            "code": code,
            "detail": detail,
            "field": pointer.rpartition("/")[2],
            "hint": HINTS.get(code, OTHER_HINT),
        }
        for customer, key, (code, detail, pointer) in manifest.faults()
        if code != ERASED
    ]
    if rows:
        earlier = (
            pd.read_csv(places.rejects, dtype="str", keep_default_na=False)
            if places.rejects.exists()
            else None
        )
        new = pd.DataFrame(rows)
        whole = new if earlier is None else pd.concat([earlier, new], ignore_index=True)
        whole = whole.drop_duplicates(["customer_id", "code"], keep="last")
        replace_file(places.rejects, lambda draft: write_csv(whole, draft))
    return len(rows)


def list_members(run: RunContext, day: PublishedDay, erased: Erasures) -> dict[str, set[str]]:
    """Return who belongs on each list, by Klaviyo's ids: only people whose rows were confirmed."""
    settings = run.settings.klaviyo
    if not settings.lists:
        return {}
    audience = read_audience(run, day)
    gone = erased.covers(audience.scores["customer_id"], audience.key, audience.email)
    may = (broken_rules(audience, gone) == "") & ~gone & ~audience.scores["is_holdout"]
    values = property_table(audience.scores, settings.all_properties)
    confirmed = SyncedProfiles(SyncPlaces.of(run).confirmed).read()
    ids = confirmed.set_index("customer_id")["profile_id"].dropna()
    members = {}
    for name, conditions in settings.lists.items():
        fits = may.copy()
        for title, value in conditions.items():
            fits &= values[f"{settings.prefix} {title}"] == value
        people = audience.scores["customer_id"][fits]
        members[f"{settings.prefix}: {name}"] = set(ids.reindex(people).dropna())
    return members


def _customers_before(places: SyncPlaces) -> int:
    """Return how many customers the last sync had."""
    return int(json.loads(places.last.read_text())["customers"]) if places.last.exists() else 0


def _confirmed(places: SyncPlaces) -> pd.DataFrame:
    """Return what is confirmed, by a sync under way too."""
    profiles, manifest = SyncedProfiles(places.confirmed).read(), Manifest.open(places.open)
    if manifest is None:
        return profiles
    for number in manifest.numbers:
        rows = manifest.confirmed(number)
        profiles = newest(profiles, rows) if len(rows) else profiles
    return profiles


def _refusal(counts: SyncCounts, limits: Limits) -> str | None:
    """Return why a guard refuses a plan; None = it does not."""
    try:
        check_counts(counts, limits)
    except SyncRefusedError as error:
        return str(error)
    return None


def _write_down(places: SyncPlaces, plan: Plan, bodies: Iterable[bytes], record: SyncPlan) -> None:
    places.out.mkdir(parents=True, exist_ok=True)
    replace_file(places.would_send, lambda draft: draft.write_bytes(_lines(bodies)))
    code = plan.rejects["code"]
    table = plan.rejects.assign(
        detail=code.map({name: detail for name, (detail, _) in REJECTS.items()}),
        field="",
        hint=code.map({name: hint for name, (_, hint) in REJECTS.items()}),
    )
    replace_file(places.rejects, lambda draft: write_csv(table, draft))
    sample = plan.properties.head(SAMPLE).to_dict("records")  # without whom it is said of
    text = json.dumps({**record.to_dict(), "sample": sample}, indent=2, default=str) + "\n"
    replace_file(places.plan, lambda draft: draft.write_text(text))


def _lines(bodies: Iterable[bytes]) -> bytes:
    return b"".join(body + b"\n" for body in bodies)


def _say_looked_up(done: int, whole: int) -> None:
    if done == whole or done % 10_000 == 0:
        progress(f"looking people up: {done:,} of {whole:,}")
