"""The exports at another place: whole days, the pointer last, and what is gone here is gone there."""

import fsspec
import pytest

from connectors.mirror import Mirrored, mirror

DAY = "scores/as_of=2026-11-21/run=a"


@pytest.fixture
def exports(tmp_path):
    folder = tmp_path / "exports"
    (folder / DAY).mkdir(parents=True)
    (folder / DAY / "run.json").write_text("{}")
    (folder / DAY / "scores.parquet").write_bytes(b"scores")
    (folder / "CURRENT.json").write_text("a")
    (folder / "scores" / "as_of=2026-11-21" / ".stage-b").mkdir()
    (folder / "scores" / "as_of=2026-11-21" / ".stage-b" / "run.json").write_text("half")
    return folder


@pytest.fixture
def bucket():
    """A bucket in memory, empty again when the test is over."""
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()


def names(bucket) -> set[str]:
    return {path.removeprefix("/shop/") for path in bucket.find("/shop")}


def test_whole_days_and_the_pointer_are_there_and_half_a_day_is_not(exports, bucket, tmp_path):
    done = mirror(exports, "memory://shop", tmp_path / "known.json")
    assert done == Mirrored(3, 0)
    assert names(bucket) == {f"{DAY}/run.json", f"{DAY}/scores.parquet", "CURRENT.json"}
    assert bucket.cat(f"/shop/{DAY}/scores.parquet") == b"scores"


def test_what_is_there_is_not_uploaded_again(exports, bucket, tmp_path):
    past = tmp_path / "known.json"
    mirror(exports, "memory://shop", past)
    assert mirror(exports, "memory://shop", past) == Mirrored(0, 0)


def test_what_is_rewritten_or_removed_here_is_so_there(exports, bucket, tmp_path):
    past = tmp_path / "known.json"
    mirror(exports, "memory://shop", past)
    (exports / DAY / "scores.parquet").unlink()
    (exports / DAY / "run.json").write_text('{"forgotten": true}')
    assert mirror(exports, "memory://shop", past) == Mirrored(1, 1)
    assert names(bucket) == {f"{DAY}/run.json", "CURRENT.json"}
    assert b"forgotten" in bucket.cat(f"/shop/{DAY}/run.json")


def test_the_pointer_is_the_last_and_a_mirror_that_was_cut_short_goes_on(
    exports, bucket, tmp_path, monkeypatch
):
    past, real, sent = tmp_path / "known.json", type(bucket).put_file, []

    def put_file(self, source, target, **kwargs):
        if target.endswith("scores.parquet") and not sent.count("cut"):
            sent.append("cut")
            raise OSError("the line is dead")
        sent.append(target.rpartition("/")[2])
        return real(self, source, target, **kwargs)

    monkeypatch.setattr(type(bucket), "put_file", put_file)
    with pytest.raises(OSError, match="dead"):
        mirror(exports, "memory://shop", past)
    assert "CURRENT.json" not in names(bucket)
    mirror(exports, "memory://shop", past)
    assert sent == ["run.json", "cut", "scores.parquet", "CURRENT.json"]
