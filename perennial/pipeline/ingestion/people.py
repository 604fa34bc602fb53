"""Who a customer is to Klaviyo: by the shop's table of customers, by their orders, else by their id."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from connectors.contacts import APART, CONTACTS
from connectors.csv import write_csv
from connectors.engine import open_engine
from connectors.kept import read_parquet
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.payloads import EMAIL, PHONE
from connectors.mentions import OURS, IsNamed, forms, matches, mentions
from connectors.optional import read_table
from connectors.order_source import OrderSource
from connectors.orders import PRESETS, History
from connectors.presets.headings import columns_of_people
from connectors.published import PublishedFile
from connectors.store import replace_file
from perennial.pipeline.runtime.context import RunContext

SHAPES = {"email": EMAIL, "phone_number": PHONE}
COLUMNS = {"email": "email", "phone_number": "phone", "external_id": "external_id"}


@dataclass(frozen=True)
class Names:
    """What customers are called in Klaviyo, in their order.

    Attributes
    ----------
    key
        By ``klaviyo.identifier``; null where it is not known.
    email
        E-mail; null where it is not known.
    """

    key: pd.Series
    email: pd.Series


def name_customers(
    customers: pd.Series, table: pd.DataFrame, contacts: Path | None, kind: str
) -> Names:
    """Return what customers are called.

    An identifier stands in ``tables.customers``, else in the orders. Where it is in neither, the
    customer id is it: always for ``external_id``, and for the others where it looks like one.

    Parameters
    ----------
    customers
        Customer ids.
    table
        The shop's own table of customers, see :func:`read_customers`.
    contacts
        File of :data:`connectors.contacts.CONTACTS`; None = the orders have none.
    kind
        ``klaviyo.identifier``.
    """
    table = table.reindex(customers.to_numpy()).reset_index(drop=True)
    ordered = _read_contacts(contacts).reindex(customers.to_numpy()).reset_index(drop=True)
    phone = ordered["phone"].astype("str")
    ordered["phone"] = phone.where(phone.str.startswith("+", na=False))  # others lack a country
    own = customers.reset_index(drop=True).astype("str")
    if kind in SHAPES:
        own = own.where(_plain(own, kind).str.match(SHAPES[kind]).fillna(False).astype(bool))
    given = _first_given(table, ordered, COLUMNS[kind])
    key = _plain(given.fillna(own), kind)
    email = key if kind == "email" else _plain(_first_given(table, ordered, "email"), "email")
    return Names(key.set_axis(customers.index), email.set_axis(customers.index))


def _first_given(table: pd.DataFrame, ordered: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of the table of customers, filled up from the orders."""
    given = table[column].astype("str")
    return given.fillna(ordered[column].astype("str")) if column in ordered else given


def contacts_path(state: Path) -> Path:
    """Return the file of the e-mails and phone numbers that the published day's orders have."""
    return state / "contacts.parquet"


def save_contacts(state: Path, history: History) -> None:
    """Keep the e-mails and phone numbers of the orders for syncs to come, but for the forgotten."""
    path = contacts_path(state)
    if history.contacts is None:
        path.unlink(missing_ok=True)
        return
    rows = pd.read_parquet(history.contacts)
    gone = Erasures(state).covers(rows["customer_id"], rows["email"], rows["phone"])
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(draft: Path) -> None:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)  # it names people
        rows[~gone].to_parquet(draft, index=False, write_page_checksum=True)

    replace_file(path, write)


def _read_contacts(path: Path | None) -> pd.DataFrame:
    """Return how customers are reached, by customer id."""
    if path is None or not path.exists():
        rows = pd.DataFrame({name: pd.Series(dtype="str") for name in CONTACTS})
    else:
        rows = read_parquet(path).reindex(columns=list(CONTACTS))  # an older one has no ids
    return rows.set_index("customer_id")


