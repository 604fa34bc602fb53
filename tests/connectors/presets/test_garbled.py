"""Every platform's export with anything in it: it ends in orders or a refusal, and every row is accounted for."""

import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.sources import SourceError
from features.tables import DataError
from perennial.simulation import simulate
from perennial.simulation.forms import FORMS

AS_OF = date(2025, 6, 15)
SLOW = settings(
    deadline=None,
    max_examples=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
REST = {
    "id": 1,
    "status": "completed",
    "currency": "USD",
    "date_created_gmt": "2025-03-01T10:00:00",
    "total": "118.00",
    "total_tax": "8.00",
    "shipping_total": "10.00",
    "discount_total": "0.00",
    "customer_id": 7,
    "billing": {"email": "ann@shop.org", "phone": "+1 555 010 9988"},
    "line_items": [{"name": "Beans", "product_id": 7, "quantity": 1, "total": "100.00"}],
    "refunds": [{"id": 3, "total": "-5.00"}],
}
anything = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "=1+1",
            "-",
            "nan",
            "inf",
            "1e400",
            "9" * 40,
            "-5",
            "0",
            "1,5",
            "1.234,56",
            "true",
        ]
    ),
    st.sampled_from(["2025-06-15T23:59:59+14:00", "0000-00-00", "infinity", "2026-01-01", "soon"]),
    st.text(max_size=8),
)
values = st.none() | st.booleans() | st.integers() | st.floats() | anything
documents = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(anything, inner, max_size=2),
)


def outcome(location, preset, out):
    """Read a source; return its history, or None where it is refused in one line."""
    with open_engine("Europe/London") as engine:
        try:
            history = read_orders(
                engine,
                OrderSource(
                    str(location), preset=preset, other_currencies="reject", most_unreadable=1.0
                ),
                AS_OF,
                out,
            )
        except (SourceError, DataError):
            return None
    return history


def check_every_row_is_accounted_for(history):
    accounting = history.accounting
    assert accounting.is_balanced
    written = pd.read_csv(history.rejects, dtype=str, keep_default_na=False)
    expected = {rule: n for rule, n in accounting.rejected.items() if rule != "after_as_of"}
    assert written["rule"].value_counts().to_dict() == expected
    orders = pd.read_parquet(history.orders).sort_values(["order_date", "order_id"])
    assert len(orders) >= accounting.orders
    assert orders["net_amount"].notna().all()
    assert orders["order_date"].max() <= AS_OF


@pytest.fixture(scope="module", params=list(FORMS))
def form(request):
    """Return a preset's name, and the files of a small store, every cell a text."""
    world = simulate(60, date(2025, 1, 1), date(2025, 7, 1), 5, "coffee")
    files = FORMS[request.param](world).files
    return request.param, {name: frame.astype("string") for name, frame in files.items()}


def write_texts(folder, files):
    for name, frame in files.items():
        if name.endswith(".parquet"):
            frame.to_parquet(folder / name)
        else:
            frame.to_csv(folder / name, index=False)


def test_an_export_without_a_fault_is_read(form, tmp_path):
    preset, files = form
    (tmp_path / "in").mkdir()
    write_texts(tmp_path / "in", files)
    history = outcome(tmp_path / "in", preset, tmp_path / "out")
    assert history.accounting.orders > 10
    check_every_row_is_accounted_for(history)


@SLOW
@given(data=st.data())
def test_an_export_with_anything_in_its_cells_ends_in_orders_or_a_refusal(form, data):
    preset, files = form
    spoiled = {}
    for name, frame in files.items():
        frame = frame.copy()
        for _ in range(data.draw(st.integers(0, 12)) if len(frame) else 0):
            row = data.draw(st.integers(0, len(frame) - 1))
            frame.iloc[row, data.draw(st.integers(0, frame.shape[1] - 1))] = data.draw(anything)
        again = data.draw(st.lists(st.integers(0, max(len(frame) - 1, 0)), max_size=3))
        spoiled[name] = pd.concat([frame, frame.iloc[again if len(frame) else []]])
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(spoiled)))
        gone = data.draw(st.sampled_from(list(spoiled[name].columns)))
        spoiled[name] = spoiled[name].drop(columns=gone)
    with TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        write_texts(source, spoiled)
        if history := outcome(source, preset, Path(folder) / "out"):
            check_every_row_is_accounted_for(history)


@SLOW
@given(data=st.data())
def test_orders_of_a_rest_interface_with_anything_in_them_end_in_orders_or_a_refusal(data):
    orders = [REST, REST | {"id": 2}]
    for number in range(3, 3 + data.draw(st.integers(1, 4))):
        names = data.draw(st.lists(st.sampled_from(sorted(REST)), max_size=3, unique=True))
        values = {name: data.draw(documents) for name in names}
        orders.append(REST | {"id": number} | values)
    with TemporaryDirectory() as folder:
        source = Path(folder) / "orders.json"
        source.write_text(json.dumps(orders), encoding="utf-8", errors="replace")
        if history := outcome(source, "woocommerce", Path(folder) / "out"):
            check_every_row_is_accounted_for(history)


@settings(SLOW, max_examples=25)
@given(
    head=st.sampled_from(
        [b"", b"[", b'{"order_id": 1}\n', b'[{"order_id": 1, "customer_id": "a"']
    ),
    body=st.binary(max_size=40)
    | st.text('[]{}:,"\\u01-e.ntrufals \n', max_size=60).map(str.encode),
)
def test_any_bytes_as_json_end_in_orders_or_a_refusal(head, body):
    with TemporaryDirectory() as folder:
        source = Path(folder) / "orders.json"
        source.write_bytes(head + body)
        if history := outcome(source, "plain", Path(folder) / "out"):
            check_every_row_is_accounted_for(history)
