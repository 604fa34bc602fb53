"""What people read: progress and results on standard error, JSON on standard output."""

import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from features.renamed import RenamedWarning
from perennial.cli.facts import Facts
from perennial.pipeline.runtime.steps import Reporter


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
    facts: Facts
    code: int = 0


def _console() -> Console:
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Say one line on standard error."""
    _console().print(text, style="dim", soft_wrap=True)


@contextmanager
def renames_in_one_line() -> Iterator[None]:
    """Print each warning of a renamed setting once, in one line on standard error."""
    shown: set[str] = set()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_one(  # as Python calls it
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, RenamedWarning):
                show(message, category, filename, lineno, file, line)
            elif str(message) not in shown:
                shown.add(str(message))
                say(str(message))

        warnings.showwarning = show_one
        yield


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
    tenths = 0

    def say_tenth(done: int, whole: int) -> None:
        nonlocal tenths
        if done * 10 // whole > tenths:
            tenths = done * 10 // whole
            say(f"{title}: {tenths * 10} %")

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
    _console().print(f"[red]perennial:[/] {escape(message)}", soft_wrap=True)


def program(name: str) -> str:
    """Return how to call an installed program: by name if it is on the path, else by its place."""
    beside = Path(sys.executable).with_name(name)
    installed = shutil.which(name)
    return name if installed and Path(installed) == beside else short_path(str(beside))


def short_path(path: str) -> str:
    """Write a path from the current folder where it is below it."""
    return str(Path(path).relative_to(Path.cwd())) if Path.cwd() in Path(path).parents else path
