"""Files as shops write them: encodings, line endings, different columns, JSON of many shapes."""

import csv
import gzip
import io
import json
import random
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import FILE_COLUMN, open_engine
from connectors.engine.encodings import TextForm, detect_form, read_text
from connectors.engine.json_records import BATCH_RECORDS, Document, unwrapped
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.sources import SourceError

AS_OF = date(2026, 12, 31)
HEADER = "order_id,customer_id,ordered_at,net_amount"
ROWS = "1,Zoë,2026-01-01,5\n2,Bob,2026-01-02,6\n"


def write(folder, files):
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def rows_of(folder, names=None, **how):
    """Return the rows of files as they are, without their file."""
    with open_engine() as engine:
        files = sorted(folder.iterdir() if names is None else (folder / n for n in names))
        read = engine.read_rows(files, **how)
        assert read.broken is None or engine.frame(read.broken).empty
        frame = engine.frame(read.rows)
    assert set(frame[FILE_COLUMN]) <= {str(file) for file in files}
    return frame.drop(columns=FILE_COLUMN), read


def texts(frame):
    """Return the rows as dictionaries; missing values are None."""
    whole = frame.astype(object).where(frame.notna(), None)
    return whole.to_dict("records")


def orders_of(folder, **how):
    with TemporaryDirectory() as out, open_engine() as engine:
        history = read_orders(engine, OrderSource(str(folder), **how), AS_OF, Path(out))
        return pd.read_parquet(history.orders).set_index("order_id"), history.quality.warnings


# Encodings


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("cp1252", "Windows-1252"),
        ("utf-16", "UTF-16 (LE)"),
        ("utf-16-le", "UTF-16 (LE)"),
        ("utf-16-be", "UTF-16 (BE)"),
    ],
)
def test_a_customers_name_is_the_same_in_every_encoding(tmp_path, encoding, note):
    write(tmp_path, {"data.csv": f"{HEADER}\n{ROWS}".encode(encoding)})
    orders, warnings = orders_of(tmp_path)
    assert orders["customer_id"].to_dict() == {"1": "Zoë", "2": "Bob"}
    assert set(orders["source"]) == {str(tmp_path / "data.csv")}
    notes = [warning for warning in warnings if "UTF-8" in warning]
    assert len(notes) == bool(note)
    assert note in "".join(notes)


def test_an_email_in_windows_1252_is_read_and_the_line_named(tmp_path):
    text = "order_id,email,ordered_at,net_amount\n1,ann@shop.org,2026-01-01,5\n2,jörg@müller.de,2026-01-02,6\n"
    write(tmp_path, {"data.csv": text.encode("cp1252")})
    orders, warnings = orders_of(tmp_path)
    assert orders["customer_id"]["2"] == "jörg@müller.de"
    assert (
        "data.csv is not UTF-8 (first at line 3): read as Windows-1252. If names look wrong, set "
        "orders.encoding"
    ) in warnings


def test_excels_unicode_text_is_read(tmp_path):
    text = f"{HEADER}\r\n{ROWS}".replace(",", "\t").replace("\n", "\r\n").replace("\r\r", "\r")
    write(tmp_path, {"Book1.txt": text.encode("utf-16")})
    assert orders_of(tmp_path)[0]["customer_id"]["1"] == "Zoë"


def test_a_header_with_accents_can_be_mapped(tmp_path):
    text = f"{HEADER}\n{ROWS}".replace("order_id", "número")
    write(tmp_path, {"data.csv": text.encode("cp1252")})
    orders, _ = orders_of(tmp_path, columns={"order_id": "número"})
    assert list(orders.index) == ["1", "2"]


def test_lines_of_two_encodings_are_each_read_in_their_own(tmp_path):
    lines = [b"a", "Zoë".encode(), "Zoë €".encode("cp1252"), b"\x81", "日本".encode()]
    write(tmp_path, {"data.csv": b"\n".join(lines)})
    form = detect_form(tmp_path / "data.csv")
    assert form == TextForm("cp1252", first_line=3)
    text = "".join(read_text(tmp_path / "data.csv", form))
    assert text.split("\n") == ["a", "Zoë", "Zoë €", "\x81", "日本"]


def test_an_encoding_that_is_set_is_used_and_not_reported(tmp_path):
    write(tmp_path, {"data.csv": f"{HEADER}\n{ROWS}".replace("Zoë", "Жанна").encode("cp1251")})
    orders, warnings = orders_of(tmp_path, encoding="cp1251")
    assert orders["customer_id"]["1"] == "Жанна"
    assert not [warning for warning in warnings if "encoding" in warning]


