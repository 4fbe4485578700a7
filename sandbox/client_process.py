"""The on-prem client as its scheduled task starts it: a process that gets its configuration, and no more."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# As the command `timeout` has it.
_TIMED_OUT = 124


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The client's process, after it has ended."""

    code: int
    output: str


def run_client(words: list[str], *, packages: Path, patience_seconds: float) -> Ended:
    """Run `python -m onprem_client` with the client that lies in the folder *packages*."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "onprem_client", *words],
            cwd=packages,
            env={**environment, "PYTHONPATH": str(packages)},
            capture_output=True,
            text=True,
            check=False,
            timeout=patience_seconds,
        )
    except subprocess.TimeoutExpired:
        return Ended(code=_TIMED_OUT, output=f"The client did not end within {patience_seconds:.0f} s.")
    return Ended(code=done.returncode, output=(done.stdout + done.stderr).strip())
