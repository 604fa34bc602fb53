import numpy as np
import pytest

from segments.loyalty import DEFAULT_TIERS, LoyaltyTier, ascension_rate, loyalty_tiers

BY_REVENUE = (LoyaltyTier("member", revenue=0.0), LoyaltyTier("gold", revenue=200.0))


def test_a_tier_is_what_the_whole_history_has_earned():
    tiers = loyalty_tiers([0, 1, 2, 3, 5, 6, 12, 40], np.zeros(8))
    assert tiers.tier.tolist() == [
        "none", "bronze", "bronze", "silver", "silver", "gold", "platinum", "platinum",
    ]  # fmt: skip
    assert tiers.orders_to_next.tolist()[:6] == [1, 2, 1, 3, 1, 6]
    assert np.isnan(tiers.orders_to_next[6:]).all()
    assert np.isnan(tiers.amount_to_next).all()
    assert tiers.next_tier.tolist()[:3] == ["bronze", "silver", "silver"]
    assert tiers.progress.tolist() == pytest.approx([0, 0, 0.5, 0, 2 / 3, 0, 1, 1])


def test_tiers_may_be_by_revenue():
    tiers = loyalty_tiers([9, 9, 9], [50.0, 200.0, -5.0], BY_REVENUE)
    assert tiers.tier.tolist() == ["member", "gold", "none"]
    assert tiers.amount_to_next[0] == 150.0
    assert np.isnan(tiers.orders_to_next).all()


def test_the_rate_is_of_those_who_could_rise():
    """Of three below the top one rose; the one on top could not."""
    before = ["bronze", "silver", "none", "platinum"]
    now = ["silver", "silver", "none", "platinum"]
    actual = ascension_rate(before, now)
    assert (actual.rate, actual.n) == (pytest.approx(1 / 3), 3)
    assert np.isnan(ascension_rate(["platinum"], ["platinum"]).rate)


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        (LoyaltyTier("a", orders=3), LoyaltyTier("b", orders=3)),
        (LoyaltyTier("b", orders=6), LoyaltyTier("a", orders=3)),
        (LoyaltyTier("a", orders=3), LoyaltyTier("a", orders=6)),
        (LoyaltyTier("a", orders=3), LoyaltyTier("b", revenue=6.0)),
    ],
)
def test_tiers_that_make_no_ladder_are_refused(tiers):
    with pytest.raises(ValueError, match="tier"):
        loyalty_tiers([1], [1.0], tiers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "gold"},
        {"name": "gold", "orders": 1, "revenue": 1.0},
        {"name": "none", "orders": 1},
        {"name": " ", "orders": 1},
        {"name": "gold", "orders": -1},
    ],
)
def test_a_tier_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="tier"):
        LoyaltyTier(**wrong)


def test_an_unknown_tier_is_refused():
    with pytest.raises(ValueError, match="diamond"):
        ascension_rate(["diamond"], ["gold"])
    assert DEFAULT_TIERS[0].threshold == 1
