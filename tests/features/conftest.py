"""Orders made by hand, as the engine sees them."""

from collections.abc import Callable, Iterable
from itertools import count

import pandas as pd
import pytest

from connectors.engine import Engine, open_engine
from features.tables import Orders


@pytest.fixture(scope="module")
def engine():
    with open_engine() as opened:
        yield opened


@pytest.fixture(scope="module")
def orders_of(engine: Engine, tmp_path_factory) -> Callable:
    """Make an orders table of (customer, day, net amount) rows, or of dictionaries."""
    folder, number = tmp_path_factory.mktemp("orders"), count()

    def make(rows: Iterable):
        past = [r if isinstance(r, dict) else dict(zip(SHORT, r, strict=True)) for r in rows]
        frame = pd.DataFrame(past)
        usual = {
            "order_id": [str(i) for i in range(len(past))],
            "ordered_at": pd.to_datetime(frame["order_date"]),
        }
        frame = frame.assign(**{name: v for name, v in usual.items() if name not in frame})
        table = frame.reindex(columns=list(Orders.schema()))
        for name, kind in Orders.schema().items():
            if kind in ("float64", "string"):
                table[name] = table[name].astype("float64" if kind == "float64" else "str")
        path = folder / f"{next(number)}.parquet"  # DuckDB remembers a file by its name
        table.to_parquet(path, index=False)
        raw = engine.parquet(path)
        typed = raw.select(**{n: raw[n].cast(k) for n, k in Orders.schema().items()})
        return engine.keep(typed, "orders")

    return make


SHORT = ("customer_id", "order_date", "net_amount")
