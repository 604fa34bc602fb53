"""Any order history -> ``orders`` and ``rejects``, every source row accounted for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis.expr.types as ir
import pandas as pd
from pydantic import BaseModel, ConfigDict, TypeAdapter

from connectors.accounting import Accounting
from connectors.contacts import write_contacts
from connectors.csv import write_csv
from connectors.engine import Engine
from connectors.identity import MOST_PEOPLE, LargestCustomer
from connectors.losses import check_losses, losses, statuses, unknown_statuses
from connectors.order_source import OrderSource
from connectors.presets.fivetran import DBT_SHOPIFY, FIVETRAN
from connectors.presets.klaviyo import KLAVIYO
from connectors.presets.plain import PLAIN
from connectors.presets.preset import Preset
from connectors.presets.shopify import SHOPIFY
from connectors.presets.stripe import STRIPE
from connectors.presets.woocommerce import WOOCOMMERCE
from connectors.published import PublishedFile
from connectors.quality import Quality, look_at_orders
from connectors.reading import Customers, Reading, kept_orders, read_source
from connectors.rejects import rejected_rows
from connectors.rules import RULES, order_lines
from connectors.sources import is_database
from connectors.summary import Summary, summarize
from features.tables import DataError, Orders

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (PLAIN, STRIPE, FIVETRAN, DBT_SHOPIFY, SHOPIFY, WOOCOMMERCE, KLAVIYO)
}
PLURALS = {
    "email": "e-mails",
    "phone": "phone numbers",
    "name": "names",
    "postal_code": "postal codes",
}
IN_REJECTS = ". See rejects.csv"
MOST_SHOWN = 20  # identities that were set aside
SAMPLE_ROWS = 100_000  # of a database that is only looked at


@dataclass(frozen=True)
class History:
    """An order history on disk, as known at the end of a day.

    Attributes
    ----------
    orders
        Parquet file of :class:`features.tables.Orders`.
    rejects
        CSV file of the rejected rows.
    digest
        Hash of the orders' content, whatever their order in the source.
    first_date, last_date
        First and last order.
    accounting
        Where every source row went.
    quality
        What a person should know of it.
    order_lines
        Parquet file of :class:`features.tables.OrderLines`; None = the source has none.
    tells_discounts
        Whether the source has both gross amounts and discounts.
    contacts
        Parquet file of :data:`connectors.contacts.CONTACTS`; None = the source has none.
    """

    orders: Path
    rejects: Path
    digest: str
    first_date: date
    last_date: date
    accounting: Accounting
    quality: Quality
    order_lines: Path | None = None
    tells_discounts: bool = True
    contacts: Path | None = None

    @property
    def has_refunds(self) -> bool:
        """Whether some order is worth less than nothing."""
        return "refunds_netted" in self.accounting.merged

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps(_HISTORY.dump_python(self, mode="json"))

    @staticmethod
    def from_json(text: str) -> "History":
        """Read what :meth:`to_json` returned."""
        return _HISTORY.validate_json(text)


_HISTORY = TypeAdapter(History)


class SetAsideIdentity(BaseModel):
    """An identity that identifies no customer.

    Attributes
    ----------
    kind
        ``customer_id``, ``email`` or ``phone``.
    value
        The identity.
    reason
        Why it identifies nobody.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    value: str
    reason: str


class Identities(BaseModel):
    """How customers were linked.

    Attributes
    ----------
    merged
        Identities that turned out to be of another's customer.
    largest
        The customer of the most identities; None = nobody has two of a kind.
    set_aside
        Identities that identify nobody, those of the most people first.
    """

    model_config = ConfigDict(frozen=True)

    merged: int
    largest: LargestCustomer | None
    set_aside: tuple[SetAsideIdentity, ...]