def test_an_encoding_that_does_not_fit_is_refused(tmp_path):
    write(tmp_path, {"data.csv": f"{HEADER}\n{ROWS}".encode("cp1252")})
    with pytest.raises(SourceError, match=r"data\.csv is not utf-8.*orders\.encoding"):
        orders_of(tmp_path, encoding="utf-8")


def test_of_many_files_in_another_encoding_a_few_are_named(tmp_path):
    parts = {f"{i}.csv": f"{HEADER}\n{i}{ROWS}".encode("cp1252") for i in range(6)}
    _, read = rows_of(write(tmp_path, parts))
    assert len(read.notes) == 4
    assert read.notes[-1].startswith("3 more files")


def test_a_long_line_is_decoded_across_blocks(tmp_path):
    text = "é" * 1_500_001
    for encoding in ("utf-8", "cp1252"):
        write(tmp_path, {"data.csv": f"a\n{text}\n".encode(encoding)})
        form = detect_form(tmp_path / "data.csv")
        assert form.encoding == encoding
        assert "".join(read_text(tmp_path / "data.csv", form)) == f"a\n{text}\n"


def test_a_clean_file_is_not_copied(tmp_path):
    write(tmp_path, {"data.csv": f"{HEADER}\r\n1,Zoë,2026-01-01,5\r\n"})
    assert not detect_form(tmp_path / "data.csv").needs_copy


# Line endings and packed files


@pytest.mark.parametrize("endings", ["\n\r\n", "\r\n\n", "\n\r", "\r\n\r", "\r\r"])
def test_mixed_line_endings_are_read(tmp_path, endings):
    one, two = (
        (endings[:2], endings[2:]) if endings.startswith("\r\n") else (endings[0], endings[1:])
    )
    text = f"{HEADER}{one}1,a,2026-01-01,5{two}2,b,2026-01-02,6{one}3,c,2026-01-03,7{two}"
    write(tmp_path, {"data.csv": text})
    assert orders_of(tmp_path)[0]["customer_id"].to_list() == ["a", "b", "c"]


def test_a_line_break_of_another_kind_inside_a_cell_is_kept(tmp_path):
    write(tmp_path, {"data.csv": 'a,b\n1,"x\r\ny"\n2,z\n'})
    assert texts(rows_of(tmp_path)[0]) == [{"a": "1", "b": "x\ny"}, {"a": "2", "b": "z"}]


@pytest.mark.parametrize("cut", [4, 40, -9, -1])
def test_a_packed_file_that_is_cut_off_is_refused(tmp_path, cut):
    lines = "".join(f"{i},c{i},2026-01-01,{i}\n" for i in range(1, 5000))
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{lines}".encode())[:cut])
    with pytest.raises(SourceError, match=r"orders\.csv\.gz is (cut off|no gzip)"):
        orders_of(tmp_path)


def test_a_packed_file_with_a_wrong_byte_is_refused(tmp_path):
    lines = "".join(f"{i},c{i},2026-01-01,{i}\n" for i in range(1, 5000))
    packed = bytearray(gzip.compress(f"{HEADER}\n{lines}".encode()))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "orders.csv.gz").write_bytes(packed)
    with pytest.raises(SourceError, match=r"orders\.csv\.gz is"):
        orders_of(tmp_path)


def test_a_packed_file_in_windows_1252_is_read(tmp_path):
    write(tmp_path, {"data.csv.gz": f"{HEADER}\n{ROWS}".encode("cp1252")})
    assert orders_of(tmp_path)[0]["customer_id"]["1"] == "Zoë"


# Different columns

SHOPIFY = {
    "Name": "#1",
    "Email": "ann@shop-buyers.org",
    "Financial Status": "paid",
    "Currency": "USD",
    "Subtotal": "10.00",
    "Shipping": "0.00",
    "Taxes": "0.00",
    "Total": "10.00",
    "Discount Code": "",
    "Discount Amount": "0.00",
    "Created at": "2026-01-01 10:00:00 -0500",
    "Lineitem quantity": "1",
    "Lineitem name": "Beans",
    "Lineitem price": "10.00",
}


