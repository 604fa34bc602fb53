"""What every engine does: tables in, expressions over them, tables out."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from connectors.engine.files import FileRows
from connectors.texts import trim

_ZONE = r"\s*(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)"
ISO_8601 = (
    rf"^\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:{_ZONE})?)?$"
)
NO_SECONDS = rf"([T ]\d{{1,2}}:\d{{2}})((?:{_ZONE})?)$"
CLOCK = r"^.{10}[T ][\d:.]+$"
OFFSET = r"(:\d{2}(?:\.\d+)?)\s*([+-]\d{2}):?(\d{2})$"  # -0300 and " -03:00" alike


class EngineError(ValueError):
    """An engine cannot be opened or cannot do what is asked: the message has the problem, the fix and the rule."""


class Engine(ABC):
    """Tables in, expressions over them, tables out.

    The expressions are the same on every engine. What engines do each in their own way is behind
    these methods, and in the words that an engine's compiler has for an operation.

    Parameters
    ----------
    connection
        Ibis connection, opened in the store's time zone.

    Attributes
    ----------
    errors
        What it raises where a source cannot be read.
    """

    errors: tuple[type[Exception], ...] = ()

    def __init__(self, connection: Any) -> None:  # noqa: ANN401  # any of Ibis' backends
        self._connection = connection
        self._readings = count()

    @property
    @abstractmethod
    def local(self) -> "Engine":
        """DuckDB on this machine, for what is the same whatever engine computes: digests of files."""

    @abstractmethod
    def parquet(self, path: Path) -> ir.Table:
        """Return a Parquet file, or a folder of them, as a table."""

    @abstractmethod
    def read_rows(
        self,
        files: list[Path],
        *,
        encoding: str | None = None,
        nested: Mapping[str, str] | None = None,
    ) -> FileRows:
        """Return the rows of CSV, JSON or Parquet files as they are.

        Columns are united by name, in any case: what a file lacks is null. Columns of CSV and JSON
        files are texts.

        Parameters
        ----------
        files
            Files of one kind.
        encoding
            Encoding of CSV and JSON files; None = detected.
        nested
            Ibis types of keys of JSON records that stay nested, with texts inside.

        Raises
        ------
        SourceError
            A file cannot be read, or two files have no column in common.
        """

    @abstractmethod
    def table(self, frame: pd.DataFrame, name: str) -> ir.Table:
        """Return a frame in memory as a table; missing values are nulls."""

    @abstractmethod
    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; later expressions read the result."""

    @abstractmethod
    def view(self, table: ir.Table, name: str) -> ir.Table:
        """Name a table without computing it: what is made of it is translated and planned in parts."""

    @abstractmethod
    def stage(self, table: ir.Table, name: str) -> ir.Table:
        """Name a table of long expressions, computed where the engine would repeat them in each use."""

    @abstractmethod
    def write_parquet(self, table: ir.Table, path: Path) -> None:
        """Write a table as a Parquet file, or as a folder of them, packed lightly: it is a run's own.

        Rows stay in the order that the table asks for.
        """

    @abstractmethod
    def frame(self, table: ir.Table) -> pd.DataFrame:
        """Fetch a table into memory."""

    @abstractmethod
    def frames(self, table: ir.Table) -> Iterator[pd.DataFrame]:
        """Fetch a table in parts; one without rows is one part without rows."""

    @abstractmethod
    def has_rows(self, table: ir.Table) -> bool:
        """Tell whether a table has any row."""

    @abstractmethod
    def utc(self, moment: ir.Column) -> ir.Column:
        """Return the UTC wall-clock time of moments."""

    @abstractmethod
    def _instant(self, text: ir.Column) -> ir.Column:
        """Read ISO 8601 texts with seconds, or naive timestamps, as moments; null = unreadable."""

    @abstractmethod
    def _by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        """Read texts by a strptime pattern as moments; null = unreadable."""

    @abstractmethod
    def _in_zone(self, clock: ir.Column, zone: str) -> ir.Column:
        """Read wall-clock times, ISO 8601 texts or naive timestamps, in a zone; null = unreadable."""

    @abstractmethod
    def _clock_by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        """Read texts by a strptime pattern as wall-clock times, for :meth:`_in_zone`."""

    def moment(
        self, text: ir.Column, pattern: str | None = None, zone: str | None = None
    ) -> ir.Column:
        """Read a column as moments; null = unreadable.

        Parameters
        ----------
        text
            Texts, dates or timestamps.
        pattern
            strptime pattern of the texts; None = ISO 8601.
        zone
            Time zone of times without an offset; None = the store's. A day without a time is a day in
            the store.
        """
        kind = text.type()
        if not kind.is_string():
            is_clock = kind.is_timestamp() and kind.timezone is None
            return self._in_zone(text, zone) if zone and is_clock else self._instant(text)
        text = trim(text)
        if pattern:
            if zone and re.search("%[HI]", pattern) and "%z" not in pattern:
                return self._in_zone(self._clock_by_pattern(text, pattern), zone)
            return self._by_pattern(text, pattern)
        # Only what is spelled out here: an engine's own reading may let the zone that one row names
        # stand for the rows after it, and take words such as infinity.
        whole = ibis.ifelse(text.re_search(ISO_8601), text, ibis.null("string"))
        in_utc = whole.re_replace(r"\s*(?:Z|UTC)$", "+00:00")
        with_seconds = in_utc.re_replace(NO_SECONDS, r"\1:00\2")
        iso = with_seconds.re_replace(OFFSET, r"\1\2:\3")
        if zone is None:
            return self._instant(iso)
        is_clock = iso.re_search(CLOCK)
        clock = ibis.ifelse(is_clock, iso, ibis.null("string"))
        return ibis.ifelse(is_clock, self._in_zone(clock, zone), self._instant(iso))

    def store_day(self, moment: ir.Column) -> ir.Column:
        """Return the day of moments in the store's time zone."""
        return moment.cast("date")

    def is_after(self, moment: ir.Column, day: date) -> ir.Column:
        """Tell the moments whose day in the store's time zone is later.

        The calendar, which is slow, is only asked about what is near: no zone is more than a day
        away from UTC.
        """
        near = moment >= ibis.timestamp(f"{day - timedelta(days=1)}T00:00:00Z")
        return ibis.ifelse(near, self.store_day(moment) > ibis.date(day), ibis.literal(False))

    def row_hash(self, table: ir.Table, names: list[str]) -> ir.Column:
        """Return a 64-bit hash of the columns' values; engines hash each in their own way."""
        return ibis.struct({name: table[name] for name in names}).hash()
