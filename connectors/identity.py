"""One customer out of ids, e-mails and phones.

Two rows are of one customer where they share an id, an e-mail or a phone, or are linked through
others, however many ids an e-mail has: a checkout may make a new id at every order. An identity that
stands beside many different people, such as a till's address or the one id of all guests, identifies
nobody. Only rows that are known by the as-of day link anybody; a customer is named after the
earliest of their rows, so that names stay as a history grows.
"""

from dataclasses import dataclass
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from connectors.engine import Engine
from connectors.texts import clean_text, trim

KEYS = ("customer_id", "email", "phone")
EVIDENCE = {  # of an identity that several people share: different values of these beside it
    "customer_id": ("email", "phone", "name", "postal_code"),
    "email": (
        "phone",
        "name",
        "postal_code",
    ),  # ids are no evidence: a guest may get one per order
    "phone": ("email", "name", "postal_code"),
}
MOST_PEOPLE = 10  # different values beside one identity that may still be one person's
SURELY_MANY = 100  # nobody has so many phones or names, however often they order
PEOPLE_PER_ORDER = {
    "customer_id": 0.5,
    "email": 0.2,
    "phone": 0.2,
}  # a company's id has several buyers
EQUAL_DIGITS = "|".join(f"{digit}+" for digit in range(10))
NO_PHONE = rf"^(?:{EQUAL_DIGITS})$|^0?1?234567(?:8(?:90?)?)?$|^\d{{1,3}}0{{7,}}$"
TRUNK = r"^((?:\+|00)[0-9 ]{1,4})\(0\)"  # the 0 that is not dialed from abroad: +49 (0)170
EXTENSION = r"(?i)\s*(?:ext|extension|x|#)\.?\s*[0-9]{1,6}$"
ROUNDED = r"^'?[+-]?\d(?:[.,]\d+)?[eE]\+\d{2}$"  # 4.47912E+11: a spreadsheet dropped the digits
NO_ID = (
    r"^(?:0+(?:\.0+)?|-1|-+|\?+|\.+|guest(?:[ _-]?(?:user|customer|checkout))?|gast|invit[eé]|null|none|nil|"
    r"nan|n/?a|#n/?a|unknown|undefined|anonymous|not logged in|no customer|walk[ -]?in(?: customer)?)$"
)
NO_ID_DIGITS = "|".join(f"{digit}{{6,}}" for digit in range(10))
NOBODY = (
    r"^(?:(?:do[._-]?not|no)[._-]?reply|none|null|n/?a|na|unknown|guest|anonymous|test|customer|placeholder|"
    r"no[._-]?(?:e-?)?mail|walk[._-]?in|pos|till)@"
    r"|@(?:test|none|noe?-?mail|no-?mail|invalid|localhost)\.[a-z]+$"
    r"|@(?:none|localhost|invalid)$"
)
RELAY = r"@(?:marketplace\.amazon\.|members\.ebay\.|.*\.walmart\.com$|relay\.etsy\.)"


def clean_id(column: ir.Column) -> ir.Column:
    """Read a customer id; null where it stands for nobody: 0, guest, all digits equal, rounded by a spreadsheet."""
    text = clean_text(column)
    low = text.lower()
    is_nobody = low.re_search(NO_ID) | low.re_search(f"^(?:{NO_ID_DIGITS})$")
    return ibis.ifelse(is_nobody | text.re_search(ROUNDED), ibis.null("string"), text)


def clean_email(text: ir.Column) -> ir.Column:
    """Read an e-mail address in lower case; null where it is none or a placeholder."""
    address = trim(text).lower()
    is_one = address.re_search(r"^[^@\s]+@[^@\s]+\.[^@\s]+$") & ~address.re_search(NOBODY)
    return ibis.ifelse(is_one, address, ibis.null("string"))


def clean_phone(text: ir.Column) -> ir.Column:
    """Read a phone number as E.164 where its country is given, else as its digits; null where it is none."""
    given = trim(text).re_replace("^'+", "").re_replace(TRUNK, r"\1")
    given = given.re_replace(EXTENSION, "").re_replace(
        r"\.0$", ""
    )  # a number that a table held as a float
    digits = given.re_replace(r"^\s*00", "+").re_replace(r"[^0-9]", "")
    is_one = digits.length().between(7, 15) & ~digits.re_search(NO_PHONE)
    is_one = is_one & ~given.re_search(ROUNDED)
    mark = ibis.ifelse(given.startswith("+") | given.startswith("00"), "+", "")
    return ibis.ifelse(is_one, mark + digits, ibis.null("string"))


