"""Whom Klaviyo knows: asked before anything is sent, since every profile that is made is billed."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from connectors.klaviyo.api import MOST_LOOKED_UP
from connectors.klaviyo.client import KeyKind, Klaviyo
from connectors.klaviyo.payloads import EMAIL
from connectors.klaviyo.plan import Plan

Progress = Callable[[int, int], None]


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
    if len(rows):
        _find(rows, rows["kind"].iloc[0], rows["key"], klaviyo, progress)
        has_email = rows["email"].astype("str").str.match(EMAIL).fillna(False).to_numpy(bool)
        _find(rows, "email", rows["email"].where(has_email), klaviyo, progress)
    is_known = rows["profile_id"].notna()
    twice = _told_twice(rows)
    kept = (is_known | create_missing) & ~twice
    unknown = rows[~is_known & ~kept].assign(code="unknown_profile")
    shared = rows[twice].assign(code="shared_key")
    columns = ["customer_id", "key", "code"]
    rejects = [part for part in (plan.rejects, unknown[columns], shared[columns]) if len(part)]
    counts = {
        "unknown_profile": len(unknown),
        "shared_key": plan.counts["shared_key"] + len(shared),
        "created": int((kept & ~is_known).sum()),
    }
    return replace(
        plan,
        rows=rows[kept].reset_index(drop=True),
        said=plan.said[kept].reset_index(drop=True),
        rejects=pd.concat(rejects, ignore_index=True) if rejects else plan.rejects,
        counts={**plan.counts, **counts},
    )


def _find(
    rows: pd.DataFrame, kind: KeyKind, keys: pd.Series, klaviyo: Klaviyo, progress: Progress
) -> None:
    """Look the people up who are not found yet, and note whom Klaviyo knows."""
    asked = keys[rows["profile_id"].isna() & keys.notna()]
    found: dict[str, str] = {}
    for start in range(0, len(asked), MOST_LOOKED_UP):
        part = asked.iloc[start : start + MOST_LOOKED_UP].drop_duplicates().tolist()
        for one in klaviyo.profiles(kind, part):
            named = getattr(one, kind)
            if named is not None:
                found[_plain(kind, named)] = one.id
        progress(min(start + MOST_LOOKED_UP, len(asked)), len(asked))
    ids = asked.map(lambda key: found.get(_plain(kind, key))).dropna()
    rows["profile_id"] = rows["profile_id"].astype(object)
    rows.loc[ids.index, "profile_id"] = ids
    rows.loc[ids.index, "kind"] = kind
    rows.loc[ids.index, "key"] = asked[ids.index]


def _told_twice(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Tell whose profile another row speaks for: one who is held out comes first."""
    order = rows[rows["profile_id"].notna()].sort_values("is_holdout", ascending=False)
    shared = order.index[order["profile_id"].duplicated()]
    return pd.Series(rows.index.isin(shared), index=rows.index)


def _plain(kind: KeyKind, key: str) -> str:
    """Return a key as it is compared: e-mail addresses are the same in any case."""
    return key.lower() if kind == "email" else key
