"""What people read: progress and results on standard error, JSON on standard output."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from flows.steps import Reporter

SHOWN_WEEKS = 13  # of monitoring, on a terminal


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes
    ----------
    kind
        What to show: ``day``, ``trained``, ``backtest``, ``said``; ``silent`` = nothing.
    facts
        What ``--json`` prints.
    code
        Exit code.
    """

    kind: str
    facts: dict[str, Any]
    code: int = 0


def _console() -> Console:
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Say one line on standard error."""
    _console().print(text, style="dim", soft_wrap=True)


def reporter() -> Reporter:
    """Return what tells of a step's start and end: a moving line on a terminal, plain lines elsewhere."""
    console = _console()
    if not console.is_terminal:
        return _say_end
    status = console.status("")

    def report(name: str, seconds: float | None) -> None:
        title = name.replace("_", " ")
        if seconds is None:
            status.update(f"{title} …")
            status.start()
        else:
            status.stop()
            console.print(f"[green]✓[/] {title} [dim]{seconds:.1f} s[/]")

    return report


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Give what shows how much is done: a bar on a terminal, a line at each tenth elsewhere."""
    console = _console()
    said = 0

    def say_tenth(done: int, whole: int) -> None:
        nonlocal said
        if done * 10 // whole > said:
            said = done * 10 // whole
            say(f"{title}: {said * 10} %")

    if not console.is_terminal:
        yield say_tenth
        return
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, whole: bars.update(bar, completed=done, total=whole)


def _say_end(name: str, seconds: float | None) -> None:
    if seconds is not None:
        say(f"{name.replace('_', ' ')}: {seconds:.1f} s")


def show_error(message: str, code: int, *, as_json: bool) -> None:
    """Say what went wrong in one line."""
    message = " ".join(message.split())
    if as_json:
        sys.stdout.write(json.dumps({"error": message, "exit_code": code}) + "\n")
    _console().print(f"[red]perennial:[/] {_plain(message)}", soft_wrap=True)


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Show how a command ended; one that told all along has nothing to add."""
    if outcome.kind == "silent":
        return
    if as_json:
        sys.stdout.write(json.dumps(outcome.facts, indent=2, allow_nan=False) + "\n")
        return
    console = Console(highlight=False)
    show = {
        "day": _show_day,
        "trained": _show_trained,
        "backtest": _show_backtest,
        "measured": _show_measured,
        "monitored": _show_monitored,
        "synced": _show_synced,
        "backfilled": _show_backfilled,
        "status": _show_status,
        "said": _show_said,
    }
    show[outcome.kind](console, outcome.facts)


def _show_day(console: Console, facts: dict[str, Any]) -> None:
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
    _show_refused(console, facts.get("refused", {}))
    console.print(_segments(facts["segments"], facts["currency"]))
    console.print(_tiers(facts["tiers"], facts["currency"]))
    if facts.get("experiment"):
        console.print(_experiment_line(facts["experiment"], facts["currency"]))
    if facts["backtest"]:
        console.print(_backtest(facts["backtest"]))
    console.print(_accounted(facts["accounting"]))
    for note in facts["notes"]:
        console.print(f"Note: {_plain(note)}")
    if facts.get("timings"):
        steps = facts["timings"].items()
        took = ", ".join(f"{name.replace('_', ' ')} {seconds:.1f}" for name, seconds in steps)
        total = f"; {facts['seconds']} in all" if "seconds" in facts else ""
        console.print(f"Seconds: {took}{total}")
    console.print()
    planned = facts.get("sync")
    if planned is not None:
        said = planned["refused"] or f"would send {planned['counts']['to_send']:,} profiles"
        console.print(f"Klaviyo: {_plain(said)}")
    for name in ("page", "scores", "segments", "moments"):
        _say_where(console, name.capitalize(), _short(facts["files"][name]))
    _say_where(console, "MLflow", facts["mlflow"]["ui"])
    if facts.get("prefect", {}).get("ui"):
        _say_where(console, "Prefect", facts["prefect"]["ui"])


def _say_where(console: Console, name: str, where: str) -> None:
    console.print(f"[bold]{name:<9}[/] {_plain(where)}", soft_wrap=True)


def _short(path: str) -> str:
    """Write a path from the current folder where it is below it."""
    return str(Path(path).relative_to(Path.cwd())) if Path.cwd() in Path(path).parents else path


def _show_trained(console: Console, facts: dict[str, Any]) -> None:
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
        console.print(f"Gate: {_plain(reason)}")
    for note in facts["notes"]:
        console.print(f"Note: {_plain(note)}")
    _say_where(console, "MLflow", facts["mlflow"]["ui"])


def _show_backtest(console: Console, facts: dict[str, Any]) -> None:
    console.print(_backtest(facts))


def _show_synced(console: Console, facts: dict[str, Any]) -> None:
    counts = facts["counts"]
    if facts["status"] == "planned":
        known = "" if facts["looked_up"] else ", none of them looked up: no key is set"
        console.print(
            f"\n[bold]A sync of {facts['as_of']} would send {_count(counts['to_send'], 'profile')}[/] in "
            f"{_count(facts['jobs'], 'job')}{known}. Nothing was sent: add --apply for that"
        )
    else:
        rejected = f", {facts['rejected']:,} rejected: see Rejects" if facts["rejected"] else ""
        console.print(
            f"\n[bold]Synced {facts['as_of']}[/]: {facts['confirmed']:,} of {_count(facts['sent'], 'profile')} "
            f"confirmed{rejected}"
        )
    parts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items() if n)
    console.print(f"Customers: {parts or 'see the sync that was resumed'}")
    for name, of_kind in facts.get("segments", {}).items():
        if of_kind:
            console.print(f"Segments {name}: {_plain(', '.join(of_kind))}")
    for name, path in facts["files"].items():
        _say_where(console, name.replace("_", " ").capitalize(), _short(path))


