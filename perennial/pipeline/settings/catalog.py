"""Every setting with its type, default, text and example, as the model of the settings declares it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from perennial.pipeline.settings.store import Settings

REQUIRED = object()  # default of a setting that must be set
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes
    ----------
    name
        Its key within its table.
    schema
        JSON schema: type, bounds and choices.
    default
        JSON value; None = not set, :data:`REQUIRED` = must be set.
    text
        What it means.
    example
        JSON value; None = the default serves as one.
    """

    name: str
    schema: Json
    default: Any
    text: str
    example: Any = None

    @property
    def is_table(self) -> bool:
        """Whether a store chooses the names of its keys."""
        return bool(self.schema.get("type") == "object")


@dataclass(frozen=True)
class SettingsTable:
    """A table of ``perennial.toml``.

    Attributes
    ----------
    name
        Dotted.
    kind
        Name of its class; tables of one class have the same keys.
    text
        What it holds.
    settings
        Its keys, in order.
    """

    name: str
    kind: str
    text: str
    settings: tuple[Setting, ...]


class _InOrder(GenerateJsonSchema):
    """A JSON schema whose keys stay in the order of the model."""

    def sort(self, value: Any, parent_key: str | None = None) -> Any:  # noqa: ANN401, ARG002  # as pydantic calls it
        """Return the schema as it is."""
        return value


@cache
def list_tables() -> tuple[SettingsTable, ...]:
    """Return the tables of the settings, in order; each before those within it."""
    schema = Settings.model_json_schema(schema_generator=_InOrder)
    return tuple(
        table
        for name, one in schema["properties"].items()
        for table in _tables(schema, name, one, {})
    )


def setting_names() -> list[str]:
    """Return the dotted name of every setting."""
    return [
        f"{table.name}.{setting.name}" for table in list_tables() for setting in table.settings
    ]


def _tables(schema: Json, name: str, one: Json, default: Json) -> Iterator[SettingsTable]:
    """Give the table of a section and the tables within it."""
    section = _resolved(schema, one)
    default = {**section.get("default", {}), **default}
    below: list[SettingsTable] = []
    settings: list[Setting] = []
    for key, each in section["properties"].items():
        resolved = _resolved(schema, each)
        value: Any = default.get(key, resolved.get("default", REQUIRED))
        if "properties" in resolved:
            below += _tables(schema, f"{name}.{key}", each, value)
        else:
            example = next(iter(resolved.get("examples", ())), None)
            settings.append(Setting(key, resolved, value, resolved["description"], example))
    if settings:
        text = section["description"].split("\n\n")[0].replace("\n", " ")
        yield SettingsTable(name, section["title"], text, tuple(settings))
    yield from below


def _resolved(schema: Json, one: Json) -> Json:
    """Return a schema with what it refers to, and without its being optional."""
    choices = [choice for choice in one.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        one = {**one, **choices[0]}
    if "$ref" not in one:
        return one
    return {**schema["$defs"][one["$ref"].rpartition("/")[2]], **one}
