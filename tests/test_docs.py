"""What the docs name exists: commands, options, settings, files; what can be refused has its place in the runbook."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from connectors.klaviyo.api import ENDPOINTS, PROBES
from features.tables import TABLES
from models import gate
from perennial.cli.main import app
from perennial.pipeline.monitoring import alerts
from perennial.pipeline.publishing.checks import NAMES
from perennial.pipeline.runtime import notifications as notify
from perennial.pipeline.runtime.exits import ExitCode
from perennial.pipeline.settings.catalog import setting_names
from perennial.pipeline.settings.klaviyo import DEFAULT_PROPERTIES
from perennial.pipeline.settings.store import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "mlruns").glob("*.md")]
)
COMMANDS = {
    name: {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for name, command in get_command(app).commands.items()
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COLUMNS = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", table.__name__).lower(): list(table.columns())
    for table in TABLES
}
FILES = (".csv", ".json", ".parquet")
FENCED = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")


def code_of(text):
    """Return the lines of code in a page: of its blocks, and what stands between backticks."""
    blocks = FENCED.findall(text)
    lines = [line.split(" #")[0] for block in blocks for line in block.splitlines()]
    return lines + CODE.findall(FENCED.sub("", text))


def unknown_commands(text):
    """Return what a page says to run that there is not."""
    actual = []
    for line in code_of(text):
        for part in re.split(r"&&|\||;", line):
            actual += unknown_in(part.strip().removeprefix("$ "))
    return actual


def unknown_in(line):
    """Return the commands and options of one line that there are not."""
    if make := re.match(r"make +([a-z][\w-]*)", line):
        return [] if make[1] in TARGETS else [f"make {make[1]}"]
    if module := re.match(r"python -m (benchmarks|tests|flows|reports)([.\w]*)", line):
        path = ROOT / (module[1] + module[2]).replace(".", "/")
        there = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        return [] if there else [module[0]]
    if ours := re.match(r"(?:\S*/)?perennial +([a-z]\S*)(.*)", line):
        if ours[1] not in COMMANDS:
            return [f"perennial {ours[1]}"]
        options = re.findall(r"(?<!\S)--[a-z-]+", ours[2])
        return [f"perennial {ours[1]} {o}" for o in options if o not in COMMANDS[ours[1]]]
    return []


def unknown_names(text):
    """Return the settings and files of ours that a page names and that there are not."""
    settings = setting_names()
    columns = {f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns}
    sections = "|".join(Settings.model_fields)
    actual = []
    for code in CODE.findall(FENCED.sub("", text)):
        if re.fullmatch(rf"({sections})(\.\w+)+", code) and not code.endswith(FILES):
            past = code in columns or any(f"{name}.".startswith(f"{code}.") for name in settings)
            actual += [] if past or code.startswith("orders.columns.") else [code]
        elif re.fullmatch(
            r"(benchmarks|connectors|features|flows|models|reports|segments|tests|docs)/[\w./-]+",
            code,
        ):
            actual += [] if (ROOT / code).exists() else [code]
    return actual


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_option_setting_and_file_that_a_page_names_exists(page):
    text = page.read_text()
    assert unknown_commands(text) == []
    assert unknown_names(text) == []


def test_what_there_is_not_is_found():
    text = "`make tea` `perennial guess` `perennial run --fast`\n```sh\npython -m benchmarks.luck\nsource x && perennial nap\n```\n"
    assert unknown_commands(text) == [
        "python -m benchmarks.luck", "perennial nap", "make tea", "perennial guess",
        "perennial run --fast",
    ]  # fmt: skip
    assert unknown_names("`store.color` `features/luck.py` `store.name` `features/rfm.py`") == [
        "store.color",
        "features/luck.py",
    ]


def test_the_readmes_figures_each_name_a_command():
    readme = (ROOT / "README.md").read_text()
    part = readme.partition("| figure | printed by |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in part.splitlines()]
    assert len(rows) >= 5
    assert all(re.search(r"`(make|perennial) [a-z]", text) for _, text in rows)


def sections_of_runbook():
    """Return the names that each part of the runbook has a section for."""
    parts = re.split(r"^## ", (ROOT / "docs" / "runbook.md").read_text(), flags=re.MULTILINE)
    return {
        part.splitlines()[0]: re.findall(r"^### `?([^`:\n]+)", part, flags=re.MULTILINE)
        for part in parts[1:]
    }


def named_in(module, pattern):
    """Return the names that a module's source gives to what it makes."""
    return set(re.findall(pattern, Path(module.__file__).read_text()))


def test_the_runbook_has_a_section_for_whatever_can_be_refused_or_told():
    runbook = sections_of_runbook()
    of_gate = named_in(gate, r"Check\(\s*name=f?\"([a-z_]+)(?:\{\w+\})?\"")
    of_gate |= named_in(gate, r"f\"(floor_)\{\w+\}\"") | {gate.LEAD}
    of_alerts = named_in(alerts, r"_alert\(\s*\"(\w+)\"")
    assert len(of_gate) == 8
    assert len(of_alerts) == 10
    assert {int(code) for code in runbook["Exit codes"]} == set(ExitCode)
    assert set(runbook["A day is refused"]) == set(NAMES)
    days = (ROOT / "docs" / "days.md").read_text().partition("| check | refuses | limit |")[2]
    assert re.findall(r"^\| `(\w+)` \|", days, re.MULTILINE)[: len(NAMES)] == list(NAMES)
    assert {name.rstrip("…") for name in runbook["A training is refused"]} == of_gate
    assert set(runbook["An alert of monitoring"]) == of_alerts
    assert set(runbook["A message arrives"]) == set(notify.KINDS)


def test_the_klaviyo_page_has_every_scope_property_and_no_other():
    page = (ROOT / "docs" / "klaviyo.md").read_text()
    needed = {scope for one in ENDPOINTS - PROBES.keys() for scope in one.scopes}
    part = page.partition("### Scopes of the key")[2].partition("Never give")[0]
    assert set(re.findall(r"`([a-z-]+:(?:read|write))`", part)) == needed
    listed = set(re.findall(r"^\| Retention ([\w ]+) \|", page, re.MULTILINE))
    assert listed == {*DEFAULT_PROPERTIES, "Holdout", "Scored At"}
