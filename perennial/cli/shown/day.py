"""A published day, and the backtest of its model."""

from typing import Any

from rich.console import Console
from rich.table import Table

from models.evaluation import BacktestReport
from perennial.cli.shown.words import amount, plain, say_where, show_refused, table_of
from perennial.cli.terminal import short_path


def show_day(console: Console, facts: dict[str, Any]) -> None:
    """Show a published day: segments, tiers, backtest, accounted rows, files."""
    heading = {
        "published": f"Published {facts['as_of']}",
        "already_published": f"{facts['as_of']} is already published, from the same orders and model",
    }[facts["status"]]
    console.print(
        f"\n[bold]{heading}[/]: {facts['customers']:,} customers, model version "
        f"{facts['model_version']}. {facts['zero_amount']}\n"
    )
    if facts.get("caught_up"):
        console.print(f"Missed days that were published too: {', '.join(facts['caught_up'])}\n")
    show_refused(console, facts.get("refused", {}))
    console.print(segment_table(facts["segments"], facts["currency"]))
    console.print(tier_table(facts["tiers"], facts["currency"]))
    if facts.get("experiment"):
        console.print(_experiment_line(facts["experiment"], facts["currency"]))
    if facts["backtest"]:
        console.print(backtest_table(BacktestReport.model_validate(facts["backtest"])))
    console.print(_accounted(facts["accounting"]))
    for note in facts["notes"]:
        console.print(f"Note: {plain(note)}")
    if facts.get("timings"):
        steps = facts["timings"].items()
        took = ", ".join(f"{name.replace('_', ' ')} {seconds:.1f}" for name, seconds in steps)
        total = f"; {facts['seconds']} in all" if "seconds" in facts else ""
        console.print(f"Seconds: {took}{total}")
    console.print()
    planned = facts.get("sync")
    if planned is not None:
        said = planned["refused"] or f"would send {planned['counts']['to_send']:,} profiles"
        console.print(f"Klaviyo: {plain(said)}")
    for name in ("page", "scores", "segments", "moments"):
        say_where(console, name.capitalize(), short_path(facts["files"][name]))
    say_where(console, "MLflow", facts["mlflow"]["ui"])
    if facts.get("prefect", {}).get("ui"):
        say_where(console, "Prefect", facts["prefect"]["ui"])


def segment_table(segments: list[dict[str, Any]], currency: str) -> Table:
    """Tabulate where customers stand."""
    table = table_of(
        f"Where customers stand (value: mean expected, {currency})",
        "segment", "customers", "share", "in 90 d", "value", "heavy", "standard", "light",
    )  # fmt: skip
    table.padding = 0  # a million customers in 80 columns
    for row in segments:
        table.add_row(
            row["segment"].replace("_", " "),
            f"{row['customers']:,}",
            f"{row['share']:.1%}",
            f"{row['p_order_90d']:.1%}",
            amount(row["expected_value"]),
            *(f"{row[tier]:,}" for tier in ("heavy", "standard", "light")),
        )
    return table


def tier_table(tiers: list[dict[str, Any]], currency: str) -> Table:
    """Tabulate who gets the budget."""
    table = table_of(
        f"Who gets the budget ({currency}; effects assumed until measured)",
        "tier", "customers", "held out", "cost", "margin gained", f"back per {currency}",
    )  # fmt: skip
    for row in tiers:
        back = f"{row['expected_return']:.2f}" if row["cost"] else "-"
        table.add_row(
            row["tier"],
            f"{row['customers']:,}",
            f"{row['held_out']:,}",
            f"{row['cost']:,.0f}",
            f"{row['gain']:,.0f}",
            back,
        )
    return table


def _experiment_line(said: dict[str, Any], currency: str) -> str:
    return (
        f"Today's {said['treated']:,} customers beside {said['control']:,} held out can show, in {said['days']} days, "
        f"a lift of {currency} {said['smallest_margin']:.2f} of margin each, at best; {said['assumed_margin']:.2f} "
        f"is assumed, which {said['customers_needed']:,} would show"
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


def _accounted(accounting: dict[str, Any]) -> str:
    parts = [f"{accounting['orders']:,} orders"]
    for group in (accounting["merged"], accounting["rejected"]):
        parts += [f"{rows:,} {name.replace('_', ' ')}" for name, rows in group.items() if rows]
    return f"Source rows: {accounting['rows_in']:,} = {' + '.join(parts)}"
