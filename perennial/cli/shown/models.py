"""What was trained, measured and monitored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from models.evaluation import BacktestReport
from perennial.cli.facts import Facts
from perennial.cli.shown.day import backtest_table
from perennial.cli.shown.words import plain, say_where, table_of

if TYPE_CHECKING:
    from models.lift import GroupReadout, UpliftTargetingReadout
    from models.monitoring import DriftFigure, MonitoredWeek

SHOWN_WEEKS = 13  # of monitoring, on a terminal


def show_trained(console: Console, facts: Facts) -> None:
    """Show what a training brought, and what the gate said."""
    role = {
        "passed": "champion",
        "tie": "kept as challenger: a tie",
        "failed": "refused by the gate",
    }
    verdict = role[facts["gate"]]
    if facts["gate"] == "passed" and not facts["is_champion"]:
        verdict = "kept, since the champion knows later orders"
    console.print(
        f"\n[bold]Trained as of {facts['as_of']}[/]: model version {facts['model_version']}, {verdict}"
    )
    for reason in facts["reasons"]:
        console.print(f"Gate: {plain(reason)}")
    for note in facts["notes"]:
        console.print(f"Note: {plain(note)}")
    say_where(console, "MLflow", facts["mlflow"]["ui"])


def show_backtest(console: Console, facts: Facts) -> None:
    """Show a backtest."""
    console.print(backtest_table(BacktestReport.model_validate(facts)))


def show_measured(console: Console, facts: Facts) -> None:
    """Show what investment added beside the control group."""
    from models.lift import Readout  # SciPy takes a second

    readout = Readout.model_validate(facts)
    console.print(f"\n[bold]{plain(readout.sentence)}[/]\n")
    kind = "valid at every look" if readout.is_early else "95 %"
    table = table_of(
        f"What investment added per customer in {readout.days} days ({readout.currency}, interval {kind})",
        "group", "invested in", "held out", "orders", "margin", "interval", "detectable", "cost",
    )  # fmt: skip
    for row in readout.groups:
        table.add_row(row.group, f"{row.treated:,}", f"{row.control:,}", *_lift_cells(row))
    console.print(table)
    for tier, targeting in (readout.uplift_targeting or {}).items():
        console.print(_uplift_targeting_line(tier, targeting))
    if readout.held_out_reached:
        console.print(
            f"Note: {readout.held_out_reached:,} held-out customers were sent an action all the same: the "
            "true effect is larger. Keep the holdout flag in every segment and flow"
        )


def _lift_cells(row: "GroupReadout") -> list[str]:
    margin, orders = row.margin, row.orders
    if margin is None or orders is None:
        return ["-"] * 5
    return [
        f"{orders.estimate:+.3f}",
        f"{margin.estimate:+.2f}",
        f"{margin.low:.2f} to {margin.high:.2f}",
        _two_digits(row.smallest_margin),
        _two_digits(row.cost),
    ]


def _uplift_targeting_line(tier: str, readout: "UpliftTargetingReadout") -> str:
    area, rule, everybody = readout.qini, readout.rule, readout.everybody
    if area is None or rule is None or everybody is None:
        return f"Whom {tier} moves is not learned: {readout.note}"
    proof = f"Qini {_end(area.estimate)} ({_end(area.low)} to {_end(area.high)})"
    if not readout.is_used:
        return f"Whom {tier} moves is not proved, so it is not targeted by it: {proof}"
    return (
        f"Whom {tier} moves is proved and used from the next run on: {proof}; a customer would have brought "
        f"{_two_digits(rule.estimate)} by this rule, {_two_digits(everybody.estimate)} had all got it"
    )


def _end(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def show_monitored(console: Console, facts: Facts) -> None:
    """Show matured weeks, what moved, alerts, and whether to train again."""
    from models.monitoring import MonitoringReport, RetrainRequest  # SciPy takes a second

    report = MonitoringReport.model_validate(facts)
    console.print(
        f"\n[bold]Monitoring as of {report.as_of}[/]: model version {report.model.version}, trained "
        f"{report.model.age_days} days ago; orders up to {report.freshness.last_order_date}\n"
    )
    if report.weeks:
        console.print(_weeks(report.weeks, report.standings))
    else:
        when = report.first_matures or "seven days after the next published day"
        console.print(f"No week has matured yet: the first does on {when}")
    if any(row.psi is not None for row in report.drift.figures):
        console.print(drift_table(report.drift.figures))
    else:
        console.print("Too few customers to say whether scores or features have moved\n")
    for alert in report.alerts:
        console.print(
            f"[bold]{alert.level}[/] {plain(alert.name)}: {plain(alert.problem)} "
            f"({plain(alert.threshold)}). {plain(alert.fix)}"
        )
    if facts["retrain"] is not None:
        request = RetrainRequest.model_validate(facts["retrain"])
        stage = "asked for" if request.asked_for else "answered"
        console.print(f"Training again: {stage} on {request.as_of}: {plain(request.because)}")
    say_where(console, "MLflow", facts["mlflow"]["ui"])


def _weeks(weeks: "Sequence[MonitoredWeek]", standings: Sequence[int]) -> Table:
    table = table_of(
        "Orders of the week after each day (band: what luck explains, 95 %; 28 d: the same of four weeks)",
        "as of", "model", "came", "expected", "ratio", "band", "value", "28 d", "",
    )  # fmt: skip
    for week, standing in list(zip(weeks, standings, strict=True))[-SHOWN_WEEKS:]:
        first, later = week.first_week, week.four_weeks
        verdict = {1: "above", -1: "below", 0: "peak" if first.is_peak else ""}[standing]
        if first.is_partial:
            verdict = "orders missing"
        table.add_row(
            week.as_of.isoformat(),
            week.model_version,
            f"{first.actual:,}",
            f"{first.expected:,.1f}",
            _two_digits(first.ratio),
            "-" if first.low is None else f"{first.low:.2f} to {first.high:.2f}",
            _two_digits(first.value_ratio),
            "-" if later is None else _two_digits(later.ratio),
            verdict,
        )
    return table


def drift_table(figures: "Sequence[DriftFigure]") -> Table:
    """Tabulate what moved since training, of the figures with an index."""
    table = table_of(
        "Moved since training (population stability index: .1 some, .25 much)",
        "figure", "index", "then", "now", "",
    )  # fmt: skip
    for row in figures:
        if row.psi is None:
            continue
        note = "moves with age" if row.is_mechanical else ""
        table.add_row(row.meaning, f"{row.psi:.3f}", f"{row.n_then:,}", f"{row.n_now:,}", note)
    return table


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
