"""The commented settings file of a store: every setting of the model, with its text and a value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from textwrap import wrap
from typing import Any

import tomlkit
from tomlkit.items import InlineTable, Item, Table

from perennial.pipeline.settings.catalog import (
    REQUIRED,
    Json,
    Setting,
    SettingsTable,
    list_tables,
)

HEAD = "Settings of one store. Unknown keys are errors. Paths are relative to this file's folder."
COMMENT_AT = 33  # column of the comments behind values
WIDTH = 99  # of comments on lines of their own

Values = Mapping[str, object]  # of settings, by key


@dataclass(frozen=True)
class Choice:
    """Values among which a person chooses.

    Attributes
    ----------
    text
        What is missing.
    options
        Settings that may answer it.
    """

    text: str
    options: Sequence[Values]


@dataclass(frozen=True)
class Draft:
    """What a settings file has besides defaults: all by the dotted names of tables.

    Attributes
    ----------
    values
        Settings in force. A table whose keys a store chooses, such as ``orders.columns``, has these
        instead of its example; without any, it is left out.
    choices
        Settings to choose from, which are written as comments.
    notes
        Sentences below a table's head.
    """

    values: Mapping[str, Values] = field(default_factory=dict)
    choices: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def write_template(draft: Draft | None = None) -> str:
    """Return the commented settings file; by default, one that only has defaults and examples."""
    draft = draft or Draft()
    document = tomlkit.document()
    document.add(tomlkit.comment(HEAD))
    document.add(tomlkit.nl())
    kinds: set[str] = set()
    for table in list_tables():
        _place(document, table.name, _table(table, draft, is_first=table.kind not in kinds))
        kinds.add(table.kind)
        for setting in table.settings:
            if setting.is_table and (kept := _open_table(table, setting, draft)) is not None:
                _place(document, f"{table.name}.{setting.name}", kept)
    return tomlkit.dumps(document).rstrip() + "\n"


def _place(document: tomlkit.TOMLDocument, name: str, table: Table) -> None:
    """Add a table under its dotted name."""
    *above, last = name.split(".")
    place: Any = document
    for part in above:
        if part not in place:
            place.add(part, tomlkit.table(is_super_table=True))
        place = place[part]
    place.add(last, table)


def _table(source: SettingsTable, draft: Draft, *, is_first: bool) -> Table:
    """Return a table; one whose keys an earlier table has explained has only the values."""
    table = tomlkit.table()
    _add_head(table, source.text if is_first else "", draft.notes.get(source.name, ()))
    values = draft.values.get(source.name, {})
    choices = draft.choices.get(source.name, ())
    offered = {key for choice in choices for option in choice.options for key in option}
    for setting in source.settings:
        if setting.is_table:
            continue
        text = setting.text if is_first else ""
        if setting.name in values:
            _add(table, setting.name, _item(values[setting.name], setting.schema), text)
        elif setting.default is REQUIRED or setting.example is None:
            value = setting.example if setting.default is REQUIRED else setting.default
            _add(table, setting.name, _item(value, setting.schema), text)
        elif is_first and setting.name not in offered:
            example = _item(setting.example, setting.schema)
            _add(table, setting.name, example, text, is_comment=True)
    for key in values.keys() - {setting.name for setting in source.settings}:
        raise KeyError(f"{source.name}.{key}")
    _add_choices(table, choices)
    table.add(tomlkit.nl())
    return table


def _open_table(above: SettingsTable, setting: Setting, draft: Draft) -> Table | None:
    """Return a table whose keys a store chooses; None where the draft has it empty."""
    name = f"{above.name}.{setting.name}"
    choices = draft.choices.get(name, ())
    values = draft.values.get(name, setting.default)
    example = {} if name in draft.values or choices else setting.example or {}
    if not values and not choices and not example:
        return None
    table = tomlkit.table()
    _add_head(table, setting.text, draft.notes.get(name, ()))
    for key, value in values.items():
        _add(table, key, _item(value), "")
    for key, value in example.items():
        _add(table, key, _item(value), "", is_comment=True)
    _add_choices(table, choices)
    table.add(tomlkit.nl())
    return table


def _add_head(table: Table, text: str, notes: Sequence[str]) -> None:
    for note in notes:
        table.add(tomlkit.comment(f"Note: {_one_line(note)}"))
    for line in wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False):
        table.add(tomlkit.comment(line))


def _add(table: Table, key: str, item: Item, text: str, *, is_comment: bool = False) -> None:
    """Add a setting with its text behind it, or above it where the value is too long."""
    setting = _line(key, item)
    shown = f"# {setting}" if is_comment else setting
    is_short = len(shown) < COMMENT_AT and "\n" not in shown
    if text and not is_short:
        table.add(tomlkit.comment(text))
    behind = f"{' ' * (COMMENT_AT - 1 - len(shown))} # {text}" if text and is_short else ""
    if is_comment:
        table.add(tomlkit.comment(f"{setting}{behind}"))
        return
    table.add(key, item)
    if behind:
        item.comment(text)
        item.trivia.comment_ws = behind.partition("#")[0]


def _add_choices(table: Table, choices: Sequence[Choice]) -> None:
    for choice in choices:
        table.add(tomlkit.comment(f"{_one_line(choice.text)} Set:"))
        for option in choice.options:
            for key, value in option.items():
                table.add(tomlkit.comment(_printable(_line(key, _item(value)))))


def _line(key: str, item: Item) -> str:
    """Return a setting as it is written."""
    table = tomlkit.table()
    table.add(key, item)
    return table.as_string().strip()


def _item(value: Any, schema: Json | None = None) -> Item:  # noqa: ANN401  # a JSON value
    """Return a JSON value as TOML: days as dates, tables in one line, without what is not set."""
    schema = schema or {}
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update({k: _item(v) for k, v in value.items() if v is not None})
        return inline
    if isinstance(value, Sequence) and not isinstance(value, str):
        array = tomlkit.array()
        for one, its in zip(value, _schemas(schema, len(value)), strict=True):
            array.append(_item(one, its))
        if any(isinstance(one, InlineTable) for one in array):
            array.multiline(True)  # tomlkit's
        return array
    if schema.get("format") == "date" and isinstance(value, str):
        value = date.fromisoformat(value)
    item: Item = tomlkit.item(value)
    return item


def _schemas(schema: Json, count: int) -> Iterator[Json]:
    """Give the schema of each element of a list."""
    each = schema.get("prefixItems", [])
    for i in range(count):
        yield each[i] if i < len(each) else schema.get("items", {})


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
