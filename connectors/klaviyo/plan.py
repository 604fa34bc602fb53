"""What would have to be sent: the published scores beside what Klaviyo has confirmed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors.klaviyo.client import KeyKind
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.payloads import EMAIL, LONGEST_KEY, PHONE
from connectors.klaviyo.printable import CONTROL
from connectors.klaviyo.properties import Property, property_table, row_hashes
from connectors.klaviyo.records import SyncCounts
from connectors.klaviyo.synced_profiles import IN_DOUBT, age_days

REJECTS = {
    "no_key": ("no identifier is known", "give it in tables.customers, or choose another klaviyo.identifier"),
    "unreadable_key": ("Klaviyo would not take the identifier", "mend it in the shop system"),
    "shared_key": ("another customer has the same identifier and is told instead", "merge the two in the shop system"),
    "unknown_profile": ("Klaviyo does not know this person", "nothing to do; --create-missing would make a billed profile"),
}  # fmt: skip
NOTHING_CONFIRMED = pd.DataFrame(
    {
        "row_hash": [0],
        "scored_date": pd.to_datetime(["1970-01-01"]).astype("datetime64[ms]"),
        "segment": [None],
        "profile_id": [None],
    }
)
ROW_COLUMNS = [
    "customer_id", "kind", "key", "email", "row_hash", "segment", "previous_segment", "is_holdout", "profile_id",
]  # fmt: skip


@dataclass(frozen=True)
class Audience:
    """Who is told what: the scores, and what names their customers in Klaviyo.

    Attributes
    ----------
    scores
        Columns of :func:`connectors.klaviyo.properties.columns_needed`.
    key
        Each customer's identifier; null where none is known.
    email
        Each customer's e-mail beside it; null where none is known.
    kind
        What the identifier is.
    """

    scores: pd.DataFrame
    key: pd.Series
    email: pd.Series
    kind: KeyKind


@dataclass(frozen=True)
class Plan:
    """What differs.

    Attributes
    ----------
    rows
        One per profile to send: whom it names in Klaviyo, and what will have been confirmed.
    properties
        The properties of each, row by row.
    rejects
        Customers who cannot be told: ``customer_id, key, code``.
    synced
        Whom each profile was last told of, among the customers who may be told: ``customer_id,
        profile_id, is_holdout``.
    counts
        Customers by what happens to them; what is sent is not counted yet.
    """

    rows: pd.DataFrame
    properties: pd.DataFrame
    rejects: pd.DataFrame
    synced: pd.DataFrame
    counts: SyncCounts


def plan_changes(
    audience: Audience,
    properties: Sequence[Property],
    confirmed: pd.DataFrame,
    erased: Erasures,
    as_of: date,
    refresh_days: int,
) -> Plan:
    """Compare what is published with what was confirmed.

    Parameters
    ----------
    audience
        The published customers.
    properties
        What is said of them.
    confirmed
        Last confirmed row per customer.
    erased
        Who is left out.
    as_of
        Day of the scores.
    refresh_days
        An unchanged row is sent again when its confirmation is so old, so that it stays fresh.
    """
    scores = audience.scores
    rows = pd.DataFrame(
        {
            "customer_id": scores["customer_id"],
            "key": audience.key,
            "email": audience.email,
            "segment": scores["segment"].astype("str"),
            "is_holdout": scores["is_holdout"].to_numpy(bool),
            "row_hash": row_hashes(audience.key, scores, properties),
        }
    )
    is_erased = erased.covers(rows["customer_id"], rows["key"], rows["email"])
    code = broken_rules(audience, is_erased)
    before = _last_confirmed(_undo_told_over(confirmed), rows["customer_id"])
    was_confirmed = before["was_confirmed"].to_numpy()
    is_same = was_confirmed & (before["row_hash"] == rows["row_hash"]).to_numpy()
    is_old = was_confirmed & (age_days(before["scored_date"], as_of) >= refresh_days)
    rows["previous_segment"] = before["segment"]
    may = (code == "") & ~is_erased
    send = may & (~is_same | is_old)
    compared = may & was_confirmed & ~rows["is_holdout"].to_numpy()
    is_told = may & (before["row_hash"] != IN_DOUBT).to_numpy() & before["profile_id"].notna()
    synced = rows[["customer_id", "is_holdout"]][is_told].assign(profile_id=before["profile_id"])
    selected = rows[send].assign(kind=audience.kind, profile_id=None)
    bad = code != ""
    return Plan(
        selected[ROW_COLUMNS].reset_index(drop=True),
        property_table(scores[send], properties).reset_index(drop=True),
        rows[["customer_id", "key"]][bad].assign(code=code[bad]).reset_index(drop=True),
        synced,
        SyncCounts(
            customers=len(rows),
            compared=int(compared.sum()),
            unchanged=int((may & is_same & ~is_old).sum()),
            new=int((may & ~was_confirmed).sum()),
            changed=int((may & was_confirmed & ~is_same).sum()),
            refreshed=int((may & is_same & is_old).sum()),
            moved=int(has_moved(rows[send & was_confirmed]).sum()),
            held_out=int((may & rows["is_holdout"]).sum()),
            erased=int(is_erased.sum()),
            **{name: int((code == name).sum()) for name in REJECTS},
        ),
    )


def has_moved(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Tell whose segment changes by a row that is sent; of the held-out no segment is told.

    Parameters
    ----------
    rows
        ``previous_segment, segment, is_holdout`` of the rows to send.
    """
    before = rows["previous_segment"]
    is_other = before.notna() & (before != rows["segment"])
    return is_other & ~rows["is_holdout"].astype(bool)


