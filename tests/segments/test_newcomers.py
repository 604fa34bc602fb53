from datetime import date

import numpy as np
import pandas as pd

from segments.lifecycle import LifecycleRules
from segments.newcomers import top_newcomers


def scores(p_second_order, segment):
    n = len(p_second_order)
    return pd.DataFrame(
        {
            "customer_id": [f"c{k}" for k in range(n)],
            "first_order_date": date(2026, 1, 1),
            "p_second_order": p_second_order,
            "segment": segment,
            "investment_tier": "none",
            "is_holdout": False,
        }
    )


def test_chance_times_margin_ranks_and_the_top_fifth_is_named():
    """Worth: 10, 9, 12, 2, 1, and 0 of the others; a fifth of ten is two."""
    chances = [0.5, 0.9, 0.1, 0.2, 0.1, 0, 0, 0, 0, 0]
    margins = [20.0, 10.0, 120.0, 10.0, 10.0, 1, 1, 1, 1, 1]
    newcomers = top_newcomers(scores(chances, "new"), margins)
    assert newcomers["customer_id"].tolist() == ["c2", "c0"]
    assert newcomers["rank"].tolist() == [1, 2]
    assert newcomers["worth"].tolist() == [12.0, 10.0]


def test_only_those_in_the_window_after_the_first_order_count():
    """Neither who came back nor who is silent for too long; a customer who is no newcomer has no chance."""
    segment = ["new", "second_order_window", "one_and_done", "loyal"]
    newcomers = top_newcomers(
        scores([0.1, 0.2, 0.9, np.nan], segment), np.ones(4), LifecycleRules(top_share=1.0)
    )
    assert newcomers["customer_id"].tolist() == ["c1", "c0"]


def test_equals_come_by_id_and_part_of_a_customer_counts_as_one():
    frame = scores([0.5] * 6, "new").iloc[::-1]
    assert top_newcomers(frame, np.ones(6))["customer_id"].tolist() == ["c0", "c1"]


def test_no_newcomers_is_an_empty_list():
    assert top_newcomers(scores([0.5], "loyal"), [1.0]).empty
