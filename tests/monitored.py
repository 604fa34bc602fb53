"""A monitoring report by hand: fresh orders, a young model, and no week that has matured."""

from datetime import date

from models.monitoring import (
    Drift,
    Freeze,
    Freshness,
    MonitoredModel,
    MonitoringReport,
    RetrainDue,
    WindowOutcome,
)

MODEL = MonitoredModel(
    version="3",
    trained_as_of=date(2026, 1, 1),
    age_days=10,
    newest_trained_as_of=date(2026, 1, 1),
)
FRESHNESS = Freshness(
    last_order_date=date(2026, 2, 1),
    orders_late_days=0,
    published_as_of=date(2026, 2, 1),
    published_late_days=0,
)
REPORT = MonitoringReport(
    schema_version=1,
    as_of=date(2026, 3, 1),
    tolerance=0.1,
    freeze=0.25,
    freshness=FRESHNESS,
    model=MODEL,
    drift=Drift(figures=(), outside_share=0.01),
    weeks=(),
    first_matures=None,
    standings=(),
    frozen=Freeze(is_frozen=False, because=None),
    due=RetrainDue(is_due=False, because=None),
    alerts=(),
)
WINDOW = WindowOutcome(
    until=date(2026, 2, 8),
    is_peak=False,
    is_partial=False,
    group="all",
    customers=4_000,
    expected=1000.0,
    variance=1000.0,
    actual=1_000,
    ratio=1.0,
    low=0.94,
    high=1.06,
    active=900,
    actual_value=20_000.0,
    expected_value=20_000.0,
    value_ratio=1.0,
    slope=None,
    by_tenure=(),
    by_decile=(),
    new_orders=0,
    unmatched_orders=0,
    rank=None,
)
