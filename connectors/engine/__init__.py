"""The one door to compute: DuckDB by default, Spark or PostgreSQL by setting, all through Ibis."""

from connectors.engine.files import FILE_COLUMN, FileRows, SourceError
from connectors.engine.opening import BACKENDS, open_engine
from connectors.engine.shared import ISO_8601, Engine, EngineError

__all__ = [
    "BACKENDS",
    "FILE_COLUMN",
    "ISO_8601",
    "Engine",
    "EngineError",
    "FileRows",
    "SourceError",
    "open_engine",
]
