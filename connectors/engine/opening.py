"""Open the engine that the settings name."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.engine.duckdb import open_duckdb
from connectors.engine.shared import Engine, EngineError

BACKENDS = ("duckdb", "spark", "postgresql")


@contextmanager
def open_engine(
    timezone: str = "UTC",
    *,
    backend: str = "duckdb",
    url: str | None = None,
    memory_limit: str | None = None,
    scratch: Path | None = None,
) -> Iterator[Engine]:
    """Open an engine, and close it after use.

    Parameters
    ----------
    timezone
        The store's IANA time zone: a moment without an offset is read in it, a day is a day there.
    backend
        One of :data:`BACKENDS`.
    url
        Spark's master or Connect URL, by default this machine's cores; PostgreSQL's address.
    memory_limit
        For instance ``"4GB"``; DuckDB spills to `scratch` beyond it, by default at 80 % of the
        machine's. Spark's driver gets it, by default 2 GB.
    scratch
        Folder for what is computed on the way; a cluster's workers see it under the same name.

    Raises
    ------
    EngineError
        The engine is not installed, or does not answer.
    """
    if backend not in BACKENDS:
        raise EngineError(
            f"engine.backend is one of {', '.join(BACKENDS)}: found {backend!r}. Set engine.backend"
        )
    with ExitStack() as opened:
        if backend == "duckdb":
            yield opened.enter_context(open_duckdb(timezone, memory_limit, scratch))
            return
        folder = Path(opened.enter_context(_folder_in(scratch)))
        local = opened.enter_context(open_duckdb(timezone, None, folder / "spill"))
        if backend == "spark":
            from connectors.engine.spark import open_spark

            yield opened.enter_context(open_spark(local, folder, timezone, url, memory_limit))
        else:
            from connectors.engine.postgresql import open_postgresql

            yield opened.enter_context(open_postgresql(local, folder, timezone, url))


def _folder_in(scratch: Path | None) -> TemporaryDirectory[str]:
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    return TemporaryDirectory(dir=scratch, prefix="engine-", ignore_cleanup_errors=True)
