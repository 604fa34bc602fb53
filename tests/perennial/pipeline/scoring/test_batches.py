"""Customers in batches: what is decided does not depend on how they are cut."""

import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import perennial.pipeline.scoring.batches
from connectors.klaviyo.erasure import Erasures
from models.lift import Effect
from perennial.pipeline.scoring.batches import BatchCache, States, parallel_map, texts
from perennial.pipeline.scoring.commitments import PriorDecisions
from tests.perennial.pipeline.scoring.test_decide import customers, decided

FRAMES = ("scores", "commitments", "in_force", "assignments", "newcomers")


class _ByMoney:
    def predict(self, x):
        return x[:, 3] / 10


def both(monkeypatch, *args, **how):
    """Decide as a whole, and cut into eleven batches."""
    whole = decided(*args, **how)
    monkeypatch.setattr(perennial.pipeline.scoring.batches, "ROWS", 37)
    return whole, decided(*args, **how)


def check_same(whole, cut):
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(cut, name), check_exact=True)
    pd.testing.assert_frame_equal(whole.expected, cut.expected, rtol=1e-7)
    for name in ("left", "next_return", "curve", "experiment"):
        assert getattr(cut.budget, name) == getattr(whole.budget, name)
    assert cut.budget.committed == pytest.approx(whole.budget.committed, rel=1e-12)


def test_a_first_day_is_the_same_however_customers_are_cut(monkeypatch):
    whole, cut = both(monkeypatch, investment={"exploration": 0.2})
    check_same(whole, cut)
    assert len(whole.commitments) > 5


def test_so_is_a_later_day_with_tiers_in_force_and_effects_that_were_proved(monkeypatch):
    first = decided(investment={"budget": 30.0})
    prior = PriorDecisions(first.assignments, first.commitments, uplift_targeting={"light": Effect((_ByMoney(),), (1.0,))})  # fmt: skip
    whole, cut = both(monkeypatch, prior, investment={"budget": 90.0})
    check_same(whole, cut)
    assert len(whole.in_force) > len(first.commitments)


@pytest.mark.parametrize("kept", ["frame", "file", "folder"])
def test_every_customer_comes_once_and_in_order_but_for_the_forgotten(kept, monkeypatch, tmp_path):
    monkeypatch.setattr(perennial.pipeline.scoring.batches, "ROWS", 37)
    source, erased = customers(), Erasures(tmp_path)
    erased.add([*source["customer_id"][37:74], "c0399"])  # a whole batch, and the last
    if kept != "frame":
        table, path = pa.Table.from_pandas(source, preserve_index=False), tmp_path / "s.parquet"
        parts = {path: table}
        if kept == "folder":
            path.mkdir()
            parts = {path / f"part-{i}.parquet": table.slice(74 * i, 74) for i in range(6)}
        for name, part in parts.items():
            pq.write_table(part, name)
        source = path
    for _ in range(2):  # every round reads them anew
        batches = list(States(source, erased))
        assert [batch.number for batch in batches] == list(range(10))
        ids = pd.concat([batch.customers for batch in batches]).tolist()
        assert ids == [f"c{i:04}" for i in range(399) if not 37 <= i < 74]
        assert "first_order_date" not in batches[0].numbers
        assert {"frequency", "revenue"} <= set(batches[0].numbers)


def test_of_nobody_there_is_one_portion_without_rows(tmp_path):
    nobody = customers().head(0)
    assert [len(batch.numbers) for batch in States(nobody)] == [0]
    table = pa.Table.from_pandas(customers(), preserve_index=False).slice(0, 0)
    pq.write_table(table, tmp_path / "s.parquet")
    assert [batch.number for batch in States(tmp_path / "s.parquet")] == [0]


@pytest.mark.parametrize("is_on_disk", [True, False])
def test_a_cache_returns_what_was_put_into_it(is_on_disk, tmp_path):
    cache = BatchCache(tmp_path if is_on_disk else None)
    cache.put(1, {"a": np.array([1.0, np.nan]), "b": np.array([3.0, np.inf])})
    cache.put(0, {"a": np.zeros(3), "b": np.ones(3)})
    assert cache.take(1)["b"].tolist() == [3.0, np.inf]
    assert np.isnan(cache.take(1)["a"][1])
    assert cache.take(0)["b"].tolist() == [1.0, 1.0, 1.0]


def test_what_is_found_side_by_side_comes_in_order_and_few_are_taken_at_once():
    cores = perennial.pipeline.scoring.batches.cpu_count()
    taken, let_go = [], threading.Event()

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    def work(number):
        assert let_go.wait(10)
        return number * 10

    actual = parallel_map(work, items())
    threading.Timer(0.2, let_go.set).start()
    assert next(actual) == 0
    assert len(taken) == cores + 1
    assert list(actual) == [10 * number for number in range(1, 20)]


def test_an_error_in_one_of_them_is_the_callers():
    def work(number):
        if number == 3:
            raise ValueError("the fourth")
        return number

    with pytest.raises(ValueError, match="the fourth"):
        list(parallel_map(work, range(9)))


def test_codes_become_texts():
    assert texts(np.array([1, 0, 1], dtype=np.int8), ["a", "b"]).to_pylist() == ["b", "a", "b"]
