"""Each public name that was replaced works for one version, and what earlier versions wrote is read."""

import re
from pathlib import Path

import pandas as pd
import pytest
from pydantic import TypeAdapter

from features.renamed import (
    FILES,
    KEYS,
    NOTIFICATION_KEYS,
    REMOVED_IN,
    SETTINGS,
    WORKS_IN,
    RenamedWarning,
    with_old_keys,
)
from models import checks, gate
from models.monitoring import Alert
from perennial.pipeline.settings.catalog import list_tables, setting_names
from perennial.pipeline.settings.store import SettingsError, build_settings
from tests.shops import AS_OF, write_shop

ROOT = Path(__file__).parents[1]
SOURCE = {"orders": {"source": "orders.csv"}}
VALUES = {"moments": {"ahead_days": 7}, "model.learned": False}


def tree(name, value):
    """Return nested settings in which one has a value."""
    for key in reversed(name.split(".")):
        value = {key: value}
    return {**SOURCE, **value}


@pytest.mark.parametrize("old", SETTINGS)
def test_an_old_setting_works_and_warns_with_the_new_name(old):
    new = SETTINGS[old]
    with pytest.warns(RenamedWarning, match=rf"{re.escape(old)} is now called {re.escape(new)}\."):
        actual = build_settings(tree(old, VALUES[old]), Path())
    assert actual == build_settings(tree(new, VALUES[old]), Path())
    assert actual != build_settings(SOURCE, Path())


@pytest.mark.parametrize("old", SETTINGS)
def test_a_setting_under_both_names_is_refused(old):
    name = old.rpartition(".")[2]
    both = tree(SETTINGS[old], VALUES[old])
    place = both["model"] if "." in old else both
    place[name] = VALUES[old]
    with pytest.raises(SettingsError, match=f"{old} and {SETTINGS[old]} are the same setting"):
        build_settings(both, Path())
    assert name in place  # the caller's values stay as they are


def test_the_new_settings_exist_and_the_old_ones_are_not_offered():
    names = {*setting_names(), *(table.name for table in list_tables())}
    assert set(SETTINGS.values()) <= names
    assert not set(SETTINGS) & names


def test_digests_are_those_of_days_and_models_of_before():
    """Taken before the settings were renamed: a published day and a registered model stay valid."""
    changed = {**SOURCE, "model": {"stacking": False}, "triggers": {"ahead_days": 7}}
    assert build_settings(changed, Path()).training_digest == "830773cf3b5784c2"
    shaping = build_settings(changed, Path()).model_dump(by_alias=True)
    assert shaping["model"]["learned"] is False
    assert shaping["moments"]["ahead_days"] == 7


@pytest.mark.filterwarnings("default::features.renamed.RenamedWarning")
def test_a_command_prints_the_new_name_in_one_line(tmp_path, perennial):
    config = write_shop(tmp_path)
    config.write_text(config.read_text().replace("[model]\n", "[model]\nlearned = false\n"))
    result = perennial("check", "--config", config, "--as-of", AS_OF.isoformat(), "--json")
    assert result.code == 0
    assert result.json["as_of"] == AS_OF.isoformat()
    assert result.err.count("model.learned is now called model.stacking") == 1
    assert "store.py" not in result.err


CHECKS = {
    gate.Check: {"name": "a", "is_passed": True, "threshold": "1", "is_blocking": True},
    checks.Check: {
        "name": "a", "rule": "r", "threshold": "1", "verdict": "passed", "is_late": False,
        "because": None,
    },
    Alert: {"name": "a", "level": "act", "threshold": "1"},
}  # fmt: skip


@pytest.mark.parametrize("kind", CHECKS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_a_record_under_its_old_keys_is_read_and_written_under_the_new_ones(kind):
    record = TypeAdapter(kind)
    new = {**CHECKS[kind], "problem": "3 orders", "fix": "Wait"}
    actual = record.validate_python({**CHECKS[kind], "finding": "3 orders", "next_step": "Wait"})
    assert actual == record.validate_python(new) == kind(**new)
    assert record.dump_python(actual, mode="json") == new


def test_json_has_old_and_new_keys():
    check = {"threshold": "1", "problem": "p", "fix": "f"}
    assert with_old_keys({"current": {"checks": (check,)}}) == {
        "current": {"checks": [{**check, "finding": "p", "next_step": "f"}]}
    }
    readout = {"program": "control", "uplift_targeting": {"heavy": {"is_used": False}}}
    assert with_old_keys(readout)["responders"] == readout["uplift_targeting"]
    assert with_old_keys({"problem": "p", "fix": "f"}) == {
        "problem": "p",
        "fix": "f",
    }  # never had others
    facts = with_old_keys({"fix": "Train again"}, NOTIFICATION_KEYS)
    assert facts == {"fix": "Train again", "next step": "Train again"}


def test_a_published_day_has_each_renamed_file_under_both_names(published):
    files = published[1]["files"]
    assert Path(files["triggers"]).name == "triggers.csv"
    assert Path(files["moments"]).name == "moments.csv"
    triggers, moments = pd.read_csv(files["triggers"]), pd.read_csv(files["moments"])
    assert len(triggers)
    assert list(triggers.columns) == ["customer_id", "trigger", "due_date", "reason"]
    assert list(moments.columns) == ["customer_id", "moment", "due_date", "reason"]
    pd.testing.assert_frame_equal(moments, triggers.rename(columns={"trigger": "moment"}))


def test_status_prints_the_checks_under_old_and_new_keys(published, perennial):
    result = perennial("status", "--config", published[0], "--json").json
    for check in result["current"]["checks"]:
        assert check["finding"] == check["problem"]
        assert check["next_step"] == check["fix"]


def in_toml(name):
    """Return a setting with its table, as the changelog writes it."""
    table, _, key = name.partition(".")
    return f"[{table}] {key}".rstrip()


def test_the_changelog_lists_every_rename():
    text = (ROOT / "CHANGELOG.md").read_text()
    rows = set(re.findall(r"^\s*\| `([^`]+)` \| `([^`]+)` \|", text, re.MULTILINE))
    assert {(in_toml(old), in_toml(new)) for old, new in SETTINGS.items()} <= rows
    assert {(key.old, key.new) for key in (*KEYS, *NOTIFICATION_KEYS)} <= rows
    for file in FILES:
        assert {(file.old, file.new), *file.columns.items()} <= rows
    assert f"work in {WORKS_IN} and are removed in {REMOVED_IN}" in text
