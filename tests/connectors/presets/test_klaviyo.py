"""The tables of a pull of Klaviyo: who, how much, void from which day; what is missing is named."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import look_at_source, read_orders
from connectors.presets.klaviyo import COLUMNS, KLAVIYO
from connectors.recognize import recognize
from connectors.sources import SourceError
from features.tables import DataError

AS_OF = date(2026, 11, 28)
MONEY, MOMENT, TEXT = pa.decimal128(18, 4), pa.timestamp("us", tz="UTC"), pa.string()
SCHEMAS = {
    "placed_orders": {
        **dict.fromkeys(("klaviyo_event_id", "order_id", "integration"), TEXT),
        "ordered_at": MOMENT,
        **dict.fromkeys(("customer_id", "email", "phone", "name", "postal_code"), TEXT),
        **dict.fromkeys(("accepts_marketing", "currency", "channel", "discount_code"), TEXT),
        "tags": TEXT,
        **dict.fromkeys(("is_test", "is_redacted", "is_repeated"), pa.bool_()),
        **dict.fromkeys(("gross_amount", "discount_amount", "gift_card_amount"), MONEY),
    },
    "placed_lines": {
        **dict.fromkeys(("order_id", "line_id", "product_id", "product_name"), TEXT),
        "quantity": pa.int64(),
        "net_amount": MONEY,
    },
    "void_events": {"order_id": TEXT, "rule": TEXT, "voided_at": MOMENT, "is_whole": pa.bool_()},
    "refund_lines": {
        **dict.fromkeys(("order_id", "refund_id", "line_id"), TEXT),
        "refunded_at": MOMENT,
        "net_amount": MONEY,
    },
}


def at(day, hour=12):
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def placed(number, **values):
    usual = {
        "klaviyo_event_id": f"e{number}",
        "order_id": f"o{number}",
        "integration": "shopify",
        "ordered_at": at(20),
        "email": f"person{number}@example.com",
        "currency": "EUR",
        "is_test": False,
        "is_redacted": False,
        "is_repeated": False,
        "gross_amount": Decimal("20"),
        "discount_amount": Decimal("2"),
        "gift_card_amount": Decimal(0),
    }
    return usual | values


def void(number, day, rule="canceled", *, is_whole=True):
    return {"order_id": f"o{number}", "rule": rule, "voided_at": at(day), "is_whole": is_whole}


def back(number, day, amount):
    return {
        "order_id": f"o{number}",
        "refund_id": "r",
        "line_id": "l",
        "refunded_at": at(day),
        "net_amount": Decimal(amount),
    }


@pytest.fixture
def write(tmp_path):
    """Return a function from rows of each table to the folder of the tables."""

    def write(orders, lines=(), voids=(), refunds=()):
        folder = tmp_path / "tables"
        folder.mkdir(exist_ok=True)
        for (name, schema), rows in zip(
            SCHEMAS.items(), (orders, lines, voids, refunds), strict=True
        ):
            table = pa.Table.from_pylist(list(rows), schema=pa.schema(list(schema.items())))
            pq.write_table(table, folder / f"{name}.parquet")
        return folder

    return write


def read(folder, as_of=AS_OF, **how):
    with open_engine("Europe/Berlin") as engine:
        source = OrderSource(str(folder), preset="klaviyo", **{"currency": "EUR"} | how)
        return read_orders(engine, source, as_of, folder.parent / "out")


def net(history):
    orders = pd.read_parquet(history.orders)
    return dict(zip(orders["order_id"], orders["net_amount"], strict=True))


def test_an_order_is_worth_its_goods_after_discounts(write):
    history = read(write([placed(1), placed(2, gross_amount=Decimal("9.99"))]))
    assert net(history) == {"o1": 18.0, "o2": 7.99}
    assert history.tells_discounts
    assert pd.read_parquet(history.orders)["discount_amount"].tolist() == [2, 2]


def test_an_order_is_void_from_the_day_of_its_cancellation(write):
    folder = write([placed(1), placed(2)], voids=[void(1, 24)])
    assert net(read(folder, date(2026, 11, 23))) == {"o1": 18, "o2": 18}
    history = read(folder, date(2026, 11, 24))
    assert net(history) == {"o2": 18}
    assert history.accounting.rejected == {"canceled": 1}


def test_the_day_is_the_store_s(write):
    late = void(1, 24) | {"voided_at": at(24, 23)}  # 25 November in Berlin
    folder = write([placed(1), placed(2)], voids=[late])
    assert net(read(folder, date(2026, 11, 24))) == {"o1": 18, "o2": 18}
    assert net(read(folder, date(2026, 11, 25))) == {"o2": 18}


def test_the_first_of_two_voids_names_the_rule(write):
    voids = [void(1, 24), void(1, 23, "refunded_in_full")]
    assert read(write([placed(1), placed(2)], voids=voids)).accounting.rejected == {
        "refunded_in_full": 1
    }


def test_refunds_count_from_their_day_and_whole_ones_void(write):
    orders = [placed(1), placed(2), placed(3)]
    folder = write(orders, refunds=[back(1, 23, "8"), back(2, 23, "18")])
    assert net(read(folder, date(2026, 11, 22))) == {"o1": 18, "o2": 18, "o3": 18}
    history = read(folder, date(2026, 11, 23))
    assert net(history) == {"o1": 10, "o3": 18}
    assert history.accounting.rejected == {"refunded_in_full": 1}


def test_a_refund_of_unclear_size_voids_nothing_and_is_counted(write):
    voids = [void(1, 23, "refunded_in_full", is_whole=False)]
    history = read(write([placed(1)], voids=voids))
    assert net(history) == {"o1": 18}
    assert any("unclear size" in one and "1 orders" in one for one in history.quality.warnings)


def test_test_orders_gift_cards_and_redacted_orders_do_not_count(write):
    card = {"gross_amount": Decimal(0), "discount_amount": Decimal(0)}
    orders = [
        placed(1),
        placed(2, is_test=True),
        placed(3, gift_card_amount=Decimal(25), **card),
        placed(4, email=None, is_redacted=True, gross_amount=None, discount_amount=None),
        placed(5, gross_amount=None, discount_amount=None),
    ]
    history = read(write(orders))
    assert net(history) == {"o1": 18}
    assert history.accounting.rejected == {
        "test_order": 1,
        "gift_card_only": 1,
        "missing_customer": 1,
        "unreadable_amount": 1,
    }


def test_an_order_that_is_there_twice_counts_once(write):
    twice = placed(1, klaviyo_event_id="e9", is_repeated=True)
    history = read(write([placed(1), twice]))
    assert net(history) == {"o1": 18}
    assert history.accounting.merged["older_versions"] == 1


def test_what_is_missing_is_stated_with_the_number_of_orders(write):
    orders = [placed(1), placed(2), placed(3)]
    folder = write(orders, voids=[void(3, 21)], refunds=[back(1, 23, "8")])
    notes = read(folder).quality.warnings
    (note,) = [one for one in notes if "full refunds only" in one]
    assert "1 orders may have a partial refund or an edit" in note  # of the two that are left
    assert "1 orders, 8.00 in all" in note
    assert any("no payment status" in one for one in notes)


def test_another_currency_is_refused(write):
    folder = write([placed(1), placed(2, currency="USD")])
    with pytest.raises(DataError, match="USD"):
        read(folder)


def test_a_folder_of_the_tables_is_recognized(write):
    folder = write([placed(1)])
    with open_engine("UTC") as engine:
        assert recognize(engine, str(folder)).preset == "klaviyo"
    assert not KLAVIYO.recognize({"placed_orders": ("id",), "order": ("id", "created_at")})


def test_a_source_is_looked_at(write):
    folder = write([placed(1), placed(2)])
    with open_engine("Europe/Berlin") as engine:
        report = look_at_source(
            engine, OrderSource(str(folder), preset="klaviyo", currency="EUR"), AS_OF
        )
    assert report.summary.orders == 2
    assert report.columns["email"] == "email"


@pytest.mark.parametrize("name", list(COLUMNS)[1:])
def test_a_missing_table_is_named(write, name):
    folder = write([placed(1)])
    (folder / f"{name}.parquet").unlink()
    with pytest.raises(SourceError, match=f"{name} is missing. Pull the account again"):
        read(folder)


def test_a_missing_column_is_named(write):
    folder = write([placed(1)])
    path = folder / "void_events.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["voided_at"]), path)
    with pytest.raises(SourceError, match="void_events has no voided_at"):
        read(folder)
    with pytest.raises(SourceError, match="have no till"):
        read(write([placed(1)]), columns={"cost_amount": "till"})
