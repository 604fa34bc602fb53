"""Any order history -> ``orders`` and ``rejects``, every source row accounted for."""

from dataclasses import asdict, dataclass
from datetime import date
from glob import glob
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from connectors.csv import write_csv
from connectors.engine import FILE_COLUMN, PARQUET_ENDINGS, Engine, UnevenFilesError
from connectors.presets.plain import resolve_columns
from connectors.rules import RULES, OrderSource, judge_rows, merge_to_orders, rejected_rows
from features.tables import DataError, Orders

CSV_ENDINGS = {".csv", ".txt", ".tsv"}


class SourceError(ValueError):
    """Settings and source do not fit: says the rule, the finding, the next step."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # one line, whatever a name in it has


@dataclass(frozen=True)
class Accounting:
    """Where every source row went: ``rows_in = orders + merged + rejected``.

    Attributes
    ----------
    rows_in
        Rows of the source.
    orders
        Orders kept.
    merged
        Rows that became part of a kept order, by cause.
    rejected
        Rows that did not, by rule.
    """

    rows_in: int
    orders: int
    merged: dict[str, int]
    rejected: dict[str, int]

    @property
    def is_balanced(self) -> bool:
        """Whether every row is accounted for."""
        return self.rows_in == self.orders + sum(self.merged.values()) + sum(
            self.rejected.values()
        )


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
    """

    orders: Path
    rejects: Path
    digest: str
    first_date: date
    last_date: date
    accounting: Accounting

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
        )


def _plain(value: Any) -> Any:  # noqa: ANN401  # any field of a record
    return str(value) if isinstance(value, Path | date) else value


def find_files(location: str) -> list[Path]:
    """Return the files behind a path, a glob or a folder, sorted.

    Raises
    ------
    SourceError
        Nothing is there, or files of several or unknown kinds.
    DataError
        A file is empty.
    """
    path = Path(location)
    if path.is_dir():
        files = [f for f in path.iterdir() if f.suffix.lower() in CSV_ENDINGS | PARQUET_ENDINGS]
    elif path.is_file():
        files = [path]
    else:
        found = glob(location, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
        files = [f for f in map(Path, found) if f.is_file()]
    if not files:
        raise SourceError(
            f"orders.source must name CSV or Parquet files: nothing is at {location}. Set orders.source"
        )
    kinds = {file.suffix.lower() for file in files}
    if not (kinds <= CSV_ENDINGS or kinds <= PARQUET_ENDINGS):
        raise SourceError(
            f"orders.source must be of one kind, CSV or Parquet: {location} has "
            f"{', '.join(sorted(kinds))}. Name the files with a glob, for instance orders/*.csv"
        )
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(f"orders.source must have rows: {file} is empty. Export it again")
        if kinds <= CSV_ENDINGS:
            _check_header(file)
    return sorted(files)


def _check_header(file: Path) -> None:
    """Refuse a CSV file whose header is not UTF-8; a row that is not is one unreadable row."""
    with file.open("rb") as lines:
        header = lines.readline(1_000_000)
    try:
        header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"orders.source must be UTF-8: the header of {file} is not. Export it again as UTF-8"
        ) from error


