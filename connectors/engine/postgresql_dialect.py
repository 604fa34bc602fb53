"""PostgreSQL's dialect where it differs from DuckDB's."""

from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.postgres import PostgresCompiler

from connectors.engine.remote import NUMBER
from connectors.engine.shared_dialect import WithoutQualify

Sql = Any  # an expression of sqlglot

_GUARDED = """
CREATE OR REPLACE FUNCTION pg_temp.perennial_{name}(x text) RETURNS {kind} LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN x::{kind}; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$
"""
FUNCTIONS = (  # of a session: PostgreSQL 15 has no cast that yields null instead of an error
    _GUARDED.format(name="moment", kind="timestamptz"),
    _GUARDED.format(name="date", kind="date"),
    f"""
CREATE OR REPLACE FUNCTION pg_temp.perennial_number(x text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN x ~ '{NUMBER}' THEN replace(x, '_', '')::numeric END $$
""",
    """
CREATE OR REPLACE FUNCTION pg_temp.perennial_float(x text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN lower(x) ~ '^[+-]?(nan|inf|infinity)$' THEN x::float8
            WHEN abs(pg_temp.perennial_number(x)) < 1.7e308 THEN pg_temp.perennial_number(x)::float8 END $$
""",
    """
CREATE OR REPLACE FUNCTION pg_temp.perennial_flag(x text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN lower(x) IN ('true', 't', 'yes', 'y', '1') THEN true
            WHEN lower(x) IN ('false', 'f', 'no', 'n', '0') THEN false END $$
""",
    # a float times a power of ten, rounded half away from zero as DuckDB does
    """
CREATE OR REPLACE FUNCTION pg_temp.perennial_whole(x float8) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN abs(x) < 9e18 THEN
  (trunc(x) + CASE WHEN abs(x - trunc(x)) >= 0.5 THEN sign(x) ELSE 0 END)::bigint::numeric END $$
""",
)


@ibis.udf.scalar.builtin(
    name="timezone", signature=(("string", "timestamp('UTC')"), "timestamp(6)")
)
def clock_in(zone: str, moment: ir.Column) -> ir.Column:
    """Wall-clock time of a moment in a zone."""


@ibis.udf.scalar.builtin(name="perennial_instant", signature=(("string",), "timestamp('UTC')"))
def instant(text: ir.Column) -> ir.Column:
    """Moment of an ISO 8601 text with seconds, in the session's time zone; null = unreadable."""


def _own(name: str, *args: Sql) -> Sql:
    return sge.Anonymous(this=f"pg_temp.perennial_{name}", expressions=list(args))


class PostgreSQLCompiler(WithoutQualify, PostgresCompiler):
    """PostgreSQL whose results equal DuckDB's."""

    __slots__ = ()

    def visit_ScalarUDF(self, op: Any, **kw: Sql) -> Sql:
        """Write our own functions out."""
        if self.__sql_name__(op) == "perennial_instant":
            return _own("moment", kw["text"])
        return super().visit_ScalarUDF(op, **kw)

    def visit_Hash(self, op: Any, *, arg: Sql) -> Sql:
        """Hash a row as a whole."""
        if isinstance(op.arg, ops.StructColumn):
            return self.f.anon.hash_record_extended(arg, 0)
        return super().visit_Hash(op, arg=arg)

    def visit_DateTruncate(self, op: Any, *, arg: Sql, unit: Any) -> Sql:
        """Truncate a day to a day."""
        return self.cast(super().visit_DateTruncate(op, arg=arg, unit=unit), dt.date)

    def visit_Cast(self, op: Any, *, arg: Sql, to: Any) -> Sql:
        """Cast flags to numbers by way of the one kind that they are cast to."""
        if op.arg.dtype.is_boolean() and to.is_numeric():
            arg = self.cast(arg, dt.int32)
        return super().visit_Cast(op, arg=arg, to=to)

    def visit_TryCast(self, op: Any, *, arg: Sql, to: Any) -> Sql:
        """Read what DuckDB reads; null where a value does not fit."""
        given = op.arg.dtype
        if given.is_string():
            return self._read(arg, to)
        if given.is_floating() and to.is_decimal():
            whole = _own("whole", arg * sge.convert(10.0**to.scale))
            return self._fitting(whole / self.cast(sge.convert(10**to.scale), dt.decimal), to)
        if given.is_numeric() and (to.is_decimal() or to.is_integer()):
            return self._fitting(arg, to)
        return self.visit_Cast(op, arg=arg, to=to)

    def _read(self, text: Sql, to: Any) -> Sql:
        if to.is_decimal() or to.is_integer():
            return self._fitting(_own("number", text), to)
        names = {dt.Float64: "float", dt.Boolean: "flag", dt.Date: "date", dt.Timestamp: "moment"}
        return _own(names[type(to)], text) if type(to) in names else self.cast(text, to)

    def _fitting(self, number: Sql, to: Any) -> Sql:
        """Cast a number that is small enough; NaN is larger than any."""
        digits, scale = (to.precision, to.scale) if to.is_decimal() else (18, 0)
        limit = sg.parse_one(f"1e{digits - scale} - 0.5e-{scale}", dialect="postgres")
        return self.if_(self.f.abs(number) < sge.paren(limit), self.cast(number, to), sge.Null())
