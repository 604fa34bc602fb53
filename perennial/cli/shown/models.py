"""What was trained, measured and monitored."""

from typing import Any

from rich.console import Console
from rich.table import Table

from models.evaluation import BacktestReport
from perennial.cli.shown.day import backtest_table
from perennial.cli.shown.words import plain, say_where, table_of

SHOWN_WEEKS = 13  # of monitoring, on a terminal


def show_trained(console: Console, facts: dict[str, Any]) -> None:
    """Show what a training brought, and what the gate said."""
    role = {
        "passed": "champion",
        "tie": "kept as challenger: a tie",
        "failed": "refused by the gate",
    }
    said = role[facts["gate"]]
    if facts["gate"] == "passed" and not facts["is_champion"]:
        said = "kept, since the champion knows later orders"
    console.print(
        f"\n[bold]Trained as of {facts['as_of']}[/]: model version {facts['model_version']}, {said}"
    )
    for reason in facts["reasons"]:
        console.print(f"Gate: {plain(reason)}")
    for note in facts["notes"]:
        console.print(f"Note: {plain(note)}")
    say_where(console, "MLflow", facts["mlflow"]["ui"])


def show_backtest(console: Console, facts: dict[str, Any]) -> None:
    """Show a backtest."""
    console.print(backtest_table(BacktestReport.model_validate(facts)))


def show_measured(console: Console, facts: dict[str, Any]) -> None:
    """Show what investment added beside the control group."""
    console.print(f"\n[bold]{plain(facts['sentence'])}[/]\n")
    kind = "valid at every look" if facts["is_early"] else "95 %"
    table = table_of(
        f"What investment added per customer in {facts['days']} days ({facts['currency']}, interval {kind})",
        "group", "invested in", "held out", "orders", "margin", "interval", "detectable", "cost",
    )  # fmt: skip
    for row in facts["groups"]:
        cells = ["-"] * 5
        if "margin" in row:
            margin = row["margin"]
            cells = [
                f"{row['orders']['estimate']:+.3f}",
                f"{margin['estimate']:+.2f}",
                f"{margin['low']:.2f} to {margin['high']:.2f}",
                f"{row['smallest_margin']:.2f}",
                f"{row['cost']:.2f}",
            ]
        table.add_row(row["group"], f"{row['treated']:,}", f"{row['control']:,}", *cells)
    console.print(table)
    for tier, said in facts.get("responders", {}).items():
        console.print(_responders_line(tier, said))
    if facts["held_out_reached"]:
        console.print(
            f"Note: {facts['held_out_reached']:,} held-out customers were sent an action all the same: the "
            "true effect is larger. Keep the holdout flag in every segment and flow"
        )


def _responders_line(tier: str, said: dict[str, Any]) -> str:
    if "note" in said:
        return f"Whom {tier} moves is not learned: {said['note']}"
    area = said["qini"]
    proof = f"Qini {area['estimate']:.3g} ({_end(area['low'])} to {_end(area['high'])})"
    if not said["is_used"]:
        return f"Whom {tier} moves is not proved, so it is not targeted by it: {proof}"
    rule, everybody = said["rule"]["estimate"], said["everybody"]["estimate"]
    return (
        f"Whom {tier} moves is proved and used from the next run on: {proof}; a customer would have brought "
        f"{rule:.2f} by this rule, {everybody:.2f} had all got it"
    )


def _end(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def show_monitored(console: Console, facts: dict[str, Any]) -> None:
    """Show matured weeks, what moved, alerts, and whether to train again."""
    model, weeks = facts["model"], facts["weeks"]
    console.print(
        f"\n[bold]Monitoring as of {facts['as_of']}[/]: model version {model['version']}, trained "
        f"{model['age_days']} days ago; orders up to {facts['freshness']['last_order_date']}\n"
    )
    if weeks:
        console.print(_weeks(weeks, facts["standings"]))
    else:
        when = facts["first_matures"] or "seven days after the next published day"
        console.print(f"No week has matured yet: the first does on {when}")
    told = [row for row in facts["drift"]["figures"] if row["psi"] is not None]
    if told:
        console.print(drift_table(told))
    else:
        console.print("Too few customers to say whether scores or features have moved\n")
    for alert in facts["alerts"]:
        console.print(
            f"[bold]{alert['level']}[/] {plain(alert['name'])}: {plain(alert['finding'])} "
            f"({plain(alert['threshold'])}). {plain(alert['next_step'])}"
        )
    request = facts["retrain"]
    if request is not None:
        said = "asked for" if request["asked_for"] else "answered"
        console.print(f"Training again: {said} on {request['as_of']}: {plain(request['because'])}")
    say_where(console, "MLflow", facts["mlflow"]["ui"])


def _weeks(weeks: list[dict[str, Any]], standings: list[int]) -> Table:
    table = table_of(
        "Orders of the week after each day (band: what luck explains, 95 %; 28 d: the same of four weeks)",
        "as of", "model", "came", "expected", "ratio", "band", "value", "28 d", "",
    )  # fmt: skip
    for week, standing in list(zip(weeks, standings, strict=True))[-SHOWN_WEEKS:]:
        found, later = week["7"], week["28"]
        said = {1: "above", -1: "below", 0: "peak" if found["is_peak"] else ""}[standing]
        if found["is_partial"]:
            said = "orders missing"
        table.add_row(
            week["as_of"],
            week["model_version"],
            f"{found['actual']:,}",
            f"{found['expected']:,.1f}",
            _share(found["ratio"]),
            "-" if found["low"] is None else f"{found['low']:.2f} to {found['high']:.2f}",
            _share(found["value_ratio"]),
            "-" if later is None else _share(later["ratio"]),
            said,
        )
    return table


def drift_table(figures: list[dict[str, Any]]) -> Table:
    """Tabulate what moved since training."""
    table = table_of(
        "Moved since training (population stability index: .1 some, .25 much)",
        "figure", "index", "then", "now", "",
    )  # fmt: skip
    for row in figures:
        index = f"{row['psi']:.3f}"
        said = "moves with age" if row["is_mechanical"] else ""
        table.add_row(row["meaning"], index, f"{row['n_then']:,}", f"{row['n_now']:,}", said)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
