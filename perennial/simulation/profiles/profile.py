"""A kind of store, and what is refused of one."""

from dataclasses import dataclass

from perennial.simulation.catalogs import Bundle, Product
from perennial.simulation.profiles.checks import broken_rules
from perennial.simulation.profiles.parts import (
    CHANNELS,
    SALES,
    Channel,
    Dropout,
    Peak,
    Promotion,
    SimulationError,
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
    keep_gaps
        After so many of their usual gaps nobody who left is kept by an action.
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
    dropout: Dropout = "mbg"
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
    referral_rate: float = 0.0
    referred_share: float = 0.0
    refund_share: float = 0.03
    review_share: float = 0.07
    loyalty_share: float = 0.35
    wholesale_share: float = 0.0005
    effects: float = 1.0
    keep_gaps: float = 1.5
    same_day_orders: bool = True
    price_rise: float = 0.08
    gap_days: int = 3

    def __post_init__(self) -> None:
        wrong = broken_rules(self)
        if wrong:
            raise SimulationError(
                f"in a profile {', '.join(wrong)}: {self.name!r} has it otherwise. Mend the profile"
            )
