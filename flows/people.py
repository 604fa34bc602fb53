"""Who a customer is to Klaviyo: by the shop's own table of customers, else by the customer id itself."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from connectors.csv import write_csv
from connectors.engine import open_engine
from connectors.klaviyo.erasure import Erasures, matches
from connectors.klaviyo.payloads import EMAIL, PHONE
from connectors.optional import read_table
from connectors.store import replace_file
from flows.settings import Settings

SHAPES = {"email": EMAIL, "phone_number": PHONE}
NAMES_PEOPLE = re.compile(r"customer|e-?mail|phone|external.?id|^key$|referr|buyer", re.IGNORECASE)
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


def name_customers(settings: Settings, customers: pd.Series, as_of: date) -> Names:
    """Return what customers are called.

    An identifier stands in ``tables.customers``. Where it does not, the customer id is it: always
    for ``external_id``, and for the others where it looks like one.

    Parameters
    ----------
    settings
        The store's.
    customers
        Customer ids.
    as_of
        Day as of which the table of customers is read.
    """
    table = _customers(settings, as_of).reindex(customers.to_numpy())
    kind = settings.klaviyo.identifier
    own = customers.reset_index(drop=True).astype("str")
    if kind in SHAPES:
        own = own.where(_plain(own, kind).str.match(SHAPES[kind]).fillna(False).astype(bool))
    given = table[COLUMNS[kind]].reset_index(drop=True).astype("str")
    key = _plain(given.fillna(own), kind)
    email = key if kind == "email" else _plain(table["email"].astype("str"), "email")
    return Names(key.set_axis(customers.index), email.set_axis(customers.index))


def _customers(settings: Settings, as_of: date) -> pd.DataFrame:
    """Return the shop's own table of customers by id; the last row of a customer counts."""
    columns = ["customer_id", *COLUMNS.values()]
    location = settings.optional_tables.get("customers")
    if location is None:
        rows = pd.DataFrame({name: pd.Series(dtype="str") for name in columns})
        return rows.set_index("customer_id")
    with (
        TemporaryDirectory() as folder,
        open_engine(
            settings.store.timezone,
            memory_limit=settings.engine.memory_limit,
            scratch=Path(folder) / "spill",
        ) as engine,
    ):
        read = read_table(engine, "customers", location, as_of, Path(folder))
        rows = pd.read_parquet(read.path, columns=columns)
    return rows.drop_duplicates("customer_id", keep="last").set_index("customer_id")


def known_names(settings: Settings, customer: str) -> set[str]:
    """Return everything that names a customer, given any of it: ids, e-mails, phone numbers."""
    table = _customers(settings, date.max).reset_index()
    asked, found = {customer.strip()}, pd.Series(data=False, index=table.index)
    for name in table.columns:
        found |= matches(table[name], asked)
    rows = table[found].to_numpy().ravel()
    return asked | {str(name) for name in rows if isinstance(name, str)}


def leave_out(path: Path, erased: Erasures) -> None:
    """Remove the rows of the forgotten from a CSV file, by whatever column names people."""
    if not len(erased) or not path.stat().st_size:
        return
    rows = pd.read_csv(path, dtype="str", keep_default_na=False)
    names = [rows[name] for name in rows.columns if NAMES_PEOPLE.search(str(name))]
    if names and (gone := erased.covers(*names)).any():
        kept = rows[~gone]
        replace_file(path, lambda draft: write_csv(kept, draft))


def _plain(names: pd.Series, kind: str) -> pd.Series:
    trimmed = names.str.strip()
    return trimmed.str.lower() if kind == "email" else trimmed
