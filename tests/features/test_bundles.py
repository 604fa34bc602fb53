"""What a first product leads to, by hand."""

from datetime import date, timedelta

import pandas as pd
import pytest

from features import products
from features.bundles import bundle_days, led_to
from features.journeys import journeys

START, AS_OF = date(2024, 1, 1), date(2024, 6, 30)


def bought(*rows):
    """Orders of (customer, day, product, bundle), one line each."""
    orders = [
        {"order_id": str(n), "customer_id": who, "order_date": START + timedelta(days=day),
         "net_amount": 10.0, "gross_amount": 10.0, "discount_amount": 0.0}
        for n, (who, day, *_) in enumerate(rows)
    ]  # fmt: skip
    lines = [
        {"order_id": str(n), "product_id": product, "product_name": product.title(),
         "category": "food", "bundle_id": bundle, "quantity": 1, "net_amount": 10.0}
        for n, (_, _, product, bundle) in enumerate(rows)
    ]  # fmt: skip
    return orders, lines


@pytest.fixture
def tables(engine, orders_of):
    def make(*rows):
        orders, lines = bought(*rows)
        table = orders_of(orders)
        frame = pd.DataFrame(lines).astype({"bundle_id": "string"})
        line_table = engine.keep(engine.table(frame, "some_lines"), "lines_kept")
        baskets = engine.keep(products.baskets(line_table, table, AS_OF), "baskets_kept")
        past = engine.keep(journeys(table, AS_OF), "journeys_kept")
        return line_table, baskets, past

    return make


def led(engine, tables, least, *rows):
    _, baskets, past = tables(*rows)
    main = engine.keep(products.main_products(baskets, past), "main_kept")
    days = engine.keep(bundle_days(baskets, past), "days_kept")
    frame = engine.frame(led_to(main, days, least).order_by("customer_id"))
    return {row.customer_id: (row.bundle, bool(row.is_owned)) for row in frame.itertuples()}


TAKERS = (
    ("ann", 0, "beans", None), ("ann", 30, "mill", "kit"), ("bob", 0, "beans", None),
    ("bob", 30, "mill", "kit"), ("cay", 0, "beans", None), ("cay", 30, "cups", "set"),
    ("dan", 0, "beans", None), ("eve", 0, "tea", None),
)  # fmt: skip


def test_a_first_product_leads_to_the_bundle_that_most_took_next(engine, tables):
    assert led(engine, tables, 2, *TAKERS) == {
        "ann": ("kit", True), "bob": ("kit", True), "cay": ("kit", False), "dan": ("kit", False),
    }  # fmt: skip


def test_what_few_took_leads_nowhere(engine, tables):
    assert led(engine, tables, 3, *TAKERS) == {}
