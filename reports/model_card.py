"""What a model is, how it did and why it may score: Markdown, kept with the model's run."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

SHOWN = ("gini_value", "capture_top20", "value_ratio", "orders_ratio", "auc_active", "coverage_80")


def gate_table(gate: Mapping[str, Any]) -> str:
    """Return the gate's checks as a Markdown table."""
    rows = [
        (
            check["name"].replace("_", " "),
            "yes" if check["is_passed"] else "**no**",
            check["finding"],
            check["threshold"],
        )
        for check in gate["checks"]
    ]
    return f"The gate says: **{gate['gate']}**\n\n" + _table(
        ("check", "passed", "finding", "threshold"), rows
    )


def model_card(
    store: str,
    as_of: date,
    fits: Mapping[str, Any],
    backtest: Mapping[str, Any],
    gate: Mapping[str, Any],
) -> str:
    """Describe a model.

    Parameters
    ----------
    store
        Its name.
    as_of
        Last day whose orders the model knows.
    fits
        ``parts`` (``params`` and ``metrics`` by part) and ``notes``.
    backtest
        ``cutoffs``, ``mean`` and ``horizon_days``; or ``not_backtested``, the reason.
    gate
        ``gate``, ``checks`` and ``reasons``.

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
        *(_part(name, part) for name, part in fits["parts"].items()),
        "## How it did on past days\n",
        _backtest(backtest),
        "## Why it may score, or not\n",
        gate_table(gate),
    ]
    if fits["notes"]:
        parts += ["## To know\n", *(f"- {note}" for note in fits["notes"])]
    return "\n".join(parts) + "\n"


def _part(name: str, part: Mapping[str, Any]) -> str:
    rows = [(key, _number(value)) for key, value in (part["params"] | part["metrics"]).items()]
    return f"### {name.replace('_', ' ')}\n\n" + _table(("what", "value"), rows)


def _backtest(found: Mapping[str, Any]) -> str:
    if "cutoffs" not in found:
        return f"Not tried: {found['not_backtested']}\n"
    days = ", ".join(cutoff["as_of"] for cutoff in found["cutoffs"])
    rows = [
        (name, *("" if metrics[m] is None else f"{metrics[m]:.3f}" for m in SHOWN))
        for name, metrics in found["mean"].items()
    ]
    head = f"Means over the {found['horizon_days']} days after {days}.\n\n"
    return head + _table(("model", *SHOWN), rows)


def _number(value: Any) -> str:  # noqa: ANN401  # a JSON value
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
