"""A short seeded version of ``make nights``."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_nine_bad_nights_publish_every_day_once_and_right():
    """Late orders, a server that is down, an empty source, a doubled one, runs out of order, kills."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.day_chaos"]
    done = subprocess.run(
        [*command, "--nights", "9", "--kills", "6", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 nights, 6 runs killed, 2 days refused, 0 faults" in done.stdout
    assert "orders.source has a header and no rows" in done.stdout
    assert "orders of past days stay as they were" in done.stdout
