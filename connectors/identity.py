"""One customer out of ids, e-mails and phones.

Two rows are of one customer where they share an id, an e-mail or a phone, or are linked through
others. Only rows that are known by the as-of day link anybody; a customer is named after the
earliest of their rows, so that names stay as a history grows.
"""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from connectors.texts import trim

KEYS = ("customer_id", "email", "phone")
NO_PHONE = "^(?:" + "|".join(f"{digit}+" for digit in range(10)) + ")$|^1?23456789?0?$"
SHARED_BY = 10  # an e-mail or phone of more customer ids than this is a till's or a shop's
NOBODY = (
    r"^(no-?reply|none|null|n/?a|na|unknown|guest|anonymous|test|customer|placeholder)@"
    r"|@(test|none|noemail|no-?mail|invalid|localhost)\.[a-z]+$"
    r"|@(none|localhost|invalid)$"
)
RELAY = r"@(?:marketplace\.amazon\.|members\.ebay\.|.*\.walmart\.com$|relay\.etsy\.)"


def clean_email(text: ir.Column) -> ir.Column:
    """Read an e-mail address in lower case; null where it is none or a placeholder."""
    address = trim(text).lower()
    is_one = address.re_search(r"^[^@\s]+@[^@\s]+\.[^@\s]+$") & ~address.re_search(NOBODY)
    return ibis.ifelse(is_one, address, ibis.null("string"))


def clean_phone(text: ir.Column) -> ir.Column:
    """Read a phone number as E.164 where its country is given, else as its digits; null where it is none."""
    given = trim(text)
    digits = given.re_replace(r"^\s*00", "+").re_replace(r"[^0-9]", "")
    is_one = digits.length().between(7, 15) & ~digits.re_search(NO_PHONE)
    mark = ibis.ifelse(given.startswith("+") | given.startswith("00"), "+", "")
    return ibis.ifelse(is_one, mark + digits, ibis.null("string"))


@dataclass(frozen=True)
class Linked:
    """Who is who.

    Attributes
    ----------
    names
        One row per distinct id, e-mail and phone: these three and ``known_as``.
    merged
        Identities, had everybody been named by the first of id, e-mail and phone, less customers.
    set_aside
        E-mails and phones that link nobody: relays, and those that too many ids share.
    """

    names: pd.DataFrame
    merged: int
    set_aside: int


def link(seen: pd.DataFrame) -> Linked:
    """Link ids, e-mails and phones.

    Parameters
    ----------
    seen
        One row per distinct ``customer_id, email, phone``, each null or text, not all null, with
        ``first_at`` and ``first_order``: the earliest row that has them.
    """
    seen = seen.reset_index(drop=True)
    nodes, set_aside = [], 0
    for key in KEYS:
        codes, names = pd.factorize(seen[key])
        if key != "customer_id":
            may_link = _may_link(seen["customer_id"], codes, names)
            set_aside += int((~may_link).sum())
            codes = np.where(np.r_[may_link, False][codes], codes, -1)  # -1, none, is the last
        nodes.append(codes)
    group = _components(nodes, len(seen))
    own = seen["customer_id"].fillna(seen["email"]).fillna(seen["phone"])
    order = seen.assign(group=group, own=own).sort_values(["first_at", "first_order", "own"])
    first = order.drop_duplicates("group").set_index("group")["own"]
    known_as = pd.Series(group, index=seen.index).map(first).astype("str")
    kind = np.select(
        [seen["customer_id"].notna(), seen["email"].notna()], ["id", "email"], "phone"
    )
    apart = len(pd.DataFrame({"own": own, "kind": kind}).drop_duplicates())
    named = seen[list(KEYS)].assign(known_as=_told_apart(known_as, group))
    return Linked(named, apart - int(known_as.groupby(group).ngroups), set_aside)


def _may_link(ids: pd.Series, codes: NDArray[np.intp], names: pd.Index) -> NDArray[np.bool_]:
    """Tell which e-mails or phones may link customers."""
    pairs = pd.DataFrame({"code": codes, "id": ids})
    pairs = pairs[(pairs["code"] >= 0) & pairs["id"].notna()].drop_duplicates()
    shared = np.bincount(pairs["code"], minlength=len(names))
    texts = pd.Series(names, dtype="str")
    return np.asarray(
        (shared <= SHARED_BY) & ~texts.str.contains(RELAY, regex=True).to_numpy(bool)
    )


def _components(nodes: list[NDArray[np.intp]], rows: int) -> NDArray[np.int64]:
    """Return each row's group: the rows that share a node, directly or through others."""
    edges, offset = [], rows
    for codes in nodes:
        has = np.flatnonzero(codes >= 0)
        edges.append((has, offset + codes[has]))
        offset += int(codes.max(initial=-1)) + 1
    one, two = (np.concatenate(side) for side in zip(*edges, strict=True))
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, two)), shape=(offset, offset))
    _, label = connected_components(graph, directed=False)
    return np.asarray(label[:rows], dtype=np.int64)


def _told_apart(known_as: pd.Series, group: NDArray[np.int64]) -> pd.Series:
    """Keep customers apart whose names are equal by chance, an id that is another's e-mail."""
    frame = pd.DataFrame({"name": known_as, "group": group}).drop_duplicates()
    frame["turn"] = frame.groupby("name").cumcount()
    turn = pd.Series(group, index=known_as.index).map(frame.set_index("group")["turn"])
    return known_as.where(turn == 0, known_as + "~" + turn.astype(str))
