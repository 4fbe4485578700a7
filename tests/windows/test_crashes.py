"""The client is killed before and after every call that changes something; the next `run` heals it."""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import json
import subprocess

import pytest

from onprem_client import cli
from onprem_client.resources.registry_value import WANTED
from tests.client.region_files import DEFAULT
from tests.windows.backup_server import (
    CONFIGURATION,
    DEPENDENT,
    IDLE,
    INSTALL,
    MAIN,
    RUNNING,
    STATE,
    STOPPED,
    BackupServer,
)
from tests.windows.killed import KILLED, without_network

AS_BEFORE = {MAIN: RUNNING, DEPENDENT: RUNNING, IDLE: STOPPED}
SET = (WANTED.value, 4)


def _client(command: str) -> int:
    with without_network(None):
        return cli.main([command, "--config", str(CONFIGURATION), *(["--yes"] if command == "undo" else [])])


def _held() -> bool:
    return bool(json.loads((STATE / "journal.json").read_text())["memory"]["held"])


def _started(point: int, command: str) -> subprocess.Popen[str]:
    """Start the next client early: its imports take longer than what it does."""
    arguments = [command, "--config", str(CONFIGURATION), *(["--yes"] if command == "undo" else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.windows.killed", str(point), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_killed_anywhere_the_next_run_puts_it_right(
    server: BackupServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, registry and services agree again, whatever moment it was, on the way there and back."""
    killed = {"run": 0, "undo": 0}
    goals = {"run": (DEFAULT.after, SET), "undo": (DEFAULT.before, None)}
    upcoming = _started(0, "run")
    for point in range(200):
        before = dict(killed)
        for command, (xml, value) in goals.items():
            client = upcoming
            upcoming = _started(point, "undo") if command == "run" else _started(point + 1, "run")
            said, _nothing = client.communicate("go\n", timeout=60)
            killed[command] += client.returncode == KILLED
            where = f"{command} killed at {point}: {said}"
            assert client.returncode in (KILLED, 0), where
            assert server.xml() in (DEFAULT.before, DEFAULT.after), where
            assert server.xml() == DEFAULT.before or server.value() == SET, where
            healed = _client("run")
            if command == "undo" and not _held():
                # Ended before anything had been remembered, or taken back: the operator calls it again.
                healed = _client("undo")

            assert healed == 0, where
            assert server.xml() == xml, where
            assert server.value() == value, where
            assert server.states() == AS_BEFORE, where
            assert server.loaded()[-1]["xml"] == xml, where
            assert not any(one["refreshed"] for one in server.loaded()), where
            assert json.loads((STATE / "journal.json").read_text())["pending"] is None, where
            assert not list(INSTALL.glob("*staged")) + list(STATE.glob("*staged")), where
        # `undo` holds the site, so that `run` leaves it alone: forget that for the next round.
        (STATE / "journal.json").unlink()
        if killed == before:
            break
    upcoming.communicate("", timeout=60)
    with capsys.disabled():
        print(f"\nkilled at {killed['run']} points of run and {killed['undo']} of undo")

    assert min(killed.values()) >= 20
