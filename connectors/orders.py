"""Any order history -> ``orders`` and ``rejects``, every source row accounted for."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from connectors.accounting import Accounting, account, count_orders, orders_of_rows
from connectors.csv import write_csv
from connectors.engine import Engine, UnevenFilesError
from connectors.identity import KEYS, link
from connectors.presets.fivetran import DBT_SHOPIFY, FIVETRAN
from connectors.presets.plain import PLAIN
from connectors.presets.preset import Preset, PresetError, SourceRows
from connectors.presets.shopify import SHOPIFY
from connectors.presets.stripe import STRIPE
from connectors.presets.woocommerce import WOOCOMMERCE
from connectors.quality import Quality, look_at_orders
from connectors.rejects import rejected_rows
from connectors.rules import (
    RULES,
    OrderSource,
    count_rows,
    distinct_rows,
    good_rows,
    judge_rows,
    merge_to_orders,
    order_lines,
)
from connectors.sources import SourceError, open_tables
from features.tables import DataError, Orders

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (PLAIN, STRIPE, FIVETRAN, DBT_SHOPIFY, SHOPIFY, WOOCOMMERCE)
}
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
    """

    orders: Path
    rejects: Path
    digest: str
    first_date: date
    last_date: date
    accounting: Accounting
    quality: Quality
    order_lines: Path | None = None

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
    reading = _read(engine, source, as_of, folder / "extract")
    rejects = folder / "rejects.csv"
    write_csv(_rejects(engine, reading), rejects)
    _check_some_left(reading.accounting)
    parquet = folder / "orders.parquet"
    kept = reading.orders.filter(reading.orders.rule.isnull()).select(*Orders.schema())
    engine.write_parquet(kept, parquet)
    orders = engine.parquet(parquet)
    quality = _quality(engine, reading, orders)
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
    )


def _quality(engine: Engine, reading: "_Reading", orders: ir.Table) -> Quality:
    return look_at_orders(
        engine,
        orders,
        reading.judged,
        reading.orders,
        reading.merged_customers,
        reading.found.notes,
        has_rejects=bool(reading.accounting.rejected),
    )


def _write_lines(engine: Engine, reading: "_Reading", orders: ir.Table, path: Path) -> Path | None:
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
        ``columns`` (ours: theirs) and ``accounting``.
    """
    with TemporaryDirectory() as scratch:
        reading = _read(engine, source, as_of, Path(scratch), limit=SAMPLE_ROWS)
        _check_some_left(reading.accounting)
        kept = reading.orders.filter(reading.orders.rule.isnull()).select(*Orders.schema())
        quality = _quality(engine, reading, kept)
    return {
        "columns": dict(reading.found.found),
        "accounting": asdict(reading.accounting),
        **asdict(quality),
    }


@dataclass(frozen=True)
class _Reading:
    """A source with every row judged, the good ones once each, and what orders they make."""

    found: SourceRows
    broken: ir.Table | None
    judged: ir.Table
    rows: ir.Table
    orders: ir.Table
    accounting: Accounting
    merged_customers: int


def _read(
    engine: Engine, source: OrderSource, as_of: date, scratch: Path, limit: int | None = None
) -> _Reading:
    preset = PRESETS[source.preset]
    try:
        opened = open_tables(
            engine, source.location, preset.tables, source.table, scratch, limit, preset.varying
        )
        found = preset.read(engine, opened.tables, source.columns, as_of)
        judged = judge_rows(engine, found, source, as_of)
        is_light = preset is PLAIN and not {"email", "phone"} & set(judged.columns)
        # Reading light rows once more costs less than keeping them.
        judged = engine.view(judged, "judged") if is_light else engine.keep(judged, "judged")
        _check_currency(engine, judged, source)
        judged, merged_customers = _link_customers(engine, judged)
        counts, rows = count_rows(engine, judged), good_rows(judged)
        if not counts.is_one_each and not (found.of_lines and source.keep_duplicates):
            rows = distinct_rows(engine, rows)
        orders = merge_to_orders(engine, rows, found, source, counts)
        if is_light and counts.is_one_each and not counts.has_reductions:
            orders = engine.view(orders, "merged")
            by_order = orders_of_rows(counts, keep_zero_amount=source.keep_zero_amount)
        else:
            orders = engine.keep(orders, "merged")
            by_order = count_orders(engine, orders)
    except PresetError as error:
        raise SourceError(str(error)) from error
    except (*engine.errors, duckdb.Error, pa.ArrowException, OSError, UnevenFilesError) as error:
        finding = str(error).strip().split("\n")[0]
        raise SourceError(
            f"orders.source must be readable: {source.location}: {finding}. Export it again as UTF-8, "
            "or mend orders.date_format if one is set"
        ) from error
    broken = opened.broken
    accounting = account(engine, counts, broken, by_order)
    if not accounting.is_balanced:
        raise AssertionError(f"every source row is accounted for: {accounting} does not add up")
    return _Reading(found, broken, judged, rows, orders, accounting, merged_customers)


def _link_customers(engine: Engine, judged: ir.Table) -> tuple[ir.Table, int]:
    """Name the customer of each good row, linked over ids, e-mails and phones; say how many were merged."""
    if not {"email", "phone"} & set(judged.columns):
        return judged, 0
    missing = {key: ibis.null("string") for key in KEYS if key not in judged.columns}
    judged = judged.mutate(**missing)
    good = judged.filter(judged.rule.isnull())
    seen = good.group_by(*KEYS).aggregate(
        first_at=good.moment.min(), first_order=good.order_id.argmin(good.moment)
    )
    linked = link(engine.frame(seen))
    names = engine.table(linked.names, "customer_names")
    pairs = [judged[key].identical_to(names[key]) for key in KEYS]
    named = judged.left_join(names.select(*KEYS, "known_as"), pairs)
    columns = [name for name in judged.columns if name != "customer_id"]
    whole = named.select(*columns, customer_id=named.known_as)
    return engine.keep(whole, "linked"), linked.merged


def _check_currency(engine: Engine, judged: ir.Table, source: OrderSource) -> None:
    """Refuse a history in several currencies: their amounts do not add up."""
    if source.other_currencies == "reject" or "currency" not in judged.columns:
        return
    usable = judged.filter(judged.rule.isnull() | (judged.rule == "other_currency"))
    counts = engine.frame(
        usable.group_by("currency", "rule").aggregate(rows=usable.count()).order_by("currency")
    )
    if counts["rule"].notna().any():
        found = ", ".join(
            f"{rows:,} in {'none' if pd.isna(currency) else currency}"
            for currency, rows in zip(counts["currency"], counts["rows"], strict=True)
        )
        raise DataError(
            f"orders need one currency, the store's {source.currency}: rows are {found}. Set "
            "store.currency, convert the amounts, or leave the others out with "
            'orders.other_currencies = "reject"'
        )


def _rejects(engine: Engine, reading: _Reading) -> pd.DataFrame | Iterable[pd.DataFrame]:
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


def _check_some_left(accounting: Accounting) -> None:
    if accounting.orders:
        return
    if not accounting.rows_in:
        raise DataError("orders need rows: the source has a header and none. Export it again")
    rule, rows = max(accounting.rejected.items(), key=lambda item: item[1])
    raise DataError(
        f"orders need at least one good row: of {accounting.rows_in:,} rows none is left, "
        f"{rows:,} broke the rule {rule} ({RULES[rule]}). See rejects.csv"
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
