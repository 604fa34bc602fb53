"""Shopify through Fivetran: tables in, orders out, each trap by hand and all in a simulated store."""

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.presets.fivetran import DBT_SHOPIFY, FIVETRAN
from connectors.sources import SourceError
from perennial.simulation import simulate
from perennial.simulation.forms import fivetran

CENT = 0.0101
AS_OF = date(2025, 12, 31)
ORDER = {
    "id": 1,
    "customer_id": 7,
    "email": "ada@shop.org",
    "phone": None,
    "created_at": "2025-03-01T12:00:00Z",
    "processed_at": "2025-03-01T12:00:02Z",
    "cancelled_at": None,
    "test": False,
    "currency": "USD",
    "financial_status": "paid",
    "source_name": "web",
    "subtotal_price": 50.0,
    "_fivetran_deleted": False,
}
LINE = {
    "id": 11,
    "order_id": 1,
    "product_id": 900,
    "sku": "TEA",
    "title": "Tea",
    "quantity": 2,
    "price": 30.0,
    "total_discount": 10.0,
    "gift_card": False,
}
REFUND = {"id": 21, "order_id": 1, "created_at": "2025-03-10T12:00:00Z"}
BACK = {"id": 31, "refund_id": 21, "order_line_id": 11, "quantity": 1, "subtotal": 20.0}
USUAL = {"order": ORDER, "order_line": LINE, "refund": REFUND, "order_line_refund": BACK}
MODEL = {
    "order_id": 1,
    "source_relation": "",
    "customer_id": 7,
    "email": "ada@shop.org",
    "created_timestamp": "2025-03-01 12:00:00",
    "cancelled_timestamp": None,
    "financial_status": "paid",
    "currency": "USD",
    "subtotal_price": 70.0,
    "refund_subtotal": 20.0,
    "order_adjusted_total": 60.0,
    "net_sales": 45.0,
    "is_test_order": False,
    "is_deleted": False,
    "source_name": "web",
}


@dataclass
class Read:
    history: object
    orders: pd.DataFrame

    @property
    def net(self):
        return self.orders["net_amount"].to_dict()

    @property
    def rejected(self):
        return self.history.accounting.rejected

    @property
    def lines(self):
        frame = pd.read_parquet(self.history.order_lines)
        return frame.drop(columns=["category", "bundle_id", "cost_amount"])


def read_at(location, out, zone="UTC", as_of=AS_OF, preset="fivetran", **how):
    with open_engine(zone) as engine:
        source = OrderSource(
            location=str(location), preset=preset, **{"most_unreadable": 1.0} | how
        )
        history = read_orders(engine, source, as_of, out)
    return Read(
        history,
        pd.read_parquet(history.orders)
        .sort_values(["order_date", "order_id"])
        .set_index("order_id"),
    )


def frames(tables):
    """Return tables of rows, each the usual one but for what is said; None takes a column out."""
    made = {}
    for name, rows in tables.items():
        frame = pd.DataFrame([USUAL[name] | row for row in rows], columns=None)
        made[name] = frame.drop(columns=[c for c in frame if (frame[c] == "gone").all()])
    return made


@pytest.fixture
def read(tmp_path):
    """Read tables from a folder, as Parquet or CSV."""

    def read_tables(ending="parquet", how=None, **tables):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        for name, frame in frames(tables).items():
            if ending == "csv":
                frame.to_csv(folder / f"{name}.csv", index=False)
            else:
                frame.to_parquet(folder / f"{name}.parquet", index=False)
        return read_at(folder, tmp_path / "out", **(how or {}))

    return read_tables


def notes_of(tables, preset=FIVETRAN):
    with open_engine() as engine:
        opened = {
            name: engine.table(frame.dropna(axis=1, how="all"), f"t_{name}")
            for name, frame in tables.items()
        }
        return preset.read(engine, opened, OrderSource(""), AS_OF).notes


def groups(names):
    """Return the orders of each customer, whatever the customers are called."""
    return {frozenset(orders) for orders in names.groupby(names).groups.values()}


