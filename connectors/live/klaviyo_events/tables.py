"""Tables of the projection as Parquet: written row by row, for their owner's eyes only."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.live.parts import MOMENT, write_rows
from connectors.live.queries import Memory
from connectors.store import replace_file

BATCH = 5_000
MONEY = pa.decimal128(18, 4)
TEXT = pa.string()
PERSON = {"profile_id": TEXT, "email": TEXT, "phone": TEXT, "external_id": TEXT, "pull": TEXT}
Row = Mapping[str, object]


def schema(**columns: pa.DataType) -> pa.Schema:
    """Return a schema of columns that may be null."""
    return pa.schema(list(columns.items()))


PLACED = schema(
    klaviyo_event_id=TEXT,
    order_id=TEXT,
    integration=TEXT,
    ordered_at=MOMENT,
    shop_customer_id=TEXT,
    typed_email=TEXT,
    typed_phone=TEXT,
    name=TEXT,
    postal_code=TEXT,
    accepts_marketing=TEXT,
    currency=TEXT,
    channel=TEXT,
    discount_code=TEXT,
    tags=TEXT,
    is_test=pa.bool_(),
    is_redacted=pa.bool_(),
    gross_amount=MONEY,
    discount_amount=MONEY,
    gift_card_amount=MONEY,
    value=MONEY,
    **PERSON,
)
LINES = schema(
    klaviyo_event_id=TEXT,
    line_id=TEXT,
    product_id=TEXT,
    product_name=TEXT,
    quantity=pa.int64(),
    net_amount=MONEY,
)
VOIDS = schema(
    order_id=TEXT,
    integration=TEXT,
    rule=TEXT,
    voided_at=MOMENT,
    is_whole=pa.bool_(),
    value=MONEY,
)
REFUNDS = schema(
    order_id=TEXT,
    integration=TEXT,
    refund_id=TEXT,
    line_id=TEXT,
    refunded_at=MOMENT,
    net_amount=MONEY,
)
ENGAGEMENT = schema(
    kind=TEXT,
    happened_at=MOMENT,
    campaign=TEXT,
    **PERSON,
)


class TableWriter:
    """Writes a table row by row; use it in a ``with`` block.

    Parameters
    ----------
    path
        The file, for its owner's eyes only.
    columns
        Its schema; a column that a row lacks is null.
    """

    def __init__(self, path: Path, columns: pa.Schema) -> None:
        path.touch(mode=0o600)
        self._columns = columns
        self._file = pq.ParquetWriter(path, columns, compression="zstd")
        self._rows: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows; they are on disk when the block ends."""
        self._rows += rows
        if len(self._rows) >= BATCH:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            rows = [dict(one) for one in self._rows]
            self._file.write_table(pa.Table.from_pylist(rows, schema=self._columns))
            self._rows = []


@contextmanager
def open_duckdb(memory: Memory | None, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB under a memory limit, its clock in UTC."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str((memory and memory.scratch) or scratch)
    }
    if memory is not None and memory.limit is not None:
        config["memory_limit"] = memory.limit
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def write_query(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    path: Path,
    parameters: Mapping[str, str | Sequence[str]] | None = None,
) -> None:
    """Write what a query gives as Parquet."""

    def write(draft: Path) -> None:
        reader = connection.execute(query, dict(parameters or {})).to_arrow_reader(BATCH)
        write_rows(draft, reader.schema, reader)

    replace_file(path, write)
