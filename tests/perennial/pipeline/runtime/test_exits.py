"""Each expected error has one exit code, and the most specific row of the table counts."""

import pytest

from connectors.klaviyo.errors import BusyError, KeyRefusedError, SyncRefusedError
from connectors.live.errors import (
    AccessRefusedError,
    PlatformDownError,
    RequestRefusedError,
    UnexpectedAnswerError,
)
from perennial.pipeline.publishing.checks import DayRefusedError
from perennial.pipeline.runtime.disk import FullDiskError, ReadOnlyDiskError
from perennial.pipeline.runtime.exits import (
    EXPECTED_ERRORS,
    ExitCode,
    exit_code,
    expected_error,
)
from perennial.pipeline.settings.store import SettingsError


def test_exit_codes_keep_their_numbers():
    assert [int(code) for code in ExitCode] == [0, 1, 2, 10, 20, 30]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("wrong"), 2),
        (FileNotFoundError("orders.csv"), 2),
        (ReadOnlyDiskError("home"), 2),
        (KeyRefusedError("the key"), 2),
        (SyncRefusedError("a guard"), 20),
        (FullDiskError("home"), 20),
        (DayRefusedError("too few orders", is_late=False), 20),
        (DayRefusedError("no orders yet", is_late=True), 30),
        (BusyError("429"), 30),
        (PlatformDownError("503"), 30),
        (AccessRefusedError("the key", 401), 2),
        (UnexpectedAnswerError("HTML"), 20),
        (RequestRefusedError("404", 404), 20),
        (ZeroDivisionError(), 1),
    ],
)
def test_the_most_specific_row_counts(error, code):
    assert exit_code(error) == code


def test_an_error_has_one_row():
    errors = [one.error for one in EXPECTED_ERRORS]
    assert len(errors) == len(set(errors))
    assert expected_error(ZeroDivisionError()) is None
