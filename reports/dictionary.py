"""The data dictionary, out of the tables' own words. ``make docs`` writes it."""

import inspect
from collections.abc import Iterable

from features.tables import PAPER_SYMBOLS, TABLES, Table
from models.evaluation import METRICS
from reports.measures.definitions import DEFINITIONS
from segments.journey import STAGES
from segments.lifecycle import SEGMENTS
from segments.triggers import TRIGGERS

SEGMENT_WORDS = ("definition", "owner", "action", "window")
HEAD = """# Data dictionary

Written by `make docs` from the code; a test holds the two equal. Amounts are in the store's currency, rates are
fractions, dates are days in the store's time zone, timestamps are UTC.
"""


def data_dictionary() -> str:
    """Return the dictionary of tables, segments, measures and metrics as Markdown."""
    symbols = ", ".join(f"`{symbol}` is `{name}`" for symbol, name in PAPER_SYMBOLS.items())
    parts = [
        HEAD,
        *(_table(table) for table in TABLES),
        f"The papers' symbols: {symbols}.\n",
        "## Segments\n\n" + _rows(("segment", *SEGMENT_WORDS), _segments()),
        "## Stages after an order\n\n" + _rows(("stage", "definition"), STAGES.items()),
        "## Triggers\n\n" + _rows(("trigger", "definition"), TRIGGERS.items()),
        "## Retention measures\n\n" + _rows(("measure", "definition"), DEFINITIONS.items()),
        "## Metrics of a backtest\n\n" + _rows(("metric", "definition"), METRICS.items()),
    ]
    return "\n".join(parts)


def _segments() -> list[tuple[str, ...]]:
    return [
        (name, *(getattr(segment, word) for word in SEGMENT_WORDS))
        for name, segment in SEGMENTS.items()
    ]


def _table(table: type[Table]) -> str:
    rows = [(name, column.dtype, column.meaning) for name, column in table.columns().items()]
    head = f"## {table.__name__}\n\n{inspect.getdoc(table)}\n\n"
    return head + _rows(("column", "type", "meaning"), rows)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head)]
    lines += [(f"`{first}`", *rest) for first, *rest in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(data_dictionary(), end="")  # noqa: T201  # what it is for
