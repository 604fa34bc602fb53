"""Pulls need no disk that outlives a power cut."""

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def fast_disk():
    """Do not wait for the disk: no test here cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
