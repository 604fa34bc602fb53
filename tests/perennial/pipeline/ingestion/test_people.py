"""Who a customer is to Klaviyo, and every name by which a person is forgotten."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.klaviyo.erasure import Erasures
from connectors.order_source import OrderSource
from connectors.orders import History, read_orders
from perennial.pipeline.activation.forget import forget_person
from perennial.pipeline.ingestion.people import (
    contacts_path,
    customers_of,
    known_names,
    name_customers,
    save_contacts,
)
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.settings.store import Settings, build_settings

AS_OF = date(2026, 11, 21)
ORDERS = """order_id,customer_id,email,phone,ordered_at,net_amount
1,c1,Old@Shop.org,+15005550001,2026-01-01,5
2,c1,new@shop.org,,2026-02-01,5
3,c2,two@shop.org,005005550002,2026-01-01,5
4,c3,,5005550003,2026-01-01,5
5,four@shop.org,,,2026-01-01,5
6,c5,o'brien@shop.org,+15005550005,2026-01-01,5
"""
CUSTOMERS = ["c1", "c2", "c3", "four@shop.org", "c5", "c6"]


@pytest.fixture
def history(tmp_path) -> History:
    (tmp_path / "orders.csv").write_text(ORDERS)
    with open_engine("UTC") as engine:
        source = OrderSource(str(tmp_path / "orders.csv"))
        return read_orders(engine, source, AS_OF, tmp_path / "work")


def store(home: Path, identifier: str = "email", customers: str | None = None) -> Settings:
    values = {"orders": {"source": "orders.csv"}, "klaviyo": {"identifier": identifier}}
    if customers is not None:
        (home / "customers.csv").write_text(customers)
        values["tables"] = {"customers": "customers.csv"}
    return build_settings(values, home)


def table_of(settings: Settings) -> pd.DataFrame:
    return customers_of(home_context(settings), AS_OF)


def named(settings: Settings, contacts: Path | None) -> tuple[list[str | None], list[str | None]]:
    names = name_customers(
        pd.Series(CUSTOMERS), table_of(settings), contacts, settings.klaviyo.identifier
    )
    key, email = ([None if pd.isna(one) else one for one in n] for n in (names.key, names.email))
    return key, email


EMAILS = ["new@shop.org", "two@shop.org", None, "four@shop.org", "o'brien@shop.org", None]


@pytest.mark.parametrize(
    ("identifier", "keys"),
    [
        ("email", EMAILS),
        ("phone_number", ["+15005550001", "+5005550002", None, None, "+15005550005", None]),
        ("external_id", CUSTOMERS),
    ],
)
def test_customers_are_named_by_their_orders(tmp_path, history, identifier, keys):
    key, email = named(store(tmp_path, identifier), history.contacts)
    assert key == keys
    expected = EMAILS if identifier == "email" else [*EMAILS[:3], None, *EMAILS[4:]]
    assert email == expected


def test_the_table_of_customers_comes_before_the_orders(tmp_path, history):
    table = "customer_id,email,phone\nc1,table@shop.org,\nc2,,+15005550009\nc6,six@shop.org,\n"
    key, _ = named(store(tmp_path, customers=table), history.contacts)
    assert key == ["table@shop.org", *EMAILS[1:5], "six@shop.org"]
    key, email = named(store(tmp_path, "phone_number", customers=table), history.contacts)
    assert key[:2] == ["+15005550001", "+15005550009"]
    assert email[:2] == ["table@shop.org", "two@shop.org"]


def test_without_contacts_only_the_customer_id_names_somebody(tmp_path):
    assert named(store(tmp_path), None)[0] == [None, None, None, "four@shop.org", None, None]
    missing = contacts_path(store(tmp_path).state)
    assert named(store(tmp_path), missing)[0][3] == "four@shop.org"


def test_contacts_are_kept_for_their_owner_only_and_without_the_forgotten(tmp_path, history):
    settings = store(tmp_path)
    Erasures(settings.state).add(["two@shop.org"])
    save_contacts(settings.state, history)
    path = contacts_path(settings.state)
    assert path.stat().st_mode & 0o777 == 0o600
    assert pd.read_parquet(path)["customer_id"].tolist() == ["c1", "c3", "c5"]
    assert named(settings, path)[0] == ["new@shop.org", None, *EMAILS[2:]]
    save_contacts(settings.state, replace(history, contacts=None))
    assert not path.exists()


@pytest.mark.parametrize(
    "asked",
    ["c1", "new@shop.org", " NEW@shop.org", "old@shop.org", "Old@Shop.org", "+15005550001"],
)
def test_any_name_in_the_orders_finds_all_names_of_a_person(tmp_path, history, asked):
    settings = store(tmp_path)
    save_contacts(settings.state, history)
    names = {"c1", "new@shop.org", "old@shop.org", "+15005550001"}
    assert known_names(table_of(settings), contacts_path(settings.state), asked) == names | {
        asked.strip()
    }


def test_names_of_the_table_and_of_the_orders_are_one_persons(tmp_path, history):
    settings = store(tmp_path, customers="customer_id,email,external_id\nc1,table@shop.org,S1\n")
    save_contacts(settings.state, history)
    for asked in ("S1", "old@shop.org"):
        assert known_names(table_of(settings), contacts_path(settings.state), asked) == {
            "c1", "S1", "table@shop.org", "new@shop.org", "old@shop.org", "+15005550001",
        }  # fmt: skip
    assert known_names(table_of(settings), contacts_path(settings.state), "nobody@shop.org") == {
        "nobody@shop.org"
    }


def test_a_forgotten_person_is_in_no_contacts(tmp_path, history):
    settings = store(tmp_path)
    save_contacts(settings.state, history)
    result = forget_person(home_context(settings), "old@shop.org")
    path = contacts_path(settings.state)
    assert result.removed.state == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert pd.read_parquet(path)["customer_id"].tolist() == ["c2", "c3", "c5"]
    for file in settings.state.rglob("*"):
        assert not file.is_file() or b"new@shop.org" not in file.read_bytes()
    erased = Erasures(settings.state)
    gone = pd.Series(["c1", "new@shop.org", "old@shop.org", "+15005550001", "c2"])
    assert erased.covers(gone).tolist() == [True, True, True, True, False]
    save_contacts(settings.state, history)  # the next night, from a source that still has them
    assert "c1" not in set(pd.read_parquet(path)["customer_id"])
