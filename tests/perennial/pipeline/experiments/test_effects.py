"""Effects and read-outs under ``state/``: read as any version wrote them, and written the same again."""

import json
from datetime import date, timedelta

from perennial.pipeline.experiments.effects import (
    FILE,
    READOUTS,
    read_effects,
    read_readouts,
    save_effects,
    save_readout,
)
from segments.investment import EffectEstimate

DAY = date(2026, 3, 1)
LIFT = {"estimate": 2.0, "low": 0.5, "high": 3.5, "p_value": 0.01, "n_treated": 900,
        "n_control": 100, "variance_left": 0.9, "standard_error": 0.8}  # fmt: skip
UNBOUNDED = {"estimate": 1.0, "low": None, "high": 2.0}
ROW = {
    "as_of": "2026-03-01", "program": "control", "planned": "2026-03-01", "is_early": False,
    "days": 90, "customers": 1003, "held_out": 101, "held_out_reached": 0, "currency": "EUR",
    "groups": [
        {"group": "all", "treated": 900, "control": 100, "orders": LIFT, "revenue": LIFT,
         "margin": LIFT, "margin_winsorized": LIFT, "smallest_margin": 1.5, "cost": 2.0},
        {"group": "light", "treated": 1, "control": 1},
        {"group": "standard", "treated": 2, "control": 0, "note": "nobody is held out"},
    ],
    "segments": [{"segment": "loyal", "treated": 900, "control": 100, "estimate": 2.0,
                  "shrunk": 1.9, "deviation": 0.7}],
    "sentence": "Each EUR 1.00 brought back EUR 1.00.",
    "uplift_targeting": {
        "heavy": {"learner": "t", "qini": UNBOUNDED, "is_used": False, "rule": UNBOUNDED,
                  "everybody": UNBOUNDED, "nobody": UNBOUNDED},
        "light": {"note": "too few", "is_used": False},
    },
}  # fmt: skip


def test_a_read_out_is_written_as_it_was_read(tmp_path):
    """Values that are absent stay absent, those that are null stay null, keys keep their order."""
    (tmp_path / READOUTS).write_text(json.dumps([ROW]))  # as an earlier version kept it
    [readout] = read_readouts(tmp_path, DAY)
    assert json.dumps(readout.to_json()) == json.dumps(ROW)
    assert readout.groups[0].margin.estimate == 2.0
    assert readout.groups[1].margin is None
    save_readout(tmp_path, readout)
    kept = json.loads((tmp_path / READOUTS).read_text())
    assert set(kept) == {"rows", "digest"}
    assert json.dumps(kept["rows"]) == json.dumps([ROW])


def test_a_read_out_without_uplift_targeting_is_read(tmp_path):
    first = {
        name: ROW[name] for name in ROW if name not in ("uplift_targeting", "held_out_reached")
    }
    first["groups"] = [{k: v for k, v in ROW["groups"][0].items() if k != "smallest_margin"}]
    (tmp_path / READOUTS).write_text(json.dumps([first]))
    [readout] = read_readouts(tmp_path, DAY)
    assert readout.uplift_targeting is None
    assert readout.groups[0].smallest_margin is None
    assert "uplift_targeting" not in readout.to_json()


def test_a_read_out_under_its_old_keys_is_read_and_written_under_the_new_ones(tmp_path):
    old = {"responders" if name == "uplift_targeting" else name: ROW[name] for name in ROW}
    (tmp_path / READOUTS).write_text(json.dumps([old]))
    [readout] = read_readouts(tmp_path, DAY)
    assert readout.to_json() == ROW


def test_the_newest_read_out_of_each_program_by_a_day_counts(tmp_path):
    rows = [{**ROW, "as_of": day} for day in ("2026-02-01", "2026-03-01", "2026-03-02")]
    (tmp_path / READOUTS).write_text(json.dumps([*rows, {**rows[0], "program": "winback"}]))
    read = [(one.program, one.as_of) for one in read_readouts(tmp_path, DAY)]
    assert read == [("control", DAY), ("winback", date(2026, 2, 1))]


def test_effects_are_kept_by_day_and_the_newest_by_a_day_is_used(tmp_path):
    row = {"tier": "heavy", "segment": "loyal", "mean": 1.5, "deviation": 0.25}
    earlier = {"as_of": "2026-02-01", "effects": [row]}
    (tmp_path / FILE).write_text(json.dumps([earlier]))  # as an earlier version kept it
    key, later = ("heavy", "loyal"), EffectEstimate(0.5, 0.2, is_measured=True)
    save_effects(tmp_path, DAY, {key: later})
    kept = json.loads((tmp_path / FILE).read_text())["rows"]
    assert kept == [
        earlier,
        {"as_of": "2026-03-01", "effects": [{**row, "mean": 0.5, "deviation": 0.2}]},
    ]
    assert read_effects(tmp_path, DAY) == {key: later}
    before = DAY - timedelta(days=1)
    assert read_effects(tmp_path, before) == {key: EffectEstimate(1.5, 0.25, is_measured=True)}
    assert read_effects(tmp_path, date(2026, 1, 1)) == {}
