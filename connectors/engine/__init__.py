"""The one door to compute: DuckDB by default, Spark or PostgreSQL by setting, all through Ibis."""

from connectors.engine.files import (
    CSV_ENDINGS,
    FILE_COLUMN,
    JSON_ENDINGS,
    PARQUET_ENDINGS,
    FileRows,
    SourceError,
    kind_of,
)
from connectors.engine.opening import BACKENDS, open_engine
from connectors.engine.shared import ISO_8601, Engine, EngineError

__all__ = [
    "BACKENDS",
    "CSV_ENDINGS",
    "FILE_COLUMN",
    "ISO_8601",
    "JSON_ENDINGS",
    "PARQUET_ENDINGS",
    "Engine",
    "EngineError",
    "FileRows",
    "SourceError",
    "kind_of",
    "open_engine",
]