class SourceReport(BaseModel):
    """What would come of reading a source.

    Attributes
    ----------
    columns
        The source's column of each of ours.
    summary
        The history in figures.
    accounting
        Where every source row went.
    statuses
        Number of rows of each order status.
    identities
        How customers were linked.
    warnings, examples, customers_merged
        See :class:`connectors.quality.Quality`.
    sample_rows
        Number of rows of each table that were read at most; None = all.
    """

    model_config = ConfigDict(frozen=True)

    columns: Mapping[str, str]
    summary: Summary
    accounting: Accounting
    statuses: Mapping[str, int]
    identities: Identities
    warnings: tuple[str, ...]
    examples: Mapping[str, tuple[str, ...]]
    customers_merged: int
    sample_rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        exclude = {"sample_rows"} if self.sample_rows is None else None
        return self.model_dump(mode="json", exclude=exclude)


def read_orders(engine: Engine, source: OrderSource, as_of: date, folder: Path) -> History:
    """Read an order history as known at the end of a day; the rows of the files are in any order.

    Parameters
    ----------
    engine
        Opened in the store's time zone.
    source
        Where the history is and how to read it.
    as_of
        Rows dated later are set aside under the rule ``after_as_of``.
    folder
        Where ``orders.parquet`` and ``rejects.csv`` are written.

    Raises
    ------
    SourceError
        Files or columns that are not there.
    DataError
        No order is left, or the history is in another currency than the store.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parquet = folder / "orders.parquet"
    draft, preset = parquet.with_suffix(".draft"), PRESETS[source.preset]
    reading = read_source(engine, preset, source, as_of, folder / "extract", into=draft)
    rejects = folder / PublishedFile.REJECTS
    write_csv(_rejects(engine, reading), rejects)
    _check_some_left(engine, reading, source, IN_REJECTS)
    if not reading.is_written:
        engine.write_parquet(kept_orders(reading.orders), draft)
    draft.rename(parquet)
    orders = engine.parquet(parquet)
    quality = _quality(engine, reading, orders, source, IN_REJECTS)
    local = engine.local  # the digest is of the files: the same whatever engine wrote them
    digest, first_date, last_date = _digest(local, local.parquet(parquet))
    return History(
        parquet,
        rejects,
        digest,
        first_date,
        last_date,
        reading.accounting,
        quality,
        _write_lines(engine, reading, orders, folder / "order_lines.parquet"),
        {"gross_amount", "discount_amount"} <= set(reading.source_rows.columns),
        write_contacts(engine, reading.judged, folder / "contacts.parquet"),
    )


def _quality(
    engine: Engine, reading: Reading, orders: ir.Table, source: OrderSource, look_at: str = ""
) -> Quality:
    losses = check_losses(engine, reading, source, look_at=look_at)
    losses += unknown_statuses(engine, reading, source)
    return look_at_orders(
        engine,
        orders,
        reading.judged,
        reading.orders,
        reading.customers.merged,
        (*losses, *reading.source_rows.notes, *_set_aside(reading.customers)),
        has_rejects=bool(reading.accounting.rejected),
    )


def _set_aside(customers: Customers) -> list[str]:
    """Say how many identities identify nobody, without naming a person."""
    shared = customers.shared[customers.shared["people"].notna()]
    if shared.empty:
        return []
    names = {"customer_id": "customer id", "email": "e-mail", "phone": "phone number"}
    counts = shared.groupby("kind").size()
    kinds = [
        f"{counts[kind]:,} {name}{'' if counts[kind] == 1 else 's'}"
        for kind, name in names.items()
        if kind in counts
    ]
    return [
        f"{' and '.join(kinds)} identified no customer: each is in orders of more than {MOST_PEOPLE} different "
        "people, as a till's or a marketplace's is. `perennial check` lists them"
    ]


def _write_lines(engine: Engine, reading: Reading, orders: ir.Table, path: Path) -> Path | None:
    """Write the lines of the kept orders, if the source has any."""
    lines = order_lines(reading.rows, reading.source_rows)
    if lines is None:
        return None
    kept = lines.semi_join(orders, "order_id")
    engine.write_parquet(kept, path)
    return path


def look_at_source(engine: Engine, source: OrderSource, as_of: date) -> SourceReport:
    """Read a history as :func:`read_orders` does, but write nothing: what would come of it."""
    with TemporaryDirectory() as scratch:
        preset = PRESETS[source.preset]
        reading = read_source(engine, preset, source, as_of, Path(scratch), limit=SAMPLE_ROWS)
        _check_some_left(engine, reading, source)
        orders = kept_orders(reading.orders)
        quality = _quality(engine, reading, orders, source)
        is_sample = is_database(source.location) and reading.accounting.rows_in >= SAMPLE_ROWS
        return SourceReport(
            columns=dict(reading.source_rows.headings),
            summary=summarize(engine, orders),
            accounting=reading.accounting,
            statuses=statuses(engine, reading),
            identities=_identities(engine, reading.customers, orders),
            warnings=quality.warnings,
            examples=quality.examples,
            customers_merged=quality.customers_merged,
            sample_rows=SAMPLE_ROWS if is_sample else None,
        )


def _identities(engine: Engine, customers: Customers, orders: ir.Table) -> Identities:
    """Return how customers were linked: the largest of them, and the identities that were set aside."""
    shared = customers.shared.sort_values("people", ascending=False, na_position="last")
    set_aside = [
        SetAsideIdentity(
            kind=row["kind"],
            value=row["value"],
            reason=f"{int(row['people']):,} different {PLURALS[row['evidence']]} in "
            f"{int(row['orders']):,} orders",
        )
        for row in shared.to_dict("records")
        if not pd.isna(row["people"])
    ]
    largest = None
    if customers.largest is not None:
        mine = orders.filter(orders.customer_id == customers.largest.customer_id)
        count = int(engine.frame(mine.aggregate(n=mine.count()))["n"].iloc[0])
        largest = replace(customers.largest, orders=count)
    return Identities(
        merged=customers.merged, largest=largest, set_aside=tuple(set_aside[:MOST_SHOWN])
    )


def _rejects(engine: Engine, reading: Reading) -> pd.DataFrame | Iterable[pd.DataFrame]:
    """Return every rejected row, in parts; of none, the header."""
    if not set(reading.accounting.rejected) - {"after_as_of"}:
        return pd.DataFrame(columns=["rule", "reason", "source"])
    has_broken = "unreadable_row" in reading.accounting.rejected
    return rejected_rows(
        engine,
        reading.source_rows,
        reading.judged,
        reading.orders,
        reading.broken if has_broken else None,
    )


def _check_some_left(
    engine: Engine, reading: Reading, source: OrderSource, look_at: str = ""
) -> None:
    accounting = reading.accounting
    if accounting.orders:
        return
    if not accounting.rows_in:
        raise DataError("orders.source has a header and no rows. Export it again")
    causes = [str(loss) for loss in losses(engine, reading, source)]
    if not causes:
        rule, rows = max(accounting.rejected.items(), key=lambda item: item[1])
        causes = [f"{rows:,} broke the rule {rule}: {RULES[rule]}"]
    raise DataError(
        f"orders.source has no usable order in {accounting.rows_in:,} rows. "
        f"{'. '.join(causes)}{look_at}"
    )


def _digest(engine: Engine, orders: ir.Table) -> tuple[str, date, date]:
    """Hash the orders' content in any order; return it with the first and the last day."""
    content = [name for name in Orders.schema() if name != "source"]
    row = orders.select(
        "order_date", row_hash=engine.row_hash(orders, content).cast("decimal(38, 0)")
    )
    facts = engine.frame(
        row.aggregate(
            rows=row.count(),
            total=row.row_hash.sum().cast("string"),
            first=row.order_date.min(),
            last=row.order_date.max(),
        )
    ).iloc[0]
    digest = sha256(f"{facts['rows']}:{facts['total']}".encode()).hexdigest()[:16]
    return digest, pd.Timestamp(facts["first"]).date(), pd.Timestamp(facts["last"]).date()
