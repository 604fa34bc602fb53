"""Spark's dialect: SQL for operations on which it and DuckDB would differ."""

import re
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.backends.sql.datatypes import PySparkType

from connectors.engine.remote import NUMBER
from connectors.engine.shared_dialect import WithoutQualify

Sql = Any  # an expression of sqlglot

FUNCTIONS = (  # of a session
    """
CREATE OR REPLACE TEMPORARY FUNCTION perennial_utc_clock(x TIMESTAMP) RETURNS TIMESTAMP_NTZ
RETURN timestampadd(MICROSECOND, unix_micros(x), TIMESTAMP_NTZ '1970-01-01 00:00:00')
""",
    # 24:00:00 is the next day's start
    r"""
CREATE OR REPLACE TEMPORARY FUNCTION perennial_midnight(x STRING) RETURNS STRING
RETURN CASE WHEN x RLIKE '^.{10}[T ]24:00:00'
  THEN concat(CAST(date_add(try_cast(substr(x, 1, 10) AS DATE), 1) AS STRING), ' 00:00:00', substr(x, 20))
  ELSE x END
""",
    # of an hour that is there twice, the second
    """
CREATE OR REPLACE TEMPORARY FUNCTION perennial_later(x STRING, m TIMESTAMP) RETURNS TIMESTAMP
RETURN CASE WHEN CAST(m + INTERVAL '1' HOUR AS TIMESTAMP_NTZ) = CAST(m AS TIMESTAMP_NTZ)
  AND NOT x RLIKE '[+-][0-9]{2}:[0-9]{2}$' THEN m + INTERVAL '1' HOUR ELSE m END
""",
    """
CREATE OR REPLACE TEMPORARY FUNCTION perennial_instant(x STRING) RETURNS TIMESTAMP
RETURN perennial_later(x, try_cast(perennial_midnight(x) AS TIMESTAMP))
""",
)


@ibis.udf.scalar.builtin(
    name="perennial_utc_clock", signature=(("timestamp('UTC')",), "timestamp(6)")
)
def utc_clock(moment: ir.Column) -> ir.Column:
    """UTC wall-clock time of a moment."""


@ibis.udf.scalar.builtin(name="perennial_instant", signature=(("string",), "timestamp('UTC')"))
def instant(text: ir.Column) -> ir.Column:
    """Moment of an ISO 8601 text with seconds, in the session's time zone; null = unreadable."""


class SparkTypes(PySparkType):
    """Spark's types; a moment has a zone, a wall clock has none."""

    @classmethod
    def from_ibis(cls, dtype: Any) -> sge.DataType:
        """Translate a type."""
        if dtype.is_timestamp() and dtype.timezone is None:
            return sge.DataType(this=sge.DataType.Type.TIMESTAMPNTZ)
        kind: sge.DataType = super().from_ibis(dtype)
        return kind


class SparkCompiler(WithoutQualify, PySparkCompiler):
    """Spark SQL whose results equal DuckDB's."""

    __slots__ = ()

    type_mapper = SparkTypes

    def visit_RegexReplace(self, op: Any, *, arg: Sql, pattern: Sql, replacement: Sql) -> Sql:
        r"""Say ``$1`` where others say ``\1``."""
        text = op.replacement.value.replace("$", r"\$")
        return self.f.regexp_replace(arg, pattern, sge.convert(re.sub(r"\\(\d)", r"$\1", text)))

    def visit_Hash(self, op: Any, *, arg: Sql) -> Sql:
        """Hash 64 bits; Spark passes over nulls, so that where they are is hashed too."""
        is_row = isinstance(op.arg, ops.StructColumn)
        values = [one.unalias() for one in arg.expressions] if is_row else [arg]
        nulls = [value.copy().is_(sge.Null()) for value in values]
        return self.f.xxhash64(*values, *nulls)

    def visit_IsNull(self, op: Any, *, arg: Sql) -> Sql:
        """Tell nulls alone; NaN is none."""
        return arg.is_(sge.Null())

    def visit_NotNull(self, op: Any, *, arg: Sql) -> Sql:
        """Tell nulls alone; NaN is none."""
        return arg.is_(sg.not_(sge.Null()))

    def visit_DateTruncate(self, op: Any, *, arg: Sql, unit: Any) -> Sql:
        """Truncate a day to a day."""
        return self.cast(self.f.anon.date_trunc(unit.singular, arg), dt.date)

    def visit_TryCast(self, op: Any, *, arg: Sql, to: Any) -> Sql:
        """Read what DuckDB reads, and round as it does."""
        given = op.arg.dtype
        if given.is_string() and to.is_numeric():
            is_number = sge.RegexpLike(this=arg, expression=sge.convert(NUMBER))
            text = self.if_(is_number, self.f.replace(arg, "_", ""), sge.Null())
            if to.is_integer():
                return self._tried(self.f.round(self._tried(text, dt.Decimal(38, 6))), to)
            return self._tried(text, to)
        if given.is_string() and to.is_timestamp():
            return self.f.anon.perennial_instant(arg)
        if given.is_floating() and to.is_decimal():
            scaled = self.f.round(arg * sge.convert(10.0**to.scale))
            whole = self.cast(self._tried(scaled, dt.int64), dt.Decimal(19, 0))
            unit = self.cast(
                sge.convert(f"{10.0**-to.scale:.{to.scale}f}"), dt.Decimal(to.scale + 1, to.scale)
            )
            return self._tried(whole * unit, to)
        return self._tried(arg, to)

    def _tried(self, arg: Sql, to: Any) -> Sql:
        return sge.TryCast(this=arg, to=self.type_mapper.from_ibis(to), safe=True)
