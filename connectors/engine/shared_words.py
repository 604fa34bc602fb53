"""What several engines are told in other words than Ibis has for them."""

from typing import Any

import sqlglot as sg
from ibis.backends.sql.compilers.base import SQLGlotCompiler

Sql = Any  # an expression of sqlglot


class WithoutQualify(SQLGlotCompiler):
    """SQL without QUALIFY, which sqlglot rewrites so that the names of tables are lost."""

    __slots__ = ()

    def visit_Select(self, op: Any, *, qualified: Any, selections: Any, **kw: Any) -> Sql:
        """Write conditions on windows as columns of a query inside: they hold outside."""
        if not qualified or kw["sort_keys"] or kw["distinct"]:
            return super().visit_Select(op, qualified=qualified, selections=selections, **kw)
        marks = {f"perennial_holds_{i}": one for i, one in enumerate(qualified)}
        fields = self._cleanup_names({**selections, **marks})
        inner = sg.select(*fields).from_(kw["parent"])
        if kw["predicates"]:
            inner = inner.where(*kw["predicates"])
        names = (sg.column(name, quoted=self.quoted) for name in selections)
        holds = (sg.column(mark, quoted=self.quoted) for mark in marks)
        return sg.select(*names).from_(inner.subquery("perennial_rows")).where(*holds)