def read_orders(engine: Engine, source: OrderSource, as_of: date, folder: Path) -> History:
    """Read an order history as known at the end of a day.

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
    reading = _read(engine, source, as_of)
    folder.mkdir(parents=True, exist_ok=True)
    rejects = folder / "rejects.csv"
    write_csv(_rejects_frame(engine, reading), rejects)
    _check_some_left(reading.accounting)
    parquet = folder / "orders.parquet"
    kept = reading.orders.filter(reading.orders.rule.isnull()).select(*Orders.schema())
    engine.write_parquet(kept.order_by("order_date", "order_id"), parquet)
    digest, first_date, last_date = _digest(engine, engine.parquet(parquet))
    return History(parquet, rejects, digest, first_date, last_date, reading.accounting)


def look_at_source(engine: Engine, source: OrderSource, as_of: date) -> dict[str, Any]:
    """Read a history as :func:`read_orders` does, but write nothing: what would come of it.

    Returns
    -------
    dict
        ``columns`` (ours: theirs) and ``accounting``.
    """
    reading = _read(engine, source, as_of)
    _check_some_left(reading.accounting)
    return {"columns": reading.columns, "accounting": asdict(reading.accounting)}


@dataclass(frozen=True)
class _Reading:
    """A source with every row judged: lazily with its raw columns, orders computed."""

    columns: dict[str, str]
    rows: ir.Table
    broken: ir.Table | None
    orders: ir.Table
    accounting: Accounting


def _read(engine: Engine, source: OrderSource, as_of: date) -> _Reading:
    files = find_files(source.location)
    try:
        rows, broken = engine.read_rows(files)
        columns = _find_columns(rows, source)
        with_raw = judge_rows(engine, rows, columns, source, as_of)
        judged = engine.keep(with_raw.drop("raw"), "judged")
        _check_currency(engine, judged, source)
        orders = engine.keep(merge_to_orders(engine, judged, columns, source), "merged")
    except (duckdb.Error, pa.ArrowException, OSError, UnevenFilesError) as error:
        finding = str(error).strip().split("\n")[0]
        raise SourceError(
            f"orders.source must be readable: {source.location}: {finding}. Export it again as UTF-8, "
            "or mend orders.date_format if one is set"
        ) from error
    accounting = _account(engine, judged, broken, orders)
    if not accounting.is_balanced:
        raise AssertionError(f"every source row is accounted for: {accounting} does not add up")
    return _Reading(columns, with_raw, broken, orders, accounting)


def _find_columns(rows: ir.Table, source: OrderSource) -> dict[str, str]:
    try:
        return resolve_columns(source.columns, [n for n in rows.columns if n != FILE_COLUMN])
    except ValueError as error:
        raise SourceError(str(error)) from error


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


def _account(
    engine: Engine, judged: ir.Table, broken: ir.Table | None, merged: ir.Table
) -> Accounting:
    """Count where every source row went."""
    by_row = engine.frame(judged.group_by("rule").aggregate(rows=judged.count()))
    by_order = engine.frame(
        merged.group_by("rule").aggregate(
            orders=merged.count(), rows=merged.rows.sum(), lines=merged.lines.sum()
        )
    )
    rejected = dict.fromkeys(RULES, 0)
    if broken is not None:
        rejected["unreadable_row"] = len(engine.frame(broken.select("file_path")))
    for counts in (by_row, by_order):
        for rule, rows in zip(counts["rule"], counts["rows"], strict=True):
            if not pd.isna(rule):
                rejected[rule] += int(rows)
    kept = by_order[by_order["rule"].isna()][["orders", "rows", "lines"]].sum()
    return Accounting(
        rows_in=int(by_row["rows"].sum()) + rejected["unreadable_row"],
        orders=int(kept["orders"]),
        merged={
            "exact_duplicates": int(kept["rows"] - kept["lines"]),
            "lines_summed": int(kept["lines"] - kept["orders"]),
        },
        rejected={rule: rows for rule, rows in rejected.items() if rows},
    )


def _rejects_frame(engine: Engine, reading: _Reading) -> pd.DataFrame:
    """Return every rejected row: the rule, its words, the source, and the raw columns."""
    parts = [pd.DataFrame(columns=["rule", "source"])]
    if set(reading.accounting.rejected) - {"unreadable_row", "after_as_of"}:
        parts.append(engine.frame(rejected_rows(reading.rows, reading.orders).unpack("raw")))
    if reading.broken is not None and "unreadable_row" in reading.accounting.rejected:
        lines = engine.frame(reading.broken)
        lines = lines.rename(columns={"file_path": "source", "csv_line": "line"})
        parts.append(lines.assign(rule="unreadable_row"))
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    rows["reason"] = rows["rule"].map(RULES)
    first = ["rule", "reason", "source"]
    rows = rows[first + [name for name in rows.columns if name not in first]]
    return rows.sort_values(["rule", "source"], kind="stable")


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
