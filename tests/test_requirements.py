"""What a machine lacks is said with the command that provides it, and cannot hide where all is required."""

import pytest

from tests.requirements import require


def test_what_is_there_is_used():
    try:
        require("/usr/bin/true", "true", "apt-get install coreutils")
    except pytest.skip.Exception:
        pytest.fail("it was skipped although it is there")


def test_what_is_lacking_skips_with_its_command(monkeypatch):
    monkeypatch.delenv("PERENNIAL_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="provide it with: apt-get install postgresql"):
        require(None, "a PostgreSQL server", "apt-get install postgresql")


def test_such_a_skip_fails_where_all_is_required(monkeypatch):
    monkeypatch.setenv("PERENNIAL_REQUIRE", "all")
    with pytest.raises(pytest.fail.Exception, match="PERENNIAL_REQUIRE=all"):
        require(None, "a PostgreSQL server", "apt-get install postgresql")