@pytest.mark.parametrize("profile", ["coffee", "apparel"])
def test_the_clean_orders_come_back_from_a_simulated_stores_warehouse(profile, tmp_path):
    world = simulate(400, date(2025, 1, 1), date(2026, 1, 1), 5, profile)
    form = fivetran(world)
    (tmp_path / "in").mkdir()
    for name, frame in form.files.items():
        frame.to_parquet(tmp_path / "in" / name, index=False)
    done = read_at(
        tmp_path / "in",
        tmp_path / "out",
        world.profile.timezone,
        world.end - timedelta(days=1),
        currency=world.profile.currency,
    )
    expected = form.expected.set_index("order_id")
    planted = {trap.trap: trap.count for trap in form.planted}
    accounting = done.history.accounting
    assert sorted(done.orders.index) == sorted(expected.index)
    assert accounting.is_balanced
    assert accounting.orders == len(world.orders)
    assert not any(accounting.merged.values())
    assert accounting.rejected == {
        "test_order": planted["test"],
        "deleted": planted["deleted"],
        "canceled": planted["canceled"],
        "refunded_in_full": planted["refunded"],
        "missing_customer": planted["no_customer"],
        "zero_amount": planted["free"],
    }
    both = done.orders.join(expected, rsuffix="_expected")
    assert (both["net_amount"] - both["net_amount_expected"]).abs().max() < CENT
    days = pd.to_datetime(both["order_date"])
    assert (days == pd.to_datetime(both["order_date_expected"])).all()
    assert groups(both["customer_id"]) == groups(both["known_as"])
    assert min(planted["gift_card"], planted["partly_refunded"], planted["guest_other_email"]) > 0
    parts = both["gross_amount"] - both["discount_amount"] - both["refund_amount"]
    assert (parts - both["net_amount"]).abs().max() < CENT
    by_lines = done.lines.groupby("order_id")["net_amount"].sum()
    assert (by_lines.reindex(both.index) - both["net_amount"]).abs().max() < CENT
    assert len(done.lines) == len(world.order_lines)


def test_a_value_is_of_goods_less_discounts_and_refunds(read):
    gift = {"id": 12, "quantity": 1, "price": 25.0, "total_discount": 0.0, "gift_card": True}
    done = read(order=[{}], order_line=[{}, gift], refund=[{}], order_line_refund=[{}])
    assert done.net == {"1": 30}
    amounts = done.orders.loc["1", ["gross_amount", "discount_amount", "refund_amount"]]
    assert amounts.to_list() == [60, 10, 20]
    assert done.orders.loc["1", ["channel", "currency"]].to_list() == ["web", "USD"]
    assert done.lines.to_dict("records") == [
        {
            "order_id": "1",
            "product_id": "900",
            "product_name": "Tea",
            "quantity": 2,
            "net_amount": 30.0,
        }
    ]


@pytest.mark.parametrize(
    ("as_of", "value"), [(date(2025, 3, 8), 50), (date(2025, 3, 9), 30), (date(2025, 3, 10), 30)]
)
def test_a_refund_counts_from_its_day_in_the_stores_zone_on(as_of, value, read):
    # Three in the morning of March 10 in UTC is the evening of March 9 in New York.
    made = {"created_at": "2025-03-10T03:00:00Z"}
    how = {"as_of": as_of, "zone": "America/New_York"}
    done = read(order=[{}], order_line=[{}], refund=[made], order_line_refund=[{}], how=how)
    assert done.net == {"1": value}
    assert done.lines["net_amount"].to_list() == [value]


def test_a_refund_without_a_moment_of_creation_counts_from_its_processing_on(read):
    made = [{"created_at": None, "processed_at": "2025-03-10T12:00:00Z"}]
    tables = {"order": [{}], "order_line": [{}], "refund": made, "order_line_refund": [{}]}
    assert read(**tables, how={"as_of": date(2025, 3, 9)}).net == {"1": 50}
    assert read(**tables, how={"as_of": date(2025, 3, 10)}).net == {"1": 30}