def as_csv(*rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_shopify_exports_of_three_years_are_one_history(tmp_path):
    later = SHOPIFY | {"Name": "#2", "Outstanding Balance": "0.00", "Employee": ""}
    latest = {"Payment ID": "x"} | later | {"Name": "#3", "Location": "", "Device ID": "7"}
    write(tmp_path, {f"{i}.csv": as_csv(row) for i, row in enumerate([SHOPIFY, later, latest])})
    orders, _ = orders_of(tmp_path, preset="shopify")
    assert orders["net_amount"].to_dict() == {"#1": 10.0, "#2": 10.0, "#3": 10.0}
    assert len(set(orders["customer_id"])) == 1


def test_columns_in_another_order_and_case_are_the_same(tmp_path):
    two = "NET_AMOUNT, Ordered_at ,order_id,customer_id,note\n6,2026-01-02,2,b,hello\n"
    write(tmp_path, {"1.csv": f"{HEADER}\n1,a,2026-01-01,5\n", "2.csv": two})
    frame, read = rows_of(tmp_path)
    assert list(frame) == [*HEADER.split(","), "note"]
    assert list(frame.iloc[1]) == ["2", "b", "2026-01-02", "6", "hello"]
    assert read.lacking == {str(tmp_path / "1.csv"): ("note",)}
    assert len(orders_of(tmp_path)[0]) == 2


def test_files_without_a_common_column_are_refused_by_name(tmp_path):
    write(tmp_path, {"1.csv": "a,b\n1,2\n", "2.csv": "c,d\n1,2\n"})
    with pytest.raises(SourceError, match=r"1\.csv and .*2\.csv have no column in common"):
        rows_of(tmp_path)


@pytest.mark.parametrize("column", ["order_id", "customer_id", "ordered_at"])
def test_a_file_that_lacks_a_column_that_every_order_needs_is_refused(tmp_path, column):
    other = f"{HEADER}\n2,b,2026-01-02,6\n".replace(column, "x")
    write(tmp_path, {"1.csv": f"{HEADER}\n{ROWS}", "2.csv": other})
    with pytest.raises(SourceError, match=rf"2\.csv lacks {column}"):
        orders_of(tmp_path)


def test_a_shopify_export_without_customers_among_others_is_refused(tmp_path):
    other = {name: cell for name, cell in SHOPIFY.items() if name != "Email"}
    write(tmp_path, {"1.csv": as_csv(SHOPIFY), "2.csv": as_csv(other)})
    with pytest.raises(SourceError, match=r"2\.csv lacks Email"):
        orders_of(tmp_path, preset="shopify")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_split_order_encoding_delimiter_and_line_ending_gives_the_same_rows(data):
    letters = st.text(st.sampled_from("abcé €\"'ß,;\t|#-"), max_size=6).map(str.strip)
    names = data.draw(
        st.lists(st.sampled_from(["id", "né", "Day", "net amount", "x"]), min_size=2, unique=True)
    )
    table = data.draw(
        st.lists(
            st.tuples(*[letters.map(lambda t: "v" + t) for _ in names]), min_size=3, max_size=9
        )
    )
    cuts = sorted(data.draw(st.lists(st.integers(1, len(table) - 1), max_size=2, unique=True)))
    parts = [table[a:b] for a, b in zip([0, *cuts], [*cuts, len(table)], strict=True)]
    with TemporaryDirectory() as folder:
        for number, part in enumerate(parts):
            order = data.draw(st.permutations(range(len(names))))
            text = io.StringIO()
            writer = csv.writer(
                text,
                delimiter=data.draw(st.sampled_from(",;\t|")),
                lineterminator=data.draw(st.sampled_from(["\n", "\r\n", "\r"])),
            )
            writer.writerow([names[i] for i in order])
            writer.writerows([[row[i] for i in order] for row in part])
            encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
            (Path(folder) / f"{number}.csv").write_bytes(text.getvalue().encode(encoding))
        frame, _ = rows_of(Path(folder))
    assert sorted(zip(*(frame[name] for name in names), strict=True)) == sorted(table)


# JSON


RECORDS = [
    {"id": 1, "paid": True, "who": {"mail": "a@b.org"}, "tags": []},
    {"id": "2", "net": 1.50},
]
AS_TEXT = [
    {
        "id": "1",
        "paid": "true",
        "who": '{"mail":"a@b.org"}',
        "tags": "[]",
        "who.mail": "a@b.org",
        "net": None,
    },
    {"id": "2", "paid": None, "who": None, "tags": None, "who.mail": None, "net": "1.5"},
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(RECORDS)),
        ("a.json", json.dumps(RECORDS, indent=2)),
        ("a.json", "\ufeff" + json.dumps(RECORDS)),
        ("a.json", json.dumps(RECORDS).encode("utf-16")),
        ("a.ndjson", "\n".join(map(json.dumps, RECORDS))),
        ("a.jsonl", "\r\n\r\n".join(map(json.dumps, RECORDS)) + "\n"),
        ("a.json", json.dumps({"orders": RECORDS, "page": 1, "total": 2})),
        (
            "a.json",
            json.dumps({"object": "list", "data": {"results": RECORDS}, "has_more": False}),
        ),
        ("a.json", json.dumps([RECORDS])),
        ("a.ndjson", "\n".join(json.dumps({"items": [record]}) for record in RECORDS)),
        ("a.json", json.dumps(RECORDS[:1]) + json.dumps(RECORDS[1:])),
        ("a.json.gz", json.dumps(RECORDS)),
    ],
)
def test_json_of_every_shape_is_the_same_rows(tmp_path, name, content):
    assert texts(rows_of(write(tmp_path, {name: content}))[0]) == AS_TEXT


