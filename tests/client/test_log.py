"""client.log: one entry for each command that may change something, rotated, and never in the way."""

from pathlib import Path

import pytest

from onprem_client.windows import log
from onprem_client.windows.log import RunLog


@pytest.fixture(name="events")
def _events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the event log would get."""
    events: list[tuple[str, int]] = []
    monkeypatch.setattr(log, "_report_event", lambda text, code: events.append((text, code)))
    return events


def _run(folder: Path, code: int, *lines: str) -> None:
    RunLog(folder).record(at="2026-01-31T22:00:00Z", command="run", exit_code=code, lines=lines)


def test_the_file_gets_everything_and_the_event_log_what_is_new(
    tmp_path: Path, events: list[tuple[str, int]]
) -> None:
    """Every ten minutes the same error would bury what else is in the event log."""
    _run(tmp_path, 0)
    for _twice in range(2):
        _run(tmp_path, 8, "the line is down", "really\n  two lines")
    _run(tmp_path, 0)
    text = (tmp_path / "client.log").read_text()

    assert text.count("2026-01-31T22:00:00Z run: exit code 8\n    the line is down\n") == 2
    assert [code for _text, code in events] == [0, 8, 0]
    assert events[1][0].startswith("run: exit code 8\n    the line is down")


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on the system disk of a backup server."""
    monkeypatch.setattr(log, "MAXIMUM_BYTES", 200)
    for number in range(100):
        _run(tmp_path, 0, f"run {number}")
    files = sorted(tmp_path.iterdir())

    assert [file.name for file in files] == ["client.log", *(f"client.log.{n}" for n in range(1, 6))]
    assert all(file.stat().st_size < 300 for file in files)
    assert "run 99" in files[0].read_text()
    assert "run 99" not in files[1].read_text()


def test_a_log_that_can_not_be_written_is_said_to_the_event_log_only(
    tmp_path: Path, events: list[tuple[str, int]]
) -> None:
    """A good run must not fail because of its log."""
    _run(tmp_path / "none", 0)

    assert "can't be written" in events[0][0]
    assert not (tmp_path / "none").exists()
