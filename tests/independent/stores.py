"""The stores that the audit forecasts for."""

from dataclasses import replace
from datetime import date

from tests.independent.generator import StoreSpec

STEADY = StoreSpec("by_order")

STATIONARY_STORES = (
    STEADY,
    StoreSpec("by_clock", dropout="by_clock"),
    StoreSpec("growing", growth=5.0),
    StoreSpec("dying", growth=0.2),
    StoreSpec("viral", viral_share=0.4),
    StoreSpec("one_time", a=0.5, b=0.1),
    StoreSpec("weekly", customers=3_000, r=4.0, alpha=28.0, b=25.0),
    StoreSpec("eighteen_months", days=550),
)
CHANGING_STORES = (
    StoreSpec("quality", quality=0.5),
    StoreSpec("price", price_rise=1.35),
    StoreSpec("rising", pace_trend=1.6),
    StoreSpec("falling", pace_trend=0.6),
    StoreSpec("sale_recent", sale_days_ago=60),
    StoreSpec("sale_year_ago", sale_days_ago=365),
)
SEASONAL_STORES = tuple(
    replace(spec, name=f"{spec.name}{suffix}", as_of=day)
    for spec in (
        StoreSpec("season_30", amplitude=0.3),
        StoreSpec("season_50", amplitude=0.5),
        StoreSpec("q4_peak", q4_peak=2.2),
    )
    for suffix, day in (
        ("", date(2025, 12, 31)),
        ("_mar", date(2025, 3, 31)),
        ("_jun", date(2025, 6, 30)),
        ("_sep", date(2025, 9, 30)),
    )
)
OTHER_STORES = (
    StoreSpec("wholesale", wholesale_share=0.03),
    StoreSpec("dependence", dependence=0.55),
    StoreSpec("subscriptions", r=50.0, alpha=1_500.0, b=9.0, regularity=10),
    StoreSpec(
        "signal",
        r=4.0,
        alpha=400.0,
        b=19.0,
        p=20.0,
        q=20.0,
        gamma=47.5,
        signal_keep=0.45,
        discounted_share=0.15,
    ),
)
SMALL_STORES = (
    replace(STEADY, name="small_700", customers=700),
    replace(STEADY, name="small_250", customers=250),
)
STATIONARY = tuple(spec.name for spec in STATIONARY_STORES)
CHANGING = tuple(spec.name for spec in CHANGING_STORES)
SEASONAL = tuple(spec.name for spec in SEASONAL_STORES)
STORES = {
    spec.name: spec
    for spec in (
        *STATIONARY_STORES,
        *CHANGING_STORES,
        *SEASONAL_STORES,
        *OTHER_STORES,
        *SMALL_STORES,
    )
}
SEEDS = (1, 2, 3)
MANY_SEEDS = tuple(range(1, 11))  # of stores whose figure varies much, or is a share of seeds


def default_seeds(store: str) -> tuple[int, ...]:
    """Return the seeds that a store is audited with unless others are asked for."""
    return MANY_SEEDS if store in {"weekly", "small_250"} else SEEDS
