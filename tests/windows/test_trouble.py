"""What goes wrong on a real server ends with a clear exit code, and with the service as it was."""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import win32con
import win32file

from onprem_client import cli
from onprem_client.windows import files
from tests.client.region_files import DEFAULT
from tests.windows.backup_server import (
    CONFIGURATION,
    DEPENDENT,
    IDLE,
    MAIN,
    RUNNING,
    STATE,
    STOPPED,
    XML,
    BackupServer,
    configure,
)
from tests.windows.killed import without_network

AS_BEFORE = {MAIN: RUNNING, DEPENDENT: RUNNING, IDLE: STOPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the command said on stderr, and its exit code."""

    code: int
    error: str


Run = Callable[[], Said]


@pytest.fixture(name="run")
def _run(server: BackupServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:  # noqa: ARG001
    monkeypatch.setattr(files, "_PATIENCE", 0.5)
    configure(more="[service]\nstop_timeout = 1\nstart_timeout = 10")

    def run() -> Said:
        with without_network(None):
            code = cli.main(["run", "--config", str(CONFIGURATION)])
        return Said(code=code, error=capsys.readouterr().err)

    return run


def _healed(server: BackupServer, run: Run) -> None:
    """The trouble is over: the next run applies, and all is well."""
    assert run() == Said(code=0, error="")
    assert server.xml() == DEFAULT.after
    assert server.value() == (1, 4)
    assert server.states() == AS_BEFORE
    assert server.loaded()[-1]["xml"] == DEFAULT.after


def _untouched(server: BackupServer) -> None:
    assert server.xml() == DEFAULT.before
    assert server.value() is None
    assert server.states() == AS_BEFORE


def test_a_region_file_that_is_held_open(server: BackupServer, run: Run) -> None:
    """Everything is taken back and the service runs again."""
    held = win32file.CreateFile(
        str(XML), win32con.GENERIC_READ, win32con.FILE_SHARE_READ, None, win32con.OPEN_EXISTING, 0, None
    )
    said = run()
    _untouched(server)
    held.Close()

    assert said.code == 4
    assert "AmazonS3Regions.xml can't be replaced" in said.error
    _healed(server, run)


def test_a_read_only_region_file(server: BackupServer, run: Run) -> None:
    """Nothing is even stopped."""
    XML.chmod(0o400)
    said = run()
    _untouched(server)
    starts = len(server.loaded())
    XML.chmod(0o600)

    assert (said.code, starts) == (4, 1)
    assert "is read-only; clear that attribute" in said.error
    _healed(server, run)


def test_a_service_that_ignores_the_order_to_stop(server: BackupServer, run: Run) -> None:
    """It still runs, so nothing is lost but a second."""
    server.behave(MAIN, stop="ignore")
    said = run()
    _untouched(server)
    server.behave(MAIN)
    server.wait(MAIN, STOPPED)
    server.start(MAIN)

    assert said.code == 4
    assert "VeeamBackupSvc is not stopped but running, after 1 s" in said.error
    _healed(server, run)


def test_a_service_that_is_stuck_while_stopping(server: BackupServer, run: Run) -> None:
    """It can't be started from there: a person is called, and a later run finds everything in the journal."""
    server.behave(MAIN, stop="pending")
    said = run()
    server.behave(MAIN)
    server.wait(MAIN, STOPPED)

    assert said.code == 5
    assert "VeeamBackupSvc is not stopped but stop pending, after 1 s" in said.error
    assert server.xml() == DEFAULT.before
    run()
    _healed(server, run)


def test_a_service_that_refuses_the_new_file(server: BackupServer, run: Run) -> None:
    """With the old one it starts: so the old one is put back and backups go on."""
    server.behave(MAIN, start="refuse new")
    said = run()
    _untouched(server)
    server.behave(MAIN)

    assert said.code == 4
    assert "VeeamBackupSvc stopped again while it was starting" in said.error
    _healed(server, run)


def test_a_service_that_starts_no_more(server: BackupServer, run: Run) -> None:
    """The worst case has its own exit code, and it heals by itself once the service can start."""
    server.behave(MAIN, start="fail")
    said = run()
    state = server.state(MAIN)
    server.behave(MAIN)

    assert (said.code, state) == (5, STOPPED)
    assert server.xml() == DEFAULT.before
    run()
    _healed(server, run)


def test_a_service_that_an_administrator_has_stopped(server: BackupServer, run: Run) -> None:
    """It stays stopped, and nothing is touched."""
    server.stop(DEPENDENT)
    server.stop(MAIN)
    said = run()

    assert said.code == 11
    assert "VeeamBackupSvc is stopped" in said.error
    assert server.states() == {MAIN: STOPPED, DEPENDENT: STOPPED, IDLE: STOPPED}
    assert (server.xml(), server.value()) == (DEFAULT.before, None)


def test_a_second_instance(server: BackupServer, run: Run) -> None:
    """The task starts while a person is at work."""
    code = (
        "from pathlib import Path\nfrom onprem_client.windows.lock import StateFolderLock\n"
        f"with StateFolderLock(Path({str(STATE)!r}), ours=True).held():\n"
        "    print('held', flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "held"
        said = run()
        other.communicate("\n")

    assert said.code == 12
    _untouched(server)
    _healed(server, run)


def test_an_upgrade_that_puts_its_own_file_back(server: BackupServer, run: Run) -> None:
    """The endpoint goes into the new file, with its new regions; the old one is never put over it."""
    _healed(server, run)
    server.write_xml(DEFAULT.before.replace(b"us-east-1", b"xx-new-1"))
    said = run()

    assert said.code == 0
    assert server.xml() == DEFAULT.after.replace(b"us-east-1", b"xx-new-1")
    assert server.loaded()[-1]["xml"] == server.xml()
    assert server.states() == AS_BEFORE
