"""Shopify's search syntax, as far as orders are found by it.

Terms are joined by spaces: `created_at:>='2026-11-01T00:00:00Z' updated_at:<'…' test:false`. A field
that does not exist, or a value that cannot be read, gives a warning and is left out of the search,
as Shopify does: the answer then has more orders than were asked for.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TERM = re.compile(r"""(\w+):(>=|<=|>|<|=)?(?:'([^']*)'|"([^"]*)"|([^\s'"]+))""")
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "": operator.eq,
}
MOMENTS = frozenset(["created_at", "updated_at", "processed_at"])
FIELDS = MOMENTS | {"id", "name", "financial_status", "test", "email", "customer_id"}


@dataclass(frozen=True)
class Term:
    """A field compared with a value."""

    field: str
    sign: str
    value: Any


@dataclass(frozen=True)
class Search:
    """Terms that all hold, warnings about terms left out, and the first visible moment."""

    terms: tuple[Term, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()  # (field, code)
    since: datetime | None = None

    def matches(self, row: Mapping[str, Any]) -> bool:
        if self.since is not None and row["created_at"] < self.since:
            return False
        return all(
            row[term.field] is not None and OPERATORS[term.sign](row[term.field], term.value)
            for term in self.terms
        )


def parse_search(text: str | None) -> Search:
    """Read a search; text that is no term at all is left out, with a warning."""
    terms, warnings = [], []
    rest = TERM.sub("", text or "").strip()
    if rest and rest.upper() != "AND":
        warnings.append((rest, "invalid_query"))
    for name, sign, *values in TERM.findall(text or ""):
        value: Any = next((value for value in values if value), "")
        if name not in FIELDS:
            warnings.append((name, "invalid_field"))
            continue
        try:
            value = _moment(value) if name in MOMENTS else int(value) if name == "id" else value
        except ValueError:
            warnings.append((name, "invalid_value"))
            continue
        terms.append(Term(name, sign, value))
    return Search(tuple(terms), tuple(warnings))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
