"""The scheduled task on Windows; wine stores it and never starts it."""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import pytest

from onprem_client.windows import task
from tests.windows.backup_server import CONFIGURATION, STATE, UNDER_WINE, BackupServer, python


@pytest.mark.usefixtures("server")
def test_the_task_is_shown_registered_changed_and_removed() -> None:
    """Each command twice, and what is registered is what `--print` shows."""
    printed = python("-m", "onprem_client", "task", "install", "--print")
    before = task.registered_file().exists()
    codes = [python("-m", "onprem_client", "task", "install").returncode for _twice in range(2)]
    content = task.registered_file().read_bytes()
    text = content.decode("utf-16" if content[:2] == b"\xff\xfe" else "utf-8-sig")
    removed = [python("-m", "onprem_client", "task", "remove") for _twice in range(2)]

    assert not before
    assert codes == [0, 0]
    assert f'-m onprem_client run --config "{CONFIGURATION}"' in printed.stdout
    for piece in ("<RunLevel>HighestAvailable</RunLevel>", "<Interval>PT10M</Interval>", "onprem_client run"):
        assert piece in printed.stdout
        # Wine keeps the settings only.
        assert piece in text or UNDER_WINE
    assert "<ExecutionTimeLimit>PT1H</ExecutionTimeLimit>" in text
    assert [one.returncode for one in removed] == [0, 0]
    assert [one.stdout.strip() for one in removed] == ["the task is removed", "there was no task"]
    assert not task.registered_file().exists()
    assert not (STATE / "task.xml").exists()


def test_a_personal_account_is_refused(server: BackupServer) -> None:  # noqa: ARG001
    """Its password would have to be stored, and the task would stop with the next change of it."""
    done = python("-m", "onprem_client", "task", "install", "--account", r"EXAMPLE\alice")

    assert done.returncode == 3
    assert "neither SYSTEM nor a group managed service account" in done.stderr
