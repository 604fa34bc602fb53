"""An export written in another way has the same orders, or a message says which column is missing.

Some columns may be missing, the others in any order and under any year's headings, the file in any
encoding, with any separator, any notation of amounts and any form of dates.
"""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import PRESETS, read_orders
from connectors.presets import shopify, stripe
from connectors.sources import SourceError
from features.tables import DataError
from perennial.simulation import simulate
from perennial.simulation.forms import FORMS

AS_OF = date(2025, 6, 30)
NAMES = ("plain", "shopify", "stripe", "woocommerce")
HEADINGS = {"shopify": shopify.HEADINGS, "stripe": stripe.HEADINGS}  # in the wording of every year
EXAMPLES = int(os.environ.get("EXPORT_EXAMPLES", "5"))  # of each preset: make exports tries more
# Every example reads a source: a second. Shrinking a failure would take minutes.
SLOW = settings(
    deadline=None, max_examples=EXAMPLES, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252"]
SIGNS = ["{}", "${}", "€ {}", "{} USD"]
NEGATIVE = ["-{}", "({})", "{}-"]
DATE_FORMS = ["%Y-%m-%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%b-%Y", "%Y/%m/%d"]
QUANTITIES = ("quantity", "Lineitem quantity")
MOST_DROPPED = 3


@dataclass(frozen=True)
class Export:
    """An export as its platform writes it, every cell a text, and the orders that it has."""

    preset: str
    rows: pd.DataFrame
    orders: pd.DataFrame


def read(folder, preset, **how):
    """Return the orders of a folder, by id, and what a person is told."""
    with open_engine("America/New_York") as engine, TemporaryDirectory() as out:
        source = OrderSource(str(folder), preset=preset, **how)
        history = read_orders(engine, source, AS_OF, Path(out))
        orders = pd.read_parquet(history.orders)
        assert history.accounting.is_balanced
    columns = ["order_id", "customer_id", "order_date", "net_amount"]
    orders = orders[columns].astype({"net_amount": "float"}).sort_values("order_id")
    return orders.reset_index(drop=True), history.quality.warnings


def plain(world):
    """Return a plain table of a store's orders."""
    rows = world.orders.to_pandas()[["order_id", "customer_id", "ordered_at", "net_amount"]]
    day = pd.to_datetime(rows["ordered_at"]).dt.strftime("%Y-%m-%d %H:%M:%S")
    return rows.assign(ordered_at=day, channel="web", note="—é").astype("string")


@pytest.fixture(scope="module", params=NAMES)
def export(request):
    world = simulate(40, date(2025, 1, 1), date(2025, 7, 1), 5, "coffee")
    if request.param == "plain":
        rows = plain(world)
    else:
        files = FORMS[request.param](world).files
        rows = pd.concat([f.astype("string") for f in files.values()]).drop_duplicates()
    rows = rows.fillna("").reset_index(drop=True)
    with TemporaryDirectory() as folder:
        rows.to_csv(Path(folder) / "export.csv", index=False)
        orders, _ = read(folder, request.param)
    return Export(request.param, rows, orders)


def amount(text, decimal, group, sign, negative):
    """Write an amount in another notation."""
    try:
        number = float(text)
    except ValueError:
        return text
    whole, _, part = f"{abs(number):.2f}".partition(".")
    written = sign.format(f"{int(whole):,}".replace(",", group) + decimal + part)
    return negative.format(written) if number < 0 else written


def moment(text, form):
    """Write a moment with another form of the day."""
    day, rest = text[:10], text[10:]
    try:
        return date.fromisoformat(day).strftime(form) + rest.replace("T", " ")
    except ValueError:
        return text


def columns_of(export, which):
    names = list(export.rows.columns)
    ours = ("net_amount",) if which == "amounts" else ("ordered_at",)
    choice = getattr(PRESETS[export.preset], which)(names)
    return [name for name in dict.fromkeys([*choice, *ours]) if name in names]


def same(one, other):
    """Tell whether two readings have the same orders of the same customers, whatever these are named."""
    if one["order_id"].tolist() != other["order_id"].tolist():
        return False
    if one["order_date"].tolist() != other["order_date"].tolist():
        return False
    groups = [frame["customer_id"].factorize()[0].tolist() for frame in (one, other)]
    return groups[0] == groups[1] and (one["net_amount"] - other["net_amount"]).abs().max() < 1e-6


def wordings(export, name):
    """Return how a column is headed in any year."""
    ours = HEADINGS.get(export.preset, {}).values()
    return next((list(them) for them in ours if name in them), [name])


def is_told(message, export, dropped):
    """Tell whether a message names a dropped column and a setting."""
    named = [one for name in dropped for one in wordings(export, name)]
    return "orders." in message and any(one in message for one in named)


def rewrite(export, random):
    """Return an export's rows as another shop might have written them, and the columns it lacks."""
    decimal, group = random.choice([(".", ","), (",", "."), (".", ""), (",", " ")])
    sign, negative = random.choice(SIGNS), random.choice(NEGATIVE)
    form = random.choice(DATE_FORMS)
    rows = export.rows.copy()
    for name in columns_of(export, "amounts"):
        of_name = "{}" if name in QUANTITIES else sign
        rows[name] = [amount(text, decimal, group, of_name, negative) for text in rows[name]]
    for name in columns_of(export, "moments"):
        rows[name] = [moment(text, form) for text in rows[name]]
    names = random.sample(list(rows.columns), len(rows.columns))
    dropped = random.randint(0, MOST_DROPPED)
    headings = {name: random.choice(wordings(export, name)) for name in names}
    return rows[names[dropped:]].rename(columns=headings), names[:dropped]


@SLOW
@given(random=st.integers(0, 2**32).map(Random))
def test_an_export_written_in_another_way_has_the_same_orders(export, random):
    rows, dropped = rewrite(export, random)
    encoding, separator = random.choice(ENCODINGS), random.choice(",;\t|")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export.csv"
        rows.to_csv(path, index=False, encoding=encoding, sep=separator, errors="replace")
        try:
            orders, messages = read(folder, export.preset)
        except (DataError, SourceError) as error:
            orders, messages = None, (str(error),)
    is_same = orders is not None and same(orders, export.orders)
    assert is_same or any(is_told(one, export, dropped) for one in messages), (dropped, messages)
