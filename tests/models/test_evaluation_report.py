"""A backtest's record: read from and written as the JSON that MLflow keeps, of this version and earlier ones."""

import json
from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError

from models.evaluation import (
    BacktestReport,
    Comparison,
    Curves,
    CutoffReport,
    Metrics,
    NotBacktested,
    Prediction,
    WeekRow,
    coverage_table,
    decile_table,
    evaluate,
    mean_metrics,
    paired_differences,
    read_backtest,
)

FIRST = {
    "horizon_days": 90,
    "cutoffs": [
        {
            "as_of": "2024-03-31",
            "customers": 2,
            "models": {"champion": {"mae_orders": 0.5, "gini_value": None}},
            "deciles": [{"decile": 10, "customers": 2, "expected": 1.0, "actual": 2.0}],
        }
    ],
    "mean": {"champion": {"mae_orders": 0.5, "gini_value": None}},
}  # what the first version wrote


def made():
    orders, value = np.arange(20.0), np.arange(20.0) * 10
    prediction = Prediction(orders, value, covered=np.ones(20), low=value - 1, high=value + 1)
    metrics = evaluate(prediction, orders, value)
    cutoff = CutoffReport(
        as_of=date(2024, 3, 31),
        customers=20,
        buyers=19,
        is_blind=True,
        models={"champion": metrics, "rfm": Metrics.unknown()},
        differences={**paired_differences(value, {"rule": -value}, value), "rfm": Comparison()},
        notes=("a note",),
        deciles=tuple(decile_table(value, value)),
        curves=Curves(
            weekly=(WeekRow(week=1, expected=2.0, actual=3.0),),
            gain=({"share_of_customers": 0.5, "champion": 0.75},),
            coverage=tuple(coverage_table(prediction)),
        ),
    )
    mean = {"champion": mean_metrics([metrics])}
    return BacktestReport(horizon_days=90, cutoffs=(cutoff,), mean=mean)


def test_a_report_is_read_as_it_was_written():
    report = made()
    text = json.dumps(report.model_dump(mode="json"), allow_nan=False)
    assert read_backtest(text) == report
    assert json.dumps(read_backtest(text).model_dump(mode="json")) == text


def test_a_report_writes_a_null_for_what_is_unknown_and_nothing_for_what_was_not_compared():
    cutoff = made().model_dump(mode="json")["cutoffs"][0]
    assert list(cutoff) == [
        "as_of", "customers", "buyers", "is_blind", "models", "differences", "notes", "deciles",
        "curves",
    ]  # fmt: skip
    assert list(cutoff["models"]["rfm"]) == list(cutoff["models"]["champion"])
    assert set(cutoff["models"]["rfm"].values()) == {None}
    assert cutoff["differences"]["rfm"] == {}
    assert list(cutoff["differences"]["rule"]["gini_value"]) == ["difference", "low", "high"]


def test_what_an_earlier_version_wrote_is_read_and_written_as_it_was():
    report = read_backtest(json.dumps(FIRST))
    assert isinstance(report, BacktestReport)
    (cutoff,) = report.cutoffs
    assert (cutoff.as_of, cutoff.differences, cutoff.notes) == (date(2024, 3, 31), {}, ())
    assert cutoff.curves.weekly == ()
    assert cutoff.models["champion"].coverage_80 is None
    assert report.model_dump(mode="json") == FIRST


def test_a_training_without_a_backtest_says_why():
    report = read_backtest('{"not_backtested": "too short"}')
    assert report == NotBacktested(not_backtested="too short")


def test_a_metric_has_a_name_and_values_are_not_changed():
    metrics = Metrics(mae_orders=0.5)
    assert (metrics.value("mae_orders"), metrics.value("gini_value")) == (0.5, None)
    with pytest.raises(AttributeError):
        metrics.value("mae_order")
    with pytest.raises(ValidationError):
        metrics.mae_orders = 1.0
