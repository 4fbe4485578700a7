"""Jobs and sessions over time: what a client that quiesces has to understand."""

import time
from typing import Any

from sandbox.vbr.faults import Faults
from tests.sandbox.vbr.conftest import StartVbr
from tests.sandbox.vbr.vbr_client import VbrClient, eventually, json_lines


def _job(client: VbrClient, name: str) -> dict[str, Any]:
    return dict(client.get(f"/api/v1/jobs/states?nameFilter={name.replace(' ', '%20')}")["data"][0])


def _working(client: VbrClient, name: str) -> list[dict[str, Any]]:
    path = f"/api/v1/sessions?stateFilter=Working&nameFilter={name.replace(' ', '%20')}"
    return list(client.get(path)["data"])


def test_seeded_jobs_are_one_enabled_and_one_disabled(client: VbrClient) -> None:
    """A client that re-enables every job would wake the second one."""
    jobs = {job["name"]: job["status"] for job in client.get("/api/v1/jobs/states")["data"]}

    assert jobs["Old intranet"] == "disabled"
    assert jobs["File server"] in ("inactive", "running")


def test_job_of_a_repository_runs_again_and_again(client: VbrClient) -> None:
    """Its status changes while somebody looks."""
    client.add_repository()
    seen: set[str] = set()

    def both() -> bool:
        seen.add(_job(client, "Backup to Tokyo")["status"])
        return {"running", "inactive"} <= seen

    eventually(both)

    assert _job(client, "Backup to Tokyo")["type"] == "Backup"


def test_disabled_job_finishes_its_run_and_starts_no_other(client: VbrClient) -> None:
    """Disabling is not stopping."""
    client.add_repository()
    job = _job(client, "Backup to Tokyo")["id"]
    eventually(lambda: bool(_working(client, "Backup to Tokyo")))
    answer = client.send("POST", f"/api/v1/jobs/{job}/disable")
    unfinished = "/api/v1/sessions?resultFilter=None&nameFilter=Backup%20to%20Tokyo"
    eventually(lambda: not client.get(unfinished)["data"])
    runs = len(json_lines(client.vbr.folder / "backups.jsonl"))
    time.sleep(0.4)
    after = len(json_lines(client.vbr.folder / "backups.jsonl"))
    status = _job(client, "Backup to Tokyo")["status"]
    client.post(f"/api/v1/jobs/{job}/enable")
    eventually(lambda: len(json_lines(client.vbr.folder / "backups.jsonl")) > after)

    assert answer == (200, {})
    assert (status, runs) == ("disabled", after)


def test_endless_run_needs_a_stop_without_grace(client: VbrClient) -> None:
    """A drain has a deadline because of such jobs."""
    client.vbr.inject(Faults(endless_jobs=("Backup to Tokyo",)))
    client.add_repository()
    eventually(lambda: bool(_working(client, "Backup to Tokyo")))
    job = _job(client, "Backup to Tokyo")["id"]
    session = client.post(f"/api/v1/jobs/{job}/stop", {"gracefulStop": True})
    time.sleep(0.3)
    still = client.get(f"/api/v1/sessions/{session['id']}")["state"]
    client.post(f"/api/v1/jobs/{job}/stop", {"gracefulStop": False})
    ended = client.get(f"/api/v1/sessions/{session['id']}")

    assert still == "Stopping"
    assert (ended["state"], ended["result"]["isCanceled"]) == ("Stopped", True)


def test_session_can_be_stopped_and_asked_to_fail(start_vbr: StartVbr) -> None:
    """Two ends that aren't success."""
    client = start_vbr(session_duration=0.3)
    client.vbr.inject(Faults(failing_sessions=("ConfigurationBackup",)))
    failing = client.send("POST", "/api/v1/configBackup/backup")
    stopped = client.post("/api/v1/configBackup/backup")
    answer = client.send("POST", f"/api/v1/sessions/{stopped['id']}/stop")

    assert failing[0] == 200
    assert client.finished(failing[1])["result"] == "Failed"
    assert answer == (200, {})
    assert client.finished(stopped)["message"] == "The session was stopped."


def test_stopping_the_service_cuts_off_what_runs(start_vbr: StartVbr) -> None:
    """Who doesn't drain breaks backups, and the sessions say so."""
    client = start_vbr(session_duration=20.0)
    session = client.post("/api/v1/configBackup/backup")
    client.restart()
    ended = client.get(f"/api/v1/sessions/{session['id']}")

    assert ended["state"] == "Stopped"
    assert "service was stopped" in ended["result"]["message"]


def test_lists_come_in_pages(client: VbrClient) -> None:
    """A client that reads the first page only misses jobs."""
    first = client.get("/api/v1/jobs/states?limit=1")
    second = client.get("/api/v1/jobs/states?limit=1&skip=1")

    assert first["pagination"] == {"total": 2, "count": 1, "skip": 0, "limit": 1}
    assert first["data"][0]["name"] != second["data"][0]["name"]


def test_continuous_job_idles_for_ever_on_13_and_is_unseen_on_12(start_vbr: StartVbr) -> None:
    """Idle is normal there; and REST of 12 can't prove that nothing runs."""
    client = start_vbr(revision="1.3-rev0")
    eventually(lambda: bool(client.get("/api/v1/sessions?stateFilter=Idle")["data"]))
    job = _job(client, "Copy to the second site")
    client.vbr.stop()
    older = start_vbr()

    assert (job["type"], job["status"]) == ("BackupCopy", "running")
    assert older.get("/api/v1/jobs/states?nameFilter=Copy*")["data"] == []
    assert older.get("/api/v1/sessions?stateFilter=Idle")["data"] == []
