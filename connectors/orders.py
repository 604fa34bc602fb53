"""Any order history -> ``orders`` and ``rejects``, every source row accounted for."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from connectors.accounting import Accounting
from connectors.contacts import write_contacts
from connectors.csv import write_csv
from connectors.engine import Engine
from connectors.identity import MOST_PEOPLE
from connectors.losses import check_losses, losses, statuses, unknown_statuses
from connectors.order_source import OrderSource
from connectors.presets.fivetran import DBT_SHOPIFY, FIVETRAN
from connectors.presets.plain import PLAIN
from connectors.presets.preset import Preset
from connectors.presets.shopify import SHOPIFY
from connectors.presets.stripe import STRIPE
from connectors.presets.woocommerce import WOOCOMMERCE
from connectors.quality import Quality, look_at_orders
from connectors.reading import Customers, Reading, kept_orders, read_source
from connectors.rejects import rejected_rows
from connectors.rules import RULES, order_lines
from connectors.sources import is_database
from connectors.summary import summarize
from features.tables import DataError, Orders

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (PLAIN, STRIPE, FIVETRAN, DBT_SHOPIFY, SHOPIFY, WOOCOMMERCE)
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

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> "History":
        """Read what :meth:`to_dict` returned."""
        return cls(
            Path(said["orders"]),
            Path(said["rejects"]),
            said["digest"],
            date.fromisoformat(said["first_date"]),
            date.fromisoformat(said["last_date"]),
            Accounting(**said["accounting"]),
            Quality.from_dict(said["quality"]),
            None if said["order_lines"] is None else Path(said["order_lines"]),
            said["tells_discounts"],
            None if said["contacts"] is None else Path(said["contacts"]),
        )


def _plain(value: Any) -> Any:  # noqa: ANN401  # any field of a record
    return str(value) if isinstance(value, Path | date) else value


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
    rejects = folder / "rejects.csv"
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
        {"gross_amount", "discount_amount"} <= set(reading.found.columns),
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
        (*losses, *reading.found.notes, *_set_aside(reading.customers)),
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
    lines = order_lines(reading.rows, reading.found)
    if lines is None:
        return None
    kept = lines.semi_join(orders, "order_id")
    engine.write_parquet(kept, path)
    return path


def look_at_source(engine: Engine, source: OrderSource, as_of: date) -> dict[str, Any]:
    """Read a history as :func:`read_orders` does, but write nothing: what would come of it.

    Returns
    -------
    dict
        ``columns`` (ours: theirs), ``summary`` (see :func:`connectors.summary.summarize`),
        ``accounting``, ``statuses`` (rows of each), ``identities`` and what :class:`Quality` has.
    """
    with TemporaryDirectory() as scratch:
        preset = PRESETS[source.preset]
        reading = read_source(engine, preset, source, as_of, Path(scratch), limit=SAMPLE_ROWS)
        _check_some_left(engine, reading, source)
        orders = kept_orders(reading.orders)
        quality = _quality(engine, reading, orders, source)
        found = {
            "columns": dict(reading.found.found),
            "summary": summarize(engine, orders),
            "accounting": asdict(reading.accounting),
            "statuses": statuses(engine, reading),
            "identities": _identities(engine, reading.customers, orders),
            **asdict(quality),
        }
    is_sample = is_database(source.location) and reading.accounting.rows_in >= SAMPLE_ROWS
    return found | ({"sample_rows": SAMPLE_ROWS} if is_sample else {})


def _identities(engine: Engine, customers: Customers, orders: ir.Table) -> dict[str, Any]:
    """Return how customers were linked: the largest of them, and the identities that were set aside."""
    shared = customers.shared.sort_values("people", ascending=False, na_position="last")
    set_aside = [
        {
            "kind": row["kind"],
            "value": row["value"],
            "reason": f"{int(row['people']):,} different {PLURALS[row['evidence']]} in "
            f"{int(row['orders']):,} orders",
        }
        for row in shared.to_dict("records")
        if not pd.isna(row["people"])
    ]
    largest = None
    if customers.largest is not None:
        largest = dict(customers.largest)
        mine = orders.filter(orders.customer_id == largest["customer_id"])
        largest["orders"] = int(engine.frame(mine.aggregate(n=mine.count()))["n"].iloc[0])
    return {"merged": customers.merged, "largest": largest, "set_aside": set_aside[:MOST_SHOWN]}


def _rejects(engine: Engine, reading: Reading) -> pd.DataFrame | Iterable[pd.DataFrame]:
    """Return every rejected row, in parts; of none, the header."""
    if not set(reading.accounting.rejected) - {"after_as_of"}:
        return pd.DataFrame(columns=["rule", "reason", "source"])
    has_broken = "unreadable_row" in reading.accounting.rejected
    return rejected_rows(
        engine,
        reading.found,
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
