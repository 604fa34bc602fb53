"""What kind of export a file is and how to read it, before anybody has written settings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from connectors.conventions import currency
from connectors.engine import FILE_COLUMN, Engine
from connectors.known_exports import known_export
from connectors.orders import PRESETS
from connectors.presets.refused import refusal
from connectors.proposal import Recognized, propose
from connectors.roles import Table
from connectors.source_files import kind_of
from connectors.sources import SourceError, check_inside, find_files
from connectors.values import Column, plain

SAMPLE_ROWS = 50_000
CONVERTED = "convertedcurrency"  # Stripe's heading of the store's currency, beside the payment's


def recognize(engine: Engine, location: str) -> Recognized:
    """Look at a file or folder and propose how to read it.

    Raises
    ------
    SourceError
        Nothing is there, an export that cannot work, or columns of which none is recognized.
    """
    tables = _columns(engine, location)
    why_not = refusal(tables)
    if why_not:
        raise SourceError(why_not)
    for name, preset in PRESETS.items():
        if name != "plain" and preset.recognize(tables):
            recognized = Recognized(name, title=_title(tables))
            return recognized if len(tables) > 1 else _with_currency(engine, location, recognized)
    if len(tables) > 1:
        raise SourceError(
            f"{location} has files with different columns ({', '.join(sorted(tables))}), which no preset "
            "reads together. Name one file, or keep the files of one export in a folder of their own"
        )
    rows = engine.read_rows(find_files(location)).rows
    return propose(_sample(engine.frame(rows.limit(SAMPLE_ROWS))), Path(location).name)


def _with_currency(engine: Engine, location: str, read: Recognized) -> Recognized:
    """Add the currency that most rows of a platform's export name."""
    table = _sample(engine.frame(engine.read_rows(find_files(location)).rows.limit(SAMPLE_ROWS)))
    code, notes = currency(table, table.get(CONVERTED), ())
    if code is None:
        code, notes = currency(table, None, ())
    settings = {"store": {"currency": code}} if code else {}
    return replace(read, settings=settings, notes=notes)


def _columns(engine: Engine, location: str) -> dict[str, tuple[str, ...]]:
    """Return the column names of each file of a folder, by its name without ending."""
    path = Path(location)
    tables: dict[str, tuple[str, ...]] = {}
    is_folder = path.is_dir()
    files = [one for one in sorted(path.iterdir()) if one.is_file()] if is_folder else []
    check_inside(path, files)
    for file in files if is_folder else find_files(location):
        rows = engine.read_rows(find_files(str(file))).rows
        name = file.name.split(".")[0] if is_folder and kind_of(file) else "orders"
        tables[name] = tuple(column for column in rows.columns if column != FILE_COLUMN)
    one = set(tables.values())
    return {"orders": one.pop()} if len(one) == 1 else tables


def _title(tables: Mapping[str, Sequence[str]]) -> str:
    """Return what a single table is called, where it is a known export."""
    (names, *others) = tables.values()
    export = None if others else known_export({plain(name): name for name in names})
    return "" if export is None else export.title


def _sample(frame: pd.DataFrame) -> Table:
    """Return a sample's columns as text, by their headings without case and punctuation."""
    texts = {
        str(name): tuple("" if _is_missing(value) else str(value).strip() for value in frame[name])
        for name in frame.columns
        if name != FILE_COLUMN
    }
    table: dict[str, Column] = {}
    for name, values in texts.items():
        table.setdefault(plain(name), Column(name, values))
    return table


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)
