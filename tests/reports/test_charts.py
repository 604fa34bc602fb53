"""Pictures draw what they are given and name it; the model card says what a reader needs."""

from datetime import date

import numpy as np

from models.evaluation import BacktestReport, CutoffReport, Metrics, NotBacktested
from models.gate import Check, GateVerdict
from reports.charts import bars_chart, curves_chart, matrix_chart, pairs_chart, spans_chart
from reports.fit_report import FitReport, PartReport
from reports.model_card import model_card

DECILES = [
    {"decile": 10, "expected": 5.0, "actual": 6.0},
    {"decile": 9, "expected": 1.0, "actual": 2.0},
]


def drawn(axes):
    return [line.get_ydata().tolist() for line in axes.lines]


def test_a_pair_draws_both_lines_and_names_them():
    axes = pairs_chart(DECILES, "decile", "Value").axes[0]
    assert drawn(axes) == [[5.0, 1.0], [6.0, 2.0]]
    assert {text.get_text() for text in axes.texts} == {"expected", "actual"}
    assert axes.get_title(loc="left") == "Value"


def test_curves_draw_every_other_column():
    rows = [{"share": 0.0, "a": 0.0, "b_c": 0.0}, {"share": 1.0, "a": 1.0, "b_c": 0.5}]
    axes = curves_chart(rows, "share", "Gain").axes[0]
    assert drawn(axes) == [[0.0, 1.0], [0.0, 0.5]]
    assert {text.get_text() for text in axes.texts} == {"a", "b c"}


def test_a_matrix_is_drawn_as_it_is():
    values = np.arange(6.0).reshape(3, 2)
    axes = matrix_chart(values, np.array([0.0, 5.0, 10.0]), "Alive").axes[0]
    assert axes.images[0].get_array().tolist() == values.tolist()


def test_spans_show_estimate_interval_and_what_came_true():
    rows = [
        {"way": "a_b", "estimate": 2.0, "low": 1.0, "high": 4.0, "actual": 3.0},
        {"way": "c", "estimate": 5.0, "low": 4.5, "high": 6.0},
    ]
    axes = spans_chart(rows, "way", "Lift", "USD").axes[0]
    ends = [path[:, 0].tolist() for path in axes.collections[0].get_segments()]
    assert ends == [[1.0, 4.0], [4.5, 6.0]]
    estimates, actual = (line.get_xdata() for line in axes.lines)
    assert list(estimates) == [2.0, 5.0]
    np.testing.assert_equal(actual, [3.0, np.nan])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a b", "c"]
    assert {text.get_text() for text in axes.texts} == {"estimate", "actual"}


def test_bars_are_as_long_as_their_numbers_and_say_them():
    rows = [{"segment": "at_risk", "customers": 1200}, {"segment": "new", "customers": 3}]
    axes = bars_chart(rows, "segment", "customers", "Customers").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1200, 3]
    assert [text.get_text() for text in axes.texts] == ["1,200", "3"]


def test_a_notebook_shows_the_same_picture_each_time_under_its_title():
    first, again = (pairs_chart(DECILES, "decile", "Value")._repr_svg_() for _ in range(2))
    assert first == again
    assert "<dc:title>Value</dc:title>" in first
    assert pairs_chart(DECILES, "decile", "Others")._repr_svg_() != first


def test_the_model_card_has_parameters_backtest_gate_and_notes():
    check = Check(
        name="floor_rfm",
        is_passed=False,
        problem="Gini -0.1",
        threshold="no more than 0.02 worse",
        fix="Look at the deciles",
    )
    cutoff = CutoffReport(as_of=date(2024, 3, 31), customers=10, models={})
    card = model_card(
        "Tiny Teas",
        date(2024, 6, 30),
        fits=FitReport(
            parts={"purchases": PartReport(params={"r": 0.25}, metrics={"customers": 10})},
            notes=("a note",),
        ),
        backtest=BacktestReport(
            horizon_days=90, cutoffs=(cutoff,), mean={"champion": Metrics(gini_value=0.5)}
        ),
        verdict=GateVerdict(gate="failed", checks=(check,)),
    )
    for part in (
        "# Model of Tiny Teas, as of 2024-06-30",
        "| r | 0.25 |",
        "| customers | 10 |",
        "Means over the 90 days after 2024-03-31.",
        "| champion | 0.500 |",
        "The gate says: **failed**",
        "| floor rfm | **no** | Gini -0.1 |",
        "- a note",
    ):
        assert part in card


def test_the_card_of_a_model_that_was_not_tried_says_why():
    card = model_card(
        "Tiny Teas",
        date(2024, 6, 30),
        fits=FitReport(),
        backtest=NotBacktested(not_backtested="too short"),
        verdict=GateVerdict(gate="passed", checks=()),
    )
    assert "Not tried: too short" in card
