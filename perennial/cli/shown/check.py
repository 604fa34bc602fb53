"""What ``perennial check`` shows: the history in figures, what was left out, and what to set."""

from collections.abc import Sequence

from rich.console import Console

from connectors.accounting import Accounting
from connectors.orders import Identities
from connectors.summary import MonthSummary
from perennial.cli.facts import CheckFacts, Facts
from perennial.cli.shown.words import amount, count, say_text, table_of

MONTHS = 24  # that are shown
KINDS = {"customer_id": "customer id", "email": "e-mail", "phone": "phone number"}


def show_checked(console: Console, facts: Facts) -> None:
    """Show an order history as it would be read."""
    report = CheckFacts.model_validate(facts)
    summary, currency = report.summary, report.currency
    returning = summary.returning_customers / max(summary.customers, 1)
    console.print(
        f"\n[bold]{count(summary.customers, 'customer')}[/], {summary.returning_customers:,} "
        f"({returning:.0%}) with purchases on two days or more\n"
        f"[bold]{count(summary.orders, 'order')}[/] from {summary.first_day} to {summary.last_day}\n"
        f"[bold]{amount(summary.revenue)} {currency}[/] net revenue: after discounts and refunds, "
        "before tax and shipping"
    )
    if report.sample_rows is not None:
        console.print(f"Only the first {report.sample_rows:,} rows of each table were read.")
    _show_months(console, summary.months, currency)
    for warning in report.warnings:
        say_text(console, "Warning", warning, style="bold yellow")
    columns = "; ".join(f"{ours} = {theirs}" for ours, theirs in report.columns.items())
    say_text(console, "Columns", columns)
    _show_rows(console, report.accounting)
    if report.statuses:
        words = ", ".join(f"{word} {rows:,}" for word, rows in report.statuses.items())
        say_text(console, "Statuses", f"{words} (rows)")
    for rule, ids in report.examples.items():
        if ids:
            say_text(console, "Example", f"{rule}: order {' and '.join(ids)}")
    _show_identities(console, report.identities)
    for name, table in report.tables.items():
        say_text(console, "Table", f"{name}: " + ", ".join(f"{k} {v}" for k, v in table.items()))
    say_text(console, "Next", report.next)


def _show_months(console: Console, months: Sequence[MonthSummary], currency: str) -> None:
    table = table_of("Orders by month", "month", "orders", f"net revenue ({currency})")
    for month in months[-MONTHS:]:
        table.add_row(month.month, f"{month.orders:,}", f"{month.revenue:,.0f}")
    console.print(table)
    if len(months) > MONTHS:
        earlier = count(len(months) - MONTHS, "earlier month")
        console.print(f"{earlier} not shown; `perennial check --json` lists all.\n")


def _show_rows(console: Console, accounting: Accounting) -> None:
    """Show where every row of the source went."""
    rows, orders = count(accounting.rows_in, "row"), count(accounting.orders, "order")
    say_text(console, "Rows", f"{rows} read, {orders} kept")
    for name, group in (("Merged", accounting.merged), ("Left out", accounting.rejected)):
        counts = {cause: rows for cause, rows in group.items() if rows}
        if counts:
            causes = ", ".join(f"{cause} {rows:,}" for cause, rows in counts.items())
            say_text(console, name, f"{count(sum(counts.values()), 'row')} ({causes})")


def _show_identities(console: Console, identities: Identities) -> None:
    largest = identities.largest
    if largest is not None:
        say_text(
            console,
            "Linked",
            f"most to customer {largest.customer_id}: {count(largest.ids, 'id')}, "
            f"{count(largest.emails, 'e-mail')}, {count(largest.phones, 'phone number')}, "
            f"{count(largest.orders, 'order')}",
        )
    for one in identities.set_aside:
        say_text(
            console,
            "Set aside",
            f"{KINDS[one.kind]} {one.value} identifies no customer: {one.reason}",
        )
