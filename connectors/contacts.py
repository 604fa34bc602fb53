"""How customers are reached: the newest e-mail and phone number in their orders."""

from pathlib import Path

import ibis
import ibis.expr.types as ir

from connectors.engine import Engine

REACHED_BY = ("email", "phone")
CONTACTS = {
    "customer_id": "string",
    "email": "string",
    "phone": "string",
    "accepts_marketing": "string",
    "earlier": "string",  # further e-mails and phone numbers, separated by spaces
    "ids": "string",  # the source's ids of a customer who has several, separated by APART
}
APART = "\x1f"  # in no id that a person typed


def write_contacts(engine: Engine, judged: ir.Table, path: Path) -> Path | None:
    """Write what the orders have of e-mails and phone numbers; return None where they have neither.

    Parameters
    ----------
    engine
        Opened in the store's time zone.
    judged
        From :attr:`connectors.reading.Reading.judged`: only rows that break no rule are read, so
        none that is dated after the as-of day.
    path
        Parquet file of :data:`CONTACTS`, one row per customer with an e-mail or a phone number.
    """
    if not set(REACHED_BY) & set(judged.columns):
        return None
    engine.write_parquet(_contacts(engine, judged.filter(judged.rule.isnull())), path)
    return path


def _contacts(engine: Engine, good: ir.Table) -> ir.Table:
    """Return the newest value of each column, and the earlier names, of each customer."""
    has = [name for name in REACHED_BY if name in good.columns]
    ranked = {name: engine.keep(_newest_first(good, name), f"ranked_{name}") for name in has}
    names = [table.select("customer_id", "value", "place") for table in ranked.values()]
    every = names[0].union(*names[1:]) if names[1:] else names[0]
    earlier = every.filter(every.place > 0)
    texts = earlier.group_by("customer_id").aggregate(earlier=earlier.value.group_concat(" "))
    whole = every.select("customer_id").distinct()
    columns = dict(ranked)
    if "accepts_marketing" in good.columns:
        columns["accepts_marketing"] = _newest_first(good, "accepts_marketing")
    for name, table in columns.items():
        newest = table.filter(table.place == 0).select("customer_id", **{name: table.value})
        whole = whole.left_join(newest, "customer_id").drop("customer_id_right")
    whole = whole.left_join(texts, "customer_id").drop("customer_id_right")
    if "own_id" in good.columns:
        own = good.filter(good.own_id.notnull() & (good.own_id != good.customer_id))
        own = own.select("customer_id", "own_id").distinct()
        ids = own.group_by("customer_id").aggregate(ids=own.own_id.group_concat(APART))
        whole = whole.left_join(ids, "customer_id").drop("customer_id_right")
    lacking = {
        name: ibis.null(kind) for name, kind in CONTACTS.items() if name not in whole.columns
    }
    return whole.mutate(**lacking).select(*CONTACTS).order_by("customer_id")


def _newest_first(good: ir.Table, name: str) -> ir.Table:
    """Return a customer's distinct values of a column with their place, the newest at 0.

    Of orders at the same moment the last by id counts: of numbers the largest.
    """
    given = good.filter(good[name].notnull(), good.customer_id.notnull())
    seen = given.group_by("customer_id", "order_id", "moment", value=given[name]).aggregate()
    order = [seen.moment, seen.order_id.length(), seen.order_id, seen.value]
    window = ibis.window(group_by=["customer_id", "value"], order_by=[one.desc() for one in order])
    latest = seen.mutate(turn=ibis.row_number().over(window))
    latest = latest.filter(latest.turn == 0)
    order = [latest.moment, latest.order_id.length(), latest.order_id, latest.value]
    places = ibis.window(group_by="customer_id", order_by=[one.desc() for one in order])
    return latest.select("customer_id", "value", place=ibis.row_number().over(places))
