"""The kinds of store that are simulated.

The repeat rates that the profiles aim at are the category ranges of the retention guides: 45 to
65 % of new customers order again within twelve months where the goods are used up, 25 to 40 % for
apparel, 15 to 25 % for electronics; beauty lies between coffee and apparel.
"""

from perennial.simulation.catalogs import APPAREL, BEAUTY, COFFEE, ELECTRONICS
from perennial.simulation.profiles.parts import Channel, Peak, SimulationError
from perennial.simulation.profiles.profile import Profile


def _profiles(*profiles: Profile) -> dict[str, Profile]:
    return {profile.name: profile for profile in profiles}


PROFILES = _profiles(
    Profile(
        "coffee",
        products=COFFEE.products,
        bundles=COFFEE.bundles,
        r=2.2,
        mean_gap_days=44,
        regularity=2,
        a=1.2,
        b=1.45,
        mean_spend=38,
        peaks=(Peak(350, 16, 0.5), Peak(205, 40, -0.12)),
        refund_share=0.015,
        referral_rate=0.02,
        referred_share=0.048,
    ),
    Profile(
        "beauty",
        timezone="Europe/London",
        currency="GBP",
        products=BEAUTY.products,
        bundles=BEAUTY.bundles,
        cost_share=0.3,
        r=1.8,
        mean_gap_days=80,
        regularity=2,
        a=1.2,
        b=1.0,
        mean_spend=52,
        peaks=(Peak(342, 14, 0.7), Peak(128, 8, 0.25)),
        refund_share=0.04,
        referral_rate=0.035,
        referred_share=0.064,
    ),
    Profile(
        "apparel",
        timezone="America/Los_Angeles",
        products=APPAREL.products,
        bundles=APPAREL.bundles,
        cost_share=0.42,
        r=1.1,
        mean_gap_days=150,
        a=1.1,
        b=0.84,
        p=3.0,
        q=3.5,
        mean_spend=84,
        peaks=(Peak(335, 18, 0.8), Peak(105, 22, 0.3), Peak(258, 20, 0.25)),
        refund_share=0.16,
        referral_rate=0.03,
        referred_share=0.044,
    ),
    Profile(
        "electronics",
        timezone="Europe/Berlin",
        currency="EUR",
        products=ELECTRONICS.products,
        bundles=ELECTRONICS.bundles,
        cost_share=0.72,
        r=0.8,
        mean_gap_days=1000,
        dropout="pareto",
        s=0.9,
        mean_life_days=380,
        p=1.8,
        q=3.0,
        mean_spend=165,
        peaks=(Peak(335, 20, 1.3),),
        refund_share=0.07,
        referral_rate=0.015,
        review_share=0.12,
        referred_share=0.015,
    ),
    Profile(
        "textbook",
        timezone="UTC",
        growth=0.0,
        r=0.8,
        mean_gap_days=250,
        dropout="bg",
        a=0.8,
        b=2.5,
        p=6.0,
        q=4.0,
        mean_spend=36,
        channels=(Channel("organic", 1.0, 0.0),),
        promotions=(),
        refund_share=0.0,
        wholesale_share=0.0,
        effects=0.0,
        same_day_orders=False,
        price_rise=0.0,
        gap_days=0,
    ),
)


def find_profile(profile: str | Profile) -> Profile:
    """Return a profile by its name, or the one given.

    Raises
    ------
    SimulationError
        No profile has the name.
    """
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise SimulationError(
            f"a profile is one of {', '.join(PROFILES)}: {profile!r} is none. Name one of these, or give "
            "a Profile of your own"
        )
    return PROFILES[profile]