def test_a_refund_or_cancellation_that_is_not_known_yet_leaves_the_order_a_purchase(read):
    late = "2025-03-10T12:00:00Z"
    orders = [{"financial_status": "refunded"}, {"id": 2, "cancelled_at": late}]
    lines = [{}, {"id": 12, "order_id": 2}]
    tables = {"order": orders, "order_line": lines, "refund": [{}], "order_line_refund": [{}]}
    done = read(**tables, how={"as_of": date(2025, 3, 9)})
    assert done.net == {"1": 50, "2": 50}
    tables["order"] = [*orders, {"id": 3}]
    tables["order_line"] = [*lines, {"id": 13, "order_id": 3}]
    done = read(**tables, how={"as_of": date(2025, 3, 10)})
    assert done.net == {"3": 50}
    assert done.rejected == {"refunded_in_full": 1, "canceled": 1}


NO_PURCHASE = [
    ({"_fivetran_deleted": True}, "deleted"),
    ({"_fivetran_deleted": True, "test": True}, "deleted"),
    ({"test": True}, "test_order"),
    ({"cancelled_at": "2025-03-01T14:00:00Z"}, "canceled"),
    ({"cancelled_at": "2025-03-01T14:00:00Z", "financial_status": "refunded"}, "canceled"),
    ({"cancelled_at": "some day"}, "canceled"),
    ({"financial_status": "voided"}, "canceled"),
    ({"financial_status": "REFUNDED"}, "refunded_in_full"),
    ({"financial_status": "pending"}, "unpaid"),
    ({"financial_status": "authorized"}, "unpaid"),
    ({"financial_status": "expired"}, "unpaid"),
    ({"created_at": "soon", "processed_at": None}, "unreadable_date"),
    ({"email": None, "customer_id": None}, "missing_customer"),
]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_order_that_is_no_purchase_is_counted_under_its_rule(ending, read, tmp_path):
    result = dict(enumerate(NO_PURCHASE, start=101))
    orders = [{"id": number} | what for number, (what, _) in result.items()]
    lines = [{"id": number, "order_id": number} for number in result]
    done = read(ending, order=[{}, *orders], order_line=[{}, *lines])
    rejects = pd.read_csv(tmp_path / "out" / "rejects.csv")
    rules = dict(zip(rejects["id"], rejects["rule"], strict=True))
    assert rules == {number: rule for number, (_, rule) in result.items()}
    assert done.net == {"1": 50}


def test_a_paid_order_is_a_purchase(read):
    statuses = {1: "paid", 2: "partially_refunded", 3: "partially_paid", 4: None}
    orders = [{"id": number, "financial_status": text} for number, text in statuses.items()]
    lines = [{"id": number, "order_id": number} for number in statuses]
    assert read(order=orders, order_line=lines).net == dict.fromkeys("1234", 50)


def test_an_order_of_gift_cards_only_is_no_purchase(read):
    gift = {"id": 12, "order_id": 2, "gift_card": True}
    done = read(order=[{}, {"id": 2}], order_line=[{}, gift])
    assert done.rejected == {"gift_card_only": 1}


def test_a_gift_card_given_back_is_no_refund_of_goods(read):
    gift = {"id": 12, "gift_card": True, "quantity": 1, "price": 20.0, "total_discount": 0.0}
    back = {"order_line_id": 12}
    done = read(order=[{}], order_line=[{}, gift], refund=[{}], order_line_refund=[back])
    assert done.net == {"1": 50}


def test_lines_and_refunds_that_are_gone_do_not_count(read):
    gone, there = {"_fivetran_deleted": True}, {"_fivetran_deleted": False}
    done = read(
        order=[{}],
        order_line=[there, {"id": 12} | gone],
        refund=[there, {"id": 22} | gone],
        order_line_refund=[there, {"id": 32} | gone, {"id": 33, "refund_id": 22} | there],
    )
    assert done.net == {"1": 30}


BIG = 5_000_000_032_768


@pytest.mark.parametrize("of_order", [int, str, float])
@pytest.mark.parametrize("elsewhere", [int, str])
def test_ids_fit_whatever_type_they_have(of_order, elsewhere, read):
    done = read(
        order=[{"id": of_order(BIG), "customer_id": of_order(7)}],
        order_line=[{"id": of_order(11), "order_id": elsewhere(BIG)}],
        refund=[{"id": of_order(21), "order_id": elsewhere(BIG)}],
        order_line_refund=[{"refund_id": elsewhere(21), "order_line_id": elsewhere(11)}],
    )
    assert done.net == {str(BIG): 30}
    assert done.orders["customer_id"].to_list() == ["7"]
    assert done.lines["net_amount"].to_list() == [30]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("shape", ["naive", "aware", "text", "warehouse"])
