"""What people are told of a run that failed, and what they are not."""

import uuid
from datetime import date
from errno import ENOSPC

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, Failed

from connectors.klaviyo.errors import SyncRefusedError
from features.tables import DataError
from flows import deployed
from perennial.pipeline.settings.store import SettingsError, read_settings
from perennial.pipeline.training.steps import Trained
from tests.shops import write_shop

CUSTOMER = "ann@example.com"


@pytest.fixture
def notified(tmp_path, monkeypatch):
    """Call the hook as Prefect does, by its parameters' names; return what it told."""
    heard = []

    def hear(_settings, kind, subject, facts):
        heard.append((kind, subject, facts))
        return []

    monkeypatch.setattr(deployed, "notify", hear)
    config = write_shop(tmp_path)

    def tell(state, config=config):
        run = FlowRun(
            flow_id=uuid.uuid4(), name="daily 2026-11-21", parameters={"config": str(config)}
        )
        deployed.tell(flow=deployed.daily, flow_run=run, state=state)
        return heard

    return tell


@pytest.mark.parametrize(
    ("error", "kind", "what"),
    [
        (DataError("orders need a customer: 3 have none"), "refused", "orders need a customer"),
        (SyncRefusedError("too many changed"), "refused", "too many changed"),
        (SettingsError("orders must be set"), "failed", "orders must be set"),
        (KeyError(CUSTOMER), "failed", "KeyError; the run's log says more"),
        (OSError(ENOSPC, "No space left on device"), "failed", "No space left in /"),
    ],
)
def test_a_refusal_is_told_as_one_and_an_unexpected_error_by_its_kind(notified, error, kind, what):
    [(actual, subject, facts)] = notified(Failed(data=error))
    assert (actual, subject) == (kind, f"daily 2026-11-21 {kind}")
    assert facts["what"].startswith(what)
    assert CUSTOMER not in str(facts)


def test_an_unexpected_error_in_a_damaged_home_names_the_file(notified, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/measured.json").write_text("{")
    [(_, _, facts)] = notified(Failed(data=KeyError("effects")))
    assert facts["what"].startswith(f"{tmp_path / 'state/measured.json'} cannot be read")


def test_a_process_that_was_killed_is_told_of_by_how_it_ended(notified):
    [(kind, _, facts)] = notified(Crashed(message="Process exited with status code: -9."))
    assert (kind, facts["what"]) == ("failed", "Process exited with status code: -9.")


def test_a_refusal_that_the_flow_told_of_is_not_told_twice(notified, monkeypatch):
    error = DataError("refused")
    error.was_notified = True
    assert notified(Failed(data=error)) == []
    assert notified(Failed(data=KeyError("x")))[0][0] == "failed"


def test_a_run_without_settings_is_logged(notified, tmp_path, caplog):
    assert notified(Failed(data=KeyError("x")), config=tmp_path / "none.toml") == []
    assert "nobody is told of daily 2026-11-21" in caplog.text


def trained(gate, *, is_champion=False):
    return Trained(
        model_version="7",
        run_id="run",
        gate=gate,
        is_champion=is_champion,
        reasons=("worse than the champion",),
        notes=(),
    )


@pytest.mark.parametrize(
    ("gate", "trigger", "is_champion", "kinds"),
    [
        ("failed", "schedule", False, ["refused"]),
        ("failed", "drift", False, ["refused"]),
        ("passed", "drift", True, ["retrain"]),
        ("tie", "drift", False, ["retrain"]),
        ("passed", "schedule", True, []),
        ("tie", "schedule", False, []),
    ],
)
def test_people_are_told_of_a_retrain_that_the_gate_refused_or_that_drift_asked_for(
    tmp_path, monkeypatch, gate, trigger, is_champion, kinds
):
    heard = []
    monkeypatch.setattr(deployed, "notify", lambda _settings, *values: heard.append(values))
    settings = read_settings(write_shop(tmp_path))
    state = deployed._say_trained(
        settings, trained(gate, is_champion=is_champion), date(2026, 11, 21), trigger
    )
    assert [kind for kind, _, _ in heard] == kinds
    assert (state is not None) == (gate == "failed")
    if state is not None:
        assert (state.name, state.is_completed()) == ("Refused", True)
        assert "worse than the champion" in state.message
