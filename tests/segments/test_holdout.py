from datetime import date

import numpy as np
import pandas as pd
import pytest

from segments.holdout import COLUMNS, CONTROL, Draw, RedrawError, assign, bucket, is_holdout

CUSTOMERS = [f"customer-{n}" for n in range(100_000)]


def draw(salt, share=0.10, customers=CUSTOMERS):
    return is_holdout(customers, share=share, salt=salt)


def test_a_tenth_of_a_hundred_thousand_is_held_out():
    assert draw("retention").mean() == pytest.approx(0.100, abs=0.003)


def test_a_customers_draw_depends_on_nobody_else():
    assert draw("retention", customers=CUSTOMERS[500:600]).tolist() == (
        draw("retention")[500:600].tolist()
    )


def test_draws_of_two_salts_are_independent():
    first, second = draw("a"), draw("b")
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01


def test_a_larger_share_keeps_everybody_who_was_held_out():
    assert (draw("a", share=0.2) | ~draw("a", share=0.1)).all()


def test_a_bucket_never_changes():
    """Frozen: another value would draw every store's holdout anew."""
    assert [bucket(c, "retention") for c in ("a", "b", "17850")] == [8546, 9162, 7315]


@pytest.mark.parametrize(("share", "held"), [(0.0, 0.0), (1.0, 1.0)])
def test_nobody_and_everybody_can_be_held_out(share, held):
    assert draw("a", share=share).mean() == held


def test_a_share_beyond_all_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        draw("a", share=1.2)


DAY = date(2026, 1, 5)
NOBODY = pd.DataFrame(columns=list(COLUMNS))
CONTROLS = Draw(CONTROL, 0.10, "retention")


def assigned(ids, past=NOBODY, draw=CONTROLS, on=DAY):
    held, new = assign(ids, past, draw, on)
    return held, new if past.empty else pd.concat([past, new], ignore_index=True)


def test_the_first_draw_is_of_everybody():
    ids = CUSTOMERS[:1000]
    held, rows = assigned(ids)
    assert held.tolist() == draw("retention", customers=ids).tolist()
    assert list(rows.columns) == list(COLUMNS)
    assert rows["customer_id"].tolist() == ids
    assert set(rows["assigned_date"]) == {DAY}


def test_who_was_drawn_is_never_drawn_again_whatever_the_share():
    ids = CUSTOMERS[:2000]
    first, past = assigned(ids[:1000])
    wider = Draw(CONTROL, 0.5, "retention")
    held, whole = assigned(ids, past, wider, date(2026, 3, 1))
    assert held[:1000].tolist() == first.tolist()
    assert held[1000:].mean() == pytest.approx(0.5, abs=0.05)
    assert whole["customer_id"].is_unique
    assert whole.loc[1000:, "share"].eq(0.5).all()


def test_what_is_stored_counts_not_what_would_be_drawn():
    """As of a customer who was merged into another, whose arm came first."""
    frame = pd.DataFrame(
        [("a", CONTROL, True, 0.1, "retention", DAY), ("a", CONTROL, False, 0.1, "retention", date(2025, 1, 1))],
        columns=list(COLUMNS),
    )  # fmt: skip
    assert assign(["a"], frame, CONTROLS, DAY)[0].tolist() == [False]


def test_a_program_has_an_arm_of_its_own():
    ids = CUSTOMERS[:5000]
    _, past = assigned(ids)
    held, new = assign(ids, past, Draw("winback", 0.3, "retention:winback"), DAY)
    assert len(new) == 5000
    control = past["is_holdout"].to_numpy(dtype=bool)
    assert held[control].mean() == pytest.approx(held[~control].mean(), abs=0.08)


def test_another_salt_for_those_drawn_is_refused():
    _, past = assigned(CUSTOMERS[:100])
    with pytest.raises(RedrawError, match="drawn once: 100 customers of 'control'"):
        assign(CUSTOMERS[:100], past, Draw(CONTROL, 0.1, "other"), DAY)
