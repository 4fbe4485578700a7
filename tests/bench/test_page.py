"""The page of figures is made from the results that were measured, and says where one falls short."""

import json
from collections.abc import Callable

import pytest

from bench import page
from bench.__main__ import RESULTS
from bench.measure import Row, interleaved


def row(*, ours: float, theirs: float | None, limit: float, more: bool = False) -> Row:
    """Return a row of five rounds."""
    return Row(
        what="a run", against="a script", unit="s", ours=ours, theirs=theirs, limit=limit, rounds=5, more=more
    )


def test_the_page_is_made_from_the_results() -> None:
    """Nobody edits a figure by hand."""
    parts = json.loads(RESULTS.read_text())["parts"]

    assert page.generated(parts) in page.PAGE.read_text()


def test_every_kept_figure_was_measured_often_enough() -> None:
    """A median of five; counts and sizes don't vary."""
    parts = json.loads(RESULTS.read_text())["parts"]
    rows = page.rows_of(parts)

    assert rows
    assert all(one.rounds >= 5 or one.theirs is None for one in rows)


@pytest.mark.parametrize(
    ("one", "figure", "reached"),
    [
        (row(ours=3.0, theirs=2.0, limit=1.5), "1.50 times", "yes"),
        (row(ours=3.1, theirs=2.0, limit=1.5), "1.55 times", "**no**"),
        (row(ours=0.9, theirs=0.5, limit=0.3, more=True), "+ 0.40 s", "**no**"),
        (row(ours=9.0, theirs=None, limit=10.0), "9 s", "yes"),
    ],
)
def test_a_figure_that_falls_short_says_so(one: Row, figure: str, reached: str) -> None:
    """As a ratio, as what ours takes more, or as it is."""
    line = page.table([one]).splitlines()[-1]

    assert f"| {figure} |" in line
    assert line.endswith(f"| {reached} |")


def test_rounds_are_interleaved() -> None:
    """And nobody is always the first."""
    order: list[str] = []

    def candidate(name: str) -> Callable[[int], float]:
        def run(number: int) -> float:
            order.append(f"{name}{number}")
            return float(number)

        return run

    results = interleaved({name: candidate(name) for name in "ab"}, rounds=3)

    assert order == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert results == {"a": [0.0, 1.0, 2.0], "b": [0.0, 1.0, 2.0]}
