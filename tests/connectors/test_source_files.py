"""Which files a source has, and which one was written last."""

import os

import pytest

from connectors.source_files import list_files, newest_file


def write(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("order_id\n1\n")
    os.utime(path, (seconds, seconds))
    return path


def test_the_newest_file_of_a_folder_is_the_one_written_last(tmp_path):
    write(tmp_path / "b.csv", 100)
    newest = write(tmp_path / "a.csv.gz", 200)
    write(tmp_path / "notes.docx", 300)
    write(tmp_path / "rejects.csv", 400)  # a run's own
    assert newest_file(str(tmp_path)) == (newest, 200.0)


def test_a_table_may_be_a_folder_of_files(tmp_path):
    write(tmp_path / "order.parquet" / "part-0.parquet", 100)
    newest = write(tmp_path / "order_line.parquet" / "part-1.parquet", 200)
    write(tmp_path / "order_line.parquet" / "_SUCCESS", 300)
    assert newest_file(str(tmp_path)) == (newest, 200.0)


@pytest.mark.parametrize("pattern", ["orders-*.csv", "orders-2.csv", "**/orders-*.csv"])
def test_a_file_and_a_glob_have_a_newest_file_too(tmp_path, pattern):
    newest = write(tmp_path / "orders-2.csv", 200)
    write(tmp_path / "orders-1.csv", 100)
    write(tmp_path / "other.csv", 300)
    assert newest_file(str(tmp_path / pattern)) == (newest, 200.0)


@pytest.mark.parametrize("location", ["", "nowhere", "*.csv"])
def test_where_no_file_is_none_is_the_newest(tmp_path, location):
    assert list_files(str(tmp_path / location)) == []
    assert newest_file(str(tmp_path / location)) is None


def test_a_file_that_is_moved_away_meanwhile_is_left_out(tmp_path):
    newest = write(tmp_path / "a.csv", 100)
    (tmp_path / "b.csv").symlink_to(tmp_path / "gone.csv")
    assert newest_file(str(tmp_path)) == (newest, 100.0)
