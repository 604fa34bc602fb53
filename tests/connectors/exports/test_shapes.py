"""The shapes are what they claim to be, whatever init makes of them."""

import csv
import tomllib
from datetime import date
from pathlib import Path

import pytest

from tests.connectors.exports.measure import compare, measure
from tests.connectors.exports.shapes import FOLDER, SHAPES

NAMES = [shape.name for shape in SHAPES]


def test_every_file_is_a_shape_and_every_shape_a_file():
    assert len(SHAPES) >= 17
    assert len(set(NAMES)) == len(NAMES)
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".csv", ".jsonl")}
    assert files == {shape.path.name for shape in SHAPES}


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_a_shape_has_a_source_and_rows_that_matter(shape):
    assert shape.source
    assert shape.outcome in ("right", "asks", "refused")
    assert bool(shape.asked) == (shape.outcome == "asks")
    with shape.path.open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t" if shape.name == "amazon" else ","))
    assert 5 <= len(rows) <= 11 or shape.ending == "jsonl"
    if shape.ending == "csv":
        assert {len(row) for row in rows} == {len(rows[0])}
    text = shape.path.read_text()
    assert "@" not in text.replace("@example.org", "")  # nobody's real address
    for _, day, value in (shape.orders or {}).values():
        assert date.fromisoformat(day) < date(2026, 1, 1)
        assert value != 0


def test_the_comparison_catches_a_wrong_order_day_value_and_customer():
    right = {"1": ("a", "2025-01-01", 5.0), "2": ("a", "2025-01-02", 7.0)}
    assert compare(right, {"1": ("x", "2025-01-01", 5.0), "2": ("x", "2025-01-02", 7.001)}) == ""
    assert "orders" in compare(right, {"1": right["1"]})
    assert "on 2025-01-03" in compare(right, {**right, "2": ("a", "2025-01-03", 7.0)})
    assert "of 8" in compare(right, {**right, "2": ("a", "2025-01-02", 8.0)})
    assert "customers" in compare(right, {**right, "2": ("b", "2025-01-02", 7.0)})
    merged = {"1": ("a", "2025-01-01", 5.0), "2": ("b", "2025-01-02", 7.0)}
    assert "customers" in compare(merged, right)


DOCS = Path(__file__).parents[3] / "docs" / "orders.md"
WORDS = {
    "right": "read as it is",
    "asks": "asks for the value",
    "refused": "refused: names no customer",
}


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_init_reads_a_shape_exactly_or_asks_for_what_is_missing(shape, tmp_path):
    measured = measure(shape, tmp_path)
    assert measured.outcome == shape.outcome, measured.because
    if shape.outcome == "refused":
        assert "customer" in measured.because
        assert not (tmp_path / "perennial.toml").exists()
        return
    settings = tomllib.loads(measured.text)
    facts = measured.facts
    if shape.outcome == "asks":
        assert list(facts["missing"]) == [shape.asked]
        assert shape.asked not in settings["orders"]["columns"]
        assert f"set {shape.asked}" in facts["next"]
        assert facts["missing"][shape.asked].split(".")[0] in measured.text
        assert shape.asked in measured.because or "value" in measured.because
    for note in facts.get("notes", []):
        assert f"# Note: {note}" in measured.text


def test_most_shapes_are_read_exactly():
    assert sum(shape.outcome == "right" for shape in SHAPES) >= 14


def test_the_docs_list_every_shape_with_its_source_and_outcome():
    rows = [f"| {shape.title} | {shape.source} | {WORDS[shape.outcome]} |" for shape in SHAPES]
    listed = [
        line
        for line in DOCS.read_text().splitlines()
        if line.endswith(tuple(f"| {w} |" for w in WORDS.values()))
    ]
    assert listed == rows
