"""The client is killed before and after every call that changes something; the next `run` heals it."""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import json

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
    python,
)
from tests.windows.killed import KILLED, without_network

AS_BEFORE = {MAIN: RUNNING, DEPENDENT: RUNNING, IDLE: STOPPED}
SET = (WANTED.value, 4)


def _client(command: str) -> int:
    with without_network(None):
        return cli.main([command, "--config", str(CONFIGURATION), *(["--yes"] if command == "undo" else [])])


def _held() -> bool:
    return bool(json.loads((STATE / "journal.json").read_text())["memory"]["held"])


def test_killed_anywhere_the_next_run_puts_it_right(
    server: BackupServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, registry and services agree again, whatever moment it was, on the way there and back."""
    killed = {"run": 0, "undo": 0}
    for point in range(200):
        before = dict(killed)
        for command, xml, value in (("run", DEFAULT.after, SET), ("undo", DEFAULT.before, None)):
            arguments = [command, "--config", str(CONFIGURATION), *(["--yes"] if command == "undo" else [])]
            ended = python("-m", "tests.windows.killed", str(point), *arguments)
            killed[command] += ended.returncode == KILLED
            where = f"{command} killed at {point}: {ended.stderr}"
            assert ended.returncode in (KILLED, 0), where
            assert server.xml() in (DEFAULT.before, DEFAULT.after), where
            assert server.xml() == DEFAULT.before or server.value() == SET, where
            healed = _client("run")
            if command == "undo" and not _held():
                healed = _client("undo")

            assert healed == 0, where
            assert server.xml() == xml, where
            assert server.value() == value, where
            assert server.states() == AS_BEFORE, where
            assert server.loaded()[-1]["xml"] == xml, where
            assert not any(one["refreshed"] for one in server.loaded()), where
            assert json.loads((STATE / "journal.json").read_text())["pending"] is None, where
            assert not list(INSTALL.glob("*staged")) + list(STATE.glob("*staged")), where
        # `undo` holds the site; `apply` brings it on again.
        (STATE / "journal.json").unlink()
        if killed == before:
            break
    with capsys.disabled():
        print(f"\nkilled at {killed['run']} points of run and {killed['undo']} of undo")

    assert min(killed.values()) >= 20
