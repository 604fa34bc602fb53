"""What changed since Perennial wrote it is refused."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.kept import (
    CHECKSUMS,
    ChangedFileError,
    check_digests,
    checked,
    read_arrow,
    read_parquet,
    with_digest,
    write_digests,
)

RECORD = {"as_of": "2026-01-02", "weeks": [{"ratio": 0.1}, {"ratio": None}], "ü": 1e-300}


def test_a_record_comes_back_from_json_without_its_digest():
    assert checked(json.loads(json.dumps(with_digest(RECORD), indent=2))) == RECORD


def test_a_record_of_an_earlier_version_has_no_digest():
    assert checked(dict(RECORD)) == RECORD


@pytest.mark.parametrize(
    "change", [{"as_of": "2026-01-03"}, {"weeks": [{"ratio": 0.2}, {"ratio": None}]}, {"more": 1}]
)
def test_a_changed_record_is_refused(change):
    with pytest.raises(ChangedFileError, match="changed after it was written"):
        checked({**with_digest(RECORD), **change})


def test_a_folder_without_digests_is_read_as_it_is(tmp_path):
    check_digests(tmp_path)


@pytest.mark.parametrize("name", ["a.json", "b.skops"])
@pytest.mark.parametrize("content", [b"other", None])
def test_a_changed_or_missing_file_is_refused(tmp_path, name, content):
    (tmp_path / "a.json").write_text("1")
    (tmp_path / "b.skops").write_bytes(b"\x00\x01")
    write_digests(tmp_path, ("a.json", "b.skops", "missing.skops"))
    check_digests(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ChangedFileError, match=name):
        check_digests(tmp_path)


def test_a_flipped_bit_in_parquet_is_refused(tmp_path):
    """Of doubles that do not compress, which any change would leave readable."""
    path = tmp_path / "numbers.parquet"
    values = pd.DataFrame({"value": [float(n) ** 0.5 for n in range(4096)]})
    pq.write_table(pa.Table.from_pandas(values), path, use_dictionary=False, **CHECKSUMS)
    assert read_parquet(path).equals(values)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))
    for read in (read_parquet, read_arrow):
        with pytest.raises(OSError, match=r"CRC|checksum|corrupt|Corrupt"):
            read(path)