def _last_confirmed(confirmed: pd.DataFrame, customers: pd.Series) -> pd.DataFrame:
    """Return what was confirmed of each customer, row by row; ``was_confirmed`` says whether anything was."""
    place = pc.index_in(pa.array(customers), value_set=pa.array(confirmed["customer_id"]))
    place = place.fill_null(-1).to_numpy(zero_copy_only=False)
    last = confirmed[["row_hash", "scored_date", "segment", "profile_id"]]
    padded = (
        pd.concat([last, NOTHING_CONFIRMED], ignore_index=True) if len(last) else NOTHING_CONFIRMED
    )
    before = padded.take(place).set_axis(customers.index)
    return before.assign(was_confirmed=place >= 0)


def _undo_told_over(confirmed: pd.DataFrame) -> pd.DataFrame:
    """Return what was confirmed, in doubt where the profile was told of somebody else later.

    What was confirmed last stands last.
    """
    ids = confirmed["profile_id"]
    is_over = ids.notna() & ids.duplicated(keep="last")
    if not is_over.any():
        return confirmed
    return confirmed.assign(row_hash=confirmed["row_hash"].mask(is_over, IN_DOUBT))


def broken_rules(audience: Audience, is_erased: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Name why each customer cannot be told; empty where they can. Of the erased nothing is said."""
    scores, kind = audience.scores, audience.kind
    key = audience.key.astype("str")
    no_key = key.isna().to_numpy()
    shape = {"email": EMAIL, "phone_number": PHONE, "external_id": "^.+"}[kind]
    is_short = (key.str.len() <= LONGEST_KEY) & ~key.str.contains(CONTROL)
    is_one = (key.str.match(shape) & is_short).fillna(False).to_numpy(bool)
    code = np.select([is_erased, no_key, ~is_one], ["", "no_key", "unreadable_key"], "")
    if key[~no_key].is_unique:
        return code.astype(object)
    order = pd.DataFrame(
        {"key": key, "held": scores["is_holdout"], "last": scores["last_order_date"]}
    )
    order = order[(code == "") & ~is_erased].assign(id=scores["customer_id"])
    # One who is held out speaks for all who share the address; else the one who ordered last.
    order = order.sort_values(["held", "last", "id"], ascending=False)
    shared = order.index[order["key"].duplicated()]
    return np.where(scores.index.isin(shared), "shared_key", code).astype(object)
