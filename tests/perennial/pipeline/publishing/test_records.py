"""A day that version 0.1 published, before keys were renamed, is read and drawn; its records lie beside this file.

They are those of a simulated store that gives every table. When records change, they stay as they are.
"""

import json
from datetime import date
from pathlib import Path

import pytest

from connectors.store import PublishedDay
from features.renamed import KEYS
from features.tables import DataError
from perennial.pipeline.publishing.records import read_kpis, read_record
from reports.page import SECTIONS, render_page
from reports.tiles import figures

FOLDER = Path(__file__).with_name("day_0_1")
DAY = PublishedDay(date(2026, 4, 30), "f4604ea875cc4bb4b4cc93255dd50758", FOLDER)
NEW_KEYS = {key.old: key.new for key in KEYS}


def lost(before, after, path=""):
    """Yield where a record has a value that another lacks, or has otherwise; renamed keys are one."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            new = name if name in after else NEW_KEYS.get(name, name)
            yield from lost(value, after.get(new), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{place}]")
    elif before != after:
        yield path


@pytest.mark.parametrize(("read", "name"), [(read_record, "run.json"), (read_kpis, "kpis.json")])
def test_every_value_of_an_earlier_version_is_read(read, name):
    written = json.loads((FOLDER / name).read_text())
    assert list(lost(written, read(DAY).to_json())) == []


def test_a_value_that_is_not_read_is_noticed():
    written = json.loads((FOLDER / "kpis.json").read_text())
    changed = json.loads((FOLDER / "kpis.json").read_text())
    del changed["bundles"]["list"][0]["due"]
    changed["repeat"]["rate_12m"]["n"] += 1
    assert list(lost(written, changed)) == [".repeat.rate_12m.n", ".bundles.list[0].due"]


def test_checks_of_before_the_renames_have_a_problem_and_a_fix():
    (check,) = [one for one in read_record(DAY).checks if one.name == "orders_are_fresh"]
    assert check.problem == "the last day has orders"
    assert check.fix.startswith("Run again when the source has them")


def test_the_page_of_an_earlier_day_is_drawn():
    record, kpis = read_record(DAY), read_kpis(DAY)
    page = render_page(record, kpis)
    assert page.count("<h2 id=") == len(SECTIONS)
    assert "54.5%" in page  # of 121 customers, 66 came back within a year
    assert figures(record.totals, record.tiers, kpis) == record.figures


def test_a_record_that_is_no_record_is_refused_with_its_path(tmp_path):
    (tmp_path / "kpis.json").write_text('{"as_of": "2026-04-30"}')
    with pytest.raises(DataError, match=r"kpis\.json is not"):
        read_kpis(PublishedDay(DAY.as_of, DAY.run_id, tmp_path))
