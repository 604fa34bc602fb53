"""What customers said and did besides buying: the last word of each, and what is worth an ask.

Days are the calendar days of the timestamps as given, none later than the as-of day.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Days = NDArray[np.datetime64]

FIVE_STARS, GOOD_STARS, BAD_STARS = 5, 4, 2
PROMOTER, DETRACTOR = 9, 6  # the net promoter score's own groups


@dataclass(frozen=True, eq=False)
class Signals:
    """Optional tables, cut to what was known at the end of the as-of day; None = not given.

    Attributes
    ----------
    reviews, nps, loyalty_events, touches, referrals
        The tables of :mod:`features.tables`.
    tickets
        One row per resolved service ticket: ``customer_id, resolved_at``.
    refills
        From order lines, one row per customer and product: ``customer_id, product`` (its name),
        ``last_date``, ``cycle_days`` (null = durable).
    upgrades
        From order lines, at most one row per customer: ``customer_id, bundle`` (the name of that
        which the first product leads to), ``is_owned``.
    """

    reviews: pd.DataFrame | None = None
    nps: pd.DataFrame | None = None
    loyalty_events: pd.DataFrame | None = None
    touches: pd.DataFrame | None = None
    referrals: pd.DataFrame | None = None
    tickets: pd.DataFrame | None = None
    refills: pd.DataFrame | None = None
    upgrades: pd.DataFrame | None = None

    def missing(self) -> set[str]:
        """Name the tables that were not given."""
        return {field.name for field in fields(self) if getattr(self, field.name) is None}


@dataclass(frozen=True, eq=False)
class Mood:
    """What each customer said last, by review or promoter score: arrays of shape (n,).

    Attributes
    ----------
    is_good, is_bad
        Four stars or more, or a promoter; two stars or fewer, or a detractor.
    is_silent
        Never said anything.
    is_mended
        A ticket was resolved since the last word, or on its day.
    """

    is_good: Flags
    is_bad: Flags
    is_silent: Flags
    is_mended: Flags


class Events(NamedTuple):
    """What happened to customers: arrays of shape (m,)."""

    who: Rows
    day: Days
    kind: NDArray[np.object_]


def moods(index: pd.Index, signals: Signals) -> Mood:
    """Tell each customer's mood.

    Parameters
    ----------
    index
        n customers, each once.
    signals
        The tables; customers who are not in `index` are passed over.

    Returns
    -------
    Mood
        Of two words at once the worse counts.
    """
    rated = _graded(index, signals.reviews, "reviewed_at", "rating", GOOD_STARS, BAD_STARS)
    scored = _graded(index, signals.nps, "answered_at", "score", PROMOTER, DETRACTOR)
    words = pd.concat([rated, scored]).sort_values(
        ["who", "at", "grade"], ascending=[True, True, False]
    )
    last = words.drop_duplicates("who", keep="last")
    grade = np.zeros(len(index), dtype=np.int64)
    graded_at = np.full(len(index), np.datetime64("NaT", "us"), dtype="datetime64[us]")
    who = last["who"].to_numpy()
    grade[who], graded_at[who] = last["grade"], last["at"]
    return Mood(
        grade > 0, grade < 0, np.isnat(graded_at), _mended(index, signals.tickets, graded_at)
    )


def good_events(index: pd.Index, signals: Signals, as_of: np.datetime64) -> Events:
    """List what a referral can be asked for after, of one customer and day the first named first.

    Parameters
    ----------
    index
        n customers, each once.
    signals
        The tables.
    as_of
        Last day that is known.

    Returns
    -------
    Events
        Kinds in plain words.
    """
    reviews, nps, loyalty = signals.reviews, signals.nps, signals.loyalty_events
    if reviews is not None:
        reviews = reviews[_at_least(reviews["rating"], FIVE_STARS)]
    if nps is not None:
        nps = nps[_at_least(nps["score"], PROMOTER)]
    if loyalty is not None:
        loyalty = loyalty[(loyalty["event"] == "tier_reached").to_numpy(dtype=bool)]
    sources = (
        (reviews, "reviewed_at", "five-star review"),
        (nps, "answered_at", "promoter score of 9 or 10"),
        (loyalty, "occurred_at", "loyalty tier reached"),
        (signals.tickets, "resolved_at", "service ticket resolved"),
    )
    parts = [_placed(index, table, at).assign(kind=kind) for table, at, kind in sources]
    events = pd.concat(parts)
    day = np.minimum(events["at"].to_numpy().astype("datetime64[D]"), as_of)
    return Events(events["who"].to_numpy(), day, events["kind"].to_numpy(dtype=object))


def advocates(index: pd.Index, signals: Signals) -> Flags:
    """Tell who brought somebody, gave five stars or promoted, and has not said anything bad since.

    Parameters
    ----------
    index
        n customers, each once.
    signals
        The tables.

    Returns
    -------
    NDArray
        Shape (n,).
    """
    spoken = Signals(reviews=signals.reviews, nps=signals.nps)
    is_advocate = np.zeros(len(index), dtype=bool)
    is_advocate[good_events(index, spoken, np.datetime64("9999-12-31")).who] = True
    if signals.referrals is not None:
        won = signals.referrals[(signals.referrals["event"] == "converted").to_numpy(dtype=bool)]
        is_advocate |= index.isin(won["referrer_id"])
    mood = moods(index, spoken)
    return is_advocate & ~mood.is_bad


def last_asked(index: pd.Index, touches: pd.DataFrame | None, campaign: str) -> Days:
    """Return the day on which each customer was last sent a campaign, shape (n,); NaT = never."""
    if touches is not None:
        touches = touches[(touches["campaign"] == campaign).to_numpy(dtype=bool)]
    return _latest(index, touches, "sent_at").astype("datetime64[D]")


def spaced(events: Events, days: int) -> Flags:
    """Keep of each customer's events the first, and then each that comes `days` or more after a kept one.

    Parameters
    ----------
    events
        Shape (m,), in any order.
    days
        Least distance, 1 or more.

    Returns
    -------
    NDArray
        Shape (m,). Later events change nothing about earlier ones.
    """
    day = events.day.astype("datetime64[D]").astype(np.int64)
    rest = np.lexsort((day, events.who))  # stable: of one day's the first given
    kept = np.zeros(len(day), dtype=bool)
    free = np.zeros(int(events.who.max(initial=-1)) + 1, dtype=np.int64)
    while len(rest):
        who = events.who[rest]
        first = rest[np.r_[True, who[1:] != who[:-1]]]
        kept[first] = True
        free[events.who[first]] = day[first] + days
        rest = rest[day[rest] >= free[who]]
    return kept


def _graded(
    index: pd.Index, table: pd.DataFrame | None, at: str, score: str, good: int, bad: int
) -> pd.DataFrame:
    if table is None:
        return _placed(index, None, at).assign(grade=np.zeros(0, dtype=np.int64))
    table = table[table[score].notna()]
    value = table[score].to_numpy(dtype=np.float64)
    grade = (value >= good).astype(np.int64) - (value <= bad)
    return _placed(index, table.assign(grade=grade), at, "grade")


def _mended(index: pd.Index, tickets: pd.DataFrame | None, graded_at: Days) -> Flags:
    resolved = _latest(index, tickets, "resolved_at")
    return np.asarray(resolved.astype("datetime64[D]") >= graded_at.astype("datetime64[D]"))


def _latest(index: pd.Index, table: pd.DataFrame | None, at: str) -> Days:
    rows = _placed(index, table, at).groupby("who")["at"].max()
    latest = np.full(len(index), np.datetime64("NaT", "us"), dtype="datetime64[us]")
    latest[rows.index.to_numpy()] = rows
    return latest


def _at_least(values: pd.Series, least: int) -> Flags:
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan) >= least)


def _placed(index: pd.Index, table: pd.DataFrame | None, at: str, *more: str) -> pd.DataFrame:
    """Return the rows of known customers and days: position ``who``, moment ``at``, and more columns."""
    if table is None:
        table = pd.DataFrame({"customer_id": index[:0], at: np.zeros(0, dtype="datetime64[us]")})
    moment = pd.to_datetime(table[at]).dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    rows = pd.DataFrame({"who": index.get_indexer(pd.Index(table["customer_id"])), "at": moment})
    rows = rows.assign(**{name: table[name].to_numpy() for name in more})
    return rows[(rows["who"] >= 0) & rows["at"].notna()]
