"""Settings files as text: values are set and comments added, and every other line stays as it is."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

COMMENT_AT = 33  # column of the comments behind short values


def toml_value(value: str | Sequence[str]) -> str:
    """Write a text or a list of texts as TOML."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return f"[{', '.join(map(toml_value, value))}]"


def set_value(text: str, section: str, key: str, value: str | Sequence[str]) -> str:
    """Set a key of a section; a commented line of it is replaced, and its comment stays."""
    lines = text.split("\n")
    place = _line_of(lines, section, key)
    setting = f"{key} = {toml_value(value)}"
    if place is None:
        lines.insert(_end_of(lines, section), setting)
    else:
        lines[place] = _with_comment(setting, _comment(lines[place]))
    return "\n".join(lines)


def comment_values(
    text: str, section: str, choices: Iterable[Mapping[str, str | Sequence[str]]], why: str
) -> str:
    """Offer values of keys as comments, for a person to choose from."""
    choices = list(choices)
    lines = text.split("\n")
    for key in {key: None for choice in choices for key in choice}:
        place = _line_of(lines, section, key)
        if place is not None and lines[place].startswith("#"):
            del lines[place]
    lines[_end_of(lines, section) : _end_of(lines, section)] = commented_lines(choices, why)
    return "\n".join(lines)


def commented_lines(choices: Iterable[Mapping[str, str | Sequence[str]]], why: str) -> list[str]:
    """Return a comment that says why, and the lines of each choice."""
    offered = [
        f"# {key} = {toml_value(value)}" for choice in choices for key, value in choice.items()
    ]
    return [f"# {_one_line(why)} Set:", *map(_printable, offered)]


def replace_section(text: str, section: str, body: Sequence[str]) -> str:
    """Replace a section's lines; without any, the section goes."""
    lines = text.split("\n")
    head = _head_of(lines, section)
    end = _end_of(lines, section)
    if body:
        lines[head + 1 : end] = body
    else:
        del lines[head : end + 1]
    return "\n".join(lines)


def add_comments(text: str, section: str, notes: Iterable[str]) -> str:
    """Add comments below a section's head."""
    lines = text.split("\n")
    head = _head_of(lines, section)
    lines[head + 1 : head + 1] = [f"# Note: {_one_line(note)}" for note in notes]
    return "\n".join(lines)


def _head_of(lines: Sequence[str], section: str) -> int:
    return next(i for i, line in enumerate(lines) if line.split("#")[0].strip() == f"[{section}]")


def _end_of(lines: Sequence[str], section: str) -> int:
    """Return the line behind a section's last one that is not blank."""
    head = _head_of(lines, section)
    after = (i for i, line in enumerate(lines) if i > head and line.startswith("["))
    end = next(after, len(lines))
    while end > head + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def _line_of(lines: Sequence[str], section: str, key: str) -> int | None:
    """Return the line of a key, one that is in force before one in a comment."""
    rows = range(_head_of(lines, section) + 1, _end_of(lines, section))
    forms = (rf"{re.escape(key)}\s*=", rf"#\s*{re.escape(key)}\s*=")
    return next((i for form in forms for i in rows if re.match(form, lines[i])), None)


def _comment(line: str) -> str:
    """Return the comment behind a line's value."""
    value = re.sub(r"^#\s*", "", line)
    match = re.match(r'^[^=]+=\s*(?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^#"\[]*)\s*(#.*)?$', value)
    return "" if match is None or match[1] is None else match[1]


def _with_comment(setting: str, comment: str) -> str:
    return f"{setting.ljust(COMMENT_AT - 1)} {comment}" if comment else setting


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