def test_times_without_a_zone_are_utc(shape, ending, read):
    text = "2025-03-02 02:30:00"
    created = {
        "naive": pd.Timestamp(text),
        "aware": pd.Timestamp(text, tz="UTC"),
        "text": text,
        "warehouse": f"{text}.000 UTC",
    }[shape]
    how = {"zone": "America/New_York"}
    done = read(ending, order=[{"created_at": created}], order_line=[{}], how=how)
    assert done.orders["order_date"].astype(str).to_list() == ["2025-03-01"]


def test_an_order_without_a_moment_of_creation_has_that_of_its_processing(read):
    done = read(order=[{}, {"id": 2, "created_at": None}], order_line=[{}])
    assert done.orders["ordered_at"].dt.second.to_dict() == {"1": 0, "2": 2}


@pytest.mark.parametrize(
    ("message", "value"),
    [
        ({"total_discounts": 22.0, "subtotal_price": 38.0}, 38),  # 12 more, on the whole order
        ({"total_discounts": 14.9, "subtotal_price": 50.0}, 50),  # 4.90 of shipping
        ({"total_discounts": 10.0, "subtotal_price": 45.0}, 50),  # a line was taken out later
        ({"total_discounts": 22.0, "subtotal_price": None}, 38),
        ({"total_discounts": None, "subtotal_price": None}, 50),
    ],
)
def test_a_discount_on_the_whole_order_counts_though_no_line_has_it(message, value, read):
    lines = [{"quantity": 1}, {"id": 12, "quantity": 1, "total_discount": 0.0}]
    done = read(order=[message], order_line=lines)
    assert done.net == {"1": value}
    assert done.orders.loc["1", "discount_amount"] == 60 - value
    # Lines of 20 and 30 bear it in proportion.
    by_line = sorted(done.lines["net_amount"])
    assert by_line == pytest.approx([value * 0.4, value * 0.6])


def test_prices_that_include_tax_are_read_without_it(read):
    tax = {"taxes_included": True, "total_tax": 12.0, "total_price": 60.0}
    done = read(order=[tax], order_line=[{}], refund=[{}], order_line_refund=[{}])
    assert done.net == {"1": 24}
    assert done.lines["net_amount"].to_list() == [24]
    assert read(order=[tax | {"taxes_included": False}], order_line=[{}]).net == {"1": 30}


SPOILED = [
    ("order_line", {"price": "n/a"}),
    ("order_line", {"quantity": "n/a"}),
    ("order_line", {"price": ""}),
    ("order_line", {"total_discount": "n/a"}),
    ("order_line_refund", {"subtotal": "n/a"}),
]


def test_an_amount_that_cannot_be_read_spoils_its_order_alone(read):
    tables = {name: [{}] for name in USUAL}
    for number, (table, text) in enumerate(SPOILED, start=2):
        tables["order"].append({"id": number})
        bad = {"id": 10 * number, "order_id": number}
        tables["order_line"] += [
            bad | (text if table == "order_line" else {}),
            {"id": 10 * number + 1, "order_id": number},
        ]
        if table == "order_line_refund":
            tables["refund"].append({"id": number, "order_id": number})
            back = {"id": number, "refund_id": number, "order_line_id": 10 * number}
            tables[table].append(back | text)
    done = read("csv", **tables)
    assert done.net == {"1": 30}
    assert done.rejected == {"unreadable_amount": len(SPOILED)}


def test_without_lines_an_orders_value_is_its_subtotal(read):
    assert read(order=[{"subtotal_price": 70.0}]).net == {"1": 70}
    done = read(order=[{"subtotal_price": 70.0}], refund=[{}], order_line_refund=[{}])
    assert done.net == {"1": 50}
    assert done.history.order_lines is None


