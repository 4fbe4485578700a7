"""
What runs on the Windows Python: a backup server, the packaged client, and the bare script in turn.

    python -m bench.in_windows PROGRAM ROUNDS
"""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import json
import subprocess
import time
from pathlib import Path

from tests.windows.backup_server import CONFIGURATION, STATE, BackupServer, configure

BARE = Path(r"C:\bare.py")


def main(program: str, rounds: int) -> None:
    """Adopt the published endpoint, then time runs that find nothing to do; print both as JSON."""
    server = BackupServer()
    server.install()
    server.reset()
    configure(aws=Path(r"C:\aws.toml").read_text())
    (STATE / "credentials").write_text(Path(r"C:\credentials").read_text())
    client = [program, "run", "--config", str(CONFIGURATION)]
    bare = [sys.executable, str(BARE)]
    _run(client)
    _run(client)
    _run(bare)
    taken: dict[str, list[float]] = {"ours": [], "bare": []}
    for number in range(rounds):
        pairs = [("ours", client), ("bare", bare)]
        for name, command in pairs if number % 2 == 0 else pairs[::-1]:
            started = time.perf_counter()
            _run(command)
            taken[name].append(time.perf_counter() - started)
    print(json.dumps(taken))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
