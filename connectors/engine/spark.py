"""Apache Spark: on this machine, on a cluster, or through Spark Connect."""

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.engine.duckdb import DuckDBEngine
from connectors.engine.files import FILE_COLUMN, FileRows
from connectors.engine.patterns import as_iso
from connectors.engine.remote import RemoteEngine
from connectors.engine.shared import EngineError
from connectors.engine.spark_dialect import FUNCTIONS, SparkCompiler, instant, utc_clock
from connectors.source_files import PARQUET_ENDINGS

HERE = "local[*]"
CONNECT = "sc://"
DRIVER_MEMORY = "2g"
SQL_LOGGER = "SQLQueryContextLogger"
NEEDS = (
    'Install it with pip install "perennial[spark]", and Java 17, for instance with apt-get install '
    "openjdk-17-jre-headless"
)
SETTINGS = {  # of every session of ours
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
}
FILE_PATH = (  # as DuckDB names a file
    "regexp_replace(url_decode(replace(_metadata.file_path, '+', '%2B')), '^file:/+', '/') AS "
)


class SparkEngine(RemoteEngine):
    """Spark; what is computed once lies as Parquet in the scratch folder."""

    def parquet(self, path: Path) -> ir.Table:
        """Return a Parquet file, or a folder of them, as a table."""
        return self._named(self._session.read.parquet(_literally(path)), "read")

    def read_rows(
        self,
        files: list[Path],
        *,
        encoding: str | None = None,
        nested: Mapping[str, str] | None = None,
    ) -> FileRows:
        """Return the rows of files as they are; Parquet files of one form are read where they lie."""
        if not (files[0].suffix.lower() in PARQUET_ENDINGS and _is_plain(files)):
            return super().read_rows(files, encoding=encoding, nested=nested)
        rows = self._session.read.parquet(*map(_literally, files))
        return FileRows(self._named(rows.selectExpr("*", FILE_PATH + FILE_COLUMN), "rows"))

    @property
    def _session(self) -> Any:  # noqa: ANN401  # Spark's
        return self._connection._session  # noqa: SLF001  # Ibis has no other door to it

    def _named(self, rows: Any, name: str) -> ir.Table:  # noqa: ANN401  # Spark's frame
        view = f"{name}_{next(self._readings)}"
        rows.createTempView(view)
        return self._connection.table(view)

    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; later expressions read the result."""
        del name  # its file has a number
        return self.parquet(self._written(table))

    def view(self, table: ir.Table, name: str) -> ir.Table:
        """Name a table without computing it."""
        return self._named(self._rows(table), name)

    def write_parquet(self, table: ir.Table, path: Path) -> None:
        """Write a table as a folder of Parquet files, named in the order of their rows."""
        into = self._rows(table).write.mode("overwrite").option("compression", "snappy")
        into.parquet(f"file://{path.absolute()}")

    def _rows(self, table: ir.Table) -> Any:  # noqa: ANN401  # Spark's frame
        return self._session.sql(self._connection.compile(table))

    def _written(self, table: ir.Table) -> Path:
        path = self._file("parquet")
        self.write_parquet(table, path)
        return path

    def _bring(self, table: ir.Table) -> ir.Table:
        path = self._file("parquet")
        self._local.write_for_others(table, path)
        return self.parquet(path)

    def _fetch(self, table: ir.Table) -> ir.Table:
        return self._local.parquet(self._written(table))

    def utc(self, moment: ir.Column) -> ir.Column:
        """Return the UTC wall-clock time of moments."""
        return utc_clock(moment)

    def _instant(self, text: ir.Column) -> ir.Column:
        kind = text.type()
        if kind.is_timestamp() and kind.timezone is not None:
            return text
        return instant(text.cast("string"))

    def _by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        return instant(as_iso(text, pattern))

    def _in_zone(self, clock: ir.Column, zone: str) -> ir.Column:
        is_text = clock.type().is_string()
        text = clock if is_text else clock.strftime("%Y-%m-%d %H:%M:%S")
        return instant(text + " " + zone)

    def _clock_by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        return as_iso(text, pattern)


def _literally(path: Path) -> str:
    """Return a path as a URL in which no character is a pattern."""
    return "file://" + re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path.absolute()))


def _is_plain(files: list[Path]) -> bool:
    """Tell whether Spark reads files as DuckDB does: of one form, without types that it lacks."""
    schemas = [pq.read_schema(file).remove_metadata() for file in files]
    is_one = all(one.equals(schemas[0]) for one in schemas)
    return is_one and all(_is_known(field.type) for field in schemas[0])


def _is_known(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_timestamp(kind):
        return bool(kind.unit == "us")
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_signed_integer(kind)
        or types.is_float64(kind)
        or types.is_boolean(kind)
        or types.is_date32(kind)
        or types.is_decimal128(kind)
    )


@contextmanager
def open_spark(
    local: DuckDBEngine, scratch: Path, timezone: str, url: str | None, memory: str | None
) -> Iterator[SparkEngine]:
    """Open a session of this process's Spark, which is started once and ends with the process."""
    session = _session(url or HERE, memory)
    connection = ibis.pyspark.connect(session)
    connection.compiler = SparkCompiler()
    for name, value in {**SETTINGS, "spark.sql.session.timeZone": timezone}.items():
        session.conf.set(name, value)
    for function in FUNCTIONS:
        session.sql(function)
    yield SparkEngine(connection, local, scratch)


def _session(url: str, memory: str | None) -> Any:  # noqa: ANN401  # Spark's
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EngineError(f"Spark needs the package pyspark: {error}. {NEEDS}") from error
    logging.getLogger(SQL_LOGGER).setLevel(logging.CRITICAL)  # what it logs is raised as well
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers are another Python
    if not url.startswith(CONNECT):
        _check_java()
    try:
        if url.startswith(CONNECT):
            return SparkSession.builder.remote(url).create()
        return _builder(SparkSession.builder, url, memory).getOrCreate().newSession()
    except (PySparkException, ImportError, OSError) as error:
        problem = " ".join(str(error).split())[:300]
        raise EngineError(
            f"Spark must answer: {url}: {problem}. Check engine.url. {NEEDS}"
        ) from error


def _builder(builder: Any, url: str, memory: str | None) -> Any:  # noqa: ANN401  # Spark's
    settings = {
        "spark.driver.memory": _jvm_size(memory) if memory else DRIVER_MEMORY,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if url.startswith("local"):
        cores = str(os.cpu_count() or 1)
        settings |= dict.fromkeys(("spark.driver.host", "spark.driver.bindAddress"), "127.0.0.1")
        settings |= {"spark.sql.shuffle.partitions": cores}
        # Nothing is kept there, but Spark makes the folder, and where a command runs is not its place.
        settings |= {"spark.sql.warehouse.dir": str(Path(gettempdir(), "perennial-spark"))}
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.master(url).appName("perennial")


def _jvm_size(memory: str) -> str:
    """Return ``"1.5GB"`` as Java has it, ``"1536m"``."""
    number, unit = memory[:-2].rstrip("i").rstrip("KMGT "), memory.rstrip("iB")[-1]
    return f"{int(float(number) * {'K': 2**-10, 'M': 1, 'G': 2**10, 'T': 2**20}[unit])}m"


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and Path(home, "bin", "java").exists()):
        raise EngineError(
            f"Spark needs Java: there is no java on the path, and JAVA_HOME names none. {NEEDS}"
        )