def _show_backfilled(console: Console, facts: dict[str, Any]) -> None:
    console.print(
        f"\n[bold]{len(facts['published'])} days published as history[/], "
        f"{len(facts['already_published'])} were there; nobody was told, and nothing was committed"
    )
    _show_refused(console, facts["refused"])


def _show_status(console: Console, facts: dict[str, Any]) -> None:
    current = facts["current"]
    if current is None:
        console.print("\n[bold red]Nothing is published[/]: perennial run\n")
    else:
        mark = "[bold red]Stale[/]" if facts["is_stale"] else "[bold]Current[/]"
        console.print(
            f"\n{mark}: {current['as_of']}, {_days(current['days_behind'])}, published "
            f"{current['hours']:,.1f} hours ago; {current['customers']:,} customers"
        )
        model = facts["model"]
        trained = model["trained_as_of"] or "a day that is not known"
        _say_where(
            console, "Model", f"version {model['version']}, trained on orders up to {trained}"
        )
        checks = current["checks"]
        odd = [c for c in checks if c["verdict"] != "passed"]
        _say_where(console, "Checks", f"{len(checks) - len(odd)} of {len(checks)} passed")
        for check in odd:
            console.print(
                f"  {check['verdict']}: {_plain(check['rule'])}: {_plain(check['finding'])}"
            )
        _say_where(console, "Page", _short(facts["files"]["page"]))
        _say_where(console, "MLflow", facts["mlflow"]["ui"])
    if facts["missing"]:
        _say_where(console, "Missing", ", ".join(facts["missing"]))
    _show_refused(console, {one["as_of"]: one["why"] for one in facts["refused"]})
    if facts["at_work"]:
        at_work = facts["at_work"]
        where = f"process {at_work['pid']} on {at_work['host']}"
        _say_where(console, "At work", f"{where}, since {at_work['since'][:16].replace('T', ' ')}")
    console.print()


def _days(behind: int) -> str:
    if behind <= 0:
        return "the last day that is over"
    return f"{behind} day{'s' if behind > 1 else ''} before the last that is over"


def _show_refused(console: Console, refused: dict[str, str]) -> None:
    for day, why in refused.items():
        console.print(f"[red]Refused[/] {day}: {_plain(why)}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _show_said(console: Console, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        if isinstance(value, list | tuple):
            for one in value:
                _say_where(console, name.rstrip("s").replace("_", " ").capitalize(), str(one))
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{key} {said}" for key, said in value.items() if said) or "nothing"
        _say_where(console, name.replace("_", " ").capitalize(), str(value))


def _plain(text: str) -> str:
    """Keep brackets in text from being taken for markup."""
    return escape(text)


def program(name: str) -> str:
    """Return how to call an installed program: by name if it is on the path, else by its place."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    return name if found and Path(found) == beside else _short(str(beside))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, title_style="bold")
    table.pad_edge, table.padding = False, (0, 1, 0, 0)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _segments(segments: list[dict[str, Any]], currency: str) -> Table:
    table = _table(
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
            _amount(row["expected_value"]),
            *(f"{row[tier]:,}" for tier in ("heavy", "standard", "light")),
        )
    return table


def _amount(value: float) -> str:
    """Write an amount: without cents from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _tiers(tiers: list[dict[str, Any]], currency: str) -> Table:
    table = _table(
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


def _backtest(found: dict[str, Any]) -> Table:
    *earlier, newest = (f"{c['as_of']} ({c['customers']:,} customers)" for c in found["cutoffs"])
    title = f"Holdout: the {found['horizon_days']} days after {newest}"
    if earlier:
        title += f"; mean with those after {', '.join(earlier)}"
    table = _table(title, "model", *(heading for heading, _ in RATED.values()))
    table.caption, table.caption_justify = HOW_RATED, "left"
    for name, metrics in found["mean"].items():
        values = [(metrics.get(metric), shape) for metric, (_, shape) in RATED.items()]
        if any(value is not None for value, _ in values):
            cells = ("-" if value is None else shape.format(value) for value, shape in values)
            table.add_row(name.removesuffix(SPEND).replace("_", " "), *cells)
    return table


def _show_measured(console: Console, facts: dict[str, Any]) -> None:
    console.print(f"\n[bold]{_plain(facts['sentence'])}[/]\n")
    kind = "valid at every look" if facts["is_early"] else "95 %"
    table = _table(
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


def _show_monitored(console: Console, facts: dict[str, Any]) -> None:
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
        console.print(_drift(told))
    else:
        console.print("Too few customers to say whether scores or features have moved\n")
    for alert in facts["alerts"]:
        console.print(
            f"[bold]{alert['level']}[/] {_plain(alert['name'])}: {_plain(alert['finding'])} "
            f"({_plain(alert['threshold'])}). {_plain(alert['next_step'])}"
        )
    request = facts["retrain"]
    if request is not None:
        said = "asked for" if request["asked_for"] else "answered"
        console.print(
            f"Training again: {said} on {request['as_of']}: {_plain(request['because'])}"
        )
    _say_where(console, "MLflow", facts["mlflow"]["ui"])


def _weeks(weeks: list[dict[str, Any]], standings: list[int]) -> Table:
    table = _table(
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


def _drift(figures: list[dict[str, Any]]) -> Table:
    table = _table(
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


def _accounted(accounting: dict[str, Any]) -> str:
    parts = [f"{accounting['orders']:,} orders"]
    for group in (accounting["merged"], accounting["rejected"]):
        parts += [f"{rows:,} {name.replace('_', ' ')}" for name, rows in group.items() if rows]
    return f"Source rows: {accounting['rows_in']:,} = {' + '.join(parts)}"
