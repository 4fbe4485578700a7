"""
Ratios measured side by side.

Absolute times are noise on a machine that does other things as well. Each round runs every candidate once,
in turn, and a figure is the median of the rounds.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 5
LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One line of the table.

    `ours` and `theirs` are medians in `unit`. What is compared with `limit` is their ratio, or, if `more` is
    set, what ours takes more; without a rival it is `ours` itself.
    """

    what: str
    against: str
    unit: str
    ours: float
    theirs: float | None
    limit: float
    rounds: int
    more: bool = False

    @property
    def figure(self) -> float:
        """What is compared with the limit."""
        if self.theirs is None:
            return self.ours
        return self.ours - self.theirs if self.more else self.ours / self.theirs

    @property
    def reached(self) -> bool:
        """Say whether the figure is within its limit."""
        return self.figure <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a process has used: seconds of wall time and CPU, and MiB of memory at its peak."""

    wall: float
    cpu: float
    memory: float


def interleaved(
    candidates: Mapping[str, Callable[[int], float]], *, rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Call every candidate with the number of the round, in turn; return what each returned."""
    results: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        # Whoever is first finds other caches than whoever is last.
        order = list(candidates) if number % 2 == 0 else list(candidates)[::-1]
        for name in order:
            results[name].append(candidates[name](number))
    return results


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that *action* takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def process(command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path) -> Spent:
    """Run a program that has to succeed; raises CalledProcessError with what it printed."""
    output, result = folder / "output.txt", folder / "spent.json"
    command = [sys.executable, LAUNCH, result, *command]
    with output.open("wb") as stream:
        done = subprocess.run(
            [str(part) for part in command],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, done.args, output.read_text())
    return Spent(**json.loads(result.read_text()))