def shared_identities(engine: Engine, rows: ir.Table) -> pd.DataFrame:
    """Return the identities that several people share: ``kind, value, people, evidence, orders``.

    Parameters
    ----------
    engine
        Where the rows are.
    rows
        Rows with ``order_id``, ids, e-mails and phones, null where there is none; also ``name`` and
        ``postal_code``, if the source has them.
    """
    shared = []
    for kind in KEYS:
        beside = [name for name in EVIDENCE[kind] if name in rows.columns]
        counts = {}
        for name in beside:
            counts[f"people_{name}"] = rows[name].nunique()
            counts[f"orders_{name}"] = rows.order_id.nunique(where=rows[name].notnull())
        by_value = rows.filter(rows[kind].notnull()).group_by(value=kind).aggregate(**counts)
        many = {
            name: (by_value[f"people_{name}"] > SURELY_MANY)
            | (
                (by_value[f"people_{name}"] > MOST_PEOPLE)
                & (
                    by_value[f"people_{name}"]
                    > PEOPLE_PER_ORDER[kind] * by_value[f"orders_{name}"]
                )
            )
            for name in beside
        }
        frame = engine.frame(by_value.filter(reduce(or_, many.values())))
        for name in beside:
            people, orders = frame[f"people_{name}"], frame[f"orders_{name}"]
            of_name = pd.DataFrame({"value": frame["value"], "people": people, "orders": orders})
            shared.append(of_name.assign(kind=kind, evidence=name))
    columns = ["kind", "value", "people", "evidence", "orders"]
    every = pd.concat(shared, ignore_index=True)[columns]
    most = every.sort_values(["people", "value"], ascending=[False, True])
    return most.drop_duplicates(["kind", "value"]).reset_index(drop=True)


@dataclass(frozen=True)
class LargestCustomer:
    """The customer of the most identities.

    Attributes
    ----------
    customer_id
        The name they are known by.
    ids, emails, phones
        Number of identities of each kind.
    orders
        Number of orders; 0 until they are counted.
    """

    customer_id: str
    ids: int
    emails: int
    phones: int
    orders: int = 0


@dataclass(frozen=True)
class Linked:
    """Who is who.

    Attributes
    ----------
    names
        One row per distinct id, e-mail and phone: these three and ``known_as``.
    merged
        Identities, had everybody been named by the first of id, e-mail and phone, less customers.
    largest
        The customer of the most identities; None = nobody has two of a kind.
    """

    names: pd.DataFrame
    merged: int
    largest: LargestCustomer | None


def link(seen: pd.DataFrame) -> Linked:
    """Link ids, e-mails and phones.

    Parameters
    ----------
    seen
        One row per distinct ``customer_id, email, phone``, each null or text, not all null, with
        ``first_at`` and ``first_order``: the earliest row that has them.
    """
    seen = seen.reset_index(drop=True)
    nodes = []
    for key in KEYS:
        codes, names = pd.factorize(seen[key])
        if key == "email":  # a marketplace's relay
            is_relay = pd.Series(names, dtype="str").str.contains(RELAY, regex=True)
            codes = np.where(np.r_[is_relay.to_numpy(bool), False][codes], -1, codes)
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
    named = seen[list(KEYS)].assign(known_as=_kept_apart(known_as, group))
    return Linked(named, apart - int(known_as.groupby(group).ngroups), _largest(named))


def _largest(named: pd.DataFrame) -> LargestCustomer | None:
    if named.empty or not named["known_as"].duplicated().any():
        return None
    counts = named.groupby("known_as")[list(KEYS)].nunique()
    sizes = counts.sum(axis=1)
    name = str(sizes.sort_index().idxmax())
    ids, emails, phones = (int(one) for one in counts[counts.index == name].to_numpy()[0])
    if max(ids, emails, phones) < 2:
        return None
    return LargestCustomer(name, ids, emails, phones)


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


def _kept_apart(known_as: pd.Series, group: NDArray[np.int64]) -> pd.Series:
    """Keep customers apart whose names are equal by chance, an id that is another's e-mail."""
    frame = pd.DataFrame({"name": known_as, "group": group}).drop_duplicates()
    frame["turn"] = frame.groupby("name").cumcount()
    turn = pd.Series(group, index=known_as.index).map(frame.set_index("group")["turn"])
    return known_as.where(turn == 0, known_as + "~" + turn.astype(str))
