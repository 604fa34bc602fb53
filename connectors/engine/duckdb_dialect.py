"""How DuckDB is told what Ibis takes for granted."""

from typing import Any

from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

Sql = Any  # an expression of sqlglot


class WholeDuckDBCompiler(DuckDBCompiler):
    """DuckDB whose sums of whole numbers are 64 bits wide, as Ibis says, not 128, which files lack."""

    __slots__ = ()

    def visit_Sum(self, op: Any, *, arg: Sql, where: Sql) -> Sql:
        """Cast sums of whole numbers to the type that they are said to have."""
        total = super().visit_Sum(op, arg=arg, where=where)
        return self.cast(total, op.dtype) if op.dtype.is_integer() else total
