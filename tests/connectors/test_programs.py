"""What a later run must not do again: draws and commitments."""

from datetime import date, timedelta

import pandas as pd
import pytest

from connectors.programs import COMMITMENTS, Programs, empty, write_table
from connectors.store import Store
from features.tables import Assignments, Commitments
from tests.published import write_required_files

DAY = date(2026, 3, 1)


def draws(ids, on=DAY):
    return pd.DataFrame(
        {"customer_id": ids, "program": "control", "is_holdout": False, "share": 0.1,
         "salt": "s", "assigned_date": on}
    )  # fmt: skip


def committed(ids, on):
    return pd.DataFrame(
        {"customer_id": ids, "committed_date": on, "investment_tier": "heavy", "segment": "loyal",
         "is_holdout": False, "expected_cost": 6.0, "expected_gain": 9.0, "gain_low": 1.0, "gain_high": 12.0, "is_measured": False, "assumed_gain": 3.0,
         "expected_margin": 40.0}
    )  # fmt: skip


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path / "state", Store(tmp_path / "exports"))


def publish(programs, on, run, ids):
    def write(folder):
        write_required_files(folder)
        write_table(committed(ids, on), Commitments, folder / COMMITMENTS)

    programs.store.publish(on, run, write)


def test_at_first_there_is_nothing(programs):
    assert programs.assignments().empty
    assert list(programs.assignments().columns) == list(Assignments.schema())
    assert list(programs.commitments(DAY, DAY).columns) == list(Commitments.schema())


def test_draws_are_kept_beside_those_before(programs):
    programs.add_assignments(draws(["a", "b"]))
    programs.add_assignments(draws(["c"], DAY + timedelta(days=1)))
    programs.add_assignments(empty(Assignments))
    kept = programs.assignments()
    assert kept["customer_id"].tolist() == ["a", "b", "c"]
    assert kept["assigned_date"].tolist() == [DAY, DAY, DAY + timedelta(days=1)]
    assert not list(programs.path.parent.glob(".*"))  # no draft is left


def test_commitments_are_those_of_the_days_asked_for(programs):
    for n in range(5):
        publish(programs, DAY + timedelta(days=n), f"r{n}", [f"c{n}"])
    actual = programs.commitments(
        DAY + timedelta(days=1), DAY + timedelta(days=3), but=DAY + timedelta(days=2)
    )
    assert actual["customer_id"].tolist() == ["c1", "c3"]


def test_of_a_day_that_is_published_again_the_newest_counts(programs):
    publish(programs, DAY, "r1", ["a", "b"])
    publish(programs, DAY, "r2", ["b", "c"])
    assert programs.commitments(DAY, DAY)["customer_id"].tolist() == ["b", "c"]


def test_a_day_from_before_commitments_were_kept_has_none(programs):
    publish(programs, DAY, "r1", ["a"])
    programs.store.current().file(COMMITMENTS).unlink()
    assert programs.commitments(DAY, DAY).empty