def test_an_order_that_has_no_line_has_its_subtotal(read):
    done = read(order=[{}, {"id": 2, "subtotal_price": 70.0}], order_line=[{}])
    assert done.net == {"1": 50, "2": 70}


def test_tables_that_are_missing_are_said():
    whole = frames({name: [{}] for name in USUAL})
    assert notes_of(whole) == ()
    (result,) = notes_of({n: t for n, t in whole.items() if n != "order_line_refund"})
    assert "amounts are before refunds" in result
    assert len(notes_of({"order": whole["order"]})) == 2


def test_an_order_that_is_loaded_twice_counts_once(read):
    done = read(order=[{}, {}], order_line=[{}], refund=[{}], order_line_refund=[{}])
    assert done.net == {"1": 30}
    assert done.history.accounting.merged["exact_duplicates"] == 1


def test_e_mail_phone_and_id_are_one_customer(read):
    orders = [
        {"phone": "+12025550123"},
        {"id": 2, "customer_id": None, "email": "ADA@shop.org"},
        {"id": 3, "customer_id": None, "email": None, "phone": "+1 202 555 0123"},
        {"id": 4, "customer_id": 8, "email": "bob@shop.org"},
    ]
    done = read(order=orders, order_line=[{"order_id": i, "id": i} for i in (1, 2, 3, 4)])
    assert groups(done.orders["customer_id"]) == {frozenset("123"), frozenset("4")}


def test_the_columns_of_the_graphql_api_are_read(tmp_path):
    renamed = {
        "order": {
            "subtotal_price": "subtotal_price_set_shop_amount",
            "currency": "currency_code",
            "financial_status": "display_financial_status",
        },
        "order_line": {
            "price": "original_unit_price_set_shop_amount",
            "total_discount": "total_discount_set_shop_amount",
            "gift_card": "is_gift_card",
        },
        "order_line_refund": {"subtotal": "subtotal_set_shop_amount"},
    }
    orders = [
        {"financial_status": "PAID"},
        {"id": 2, "financial_status": "VOIDED"},
        {"id": 3, "financial_status": "PAID", "total_discounts_set_shop_amount": 22.0},
    ]
    gift = {"id": 12, "gift_card": True}
    tables = {
        "order": orders,
        "order_line": [{}, gift, {"id": 13, "order_id": 3}],
        "refund": [{}],
        "order_line_refund": [{}],
    }
    tables["order"][2]["subtotal_price"] = 38.0
    (tmp_path / "in").mkdir()
    for name, frame in frames(tables).items():
        named = frame.rename(columns=renamed.get(name, {}))
        named.to_parquet(tmp_path / "in" / f"{name}.parquet")
    done = read_at(tmp_path / "in", tmp_path / "out")
    assert done.net == {"1": 30, "3": 38}
    assert done.rejected == {"canceled": 1}
    assert done.orders["currency"].to_list() == ["USD", "USD"]


