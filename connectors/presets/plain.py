"""Any table of orders, or of order lines, mapped by the settings: ``ours = "theirs"``."""

from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.preset import Preset, PresetError, SourceRows, Tables

REQUIRED = ("order_id", "customer_id", "ordered_at")
WHO = ("customer_id", "email", "phone")
OPTIONAL = (
    "net_amount",
    "quantity",
    "unit_price",
    "gross_amount",
    "discount_amount",
    "refund_amount",
    "currency",
    "channel",
    "discount_code",
    "email",
    "phone",
    "product_id",
    "product_name",
    "category",
    "bundle_id",
    "cost_amount",
)


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read any table of orders, or of order lines, by the settings' names."""
    mapping = source.columns
    del engine, as_of  # columns are taken as they are, and say when they happened
    (rows,) = tables.values()
    try:
        found = resolve_columns(mapping, [n for n in rows.columns if n != FILE_COLUMN])
    except ValueError as error:
        raise PresetError(str(error)) from error
    of_lines = "net_amount" not in found and {"quantity", "unit_price"} <= set(found)
    return SourceRows(
        rows, {ours: rows[theirs] for ours, theirs in found.items()}, of_lines, found
    )


def resolve_columns(mapping: Mapping[str, str], available: Sequence[str]) -> dict[str, str]:
    """Find the source's column for each of ours.

    Parameters
    ----------
    mapping
        ``{ours: theirs}``; a column of ours that is not named is looked for under our own name.
    available
        The source's columns.

    Returns
    -------
    dict
        ``{ours: theirs}`` of every column that the source has.

    Raises
    ------
    ValueError
        Every problem at once: columns that are mapped and missing, required and not mapped.
    """
    problems = [_unmapped(ours) for ours in mapping if ours not in REQUIRED + OPTIONAL]
    found = {}
    for ours in REQUIRED + OPTIONAL:
        theirs = mapping.get(ours, ours)
        if theirs in available:
            found[ours] = theirs
        elif ours in mapping:
            problems.append(_missing(ours, theirs, available))
        elif ours in REQUIRED and not (ours in WHO and _has_any(WHO, mapping, available)):
            problems.append(_missing(ours, ours, available))
    has_value = (
        "net_amount" in found
        or "gross_amount" in found
        or {"quantity", "unit_price"} <= set(found)
    )
    if not problems and not has_value:
        problems.append(
            "orders need a value: map orders.columns.net_amount, or quantity and unit_price for a file "
            f"of order lines. The source has {', '.join(available)}"
        )
    if problems:
        raise ValueError(" ".join("; ".join(problems).split()))
    return found


def _has_any(ours: Sequence[str], mapping: Mapping[str, str], available: Sequence[str]) -> bool:
    return any(mapping.get(name, name) in available for name in ours)


PLAIN = Preset("plain", read, recognize=lambda columns: set(REQUIRED) <= set(*columns.values()))


def _unmapped(ours: str) -> str:
    return f"orders.columns.{ours} is not a column of ours; known are {', '.join(REQUIRED + OPTIONAL)}"


def _missing(ours: str, theirs: str, available: Sequence[str]) -> str:
    close = get_close_matches(theirs, available, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(available)}."
    return (
        f"orders need {ours}: the source has no column {theirs!r}; {hint} "
        f'Set orders.columns.{ours} = "…"'
    )