def test_numbers_keep_their_digits(tmp_path):
    numbers = ["1.10", "12345678901234567890.123456789", "1e3", "0.1", "9" * 40, "-0.0"]
    write(tmp_path, {"a.json": "[" + ",".join(f'{{"x": {n}}}' for n in numbers) + "]"})
    assert rows_of(tmp_path)[0]["x"].to_list() == numbers


def test_pages_unite_whatever_their_values_are(tmp_path):
    pages = [
        [{"id": 1, "x": []}],
        [{"ID": "2", "x": None}],
        [{"id": 3, "x": [{"t": 5}], "y": 1}],
        [],
    ]
    write(tmp_path, {f"{i}.json": json.dumps(page) for i, page in enumerate(pages)})
    frame, _ = rows_of(tmp_path, nested={"x": "array<struct<t: string, u: string>>"})
    assert frame["id"].to_list() == ["1", "2", "3"]
    assert [None if x is None else list(x) for x in frame["x"]] == [
        [],
        None,
        [{"t": "5", "u": None}],
    ]


def test_a_list_that_php_wrote_as_an_object_stays_a_list(tmp_path):
    write(tmp_path, {"a.json": json.dumps([{"id": 1, "x": {"1": {"t": 1}, "7": {"t": 2}}}])})
    frame, _ = rows_of(tmp_path, nested={"x": "array<struct<t: string>>"})
    assert list(frame["x"][0]) == [{"t": "1"}, {"t": "2"}]


def test_an_order_with_items_is_no_page_of_items():
    order = {"id": 1, "items": [{"sku": "a"}]}
    assert unwrapped(order) == [order]
    assert unwrapped({"items": [order], "page": 1}) == [order]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('[{"id": 1},\n {"id": 2},, {"id": 3}]', "line 2, character 12"),
        ('{"id": 1}\n{"id": 2', "line 2, character 9"),
        ('[{"id": 1}, 5]', "A record is not an object"),
        ('[{"id": 1}', "line 1, character 11"),
        ("[" * 100_000, "is not valid JSON at line 1"),
        ('{"id": ' + "9" * 5000 + "}", "line 1"),
        ("<html>", "line 1, character 1"),
    ],
)
def test_malformed_json_is_refused_with_its_place(tmp_path, content, place):
    write(tmp_path, {"page.json": content})
    with pytest.raises(
        SourceError, match=rf"page\.json is not valid JSON.*{place}|{place}"
    ) as error:
        rows_of(tmp_path)
    assert "page.json" in str(error.value)


def test_a_place_is_counted_over_everything_that_was_read():
    text = '{"id": 1}\n' * 50 + '{"id": }'
    parts = [text[i : i + 7] for i in range(0, len(text), 7)]
    with pytest.raises(SourceError, match="line 51, character 8"):
        list(Document(Path("a.json"), parts).records())


def test_records_do_not_depend_on_the_parts_they_are_read_in():
    records = [{"id": i, "t": "x" * random.Random(i).randint(0, 300)} for i in range(60)]
    text = json.dumps(records)
    for size in (1, 2, 13, 500):
        parts = (text[i : i + size] for i in range(0, len(text), size))
        assert list(Document(Path("a.json"), parts).records()) == records


def test_one_long_record_and_many_batches_are_read(tmp_path):
    records = [{"id": i, "x": i} for i in range(2 * BATCH_RECORDS + 1)]
    records[7]["note"] = "n" * 17_000_000  # longer than DuckDB takes by default
    frame, _ = rows_of(write(tmp_path, {"a.json": json.dumps(records)}))
    assert frame["id"].to_list() == [str(record["id"]) for record in records]
    assert len(frame["note"][7]) == 17_000_000


def test_half_a_surrogate_pair_and_a_map_of_many_keys_are_read(tmp_path):
    record = {
        "id": "\ud800x",
        "map": {f"k{i}": i for i in range(500)},
        "ID": 2,
        "a": {"b": 1},
        "a.b": 3,
    }
    frame, _ = rows_of(write(tmp_path, {"a.json": json.dumps([record])}))
    assert list(frame) == ["id", "map", "ID_1", "a", "a.b"]
    assert frame["id"][0] == "?x"
    assert frame["a.b"][0] == "3"


def test_json_without_records_is_refused(tmp_path):
    with pytest.raises(SourceError, match="has no records"):
        rows_of(write(tmp_path, {"a.json": "[]"}))
