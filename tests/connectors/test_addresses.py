"""Secrets in addresses: found in every form, and never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.addresses import bare, has_secret, is_loopback, redacted, redacted_address

WITH_SECRET = [
    "postgresql://u:HUSH@127.0.0.1:1/db",
    "postgresql://u:p@HUSH@127.0.0.1:1/db",
    "postgresql://u:HUSH/x@127.0.0.1:1/db",
    "postgresql://u:12/HUSH@127.0.0.1:1/db",
    "postgresql://u:HUSH?x@db.example/shop",
    "postgresql://u:HUSH#x@db.example/shop",
    "postgresql://u:p%40HUSH@db.example/shop",
    "postgresql://u%3AHUSH@db.example/shop",
    "postgresql://:HUSH@db.example/shop",
    "postgresql://db/shop?user=u&password=HUSH",
    "postgresql://db/shop?user=u&PASSWORD=HUSH",
    "postgresql://db/shop?pass%77ord=HUSH",
    "postgresql://db/shop?%70%61%73%73%77%6F%72%64=HUSH",
    "postgresql://db/shop?pass%2577ord=HUSH",
    "postgresql://db/shop?password%3DHUSH",
    "postgresql://db/shop?sslkey=a.pem&sslpassword=HUSH",
    "postgresql:///shop?host=/tmp&password=HUSH",
    "mssql://db/shop;uid=u;pwd=HUSH",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Du%3BPWD%3DHUSH",
    "jdbc:postgresql://db/shop?user=u&password=HUSH",
    "sc://spark.example:15002/;use_ssl=true;token=HUSH",
    "snowflake://u@account/db?private_key_passphrase=HUSH",
    "databricks://host/?access_token=HUSH",
    "https://chat.example/hook?token=HUSH",
    "https://chat.example/hook?key=HUSH",
    "https://chat.example/hook?api_key=HUSH",
    "https://chat.example/hook?sig=HUSH",
    "https://chat.example/hook#access_token=HUSH",
    "https://HUSH@mlflow.example",
    "s3://key:HUSH@bucket/folder",
    "s3://bucket/folder?aws_secret_access_key=HUSH",
    "abfs://c@account/folder?account_key=HUSH",
    "md:shop?motherduck_token=HUSH",
    "host=db dbname=shop user=u password=HUSH",
]
WITHOUT = [
    "orders.csv",
    "orders/key=5/*.csv",
    "shop 2026 key=5/*.csv",
    "exports/token=1/orders.csv",
    "postgresql://me@db.example:5432/shop?sslmode=require&sslkey=client.key&passfile=.pgpass",
    "postgresql://db/shop?options=-c%20search_path%3Dshop",
    "postgresql+asyncpg://db/prefect",
    "duckdb:///shop.duckdb",
    "sqlite+aiosqlite:////srv/a@b/prefect.db",
    "https://chat.example:8443/hooks/@channel",
    "https://chat.example/hooks/T0/B0/x?thread=5",
    "http://127.0.0.1:5000",
    "spark://host:7077",
    "sc://host:15002/;use_ssl=true",
    "local[2]",
    "s3://bucket/perennial",
]


@pytest.mark.parametrize("address", WITH_SECRET)
def test_a_secret_is_found_and_not_shown(address):
    assert has_secret(address)
    assert "HUSH" not in redacted_address(address)
    assert "HUSH" not in redacted_address(redacted_address(address))


@pytest.mark.parametrize("address", WITHOUT)
def test_an_address_without_one_is_taken(address):
    assert not has_secret(address)


@pytest.mark.parametrize("address", [one for one in WITHOUT if "me@" not in one])
def test_an_address_without_one_is_shown_as_it_is(address):
    assert redacted_address(address) == address


@given(
    st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1),
    st.sampled_from(["postgresql", "https", "s3"]),
)
def test_any_password_in_front_of_the_host_is_found(password, scheme):
    address = f"{scheme}://user:{password}@db.example.com/shop"
    assert has_secret(address)
    assert redacted_address(address).startswith(f"{scheme}://…@db.example.com")


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6))
def test_any_password_among_the_options_is_found(password):
    for name in ("password", "pwd", "sslpassword", "access_token"):
        for mark in "?&;":
            address = f"postgresql://db.example.com/shop{mark}{name}={password}"
            assert has_secret(address)
            assert redacted_address(address).partition("/shop")[2] in ("…",)


def test_a_database_is_shown_without_user_password_and_query():
    address = "postgresql://ann:hush@db.example.com:5432/shop?sslmode=require&password=x"
    assert bare(address) == "postgresql://db.example.com:5432/shop"
    assert (
        bare("postgresql://u:hush/x@db.example.com/shop;pwd=x")
        == "postgresql://db.example.com/shop"
    )


@pytest.mark.parametrize(
    "text",
    [
        "no answer from postgresql://u:p@HUSH@db/shop within 4 seconds",
        "connection to 'https://HUSH@mlflow.example/api' failed",
        "for url https://mlflow.example/api?token=HUSH&x=1 see the log",
        'connection failed: "host=db password=HUSH dbname=shop"',
        "odbc_connect=DRIVER%3Dx%3BPWD%3DHUSH",
    ],
)
def test_a_text_loses_the_secrets_in_it(text):
    assert "HUSH" not in redacted(text)
    assert redacted(text)[:2] == text[:2]


@pytest.mark.parametrize(
    "text",
    [
        'orders.columns.key = "order"',
        "a@b.example is no address",
        "x == 5, pass it on",
        "orders/key=5/a b.csv is empty",
        "auth = 3",
    ],
)
def test_a_text_without_secrets_stays(text):
    assert redacted(text) == text


def test_this_machines_own_addresses():
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(host)
    for host in (
        None,
        "",
        "10.0.0.1",
        "0.0.0.0",  # noqa: S104  # not bound
        "::",
        "localhost.example",
        "127.0.0.1.example",
        "128.0.0.1",
        "127.0.0.4",
        "127.8.9.10",
        "::ffff:127.0.0.2",
    ):
        assert not is_loopback(host)
