"""Addresses of the environment may have a password; nothing shows it."""

import pytest

from connectors.tracking import Tracking, TrackingError
from perennial.cli.commands import _mlflow, in_words
from perennial.cli.runner import choose_runner
from perennial.pipeline.runtime.prefect_api import ServerError
from perennial.pipeline.settings.store import build_settings
from perennial.service.server import check_answers

FORMS = [
    "{}://me:hunter2@127.0.0.1:1{}",
    "{}://me:p@hunter2@127.0.0.1:1{}",
    "{}://hunter2@127.0.0.1:1{}",
    "{}://127.0.0.1:1{}?token=hunter2",
    "{}://127.0.0.1:1{}?pass%77ord=hunter2",
]


@pytest.mark.parametrize("form", FORMS)
def test_prefects_address_is_shown_without_its_password(form, tmp_path, monkeypatch):
    url = form.format("http", "/api")
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:1/api") as error:
        check_answers(url)
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("PREFECT_API_URL", url)
    with choose_runner(tmp_path, prefect=True) as runner:
        assert "hunter2" not in str(runner.where)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_mlflows_address_is_shown_without_its_password(form, scheme, tmp_path, monkeypatch):
    uri = form.format(scheme, "/mlflow")
    with pytest.raises(TrackingError) as error:
        Tracking(uri, None)
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    shown = _mlflow(build_settings({"orders": {"source": "a.csv"}}, tmp_path))
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize("form", FORMS)
def test_an_error_is_said_without_a_password(form):
    url = form.format("s3", "/exports")
    assert "hunter2" not in in_words(OSError(5, "denied", url))
    assert "hunter2" not in in_words(ServerError(f"cannot reach {url}: it is down"))
