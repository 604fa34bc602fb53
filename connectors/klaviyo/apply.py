"""Send a sync's jobs, wait for them, and believe only what Klaviyo confirms.

An import of the same values again changes nothing, so a job whose fate is not known is simply sent
again. What may not happen is that it runs late, over newer values: so a sync ends only when every
job that it may have left behind is over, and a row whose fate stays unknown is forgotten.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from connectors.klaviyo.answers import ImportFault, Job
from connectors.klaviyo.client import Klaviyo
from connectors.klaviyo.clock import Clock
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import Fault, RequestRefusedError, UnavailableError
from connectors.klaviyo.manifest import JobState, Manifest
from connectors.klaviyo.pack import import_body
from connectors.klaviyo.synced_profiles import IN_DOUBT, SyncedProfiles

MOST_LOST = 3  # times that Klaviyo may cancel or forget a job
LONGEST_JOB_SECONDS = 2 * 3600.0
SLOWEST_POLL_SECONDS = 15.0
CLOCKS_DIFFER = timedelta(days=1)  # this machine's and Klaviyo's, at most
UNCLEAR, ERASED = "unclear", "erased"
ROW_POINTER = re.compile(r"^/data/attributes/profiles/data/(\d+)(?:/|$)")
GONE = 404
ABOUT_ROWS = {400, 413, 422}  # statuses that a job may owe to one of its rows
FIRST_SPLITS, MOST_SPLITS = 60, 600  # before a job is accepted, and in all

Faults = dict[str, tuple[str, str, str]]


@dataclass(frozen=True)
class SyncContext:
    """What a sync works with: the account, a clock, the erased.

    Attributes
    ----------
    klaviyo
        The account.
    clock
        For waiting.
    erased
        Who is left out, whatever was planned.
    """

    klaviyo: Klaviyo
    clock: Clock
    erased: Erasures


def send(manifest: Manifest, number: int, context: SyncContext) -> None:
    """Create a job, unless it is created; rows that Klaviyo points at are taken out.

    A job that is refused without word of a row is split: the second half becomes the last job, until
    the row is alone.

    Raises
    ------
    RequestRefusedError
        Klaviyo refuses the job for another reason than its rows, or too many jobs.
    """
    state, rows = manifest.state(number), manifest.rows(number)

    def note_try() -> None:
        nonlocal state
        first = state.first_try_at or context.clock.now().isoformat()
        state = manifest.note(number, state, tries=state.tries + 1, first_try_at=first)

    while not state.job_id and not state.is_verified:
        state = _leave_out_erased(manifest, number, state, rows, context.erased)
        left = _to_send(rows, state)
        if left.empty:
            manifest.note(number, state, is_verified=True)
            return
        sizes = tuple(sorted({*state.sizes, len(left)}))
        state = manifest.note(number, state, sent=len(left), sizes=sizes)
        try:
            job_id = context.klaviyo.create_import_job(import_body(list(left["body"])), note_try)
        except RequestRefusedError as error:
            pointed = _pointed_at(error, left)
            faults = {**state.faults, **pointed}
            state = manifest.note(number, state, answered=state.answered + 1, faults=faults)
            if not pointed:
                if error.status not in ABOUT_ROWS or not _may_split(manifest):
                    raise
                _split(manifest, number, left)
                state, rows = manifest.state(number), manifest.rows(number)
            continue
        state = manifest.note(number, state, answered=state.answered + 1, job_id=job_id)


def verify(
    manifest: Manifest, number: int, context: SyncContext, *, send_again: bool = True
) -> None:
    """Wait until a job is over, and keep which rows Klaviyo confirmed.

    Parameters
    ----------
    manifest, number
        The job.
    context
        What it takes.
    send_again
        Whether a job that Klaviyo canceled or forgot is created anew.

    Raises
    ------
    UnavailableError
        Klaviyo does not finish it. The next sync tries again.
    """
    state = manifest.state(number)
    while not state.is_verified:
        if not state.job_id:
            if not send_again:
                return
            send(manifest, number, context)
            state = manifest.state(number)
            continue
        job = _wait_until_over(state.job_id, context)
        if job is not None and job.status == "complete":
            faults = context.klaviyo.import_errors(state.job_id)
            sent = _to_send(manifest.rows(number), state)
            rejected = judge(sent, state.sent, job, faults)
            clear = {row: fault for row, fault in rejected.items() if fault[0] != UNCLEAR}
            if send_again and len(rejected) - len(clear) > 1 and _may_split(manifest):
                state = manifest.note(number, state, faults={**state.faults, **clear}, job_id="")
                _split(manifest, number, _to_send(sent, state))
                state = manifest.state(number)
                continue
            manifest.note(number, state, faults={**state.faults, **rejected}, is_verified=True)
            return
        # Part of it may have happened, which counts as a try without an answer.
        times = state.lost + 1
        lost = {"job_id": "", "lost": times % (MOST_LOST + 1), "tries": state.tries + 1}
        state = manifest.note(number, state, **lost)
        if send_again and times > MOST_LOST:
            raise UnavailableError(
                f"Klaviyo finishes a job: it canceled or forgot job {number} {times} times. Try again later; what "
                "was confirmed is not sent again"
            )


def judge(sent: pd.DataFrame, rows: int, job: Job, errors: Iterable[ImportFault]) -> Faults:
    """Say which rows of a finished job are not confirmed, and why.

    Where Klaviyo counts more failures than its errors name, no row of the job is confirmed; such a job is
    split and sent again.

    Parameters
    ----------
    sent
        The job's rows, in the order in which they were sent.
    rows
        How many were sent; pointers are believed only while that many are known.
    job
        Its counts.
    errors
        Its import errors, every page.
    """
    by_key = {
        (kind, _plain(kind, key)): str(row)
        for row, kind, key in sent[["row", "kind", "key"]].itertuples(index=False)
    }
    faults, unnamed = Faults(), 0
    for error in errors:
        row = _row_of(error, by_key, sent if len(sent) == rows else None)
        if row is None:
            unnamed += 1
        else:
            faults[row] = (error.code or "rejected", error.detail or error.title, error.pointer)
    failed = job.failed_count or 0
    completed = rows - failed if job.completed_count is None else job.completed_count
    if unnamed or failed > len(faults) or completed < rows - max(failed, len(faults)):
        problem = f"Klaviyo counted {failed} failures and named {len(faults)} of them"
        for row in sent["row"].astype(str):
            faults.setdefault(row, (UNCLEAR, problem, ""))
    return faults


def await_jobs(manifest: Manifest, context: SyncContext) -> None:
    """Wait until no job is at work that a try without an answer may have left behind.

    Raises
    ------
    UnavailableError
        One is at work for hours.
    """
    started = context.clock.monotonic()
    pause = 1.0
    while _left_behind(manifest, context.klaviyo):
        if context.clock.monotonic() - started > LONGEST_JOB_SECONDS:
            raise UnavailableError(
                "a sync ends when its import jobs are over: one is still at work in Klaviyo. Sync again later"
            )
        context.clock.sleep(pause)
        pause = min(pause * 2, SLOWEST_POLL_SECONDS)


def finalize(manifest: Manifest, confirmed: SyncedProfiles) -> int:
    """Remember what a sync confirmed, and end it; return how many rows that were."""
    good = [manifest.confirmed(number) for number in manifest.numbers]
    doubtful = [_doubtful(manifest, number) for number in manifest.numbers]
    parts = [part for part in (*good, *doubtful) if len(part)]
    if parts:
        confirmed.add(pd.concat(parts, ignore_index=True))
    manifest.close()
    return sum(len(part) for part in good)


def _doubtful(manifest: Manifest, number: int) -> pd.DataFrame:
    """Return the rows of which nobody knows whether Klaviyo has them, as not confirmed."""
    state = manifest.state(number)
    rows = manifest.rows(number)
    if state.is_verified:
        unclear = [row for row, fault in state.faults.items() if fault[0] == UNCLEAR]
        rows = rows[rows["row"].astype(str).isin(unclear)]
    elif not state.may_run_twice:
        rows = rows.iloc[:0]
    before = rows["previous_segment"].fillna(rows["segment"])
    return rows.assign(row_hash=IN_DOUBT, segment=before, scored_date=manifest.as_of)


def _left_behind(manifest: Manifest, klaviyo: Klaviyo) -> bool:
    doubtful = [state for state in _states(manifest) if state.may_run_twice]
    if not doubtful:
        return False
    since = min(datetime.fromisoformat(state.first_try_at) for state in doubtful) - CLOCKS_DIFFER
    sizes = {size for state in doubtful for size in state.sizes}
    at_work = [*klaviyo.jobs("queued"), *klaviyo.jobs("processing")]
    return any(job.created_at >= since and job.total_count in sizes for job in at_work)


def _wait_until_over(job_id: str, context: SyncContext) -> Job | None:
    """Return a job that is over; None where Klaviyo has forgotten it."""
    started, pause = context.clock.monotonic(), 1.0
    while True:
        try:
            job = context.klaviyo.job(job_id)
        except RequestRefusedError as error:
            if error.status == GONE:
                return None
            raise
        if job.is_over:
            return job
        if context.clock.monotonic() - started > LONGEST_JOB_SECONDS:
            raise UnavailableError(
                "an import job is over within two hours: one is not. Sync again later: it goes on from there"
            )
        context.clock.sleep(pause)
        pause = min(pause * 2, SLOWEST_POLL_SECONDS)


def _leave_out_erased(
    manifest: Manifest, number: int, state: JobState, rows: pd.DataFrame, erased: Erasures
) -> JobState:
    gone = erased.covers(rows["customer_id"], rows["key"], rows["email"])
    if not gone.any():
        return state
    faults: Faults = {str(row): (ERASED, "", "") for row in rows["row"][gone]}
    return manifest.note(number, state, faults={**state.faults, **faults})


def _to_send(rows: pd.DataFrame, state: JobState) -> pd.DataFrame:
    return rows[~rows["row"].astype(str).isin(list(state.faults))]


def _may_split(manifest: Manifest) -> bool:
    """Tell whether rows are to blame: not where job after job is refused and none is accepted."""
    is_any_good = any(state.job_id for state in _states(manifest))
    return manifest.splits < (MOST_SPLITS if is_any_good else FIRST_SPLITS)


def _split(manifest: Manifest, number: int, left: pd.DataFrame) -> None:
    manifest.split(number, int(left["row"].to_numpy()[len(left) // 2]))


def _states(manifest: Manifest) -> list[JobState]:
    return [manifest.state(number) for number in manifest.numbers]


def _pointed_at(error: RequestRefusedError, sent: pd.DataFrame) -> Faults:
    """Return the rows that a refusal is about: those that it points at, or the only one."""
    faults = Faults()
    if len(sent) == 1 and error.status in ABOUT_ROWS:
        fault = next(iter(error.faults), Fault("", "", ""))
        return {str(sent["row"].iat[0]): (fault.code or "rejected", fault.detail, fault.pointer)}
    for fault in error.faults:
        place = ROW_POINTER.match(fault.pointer)
        if place is not None and int(place[1]) < len(sent):
            row = str(sent["row"].iat[int(place[1])])
            faults[row] = (fault.code or "rejected", fault.detail, fault.pointer)
    return faults


def _row_of(
    error: ImportFault, by_key: dict[tuple[str, str], str], sent: pd.DataFrame | None
) -> str | None:
    """Return the row that an error is about: by what it quotes, else by where it points."""
    quoted = error.original_payload or {}
    quoted = quoted.get("attributes", quoted) or {}
    for kind in ("external_id", "email", "phone_number"):
        row = by_key.get((kind, _plain(kind, str(quoted.get(kind) or ""))))
        if row is not None:
            return row
    place = ROW_POINTER.match(error.pointer)
    if place is None or sent is None or int(place[1]) >= len(sent):
        return None
    return str(sent["row"].iat[int(place[1])])


def _plain(kind: str, key: str) -> str:
    """Return a key as it is compared: e-mail addresses are the same in any case, ids are not."""
    return key.lower() if kind == "email" else key
