"""From rows to the fewest import jobs that Klaviyo takes, by rows and by bytes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.klaviyo.api import FILL_BYTES, MOST_ROWS
from connectors.klaviyo.payloads import Profile, ProfileAttributes
from connectors.klaviyo.properties import to_plain

HEAD = b'{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":['
TAIL = b"]}}}}"


def write_profiles(rows: pd.DataFrame, table: pd.DataFrame) -> list[bytes]:
    """Write each profile as it is sent: whoever is known by one identifier, others by all of theirs.

    Parameters
    ----------
    rows
        ``kind, key, email, profile_id``.
    table
        The properties, row by row.
    """
    named = rows[["kind", "key", "email", "profile_id"]].itertuples(index=False)
    written = []
    for (kind, key, email, profile_id), properties in zip(named, to_plain(table), strict=True):
        keys = {kind: key}
        if profile_id is None and kind != "email" and isinstance(email, str):
            keys["email"] = email
        attributes = ProfileAttributes.model_validate({**keys, "properties": properties})
        written.append(Profile(attributes=attributes).to_json())
    return written


def import_body(profiles: Sequence[bytes]) -> bytes:
    """Return the body of an import job."""
    return HEAD + b",".join(profiles) + TAIL


def fewest_jobs(sizes: NDArray[np.int64], most_rows: int = MOST_ROWS) -> int:
    """Return the jobs that rows of these sizes need at least."""
    rows, room = len(sizes), FILL_BYTES - len(HEAD) - len(TAIL)
    return max(-(-rows // most_rows), -(-int((sizes + 1).sum()) // (room + 1)))


def pack(sizes: NDArray[np.int64], most_rows: int = MOST_ROWS) -> NDArray[np.int64]:
    """Return the job of each row.

    Rows are dealt out from the largest to the smallest, like cards, so that jobs differ by a row in
    number and by little in bytes: as many jobs as must be, mostly not one more.

    Parameters
    ----------
    sizes
        Bytes of each row.
    most_rows
        Of a job.
    """
    room = FILL_BYTES - len(HEAD) - len(TAIL)
    order = np.argsort(-sizes, kind="stable")
    jobs = fewest_jobs(sizes, most_rows)
    while True:
        dealt = np.arange(len(sizes)) % jobs if jobs else np.empty(0, dtype=np.int64)
        if not jobs or np.bincount(dealt, weights=sizes[order] + 1).max() <= room + 1:
            job_numbers = np.empty(len(sizes), dtype=np.int64)
            job_numbers[order] = dealt
            return job_numbers
        jobs += 1
