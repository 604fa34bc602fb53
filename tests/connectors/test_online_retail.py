"""UCI Online Retail 2010-2011 (Chen, Sain & Guo 2012): a real file of order lines, every one accounted for."""

import shutil
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.online_retail import LAST_DAY, data_file, page, read

pytestmark = pytest.mark.skipif(
    not data_file().exists(),
    reason=f"no {data_file()}: put https://archive.ics.uci.edu/dataset/352/online+retail there",
)


@pytest.fixture(scope="module")
def retail(tmp_path_factory):
    return read(str(data_file()), LAST_DAY, tmp_path_factory.mktemp("retail"))


def test_every_line_is_accounted_for(retail):
    accounting = retail.history.accounting
    assert accounting.is_balanced
    assert accounting.rows_in == 541_909
    assert accounting.rejected["missing_customer"] == 135_080
    assert set(accounting.rejected) == {"missing_customer", "refund_without_order", "zero_amount"}


def test_the_exact_duplicates_are_merged_or_rejected_with_their_customer(retail):
    lines = pd.read_parquet(data_file())
    copies = lines[lines.duplicated()]
    assert len(copies) == 5_268
    nobody = int(copies["CustomerID"].isna().sum())
    assert lines["InvoiceNo"].nunique() == 25_900
    rejects = pd.read_csv(retail.history.rejects, dtype=str)
    other = rejects[rejects["rule"] != "missing_customer"]
    spoiled = int(other.drop(columns=["rule", "reason"]).duplicated().sum())
    assert retail.history.accounting.merged["exact_duplicates"] == 5_268 - nobody - spoiled


def test_canceled_invoices_are_netted_on_their_day(retail):
    orders = pd.read_parquet(retail.history.orders).sort_values(["order_date", "order_id"])
    canceled = orders[orders["order_id"].str.startswith("C")]
    assert (canceled["net_amount"] < 0).all()
    assert len(canceled) == retail.refunds > 3_000
    lines = pd.read_parquet(data_file()).drop_duplicates()
    value = (lines["Quantity"] * lines["UnitPrice"]).groupby(lines["InvoiceNo"]).sum()
    netted = canceled.set_index("order_id")["net_amount"]
    assert (netted - value.reindex(netted.index)).abs().max() < 1e-6


def test_the_customers_of_june_are_those_of_the_reference(tmp_path):
    # 2,715 customers, 1,392 of them with one purchase day, by an independent implementation: same-day
    # net of cancellations, days that are not positive no purchase, known before 2011-06-01.
    earlier = read(str(data_file()), date(2011, 5, 31), tmp_path)
    assert (earlier.customers, earlier.one_time) == (2_715, 1_392)


def test_two_files_that_overlap_count_each_order_once(retail, tmp_path):
    lines = pd.read_parquet(data_file())
    folder = tmp_path / "in"
    folder.mkdir()
    lines.iloc[:300_000].to_parquet(folder / "1.parquet")
    lines.iloc[250_000:].to_parquet(folder / "2.parquet")
    both = read(str(folder), LAST_DAY, tmp_path / "out")
    accounting = asdict(both.history.accounting)
    assert accounting["rows_in"] == 541_909 + 50_000
    assert both.history.digest == retail.history.digest
    assert accounting["orders"] == retail.history.accounting.orders


def test_the_page_is_the_one_in_the_docs(retail):
    assert Path("docs/online-retail.md").read_text() == page(retail)


def test_the_order_lines_have_their_products(retail):
    lines = pd.read_parquet(retail.history.order_lines)
    orders = (
        pd.read_parquet(retail.history.orders)
        .sort_values(["order_date", "order_id"])
        .set_index("order_id")["net_amount"]
    )
    summed = lines.groupby("order_id")["net_amount"].sum()
    assert (summed - orders).abs().max() < 1e-6
    assert lines["product_id"].notna().all()
    shutil.rmtree(retail.history.orders.parent, ignore_errors=True)