def test_the_tables_are_read_from_the_schema_of_a_database(tmp_path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE SCHEMA shopify")
        for name, frame in frames({name: [{}] for name in USUAL}).items():
            database.register("rows", frame)
            database.execute(f'CREATE TABLE shopify."{name}" AS FROM rows')
    done = read_at(f"duckdb:///{path}", tmp_path / "out", table="shopify")
    assert done.net == {"1": 30}


def models(*orders):
    return pd.DataFrame([MODEL | order for order in orders])


def read_models(tmp_path, frame, preset="dbt_shopify", name="shopify__orders", **how):
    (tmp_path / "in").mkdir(exist_ok=True)
    frame.to_csv(tmp_path / "in" / f"{name}.csv", index=False)
    return read_at(tmp_path / "in", tmp_path / "out", preset=preset, **how)


@pytest.mark.parametrize(
    ("preset", "name"), [("dbt_shopify", "shopify__orders"), ("fivetran", "order")]
)
def test_the_orders_of_dbt_shopify_are_read_by_their_net_sales(preset, name, tmp_path):
    frame = models({}, {"order_id": 2, "net_sales": None})
    done = read_models(tmp_path, frame, preset, name, zone="America/New_York")
    assert done.net == {"1": 45, "2": 50}
    assert done.orders["ordered_at"].astype(str).unique().tolist() == ["2025-03-01 12:00:00"]


def test_the_models_of_older_versions_are_read_by_their_subtotals(tmp_path):
    frame = models({}, {"order_id": 2, "refund_subtotal": None}).drop(columns="net_sales")
    assert read_models(tmp_path, frame).net == {"1": 50, "2": 70}
    graphql = frame.rename(columns={"subtotal_price": "subtotal_price_shop_amount"})
    assert read_models(tmp_path, graphql).net == {"1": 50, "2": 70}


def test_the_models_orders_that_are_no_purchases_are_counted_under_their_rules(tmp_path):
    messages = [
        {},
        {"is_deleted": True},
        {"is_test_order": True},
        {"cancelled_timestamp": "2025-03-01 13:00:00"},
        {"financial_status": "refunded"},
        {"financial_status": "pending"},
    ]
    done = read_models(tmp_path, models(*({"order_id": i} | s for i, s in enumerate(messages))))
    assert done.net == {"0": 45}
    rules = ("deleted", "test_order", "canceled", "refunded_in_full", "unpaid")
    assert done.rejected == dict.fromkeys(rules, 1)


def test_orders_of_several_stores_keep_apart(tmp_path):
    frame = models({"source_relation": "us"}, {"source_relation": "eu"})
    assert sorted(read_models(tmp_path, frame).net) == ["eu:1", "us:1"]
    frame = models({"source_relation": "us"}, {"source_relation": "us", "order_id": 2})
    assert sorted(read_models(tmp_path, frame).net) == ["1", "2"]


def test_that_the_models_refunds_have_no_day_is_said():
    assert "refunds have no day" in notes_of({"orders": models({})}, DBT_SHOPIFY)[0]


def test_columns_that_are_missing_are_named(read, tmp_path):
    with pytest.raises(SourceError, match=r"no column 'price_level'.*orders.columns.channel"):
        read(order=[{}], order_line=[{}], how={"columns": {"channel": "price_level"}})
    with pytest.raises(SourceError, match=r"no column 'created_at'.*orders\.columns\.ordered_at"):
        read(order=[{"created_at": "gone", "processed_at": "gone"}], order_line=[{}])
    with pytest.raises(SourceError, match="no order_id"):
        read(order=[{}], order_line=[{"order_id": "gone"}])
    (tmp_path / "in" / "order_line.parquet").unlink()
    with pytest.raises(SourceError, match="no refund_id"):
        read(order=[{}], refund=[{}], order_line_refund=[{"refund_id": "gone"}])


def test_a_missing_customer_value_or_id_is_named_with_its_setting(read, tmp_path):
    gone = {"customer_id": "gone", "email": "gone", "phone": "gone"}
    with pytest.raises(SourceError, match=r"orders\.columns\.customer_id"):
        read(order=[gone], order_line=[{}])
    with pytest.raises(SourceError, match=r"'id'.*orders\.columns\.order_id"):
        read(order=[{"id": "gone"}], order_line=[{}])
    (tmp_path / "in" / "order_line.parquet").unlink()
    with pytest.raises(SourceError, match=r"'subtotal_price'.*orders\.columns\.net_amount"):
        read(order=[{"subtotal_price": "gone"}])


def test_an_id_and_a_day_of_another_name_are_mapped(read):
    order = {"id": "gone", "created_at": "gone", "processed_at": "gone", "number": 1}
    how = {"columns": {"order_id": "number", "ordered_at": "placed"}}
    placed = {"placed": "2025-03-01T12:00:00Z"}
    assert read(order=[order | placed], order_line=[{}], how=how).net == {"1": 50}


@pytest.mark.parametrize("status", ["on_credit", "Net 30", "unknown"])
def test_an_unknown_status_is_named_until_the_settings_name_it(read, status):
    tables = {
        "order": [{}, {"id": 2, "financial_status": status}],
        "order_line": [{}, {"id": 12, "order_id": 2}],
    }
    assert read(**tables).rejected == {"unknown_status": 1}
    assert read(**tables, how={"paid_statuses": (status,)}).net == {"1": 50, "2": 50}
    assert read(**tables, how={"void_statuses": (status,)}).rejected == {"unpaid": 1}


@pytest.mark.parametrize(
    "renewal",
    [
        {"source_name": "subscription_contract"},
        {"source_name": "subscription_contract_checkout_one"},
        {"tags": "vip, Subscription Recurring Order"},
    ],
)
def test_renewals_are_told_by_source_and_tags(read, renewal):
    first = {"id": 2, "tags": "Subscription First Order"}
    orders = [{"tags": ""}, first, {"id": 3} | renewal]
    lines = [{"id": i, "order_id": i} for i in (1, 2, 3)]
    done = read(order=orders, order_line=lines, how={"renewals": "exclude"})
    assert (set(done.net), done.rejected) == ({"1", "2"}, {"renewal": 1})


def test_net_sales_above_the_price_of_the_goods_are_refused(tmp_path):
    # Three at 10.00 were counted as 90.00, of which 20.00 came back.
    wrong = {"order_id": 7, "subtotal_price": 30.0, "refund_subtotal": 20.0, "net_sales": 70.0}
    right = [{"order_id": i, "net_sales": 50.0} for i in range(10, 58)]
    message = (
        r"in 2 of 50 orders, for instance order 7: 70.00 and 10.00.* before 1.10.0 multiplies"
    )
    frame = models(wrong, wrong | {"order_id": 8, "net_sales": 30.0}, *right)
    with pytest.raises(SourceError, match=message + r".*net_amount = \"subtotal_price\""):
        read_models(tmp_path, frame)
    done = read_models(tmp_path, frame, columns={"net_amount": "subtotal_price"})
    assert (done.net["7"], done.net["10"]) == (30, 70)


@pytest.mark.parametrize(
    "net_sales",
    [
        [50.0] * 49 + [100.0],  # one of fifty, which is no more than 2 %
        [50.25] * 50,  # half a percent is rounding
        [0.0] * 50,  # gift cards lower it
        [None] * 50,
    ],
)
def test_net_sales_that_fit_are_taken(tmp_path, net_sales):
    frame = models(*({"order_id": i, "net_sales": n} for i, n in enumerate(net_sales)))
    done = read_models(tmp_path, frame, keep_zero_amount=True)
    expected = [50.0 if n is None else n for n in net_sales]
    assert done.net == {str(i): n for i, n in enumerate(expected)}


def test_net_sales_of_the_graphql_models_are_compared_too(tmp_path):
    frame = models({"net_sales": 450.0}).rename(
        columns={"subtotal_price": "subtotal_price_shop_amount"}
    )
    with pytest.raises(SourceError, match="subtotal_price_shop_amount"):
        read_models(tmp_path, frame)


def test_amounts_and_moments_are_listed():
    names = (
        "id",
        "subtotal_price_set_shop_amount",
        "price",
        "created_at",
        "cancelled_at",
        "email",
    )
    assert FIVETRAN.amounts(names) == ["subtotal_price_set_shop_amount", "price"]
    assert DBT_SHOPIFY.moments(names) == ["created_at", "cancelled_at"]


def test_a_column_of_ones_own_can_be_mapped(read):
    how = {"columns": {"channel": "landing"}}
    done = read(order=[{"landing": "spring"}], order_line=[{}], how=how)
    assert done.orders["channel"].to_list() == ["spring"]


def test_fivetrans_tables_are_told_from_others():
    raw, model = tuple(ORDER), tuple(MODEL)
    assert FIVETRAN.recognize({"order": raw, "order_line": tuple(LINE)})
    assert FIVETRAN.recognize({"order": model})
    assert not FIVETRAN.recognize({"order": tuple(n for n in raw if n != "_fivetran_deleted")})
    assert not FIVETRAN.recognize({"orders": model})
    assert DBT_SHOPIFY.recognize({"orders": model})
    assert not DBT_SHOPIFY.recognize({"order": model})
    assert not DBT_SHOPIFY.recognize({"orders": raw})
    older = tuple(n for n in model if n != "net_sales")
    assert DBT_SHOPIFY.recognize({"orders": older})
    assert not DBT_SHOPIFY.recognize({"orders": tuple(n for n in older if n != "is_test_order")})