def read_customers(
    location: str | None, as_of: date, timezone: str, memory_limit: str | None
) -> pd.DataFrame:
    """Return the shop's own table of customers by id, as of a day; the last row of a customer counts.

    Parameters
    ----------
    location
        Of the table; None = the shop gives none.
    as_of
        The day.
    timezone
        The store's.
    memory_limit
        Of the engine that reads it.
    """
    columns = ["customer_id", *COLUMNS.values()]
    if location is None:
        rows = pd.DataFrame({name: pd.Series(dtype="str") for name in columns})
        return rows.set_index("customer_id")
    with (
        TemporaryDirectory() as folder,
        open_engine(
            timezone,
            memory_limit=memory_limit,
            scratch=Path(folder) / "spill",
        ) as engine,
    ):
        read = read_table(engine, "customers", location, as_of, Path(folder))
        rows = pd.read_parquet(read.path, columns=columns)
    return rows.drop_duplicates("customer_id", keep="last").set_index("customer_id")


def customers_of(run: RunContext, as_of: date) -> pd.DataFrame:
    """Read the store's own table of customers as of a day, see :func:`read_customers`."""
    settings = run.settings
    location = settings.optional_tables.get("customers")
    return read_customers(location, as_of, settings.store.timezone, settings.engine.memory_limit)


def known_names(table: pd.DataFrame, contacts: Path, customer: str) -> set[str]:
    """Return everything that names a customer, given any of it: ids, e-mails, phone numbers.

    Parameters
    ----------
    table
        The shop's own table of customers, see :func:`read_customers`.
    contacts
        File of :data:`connectors.contacts.CONTACTS`.
    customer
        Any of the customer's names.
    """
    sources = [_named(table), _named_by_orders(contacts)]
    named = pd.concat(sources, ignore_index=True)
    asked = {customer.strip(), *forms(customer)}
    is_asked = matches(named["name"], asked) | matches(named["customer_id"], asked)
    ids = named["customer_id"][is_asked]
    theirs = named[named["customer_id"].isin(ids)]
    return asked | set(ids) | set(theirs["name"])


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per customer and name of a table by customer id: ``customer_id, name``."""
    rows = table.reset_index().melt("customer_id", value_name="name")[["customer_id", "name"]]
    return rows.dropna().astype("str")


def _named_by_orders(contacts: Path) -> pd.DataFrame:
    """Return every e-mail and phone number that the orders have of each customer."""
    table = _read_contacts(contacts)
    earlier = table["earlier"].dropna().astype("str").str.split(" ").explode()
    ids = table["ids"].dropna().astype("str").str.split(APART).explode()
    names = [table[["email", "phone"]], earlier.to_frame(), ids.to_frame()]
    return pd.concat([_named(one) for one in names])


def rejected_people(
    source: OrderSource, rows: pd.DataFrame, is_named: IsNamed
) -> "pd.Series[bool]":
    """Tell which rejected rows name a person, in the columns that the settings and the preset name.

    An e-mail or a phone number of theirs counts in any other column too.
    """
    people = PRESETS[source.preset].people
    columns = columns_of_people(rows.columns, people, source.columns)
    return pd.Series(mentions(rows, columns, is_named, anywhere=True), index=rows.index)


def named_people(rows: pd.DataFrame, is_named: IsNamed) -> "pd.Series[bool]":
    """Tell which rows of a file that Perennial writes itself name a person."""
    return pd.Series(mentions(rows, OURS, is_named), index=rows.index)


def leave_out(path: Path, erased: Erasures, source: OrderSource) -> None:
    """Remove the rows of the forgotten from a CSV file, of rejected rows or of a published day."""
    if not len(erased) or not path.stat().st_size:
        return
    rows = pd.read_csv(path, dtype="str", keep_default_na=False)
    is_named = erased.__contains__
    if path.name == PublishedFile.REJECTS:
        gone = rejected_people(source, rows, is_named)
    else:
        gone = named_people(rows, is_named)
    if gone.any():
        kept = rows[~gone]
        replace_file(path, lambda draft: write_csv(kept, draft))


def _plain(names: pd.Series, kind: str) -> pd.Series:
    trimmed = names.str.strip()
    return trimmed.str.lower() if kind == "email" else trimmed
