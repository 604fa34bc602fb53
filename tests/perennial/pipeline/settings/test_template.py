"""The settings file that is written: every setting of the model with its text, values exact, and always TOML."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.pipeline.settings.catalog import REQUIRED, list_tables, setting_names
from perennial.pipeline.settings.store import Settings, build_settings
from perennial.pipeline.settings.template import COMMENT_AT, Choice, Draft, write_template

TABLES = list_tables()


def section_of(text, name):
    """Return the lines of a table, its head first."""
    lines = text.splitlines()
    start = lines.index(f"[{name}]")
    end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    return [line for line in lines[start:end] if line]


def test_the_template_parses_to_the_defaults():
    written = build_settings(tomllib.loads(write_template()), Path())
    assert written == build_settings({"orders": {"source": "orders.csv"}}, Path())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_setting_is_in_the_template_with_its_text(table):
    text = write_template()
    lines = section_of(text, table.name)
    is_first = next(one for one in TABLES if one.kind == table.kind) is table
    for setting in table.settings:
        if setting.is_table:
            below = section_of(text, f"{table.name}.{setting.name}")
            assert setting.text in " ".join(line.removeprefix("# ") for line in below)
        elif is_first:
            place = next(
                i
                for i, line in enumerate(lines)
                if line.removeprefix("# ").startswith(f"{setting.name} = ")
            )
            behind = lines[place].rpartition(f"# {setting.text}")[0]
            assert len(behind) == COMMENT_AT or lines[place - 1] == f"# {setting.text}"
        elif setting.default not in (None, REQUIRED) and setting.example is None:
            assert any(line.startswith(f"{setting.name} = ") for line in lines)


def test_every_field_of_the_model_is_a_setting():
    for section, field in Settings.model_fields.items():
        names = [name for name in setting_names() if name.startswith(f"{section}.")]
        fields = getattr(
            field.annotation, "model_fields", getattr(field.annotation, "__dataclass_fields__", {})
        )
        assert {name.split(".")[1] for name in names} == set(fields)


def test_examples_are_settings():
    """What stands in the file as a comment can come into force."""
    values = {
        f"{table.name}.{setting.name}": setting.example
        for table in TABLES
        for setting in table.settings
        if setting.example is not None and setting.name != "url"  # which needs another engine
    }
    tree = {"orders": {"source": "orders.csv"}}
    for name, value in values.items():
        *above, key = name.split(".")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[key] = value
    for action in tree["investment"]["actions"].values():
        action |= {"cost": 1.0, "assumed_lift": 0.1}
    build_settings(tree, Path())


def test_a_value_is_set_and_its_comment_stays():
    text = write_template(Draft({"store": {"name": 'A "new" one # 2'}}))
    assert tomllib.loads(text)["store"]["name"] == 'A "new" one # 2'
    assert "# Name of the store" in text
    assert text.count("\n") == write_template().count("\n")


def test_a_commented_value_comes_into_force():
    text = write_template(Draft({"orders": {"encoding": "cp1252"}}))
    assert 'encoding = "cp1252"              # Encoding of CSV files' in text
    assert tomllib.loads(text)["orders"]["encoding"] == "cp1252"


def test_a_key_that_is_no_setting_is_refused():
    with pytest.raises(KeyError, match=r"orders\.new"):
        write_template(Draft({"orders": {"new": ["x", "y"]}}))


def test_a_list_is_replaced():
    text = write_template(Draft({"orders": {"void_statuses": ["c"]}}))
    assert 'void_statuses = ["c"]            # Order statuses that do not count' in text


def test_a_key_of_another_section_is_left_alone():
    written = tomllib.loads(write_template(Draft({"store": {"timezone": "Europe/Berlin"}})))
    assert "timezone" not in written["orders"]


def test_a_section_of_names_is_replaced_or_goes():
    text = write_template(Draft({"orders.columns": {"id": "no"}}))
    assert tomllib.loads(text)["orders"]["columns"] == {"id": "no"}
    gone = tomllib.loads(write_template(Draft({"orders.columns": {}})))
    assert "columns" not in gone["orders"]
    assert gone["model"] == tomllib.loads(write_template())["model"]


def test_choices_are_comments():
    choices = Choice("Which words?", [{"paid_statuses": ["c"]}, {"void_statuses": ["d"]}])
    text = write_template(Draft(choices={"orders": [choices]}))
    assert tomllib.loads(text) == tomllib.loads(write_template())
    assert '# Which words? Set:\n# paid_statuses = ["c"]\n# void_statuses = ["d"]' in text
    assert '# paid_statuses = ["delivered"]' not in text


def test_notes_stand_below_the_head_and_stay_comments():
    text = write_template(Draft(notes={"orders": ["one\ntwo = 2"]}))
    assert tomllib.loads(text) == tomllib.loads(write_template())
    assert "[orders]\n# Note: one two = 2\n" in text


TEXTS = st.text(max_size=20)


@settings(deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=3), TEXTS)
def test_any_text_is_written_and_read_back(value, values, note):
    draft = Draft(
        {
            "orders": {"source": value, "paid_statuses": values},
            "orders.columns": {"order_id": value},
        },
        {"orders.columns": [Choice(note, [{"email": value}])]},
        {"orders": [note]},
    )
    orders = tomllib.loads(write_template(draft))["orders"]
    assert orders["source"] == orders["columns"]["order_id"] == value
    assert orders["paid_statuses"] == values
