import numpy as np
import pytest

from segments.holdout import bucket, is_holdout

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
