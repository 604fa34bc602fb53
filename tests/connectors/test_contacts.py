"""The newest e-mail and phone number in the orders, of each linked customer."""

from datetime import date
from itertools import permutations
from pathlib import Path

import ibis
import pandas as pd
import pytest

from connectors.contacts import CONTACTS, write_contacts
from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import History, read_orders

AS_OF = date(2026, 11, 21)
HEADER = "order_id,customer_id,email,phone,ordered_at,net_amount"


def read(folder: Path, *rows: str, header: str = HEADER) -> History:
    source = folder / "orders.csv"
    source.write_text("\n".join([header, *rows]) + "\n")
    with open_engine("UTC") as engine:
        return read_orders(
            engine, OrderSource(str(source), most_unreadable=1.0), AS_OF, folder / "work"
        )


def contacts(folder: Path, *rows: str, header: str = HEADER) -> pd.DataFrame:
    path = read(folder, *rows, header=header).contacts
    assert path is not None
    return pd.read_parquet(path).set_index("customer_id")


def of(table: pd.DataFrame, customer: str) -> tuple[str | None, ...]:
    row = table.loc[customer, ["email", "phone", "earlier"]]
    return tuple(None if pd.isna(one) else one for one in row)


def test_the_newest_address_that_is_given_counts_each_for_itself(tmp_path):
    table = contacts(
        tmp_path,
        "1,a,Old@X.com,+4915112345678,2026-01-01,5",
        "2,a,new@x.com,,2026-02-01,5",
        "3,a,,,2026-03-01,5",
        "4,b,,+4915187654321,2026-01-01,5",
        "5,c,c@x.com,,2026-01-01,5",
        "6,d,,,2026-01-01,5",
    )
    assert of(table, "a") == ("new@x.com", "+4915112345678", "old@x.com")
    assert of(table, "b") == (None, "+4915187654321", None)
    assert of(table, "c") == ("c@x.com", None, None)
    assert list(table.index) == ["a", "b", "c"]
    assert list(table.columns) == list(CONTACTS)[1:]


def test_customers_that_are_linked_are_one(tmp_path):
    table = contacts(
        tmp_path,
        "1,a,one@x.com,,2026-01-01,5",
        "2,,one@x.com,+4915112345678,2026-02-01,5",
        "3,,two@x.com,+4915112345678,2026-03-01,5",
        "4,b,three@x.com,,2026-03-01,5",
    )
    assert of(table, "a") == ("two@x.com", "+4915112345678", "one@x.com")
    assert of(table, "b") == ("three@x.com", None, None)


def test_rows_that_are_not_known_yet_or_break_a_rule_reach_nobody(tmp_path):
    table = contacts(
        tmp_path,
        "1,a,a@x.com,,2026-01-01,5",
        "2,a,later@x.com,,2026-11-22,5",
        "3,a,broken@x.com,,2026-02-01,five",
        "4,a,noreply@x.com,,2026-03-01,5",
        "5,a,no address,,2026-03-01,5",
    )
    assert of(table, "a") == ("a@x.com", None, None)


def test_an_address_that_comes_again_is_the_newest(tmp_path):
    table = contacts(
        tmp_path,
        "1,a,one@x.com,,2026-01-01,5",
        "2,a,two@x.com,,2026-02-01,5",
        "3,a,one@x.com,,2026-03-01,5",
    )
    assert of(table, "a") == ("one@x.com", None, "two@x.com")


def test_orders_of_one_moment_are_told_apart_by_their_ids_in_any_order_of_rows(tmp_path):
    rows = [
        "9,a,nine@x.com,,2026-01-01,5",
        "10,a,ten@x.com,,2026-01-01,5",
        "8,a,ten@x.com,,2026-01-01,5",
    ]
    for i, order in enumerate(permutations(rows)):
        (tmp_path / str(i)).mkdir()
        assert of(contacts(tmp_path / str(i), *order), "a") == ("ten@x.com", None, "nine@x.com")


@pytest.mark.parametrize("column", ["email", "phone"])
def test_one_column_alone_is_enough(tmp_path, column):
    header = f"order_id,customer_id,{column},ordered_at,net_amount"
    value = {"email": "a@x.com", "phone": "+4915112345678"}[column]
    table = contacts(tmp_path, f"1,a,{value},2026-01-01,5", header=header)
    assert table.loc["a", column] == value
    assert table.loc["a"].drop(column).isna().all()


def test_a_source_with_neither_has_no_contacts(tmp_path):
    header = "order_id,customer_id,ordered_at,net_amount"
    assert read(tmp_path, "1,a,2026-01-01,5", header=header).contacts is None


def test_a_history_with_contacts_survives_being_written_down(tmp_path):
    history = read(tmp_path, "1,a,a@x.com,,2026-01-01,5")
    assert History.from_json(history.to_json()) == history
    assert history.contacts == tmp_path / "work" / "contacts.parquet"


def test_the_newest_word_on_marketing_is_kept_where_it_is_given(tmp_path):
    rows = pd.DataFrame(
        {
            "order_id": ["1", "2", "3", "4"],
            "customer_id": ["a", "a", "b", "b"],
            "email": ["a@x.com", "a@x.com", "b@x.com", None],
            "accepts_marketing": ["yes", "no", "yes", None],
            "moment": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-01", "2026-01-02"]),
            "rule": pd.Series([None] * 4, dtype="str"),
        }
    )
    with open_engine("UTC") as engine:
        judged = engine.table(rows, "judged").mutate(phone=ibis.null("string"))
        path = write_contacts(engine, judged, tmp_path / "contacts.parquet")
    table = pd.read_parquet(path).set_index("customer_id")
    assert table["accepts_marketing"].to_dict() == {"a": "no", "b": "yes"}
    assert table["phone"].isna().all()
