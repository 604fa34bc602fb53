"""The gate's table on Prefect's pages. That it gets there is seen by `perennial up`'s own test."""

from datetime import date

from models.gate import Check, GateVerdict
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.gate_artifact import gate_page, run_link, show_gate

GATE = GateVerdict(
    gate="failed",
    checks=(
        Check(
            name="spend_scale",
            is_passed=False,
            problem="9 times",
            threshold="3 times",
            fix="Look at the unit",
        ),
    ),
    reasons=("spend scale: 9 times (3 times)",),
)


def settings(folder):
    return build_settings({"orders": {"source": "a.csv"}, "store": {"name": "Tiny Teas"}}, folder)


def test_the_page_says_what_was_found_why_not_and_where_the_run_is(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow.example")
    page = gate_page(
        GATE, "Version 7 of Tiny Teas", run_link(settings(tmp_path).tracking_uri, "abc")
    )
    assert page.startswith("# Version 7 of Tiny Teas")
    assert "| spend scale | **no** | 9 times | 3 times |" in page
    assert "- spend scale: 9 times (3 times)" in page
    assert "/#/runs/abc)" in page
    assert "secret" not in page


def test_without_an_mlflow_server_the_run_is_named(tmp_path):
    assert run_link(settings(tmp_path).tracking_uri, "abc") == (
        f"run `abc` in `sqlite:///{tmp_path}/mlruns/mlflow.db`"
    )


def test_outside_prefect_nothing_is_shown(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "prefect.artifacts.create_markdown_artifact", lambda **artifact: shown.append(artifact)
    )
    show_gate(
        home_context(settings(tmp_path), date(2026, 11, 21)), GATE, version="7", run_id="abc"
    )
    assert not shown
