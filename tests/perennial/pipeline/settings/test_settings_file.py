"""Settings are edited as text: values are exact, comments stay, and the file is TOML."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from perennial.cli.commands import settings_template
from perennial.pipeline.settings.file import (
    add_comments,
    comment_values,
    commented_lines,
    replace_section,
    set_value,
    toml_value,
)

FILE = """\
# Settings
[store]
name = "Shop # 1"                # on the page
# color = "red"                  # of the page

[orders]
source = "o.csv"
words = ["a", "b"]               # two

[orders.columns]                 # ours
id = "id"

[last]
x = 1
"""


def test_a_value_is_set_and_its_comment_stays():
    text = set_value(FILE, "store", "name", 'A "new" one # 2')
    assert tomllib.loads(text)["store"]["name"] == 'A "new" one # 2'
    assert "# on the page" in text
    assert text.count("\n") == FILE.count("\n")


def test_a_commented_value_comes_into_force():
    text = set_value(FILE, "store", "color", "blue")
    assert 'color = "blue"                   # of the page' in text
    assert tomllib.loads(text)["store"]["color"] == "blue"


def test_a_new_key_is_added_to_its_section():
    assert tomllib.loads(set_value(FILE, "orders", "new", ["x", "y"]))["orders"]["new"] == [
        "x",
        "y",
    ]


def test_a_list_is_replaced():
    text = set_value(FILE, "orders", "words", ["c"])
    assert 'words = ["c"]                    # two' in text


def test_a_key_of_another_section_is_left_alone():
    assert tomllib.loads(set_value(FILE, "last", "source", "s"))["orders"]["source"] == "o.csv"


def test_a_section_is_replaced_or_goes():
    text = replace_section(FILE, "orders.columns", ['id = "no"', "# more"])
    assert tomllib.loads(text)["orders"]["columns"] == {"id": "no"}
    gone = tomllib.loads(replace_section(FILE, "orders.columns", []))
    assert "columns" not in gone["orders"]
    assert gone["last"] == {"x": 1}


def test_choices_are_comments():
    text = comment_values(FILE, "orders", [{"words": ["c"]}, {"words": ["d"]}], "Which words?")
    assert tomllib.loads(text) == tomllib.loads(FILE)
    assert '# Which words? Set:\n# words = ["c"]\n# words = ["d"]' in text
    offered = comment_values(FILE, "store", [{"color": "blue"}], "Which color?")
    assert '# color = "red"' not in offered


def test_notes_stand_below_the_head_and_stay_comments():
    text = add_comments(FILE, "orders", ["one\ntwo = 2"])
    assert tomllib.loads(text) == tomllib.loads(FILE)
    assert "[orders]\n# Note: one two = 2\n" in text


TEXTS = st.text(max_size=20)


@given(TEXTS, st.lists(TEXTS, max_size=3), TEXTS)
def test_any_text_is_written_and_read_back(value, values, note):
    text = set_value(settings_template(), "orders", "source", value)
    text = set_value(text, "orders", "paid_statuses", values)
    text = replace_section(
        text,
        "orders.columns",
        [f"order_id = {toml_value(value)}", *commented_lines([{"email": value}], note)],
    )
    orders = tomllib.loads(add_comments(text, "orders", [note]))["orders"]
    assert orders["source"] == orders["columns"]["order_id"] == value
    assert orders["paid_statuses"] == values
