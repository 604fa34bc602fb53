"""Tables for people fit a terminal of 80 columns, with nothing cut off."""

import io
from datetime import date

import pytest
from rich.console import Console

from models.evaluation import BacktestReport, CutoffReport
from perennial.cli.shown.day import RATED, backtest_table, segment_table, tier_table
from perennial.cli.shown.state import show_said
from reports.records.run import SegmentRow, TierRow

METRICS = dict.fromkeys(RATED, 0.8765) | {"value_ratio": 12.345, "mae_orders": 2.094}
MODELS = (
    "champion",
    "mbg_cnbd_2_gamma_gamma",
    "pareto_nbd_gamma_gamma",
    "last_period",
    "learned_trees",
)
SEGMENT = SegmentRow(
    segment="second_order_window", meaning="one order", customers=1_234_567, share=1.0, revenue=1e9,
    p_order_90d=1.0, expected_value=12_345.67, expected_margin=1e9, held_out=123_456,
    heavy=123_456, standard=123_456, light=123_456,
)  # fmt: skip
TIER = TierRow(tier="standard", customers=1_234_567, held_out=123_456, cost=1_234_567.0,
               gain=12_345_678.0, expected_return=10.0)  # fmt: skip


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80)


def printed(console, table):
    console.print(table)
    return console.file.getvalue()


def test_the_holdout_says_every_figure_whole(console):
    cutoffs = tuple(
        CutoffReport(as_of=date(2024, k, 1), customers=11_044, models={}) for k in (1, 2, 3)
    )
    mean = dict.fromkeys(MODELS, METRICS) | {"hiatus": dict.fromkeys(RATED) | {"auc_active": 0.5}}
    result = printed(
        console, backtest_table(BacktestReport(horizon_days=365, cutoffs=cutoffs, mean=mean))
    )
    assert "…" not in result
    row = next(line for line in result.splitlines() if "mbg cnbd 2" in line)
    assert row.split() == [
        "mbg",
        "cnbd",
        "2",
        "0.876",
        "87.6%",
        "12.35",
        "0.88",
        "2.094",
        "0.876",
        "87.6%",
    ]
    assert "gamma" not in result
    assert next(line for line in result.splitlines() if "hiatus" in line).split()[1:] == [
        "-", "-", "-", "-", "-", "0.500", "-",
    ]  # fmt: skip


def test_segments_and_tiers_of_a_large_store_fit(console):
    assert "…" not in printed(console, segment_table([SEGMENT], "USD"))
    result = printed(console, tier_table([TIER, TIER.model_copy(update={"cost": 0.0})], "USD"))
    assert "…" not in result
    assert "back per USD" in result


def test_facts_below_facts_are_said_in_words(console):
    accounting = {
        "rows_in": 63812,
        "merged": {"lines_summed": 44817, "refunds": 0},
        "rejected": {},
    }
    show_said(console, {"accounting": accounting, "examples": {"canceled": ("#1", "#2")}})
    assert console.file.getvalue().splitlines() == [
        "Accounting rows_in 63,812, merged (lines_summed 44,817)",
        "Examples  canceled #1 #2",
    ]
