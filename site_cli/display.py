"""
What a person sees while a run is followed, and tables.

On a terminal the steps are redrawn in place; anywhere else each step is one line, when it is over.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from site_cli.execution import STATES, Step, Watcher

_MARKS = {True: ("ok", "green"), False: ("BAD", "red"), None: ("?", "yellow")}


class Silent:
    """With --json nothing but the result is printed."""

    def update(self, steps: Sequence[Step]) -> None:
        """Show nothing."""


class Lines:
    """One line for each step that is over, and one when it has to wait."""

    def __init__(self) -> None:
        self._shown = 0
        self._waits: str | None = None

    def update(self, steps: Sequence[Step]) -> None:
        """Print what has come to an end since the last call."""
        for step in steps[self._shown :]:
            if step.ended is None:
                if step.waits_for is not None and step.waits_for != self._waits:
                    self._waits = step.waits_for
                    print(f"  ... {_words(step)}: {step.waits_for}", flush=True)
                return
            self._shown, self._waits = self._shown + 1, None
            print(f"  {_mark(step):<4}{_words(step)} ({step.seconds:.0f} s)", flush=True)


class Redrawn:
    """A table that is drawn again and again on a terminal."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def update(self, steps: Sequence[Step]) -> None:
        """Draw all steps."""
        table = Table.grid(padding=(0, 1))
        for step in steps:
            if step.ended is None and not step.failed:
                mark: Spinner | Text = Spinner("dots")
            else:
                mark = Text(_mark(step), style="red" if step.failed else "green")
            table.add_row("", mark, _words(step), Text(_seconds(step), style="dim"), _waiting(step))
        self._live.update(table, refresh=True)


@contextmanager
def watching(*, as_json: bool) -> Iterator[Watcher]:
    """Choose how to show a run."""
    if as_json:
        yield Silent()
    elif not sys.stdout.isatty():
        yield Lines()
    else:
        with Live(console=Console(), refresh_per_second=8) as live:
            yield Redrawn(live)


def finding(*, ok: bool | None, about: str, detail: str, remedy: str) -> None:
    """Print one finding of `doctor`."""
    word, colour = _MARKS[ok]
    mark = f"{word:<4}"
    print(f"{_painted(mark, colour)}{about}: {detail}")
    if remedy:
        print(f"    what to do: {remedy}")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as it needs to be, so that what reads it finds whole lines."""
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    for number, row in enumerate([headings, *rows]):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        print(_painted(line, "bold") if number == 0 else line)


def _painted(text: str, style: str) -> str:
    codes = {"bold": "1", "green": "32", "red": "31", "yellow": "33"}
    return f"\033[{codes[style]}m{text}\033[0m" if sys.stdout.isatty() else text


def _mark(step: Step) -> str:
    return "BAD" if step.failed else "ok"


def _words(step: Step) -> str:
    return f"{step.state}: {STATES.get(step.state, 'a step of a newer version')}"


def _seconds(step: Step) -> str:
    passed = step.seconds
    if passed is None:
        passed = (datetime.now(UTC) - step.began).total_seconds()
    return f"{max(passed, 0):.0f} s"


def _waiting(step: Step) -> Text:
    if step.waits_for is None or step.ended is not None:
        return Text("")
    return Text(f"{step.waits_for}, try {step.attempts}", style="yellow")
