"""What a model is, how it did and why it may score: Markdown, kept with the model's run."""

from collections.abc import Sequence
from datetime import date

from models.evaluation import BacktestReport, NotBacktested
from models.gate import GateVerdict
from reports.fit_report import FitReport, Parameter, PartReport

SHOWN = ("gini_value", "capture_top20", "value_ratio", "orders_ratio", "auc_active", "coverage_80")


def gate_table(verdict: GateVerdict) -> str:
    """Return the gate's checks as a Markdown table."""
    rows = [
        (
            check.name.replace("_", " "),
            "yes" if check.is_passed else "**no**",
            check.problem,
            check.threshold,
        )
        for check in verdict.checks
    ]
    return f"The gate says: **{verdict.gate}**\n\n" + _table(
        ("check", "passed", "result", "threshold"), rows
    )


def model_card(
    store: str,
    as_of: date,
    *,
    fits: FitReport,
    backtest: BacktestReport | NotBacktested,
    verdict: GateVerdict,
) -> str:
    """Describe a model.

    Parameters
    ----------
    store
        Its name.
    as_of
        Last day whose orders the model knows.
    fits
        What was fitted.
    backtest
        How its recipe did on past days, or why it was not tried.
    verdict
        The gate's.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        f"# Model of {store}, as of {as_of}\n",
        "Forecasts each customer's orders and net revenue over a horizon, and the chance of a second order of "
        "first-time buyers. Meant for choosing who gets retention investment; not for credit, prices or "
        "anything about a person beyond that. It knows orders, and nothing of who the customers are.\n",
        "## Parts\n",
        *(_part(name, part) for name, part in fits.parts.items()),
        "## How it did on past days\n",
        _backtest(backtest),
        "## Why it may score, or not\n",
        gate_table(verdict),
    ]
    if fits.notes:
        parts += ["## To know\n", *(f"- {note}" for note in fits.notes)]
    return "\n".join(parts) + "\n"


def _part(name: str, part: PartReport) -> str:
    rows = [(key, _number(value)) for key, value in {**part.params, **part.metrics}.items()]
    return f"### {name.replace('_', ' ')}\n\n" + _table(("what", "value"), rows)


def _backtest(backtest: BacktestReport | NotBacktested) -> str:
    if isinstance(backtest, NotBacktested):
        return f"Not tried: {backtest.not_backtested}\n"
    days = ", ".join(f"{cutoff.as_of}" for cutoff in backtest.cutoffs)
    rows = [
        (name, *(_metric(metrics.value(metric)) for metric in SHOWN))
        for name, metrics in backtest.mean.items()
    ]
    head = f"Means over the {backtest.horizon_days} days after {days}.\n\n"
    return head + _table(("model", *SHOWN), rows)


def _metric(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _number(value: Parameter) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
