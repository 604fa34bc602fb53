"""Whom Klaviyo knows: asked before anything is sent, since every profile that is made is billed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import numpy as np
import pandas as pd
from pydantic import ValidationError

from connectors.klaviyo.answers import FoundProfile
from connectors.klaviyo.api import MOST_LOOKED_UP
from connectors.klaviyo.client import KeyKind, Klaviyo
from connectors.klaviyo.errors import RequestRefusedError
from connectors.klaviyo.payloads import EMAIL, ProfileAttributes
from connectors.klaviyo.plan import Plan, has_moved

Progress = Callable[[int, int], None]
BAD_REQUEST = 400
SEVERAL = ("email", "phone_number")  # of which a profile may have several, or in another form
MOST_REFUSED = 20  # keys that Klaviyo may refuse to look for, before that is no accident any more
MOST_ADDRESS_BYTES = 6_000  # of the keys in an address; servers take some 8,000 in all


def look_up(plan: Plan, klaviyo: Klaviyo, *, create_missing: bool, progress: Progress) -> Plan:
    """Find the people of a plan, by their identifier and then by the e-mail beside it.

    Whoever is known is named by what they are known by, and nothing else: a second identifier
    could point the row to another profile. The others are left out, or made with all of theirs.

    Parameters
    ----------
    plan
        From :func:`connectors.klaviyo.plan.plan_changes`.
    klaviyo
        Only read.
    create_missing
        Whether people whom Klaviyo does not know are sent.
    progress
        Told how many are looked up of how many.
    """
    rows = plan.rows.copy()
    refused = pd.Series(data=False, index=rows.index)
    if len(rows):
        keys = rows["key"]
        refused = keys.isin(_find(rows, rows["kind"].iloc[0], keys, klaviyo, progress))
        has_email = rows["email"].astype("str").str.match(EMAIL).fillna(False).to_numpy(bool)
        _find(rows, "email", rows["email"].where(has_email), klaviyo, progress)
    is_known = rows["profile_id"].notna()
    twice = _told_twice(rows, plan.synced)
    if create_missing:
        twice |= _made_twice(rows)
    kept = (is_known | create_missing) & ~twice & ~(refused & ~is_known)
    unreadable = rows[refused & ~is_known].assign(code="unreadable_key")
    unknown = rows[~is_known & ~kept & ~twice & ~refused].assign(code="unknown_profile")
    shared = rows[twice].assign(code="shared_key")
    columns = ["customer_id", "key", "code"]
    rejects = [
        part
        for part in (plan.rejects, unreadable[columns], unknown[columns], shared[columns])
        if len(part)
    ]
    counts = replace(
        plan.counts,
        unreadable_key=plan.counts.unreadable_key + len(unreadable),
        unknown_profile=len(unknown),
        shared_key=plan.counts.shared_key + len(shared),
        created=int((kept & ~is_known).sum()),
        moved=int(has_moved(rows[kept]).sum()),
    )
    return replace(
        plan,
        rows=rows[kept].reset_index(drop=True),
        properties=plan.properties[kept].reset_index(drop=True),
        rejects=pd.concat(rejects, ignore_index=True) if rejects else plan.rejects,
        counts=counts,
    )


def _find(
    rows: pd.DataFrame, kind: KeyKind, keys: pd.Series, klaviyo: Klaviyo, progress: Progress
) -> set[str]:
    """Look the people up who are not found yet, and note whom Klaviyo knows; return keys that it refused."""
    asked = keys[rows["profile_id"].isna() & keys.notna()]
    profiles: dict[str, FoundProfile] = {}
    refused: set[str] = set()
    done, keys_asked = 0, asked.drop_duplicates().tolist()
    for part in _parts(keys_asked):
        profiles |= _find_part(klaviyo, kind, part, refused)
        done += len(part)
        progress(done, len(keys_asked))
    matched = asked.map(lambda key: profiles.get(_plain(kind, key))).dropna()
    rows["profile_id"] = rows["profile_id"].astype(object)
    if len(matched):
        named_by = [
            (one.id, *_named_by(kind, key, one))
            for key, one in zip(asked[matched.index], matched, strict=True)
        ]
        columns = ["profile_id", "kind", "key"]
        rows.loc[matched.index, columns] = pd.DataFrame(named_by, matched.index, columns)
    return refused


def _find_part(
    klaviyo: Klaviyo, kind: KeyKind, keys: list[str], refused: set[str]
) -> dict[str, FoundProfile]:
    """Return whom Klaviyo knows by each key, as keys are compared.

    A profile may have several e-mail addresses, and the answer has the first of them only. Whoever
    was asked for by another is found by halves, since only one key is then left that it can be.
    """
    by_key = {_plain(kind, key): key for key in keys}
    profiles, others = {}, []
    for one in _ask(klaviyo, kind, keys, refused):
        named = getattr(one, kind)
        if named is not None and _plain(kind, named) in by_key:
            profiles[_plain(kind, named)] = one
        else:
            others.append(one)
    left = [key for plain, key in by_key.items() if plain not in profiles and key not in refused]
    if not others or not left or kind not in SEVERAL:
        return profiles
    if len(left) == 1:
        return profiles | ({_plain(kind, left[0]): others[0]} if len(others) == 1 else {})
    half = len(left) // 2
    for part in (left[:half], left[half:]):
        profiles |= _find_part(klaviyo, kind, part, refused)
    return profiles


def _named_by(kind: KeyKind, key: str, profile: FoundProfile) -> tuple[KeyKind, str]:
    """Return what a row names a profile by: what was asked, or the address that Klaviyo has first.

    By a second address an import might make another profile, or put it first.
    """
    first = getattr(profile, kind)
    if first is not None and _plain(kind, first) == _plain(kind, key):
        return kind, key
    named: list[tuple[KeyKind, str | None]] = [(kind, first), ("external_id", profile.external_id)]
    for other_kind, other in named:
        if other and _is_taken(other_kind, other):
            return other_kind, other
    return kind, key


def _is_taken(kind: KeyKind, key: str) -> bool:
    """Tell whether a body takes a key."""
    try:
        ProfileAttributes.model_validate({kind: key})
    except ValidationError:
        return False
    return True


def _ask(
    klaviyo: Klaviyo, kind: KeyKind, keys: list[str], refused: set[str]
) -> list[FoundProfile]:
    """Look keys up; one that Klaviyo refuses to look for is found by halves, and stops nobody else."""
    try:
        return klaviyo.profiles(kind, keys)
    except RequestRefusedError as error:
        if error.status != BAD_REQUEST or len(refused) == MOST_REFUSED:
            raise
    if len(keys) == 1:
        refused.update(keys)
        return []
    half = len(keys) // 2
    return [
        one for part in (keys[:half], keys[half:]) for one in _ask(klaviyo, kind, part, refused)
    ]


def _parts(keys: list[str]) -> Iterator[list[str]]:
    """Give the keys in parts that one request takes, by number and by the length of its address."""
    part: list[str] = []
    room = MOST_ADDRESS_BYTES
    for key in keys:
        size = len(quote(key, safe="")) + len("%22%22%2C")
        if part and (len(part) == MOST_LOOKED_UP or size > room):
            yield part
            part, room = [], MOST_ADDRESS_BYTES
        part.append(key)
        room -= size
    if part:
        yield part


def _told_twice(rows: pd.DataFrame, synced: pd.DataFrame) -> "pd.Series[bool]":
    """Tell whose profile somebody else speaks for, who need not be among the rows.

    One who is held out comes first, so that nobody undoes it; then whoever was told last.
    """
    columns = ["customer_id", "profile_id", "is_holdout"]
    named = rows.loc[rows["profile_id"].notna(), columns]
    synced = synced[synced["profile_id"].isin(named["profile_id"])]
    was_told = pd.MultiIndex.from_frame(named[columns[:2]]).isin(
        pd.MultiIndex.from_frame(synced[columns[:2]])
    )
    others = synced[~synced["customer_id"].isin(rows["customer_id"])]
    others = others.set_axis(-1 - np.arange(len(others)))  # no row has such a place
    order = pd.concat([named.assign(was_told=was_told), others.assign(was_told=True)])
    order = order.sort_values(["is_holdout", "was_told"], ascending=False, kind="stable")
    shared = order.index[order["profile_id"].duplicated()]
    return pd.Series(rows.index.isin(shared), index=rows.index)


def _made_twice(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Tell who would be made with an address that another one is made with."""
    order = rows[rows["profile_id"].isna() & rows["email"].notna()]
    order = order.sort_values("is_holdout", ascending=False, kind="stable")
    shared = order.index[order["email"].duplicated()]
    return pd.Series(rows.index.isin(shared), index=rows.index)


def _plain(kind: KeyKind, key: str) -> str:
    """Return a key as it is compared: e-mail addresses are the same in any case."""
    return key.lower() if kind == "email" else key
