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
    StoreSpec("wholesale", wholesale_share=0.03),
    StoreSpec("dependence", dependence=0.55),
    StoreSpec("season_30", amplitude=0.3),
    StoreSpec("season_50", amplitude=0.5),
    StoreSpec("q4_peak", q4_peak=2.2),
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
OTHER_QUARTERS = tuple(
    StoreSpec(f"{name}_{day:%b}".lower(), amplitude=amplitude, q4_peak=peak, as_of=day)
    for name, amplitude, peak in (("season_30", 0.3, 1.0), ("q4_peak", 0.0, 2.2))
    for day in (date(2025, 3, 31), date(2025, 6, 30), date(2025, 9, 30))
)
STATIONARY = tuple(spec.name for spec in STATIONARY_STORES)
DEFAULT = tuple(s.name for s in (*STATIONARY_STORES, *CHANGING_STORES, *SMALL_STORES))
STORES = {
    spec.name: spec
    for spec in (*STATIONARY_STORES, *CHANGING_STORES, *SMALL_STORES, *OTHER_QUARTERS)
}
SEEDS = (1, 2, 3)
