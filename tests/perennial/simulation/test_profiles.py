"""A profile that no store could have is refused before anything is simulated."""

from dataclasses import replace

import pytest

from perennial.simulation import PROFILES, Profile, SimulationError
from perennial.simulation.catalogs import Bundle, Product
from perennial.simulation.profiles import Channel, Peak, Promotion

MUG, NAN = Product("Mug", "gifts", 14.0, 3), float("nan")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"r": 0.0}, "r is above 0"),
        ({"mean_spend": NAN}, "mean_spend is above 0"),
        ({"mean_gap_days": float("inf")}, "mean_gap_days is above 0"),
        ({"a": "1"}, "a is above 0"),
        ({"q": 1.0}, "q is above 1"),
        ({"dropout": "never"}, "dropout is one of bg, mbg, pareto"),
        ({"regularity": 0}, "regularity is a whole number from 1 on"),
        ({"regularity": 1.5}, "regularity is a whole number from 1 on"),
        ({"regularity": True}, "regularity is a whole number from 1 on"),
        ({"dropout": "pareto", "regularity": 2}, "and 1 where customers leave by the clock"),
        ({"growth": -1.0}, "growth is above -1"),
        ({"price_rise": NAN}, "price_rise is above -1"),
        ({"cost_share": -0.1}, "cost_share is from 0 to 1"),
        ({"refund_share": 1.01}, "refund_share is from 0 to 1"),
        ({"review_share": NAN}, "review_share is from 0 to 1"),
        ({"loyalty_share": 2}, "loyalty_share is from 0 to 1"),
        ({"wholesale_share": -1}, "wholesale_share is from 0 to 1"),
        ({"referred_share": 1.0}, "referred_share is from 0 to below 1"),
        ({"referral_rate": -0.1}, "referral_rate is 0 or more"),
        ({"effects": NAN}, "effects is 0 or more"),
        ({"gap_days": 1.5}, "gap_days is a whole number from 0 on"),
        ({"timezone": "Mars/Olympus"}, "timezone is an IANA name"),
        ({"timezone": "America"}, "timezone is an IANA name"),
        ({"timezone": ""}, "timezone is an IANA name"),
        ({"timezone": None}, "timezone is an IANA name"),
        ({"channels": ()}, "there is a channel"),
        ({"channels": (Channel("web", 0.0, 0.0),)}, "share of channel 'web' is above 0"),
        ({"channels": (Channel("web", NAN, 0.0),)}, "share of channel 'web' is above 0"),
        ({"channels": (Channel("web", 1.0, -1.0),)}, "channel 'web' has a cost"),
        ({"peaks": (Peak(200, 10, -0.48),)}, "more than 5% of the usual pace"),
        ({"peaks": (Peak(200, 10, -0.3), Peak(205, 9, -0.3))}, "more than 5% of the usual pace"),
        ({"peaks": (Peak(1, 10, -0.4),), "effects": 1.5}, "more than 5% of the usual pace"),
        ({"peaks": (Peak(200, 0, 0.3),)}, "a width above 0"),
        ({"promotions": (Promotion("LEAP", 2, 29, 3, 0.1, 0.5),)}, "'LEAP' begins on a day"),
        ({"promotions": (Promotion("JUNE", 6, 31, 3, 0.1, 0.5),)}, "'JUNE' begins on a day"),
        ({"promotions": (Promotion("LONG", 6, 3, 400, 0.1, 0.5),)}, "'LONG' has 1 to 365 days"),
        ({"promotions": (Promotion("GIFT", 6, 3, 4, 1.0, 0.5),)}, "a share and a lift"),
        ({"products": (MUG, MUG)}, "every product has a name of its own"),
        ({"products": (replace(MUG, leads_to="Cup"),)}, "leads to a product, not to 'Cup'"),
        ({"products": (replace(MUG, price=0.05),)}, "'Mug' has a price and a weight"),
        ({"products": (MUG,), "price_rise": -0.999}, "'Mug' has a price and a weight"),
        ({"products": (replace(MUG, weight=0),)}, "'Mug' has a price and a weight"),
        ({"products": (replace(MUG, cycle_days=0.0),)}, "'Mug' has a price and a weight"),
        ({"bundles": (Bundle("Set", ("Mug",), 1),)}, "bundle 'Set' is of products: 'Mug' is none"),
        ({"products": (MUG,), "bundles": (Bundle("Set", (), 1),)}, "bundle 'Set' has products"),
    ],
)
def test_an_impossible_profile_says_which_rule_it_breaks(wrong, words):
    with pytest.raises(SimulationError, match=words):
        Profile("own", **wrong)


def test_all_that_is_wrong_with_a_profile_is_said_at_once():
    with pytest.raises(SimulationError) as error:
        Profile("own", r=0.0, growth=-2.0, timezone="Mars", dropout="never", channels=())
    words = (
        "r is above 0, growth is above -1, dropout is one of bg, mbg, pareto, timezone is an IANA"
    )
    assert words in str(error.value)
    assert "there is a channel: 'own' has it otherwise" in str(error.value)


def test_the_edges_of_the_rules_are_profiles():
    Profile("low", peaks=(Peak(200, 10, -0.47),), growth=-0.99, referred_share=0.99)
    Profile("one", products=(replace(MUG, leads_to="Mug"),), bundles=(Bundle("Set", ("Mug",), 1),))
    Profile("year", promotions=(Promotion("ALWAYS", 12, 31, 365, 0.0, 0.0),))


def test_every_profile_is_sound_and_has_friends_if_it_expects_them():
    for profile in (*PROFILES.values(), Profile("own")):
        assert (profile.referral_rate > 0) == (profile.referred_share > 0), profile.name
