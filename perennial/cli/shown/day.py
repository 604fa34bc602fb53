"""A published day, and the backtest of its model."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from connectors.klaviyo.records import SyncPlan, SyncRefusal
from models.evaluation import BacktestReport
from models.lift import ExperimentPower
from perennial.cli.facts import DayOutcome, Facts
from perennial.cli.shown.words import amount, plain, say_where, show_refused, table_of
from perennial.cli.terminal import short_path
from reports.records.run import Accounting, SegmentRow, TierRow


def show_day(console: Console, facts: Facts) -> None:
    """Show a published day: segments, tiers, backtest, accounted rows, files."""
    day = DayOutcome.model_validate(facts)
    heading = {
        "published": f"Published {day.as_of}",
        "already_published": f"{day.as_of} is already published, from the same orders and model",
    }[day.status]
    console.print(
        f"\n[bold]{heading}[/]: {day.customers:,} customers, model version "
        f"{day.model_version}. {day.zero_amount}\n"
    )
    if day.caught_up:
        caught_up = ", ".join(map(str, day.caught_up))
        console.print(f"Missed days that were published too: {caught_up}\n")
    show_refused(console, {str(missed): why for missed, why in (day.refused or {}).items()})
    console.print(segment_table(day.segments, day.currency))
    console.print(tier_table(day.tiers, day.currency))
    if day.experiment:
        console.print(_experiment_line(day.experiment, day.currency))
    if day.backtest:
        console.print(backtest_table(day.backtest))
    console.print(_accounted(day.accounting))
    for note in day.notes:
        console.print(f"Note: {plain(note)}")
    if day.timings:
        steps = day.timings.items()
        took = ", ".join(f"{name.replace('_', ' ')} {seconds:.1f}" for name, seconds in steps)
        total = "" if day.seconds is None else f"; {day.seconds} in all"
        console.print(f"Seconds: {took}{total}")
    console.print()
    if day.sync is not None:
        console.print(f"Klaviyo: {plain(_planned(day.sync))}")
    _show_places(console, day)


def _planned(sync: SyncPlan | SyncRefusal) -> str:
    """Return what a sync would send, or why none is planned."""
    if isinstance(sync, SyncRefusal):
        return sync.refused
    return sync.refused or f"would send {sync.counts.to_send:,} profiles"


def _show_places(console: Console, day: DayOutcome) -> None:
    """Show where the day's files and its runs are."""
    files = day.files
    for name, path in (
        ("Page", files.page),
        ("Scores", files.scores),
        ("Segments", files.segments),
        ("Triggers", files.triggers),
    ):
        say_where(console, name, short_path(str(path)))
    say_where(console, "MLflow", day.mlflow.ui)
    if day.prefect.ui:
        say_where(console, "Prefect", day.prefect.ui)


def segment_table(segments: Iterable[SegmentRow], currency: str) -> Table:
    """Tabulate where customers stand."""
    table = table_of(
        f"Where customers stand (value: mean expected, {currency})",
        "segment", "customers", "share", "in 90 d", "value", "heavy", "standard", "light",
    )  # fmt: skip
    table.padding = 0  # a million customers in 80 columns
    for row in segments:
        table.add_row(
            row.segment.replace("_", " "),
            f"{row.customers:,}",
            f"{row.share:.1%}",
            f"{row.p_order_90d:.1%}",
            amount(row.expected_value),
            *(f"{customers:,}" for customers in (row.heavy, row.standard, row.light)),
        )
    return table


def tier_table(tiers: Iterable[TierRow], currency: str) -> Table:
    """Tabulate who gets the budget."""
    table = table_of(
        f"Who gets the budget ({currency}; effects assumed until measured)",
        "tier", "customers", "held out", "cost", "margin gained", f"back per {currency}",
    )  # fmt: skip
    for row in tiers:
        back = f"{row.expected_return:.2f}" if row.cost else "-"
        table.add_row(
            row.tier,
            f"{row.customers:,}",
            f"{row.held_out:,}",
            f"{row.cost:,.0f}",
            f"{row.gain:,.0f}",
            back,
        )
    return table


def _experiment_line(power: ExperimentPower, currency: str) -> str:
    return (
        f"Today's {power.treated:,} customers beside {power.control:,} held out can show, in {power.days} days, "
        f"a lift of {currency} {power.smallest_margin:.2f} of margin each, at best; {power.assumed_margin:.2f} "
        f"is assumed, which {power.customers_needed:,} would show"
    )


RATED = {  # what the terminal shows of the metrics: heading and format
    "gini_value": ("ranking", "{:.3f}"),
    "capture_top20": ("top fifth", "{:.1%}"),
    "value_ratio": ("value", "{:.2f}"),
    "orders_ratio": ("orders", "{:.2f}"),
    "mae_orders": ("miss", "{:.3f}"),
    "auc_active": ("AUC", "{:.3f}"),
    "coverage_80": ("in 80 %", "{:.1%}"),
}


HOW_RATED = (
    "ranking of value: 1 = perfect, 0 = by chance; top fifth: its share of the value; value, orders: "
    "actual over expected; miss: orders per customer; AUC: who orders again; in 80 %: of outcomes, within the interval"
)


SPEND = "_gamma_gamma"  # of nearly every model: says nothing


def backtest_table(backtest: BacktestReport) -> Table:
    """Tabulate what each model forecast."""
    *earlier, newest = (f"{c.as_of} ({c.customers:,} customers)" for c in backtest.cutoffs)
    title = f"Holdout: the {backtest.horizon_days} days after {newest}"
    if earlier:
        title += f"; mean with those after {', '.join(earlier)}"
    table = table_of(title, "model", *(heading for heading, _ in RATED.values()))
    table.caption, table.caption_justify = HOW_RATED, "left"
    for name, metrics in backtest.mean.items():
        values = [(metrics.value(metric), shape) for metric, (_, shape) in RATED.items()]
        if any(value is not None for value, _ in values):
            cells = ("-" if value is None else shape.format(value) for value, shape in values)
            table.add_row(name.removesuffix(SPEND).replace("_", " "), *cells)
    return table


def _accounted(accounting: Accounting) -> str:
    parts = [f"{accounting.orders:,} orders"]
    for group in (accounting.merged, accounting.rejected):
        parts += [f"{rows:,} {name.replace('_', ' ')}" for name, rows in group.items() if rows]
    return f"Source rows: {accounting.rows_in:,} = {' + '.join(parts)}"
