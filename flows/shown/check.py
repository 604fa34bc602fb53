"""What ``perennial check`` shows: the history in figures, what was left out, and what to set."""

from typing import Any

from rich.console import Console

from flows.shown.words import amount, count, plain, say_where, table_of

MONTHS = 24  # that are shown
KINDS = {"customer_id": "customer id", "email": "e-mail", "phone": "phone number"}


def show_checked(console: Console, facts: dict[str, Any]) -> None:
    """Show an order history as it would be read."""
    summary, currency = facts["summary"], facts["currency"]
    returning = summary["returning_customers"] / max(summary["customers"], 1)
    console.print(
        f"\n[bold]{count(summary['customers'], 'customer')}[/], {summary['returning_customers']:,} of them "
        f"returning ({returning:.0%}); {count(summary['orders'], 'order')}, {amount(summary['revenue'])} "
        f"{currency}, from {summary['first_day']} to {summary['last_day']}"
    )
    if "sample_rows" in facts:
        console.print(f"Of the first {facts['sample_rows']:,} rows of each table only")
    _show_months(console, summary["months"], currency)
    for warning in facts["warnings"]:
        console.print(f"[bold yellow]Warning[/] {plain(warning)}", soft_wrap=True)
    columns = ", ".join(f"{ours} = {theirs}" for ours, theirs in facts["columns"].items())
    say_where(console, "Columns", columns)
    say_where(console, "Rows", _rows(facts["accounting"]))
    if facts["statuses"]:
        say_where(
            console, "Statuses", ", ".join(f"{s} {n:,}" for s, n in facts["statuses"].items())
        )
    for rule, ids in facts["examples"].items():
        if ids:
            say_where(console, "Example", f"{rule}: order {' and '.join(ids)}")
    _show_identities(console, facts["identities"])
    for name, table in facts["tables"].items():
        say_where(console, "Table", f"{name}: " + ", ".join(f"{k} {v}" for k, v in table.items()))
    say_where(console, "Next", facts["next"])


def _show_months(console: Console, months: list[dict[str, Any]], currency: str) -> None:
    table = table_of("Orders by month", "month", "orders", f"revenue ({currency})")
    for month in months[-MONTHS:]:
        table.add_row(month["month"], f"{month['orders']:,}", f"{month['revenue']:,.0f}")
    console.print(table)
    if len(months) > MONTHS:
        console.print(f"{len(months) - MONTHS} earlier months: see --json\n")


def _rows(accounting: dict[str, Any]) -> str:
    parts = [f"{accounting['rows_in']:,} in", f"{accounting['orders']:,} orders"]
    for what in ("merged", "rejected"):
        counts = {name: rows for name, rows in accounting[what].items() if rows}
        if counts:
            causes = ", ".join(f"{name} {rows:,}" for name, rows in counts.items())
            parts.append(f"{sum(counts.values()):,} {what} ({causes})")
    return ", ".join(parts)


def _show_identities(console: Console, identities: dict[str, Any]) -> None:
    if identities["merged"]:
        linked = (
            f"{identities['merged']:,} ids, e-mails and phone numbers belong to another customer"
        )
        say_where(console, "Linked", linked)
    largest = identities["largest"]
    if largest is not None:
        say_where(
            console,
            "Largest",
            f"customer {largest['customer_id']}: {count(largest['ids'], 'id')}, "
            f"{count(largest['emails'], 'e-mail')}, {count(largest['phones'], 'phone number')}, "
            f"{count(largest['orders'], 'order')}",
        )
    for one in identities["set_aside"]:
        say_where(
            console,
            "Set aside",
            f"{KINDS[one['kind']]} {one['value']} identifies nobody: {one['reason']}",
        )
