"""How people's output is written: where things are, tables that fit a terminal, numbers."""

from textwrap import fill

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

INDENT = 10  # columns before what is said of a name


def plain(text: str) -> str:
    """Keep brackets in text from being taken for markup."""
    return escape(text)


def say_where(console: Console, name: str, where: str) -> None:
    """Say what something is, in one line that is never wrapped."""
    console.print(f"[bold]{name:<{INDENT - 1}}[/] {plain(where)}", soft_wrap=True)


def say_text(console: Console, name: str, text: str, *, style: str = "bold") -> None:
    """Say something in words: wrapped under itself in a terminal, in one line elsewhere."""
    if console.is_terminal:
        width = max(console.width, 2 * INDENT)
        indent = " " * INDENT
        whole = fill(
            indent + text,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        text = whole[INDENT:]
    console.print(f"[{style}]{name:<{INDENT - 1}}[/] {plain(text)}", soft_wrap=True)


def table_of(title: str, *columns: str) -> Table:
    """Return an empty table that fits a terminal: the first column left, others right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, title_style="bold")
    table.pad_edge, table.padding = False, (0, 1, 0, 0)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def amount(value: float) -> str:
    """Write an amount: without cents from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def count(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def show_refused(console: Console, refused: dict[str, str]) -> None:
    """Show which days are refused, and why."""
    for day, why in refused.items():
        console.print(f"[red]Refused[/] {day}: {plain(why)}")
