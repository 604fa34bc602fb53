"""The references of settings and commands, out of their own words. ``make docs`` writes them."""

import html
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from perennial.cli.commands import settings_template
from perennial.cli.main import app
from perennial.pipeline.settings.store import Settings

SETTINGS_HEAD = """# Settings

Written by `make docs` from the code and from the file that `perennial init` writes; a test holds them equal. All settings of a
store stand in `perennial.toml`. Unknown keys are errors, paths start from that file's folder, and secrets stand in the
environment, never here: see [Operating it](operating.md#secrets). A value that is wrong is said with its key, all at once.
"""
COMMANDS_HEAD = """# Commands

Written by `make docs` from the code; a test holds them equal. With `--json` a command prints one JSON object on standard
output and everything else on standard error. What the exit codes mean, and what to do on
each, is in the [runbook](runbook.md#exit-codes).
"""

FIRST_COMMAND = "demo"
TABLE_HEAD = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n"
SECTION = re.compile(r"^\[(?P<name>[\w.]+)\](?:\s+# (?P<said>.*))?$")
KEY = re.compile(r"^(?:# )?(?P<name>\w+) = (?:.*?)\s+# (?P<said>.*)$")
TABLES = {
    "klaviyo.properties",
    "klaviyo.segments",
    "klaviyo.lists",
}  # of names that a store chooses
KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "table",
    "array": "list",
}
UNSET, REQUIRED = object(), object()
Json = Mapping[str, Any]


class Key(NamedTuple):
    """One setting."""

    name: str
    schema: Json
    default: Any


def settings_reference() -> str:
    """Return every setting's key, type, default and meaning as Markdown."""
    schema, comments = Settings.model_json_schema(), template_comments()
    parts = [SETTINGS_HEAD]
    for name, one in schema["properties"].items():
        what = (
            comments.get(name) or _resolved(schema, one)["description"].split("\n", maxsplit=1)[0]
        )
        rows = "".join(_row(key, comments) for key in _keys(schema, Key(name, one, UNSET)))
        parts.append(f"## {name}\n\n{_sentence(what)}\n\n{TABLE_HEAD}{rows}")
    return "\n".join(parts)


def setting_names() -> list[str]:
    """Return the dotted name of every setting."""
    schema = Settings.model_json_schema()
    sections = schema["properties"].items()
    return [key.name for name, one in sections for key in _keys(schema, Key(name, one, UNSET))]


def template_comments() -> dict[str, str]:
    """Return what the template says of each section and key, by its dotted name."""
    comments: dict[str, str] = {}
    section = ""
    for line in settings_template().splitlines():
        if head := SECTION.match(line):
            section = head["name"]
            comments |= {section: head["said"]} if head["said"] else {}
        elif key := KEY.match(line):
            comments[f"{section}.{key['name']}"] = key["said"]
    return comments


def comment_of(name: str, comments: Mapping[str, str]) -> str:
    """Return what the template says of a setting; of the lighter tiers it says what it says of heavy."""
    return (
        comments[name]
        if name in comments
        else comments[re.sub(r"\.(standard|light)\.", ".heavy.", name)]
    )


def command_reference() -> str:
    """Return every command with its arguments and options as Markdown."""
    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=Context(command), name="perennial")
    _, first, rest = html.unescape(text).partition(f"## `perennial {FIRST_COMMAND}`")
    return f"{COMMANDS_HEAD}\n{first}{rest}".rstrip() + "\n"


def _keys(schema: Json, key: Key) -> Iterator[Key]:
    """Give each setting below a key; one whose names a store chooses is one setting."""
    resolved = _resolved(schema, key.schema)
    default = resolved.get("default", REQUIRED) if key.default is UNSET else key.default
    if "properties" not in resolved or key.name in TABLES:
        yield Key(key.name, resolved, default)
        return
    given = default if isinstance(default, Mapping) else {}
    for name, below in resolved["properties"].items():
        yield from _keys(schema, Key(f"{key.name}.{name}", below, given.get(name, UNSET)))


def _resolved(schema: Json, one: Json) -> Json:
    """Return a schema with what it refers to, and without its being optional."""
    choices = [choice for choice in one.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        one = {**one, **choices[0]}
    if "$ref" not in one:
        return one
    return {**schema["$defs"][one["$ref"].rpartition("/")[2]], **one}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _row(key: Key, comments: Mapping[str, str]) -> str:
    cells = (
        f"`{key.name}`",
        _kind(key.schema),
        _default(key.default),
        comment_of(key.name, comments),
    )
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def _kind(schema: Json) -> str:
    """Return a type and its bounds in words."""
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    low, above, high = (schema.get(k) for k in ("minimum", "exclusiveMinimum", "maximum"))
    bounds = f"above {above:g}" if above is not None else ""
    if low is not None:
        bounds = f"{low:g} to {high:g}" if high is not None else f"at least {low:g}"
    elif high is not None:
        bounds += f", at most {high:g}"
    below = schema.get("exclusiveMaximum")
    bounds += f", below {below:g}" if below is not None else ""
    return f"{KINDS[schema['type']]}{', ' if bounds else ''}{bounds}"


def _default(value: Any) -> str:  # noqa: ANN401  # a JSON value
    if value is REQUIRED:
        return "must be set"
    if value is None or value == {}:
        return "not set"
    if isinstance(value, Mapping) or (
        isinstance(value, list) and value and isinstance(value[0], Mapping)
    ):
        return "as in the file"
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    print(settings_reference() if sys.argv[1] == "settings" else command_reference(), end="")  # noqa: T201  # what it is for
