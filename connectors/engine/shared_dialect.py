"""SQL that several engines need and Ibis does not write."""

from typing import Any

import sqlglot as sg

Sql = Any  # an expression of sqlglot


class WithoutQualify:  # no compiler of Ibis: that would bring its own words for everything else
    """SQL without QUALIFY, which sqlglot rewrites so that the names of tables are lost."""

    __slots__ = ()

    def visit_Select(self, op: Any, *, qualified: Any, selections: Any, **kw: Any) -> Sql:
        """Write conditions on windows as columns of a query inside: they hold outside."""
        if not qualified or kw["sort_keys"] or kw["distinct"]:
            plain: Any = super()
            return plain.visit_Select(op, qualified=qualified, selections=selections, **kw)
        me: Any = self
        marks = {f"perennial_holds_{i}": one for i, one in enumerate(qualified)}
        fields = me._cleanup_names({**selections, **marks})  # noqa: SLF001  # a compiler's own
        inner = sg.select(*fields).from_(kw["parent"])
        if kw["predicates"]:
            inner = inner.where(*kw["predicates"])
        names = (sg.column(name, quoted=me.quoted) for name in selections)
        holds = (sg.column(mark, quoted=me.quoted) for mark in marks)
        return sg.select(*names).from_(inner.subquery("perennial_rows")).where(*holds)
