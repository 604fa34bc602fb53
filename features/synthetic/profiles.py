"""What kind of store is simulated: its products, its seasons and how its customers behave.

The repeat rates that the profiles aim at are the category ranges of the retention guides: 45 to
65 % of new customers order again within twelve months where the goods are used up, 25 to 40 % for
apparel, 15 to 25 % for electronics; beauty lies between coffee and apparel.
"""

from dataclasses import dataclass
from typing import Literal

from features.synthetic.catalogs import APPAREL, BEAUTY, COFFEE, ELECTRONICS, Bundle, Product

ACTIONS = ("heavy", "standard", "light")


class SimulationError(ValueError):
    """The simulation cannot be made as asked: says the rule, the finding, the next step."""


@dataclass(frozen=True)
class Channel:
    """How customers are won.

    Attributes
    ----------
    name
        As in ``customers.acquired_via``.
    share
        Of the customers who were not referred.
    cost
        Of winning a customer, store's currency.
    rate, spend
        Purchase rate and order value beside the usual customer's, as factors.
    leave
        Added to the log-odds of leaving.
    """

    name: str
    share: float
    cost: float
    rate: float = 1.0
    spend: float = 1.0
    leave: float = 0.0


@dataclass(frozen=True)
class Peak:
    """A time of the year when more is bought: middle and width in days of the year, height as a share."""

    middle: int
    width: float
    height: float


@dataclass(frozen=True)
class Promotion:
    """A sale that comes back every year.

    Attributes
    ----------
    code
        Discount code; the year is added.
    month, day, days
        When it begins and how long it lasts.
    share
        Discount as a share of the price.
    lift
        Rise of the purchase rate of a customer whose discount response is 1.
    """

    code: str
    month: int
    day: int
    days: int
    share: float
    lift: float


@dataclass(frozen=True)
class Effect:
    """What an investment action does to the usual customer.

    Attributes
    ----------
    lift
        Rise of the purchase rate for :data:`EFFECT_DAYS` days.
    keep
        Chance that a customer who would have left after the last order stays.
    incentive
        Discount on the orders of those days, as a share.
    cost
        Of the action, store's currency.
    """

    lift: float
    keep: float
    incentive: float
    cost: float


EFFECT_DAYS = 60
EFFECTS = {
    "heavy": Effect(lift=0.45, keep=0.28, incentive=0.05, cost=6.0),
    "standard": Effect(lift=0.18, keep=0.10, incentive=0.02, cost=2.0),
    "light": Effect(lift=0.06, keep=0.03, incentive=0.0, cost=0.3),
}

CHANNELS = (
    Channel("organic", 0.30, 0.0, rate=1.15, leave=-0.25),
    Channel("paid_search", 0.30, 26.0),
    Channel("paid_social", 0.28, 34.0, rate=0.9, spend=0.95, leave=0.25),
    Channel("influencer", 0.12, 22.0, rate=0.95, leave=0.1),
)
REFERRAL = Channel("referral", 0.0, 0.0, rate=1.2, spend=1.12, leave=-0.45)

SALES = (
    Promotion("SPRING", 3, 24, 7, 0.15, 0.8),
    Promotion("SUMMER", 7, 12, 6, 0.15, 0.7),
    Promotion("BLACKFRIDAY", 11, 24, 6, 0.25, 2.2),
)


@dataclass(frozen=True)
class Profile:
    """A kind of store.

    Attributes
    ----------
    name, timezone, currency
        The store.
    products, bundles
        What it sells; none for a store whose orders are single amounts.
    cost_share
        Of the list price that the goods cost the store.
    growth
        Of the arrivals in a year, as a share.
    r, mean_gap_days, regularity
        Purchase rates are gamma distributed with shape `r`, mean one order in `mean_gap_days`; the
        time between two orders is Erlang distributed with shape `regularity` (k of the CNBD-k).
    dropout
        ``"bg"``: may leave after every order but the first; ``"mbg"``: after every order;
        ``"pareto"``: at any moment.
    a, b
        Parameters of the beta distributed chance of leaving after an order.
    s, mean_life_days
        Pareto: rates of leaving are gamma distributed with shape `s`, mean one in `mean_life_days`.
    p, q, mean_spend
        Gamma-Gamma distributed order values and their mean, store's currency.
    channels
        How customers are won, the referred apart.
    peaks, promotions
        The year.
    referral_rate, referred_share
        Friends whom an order of the usual customer brings, and their share of the first year's new
        customers.
    refund_share, review_share, loyalty_share, wholesale_share
        Of orders, orders, customers and customers.
    effects
        How strongly satisfaction, channel, first order and bundles move a customer: 1 as a rule, 0
        for a store that keeps to the pure models.
    same_day_orders
        Whether a customer may order twice on a day; else the second is put on the next day.
    price_rise, gap_days
        Prices rise once, by this share, on day :data:`PRICE_DAY`; so many days' orders were lost from
        day :data:`GAP_DAY`.
    """

    name: str
    timezone: str = "America/New_York"
    currency: str = "USD"
    products: tuple[Product, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    cost_share: float = 0.45
    growth: float = 0.2
    r: float = 1.5
    mean_gap_days: float = 60.0
    regularity: int = 1
    dropout: Literal["bg", "mbg", "pareto"] = "mbg"
    a: float = 1.0
    b: float = 2.5
    s: float = 1.0
    mean_life_days: float = 365.0
    p: float = 4.0
    q: float = 4.0
    mean_spend: float = 50.0
    channels: tuple[Channel, ...] = CHANNELS
    peaks: tuple[Peak, ...] = ()
    promotions: tuple[Promotion, ...] = SALES
    referral_rate: float = 0.05
    referred_share: float = 0.0
    refund_share: float = 0.03
    review_share: float = 0.07
    loyalty_share: float = 0.35
    wholesale_share: float = 0.0005
    effects: float = 1.0
    same_day_orders: bool = True
    price_rise: float = 0.08
    gap_days: int = 3

    def __post_init__(self) -> None:
        positive = ("r", "mean_gap_days", "a", "b", "s", "mean_life_days", "p", "mean_spend")
        wrong = [f"{n} is above 0" for n in positive if not getattr(self, n) > 0]
        if not self.q > 1:
            wrong.append("q is above 1")
        if self.regularity < 1 or (self.dropout == "pareto" and self.regularity > 1):
            wrong.append("regularity is 1 or more, and 1 where customers leave by the clock")
        if wrong:
            raise SimulationError(
                f"in a profile {', '.join(wrong)}: {self.name!r} has it otherwise. Mend the profile"
            )


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
        referral_rate=0.0,
        refund_share=0.0,
        wholesale_share=0.0,
        effects=0.0,
        same_day_orders=False,
        price_rise=0.0,
        gap_days=0,
    ),
)

PRICE_DAY = 540
GAP_DAY = 400


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
