"""
Around the restart: what runs is seen, jobs are put aside and come back, and the time must be right.

The fake VBR is the witness: it remembers who stopped the service while something ran.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from onprem_client.errors import (
    ApplyError,
    BusyError,
    ClientError,
    ConfigurationError,
    JobsDisabledError,
    OtherRepositoryError,
    RollbackError,
    VbrError,
)
from onprem_client.journal import Journal
from onprem_client.resources.registry_value import KEY, NAME, WANTED
from onprem_client.resources.service_restart import SERVICE
from onprem_client.veeam.protocols import Repository, Vbr
from onprem_client.window import window
from onprem_client.windows.protocols import Files, Registry, Services, ServiceState
from tests.client.fake_vbr import BLIND, ENABLED, Running
from tests.client.region_files import DEFAULT, REGION
from tests.client.server import READS, SITE, VBR, Memory, configured, memory_server, only


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Memory:
    return memory_server(tmp_path, rest=True)


def _as_before(server: Memory) -> bool:
    return (
        (server.xml, server.value) == (DEFAULT.before, None)
        and server.fake_services.restarts == 0
        and server.fake_vbr.job_states == ENABLED
        and server.journal().aside is None
        and server.journal().pending is None
    )


def _at(server: Memory, hour: int, minute: int = 0) -> None:
    server.clock.wall = datetime(2026, 1, 31, hour, minute)  # noqa: DTZ001 - local time names no zone


def test_the_server_is_at_rest_when_the_service_is_stopped(server: Memory) -> None:
    """Configuration backed up, jobs put aside, nothing running; and afterwards all is as it was."""
    server.fake_vbr.running = [Running("nightly", "j1", looks=3)]
    result = server.run()
    again = server.run()
    mutating = [call for call in server.fake_vbr.calls if call.endswith(("_job", "_configuration"))]

    assert (result.exit_code, again.changed) == (0, False)
    assert server.fake_vbr.violations == []
    assert server.fake_vbr.job_states == ENABLED
    assert mutating == [
        "back_up_configuration",
        "disable_job",
        "disable_job",
        "enable_job",
        "enable_job",
    ]


def test_a_converged_run_does_not_sign_in(server: Memory) -> None:
    """It comes every ten minutes: VBR's log of sign-ins is read by people."""
    server.run()
    before = len(server.fake_vbr.calls)
    server.run()

    assert len(server.fake_vbr.calls) == before


def test_plan_says_what_would_be_done_and_what_it_could_not_see(server: Memory) -> None:
    """Whoever says yes must know both."""
    server.fake_vbr.running = [Running("nightly", "j1", looks=None)]
    result = server.client().plan()
    said = [*map(str, result.changes), *result.notes]

    assert said[0] == "backup of VBR's configuration: absent -> made"
    assert said[1] == "jobs Job j1, Job j2: enabled -> disabled"
    assert said[2].startswith("running work: nightly (BackupJob, Working) -> none, within 1800 s")
    assert any("does not show tape jobs" in line for line in result.notes)
    assert str(result.changes[-1]) == "jobs Job j1, Job j2: disabled -> enabled"
    assert _as_before(server)


def test_the_configuration_backup_can_be_switched_off(tmp_path: Path) -> None:
    """Some have their own, encrypted with a password that VBR asks for."""
    server = memory_server(tmp_path, more=f"{VBR}configuration_backup = false\n")
    server.vbr = memory_server(tmp_path, rest=True).vbr
    result = server.run()

    assert result.exit_code == 0
    assert server.fake_vbr.backups == []


def test_a_failed_configuration_backup_stops_everything(server: Memory) -> None:
    """It is what a broken restart would be repaired from."""
    server.fake_vbr.backup_result = "Failed"
    result = server.run()

    assert isinstance(result.problem, ApplyError)
    assert "vbr.configuration_backup = false" in str(result.problem)
    assert _as_before(server)


def test_work_that_never_ends_leaves_everything_as_it_was(server: Memory) -> None:
    """Tonight is not the night; jobs must run all the same."""
    server.fake_vbr.running = [Running("nightly", "j1", looks=None)]
    result = server.run()

    assert isinstance(result.problem, BusyError)
    assert result.exit_code == 19
    assert "still running after 1800 s: nightly" in str(result.problem)
    assert server.clock.monotonic() > 1800
    assert _as_before(server)
    assert server.parameters.outcomes() == ["failed"]


@pytest.mark.parametrize(
    ("stubborn", "calls"),
    [(False, ["stop_job gracefully"]), (True, ["stop_job gracefully", "stop_job at once"])],
)
def test_runs_of_jobs_are_stopped_on_consent_and_with_grace_first(
    server: Memory, stubborn: bool, calls: list[str]
) -> None:
    """--stop-running: the operator has weighed it."""
    server.fake_vbr.running = [Running("nightly", "j1", looks=None, stubborn=stubborn)]
    server.stop_running = True
    result = server.apply()

    assert result.exit_code == 0
    assert [call for call in server.fake_vbr.calls if call.startswith("stop_job")] == calls
    assert server.fake_vbr.violations == []
    assert server.fake_vbr.job_states == ENABLED


@pytest.mark.parametrize("job_id", [None, "not a job"])
def test_a_restore_is_never_ended(server: Memory, job_id: str | None) -> None:
    """Somebody waits for their data: no consent covers that."""
    server.fake_vbr.running = [Running("restore of mail", job_id, looks=None, type="RestoreVm")]
    server.stop_running = True
    result = server.apply()

    assert result.exit_code == 19
    assert "restore of mail" in str(result.problem)
    assert not [call for call in server.fake_vbr.calls if call.startswith("stop_job")]
    assert _as_before(server)


def test_stop_running_can_be_allowed_for_good(tmp_path: Path) -> None:
    """An unattended server, whose jobs may be stopped."""
    server = memory_server(tmp_path, rest=True)
    server.configuration = configured(tmp_path, more=f"{VBR}stop_running = true\n")
    server.fake_vbr.running = [Running("nightly", "j1", looks=None)]

    assert server.run().exit_code == 0


def test_a_job_whose_status_is_not_known_is_not_touched(server: Memory) -> None:
    """Neither disabled nor, later, enabled against somebody's will; and the plan names it."""
    server.fake_vbr.job_states["j3"] = None
    notes = server.client().plan().notes
    result = server.run()

    assert result.exit_code == 0
    assert any("Job j3" in note for note in notes)
    assert server.fake_vbr.job_states == {**ENABLED, "j3": None}


def test_a_job_that_is_deleted_meanwhile_is_no_trouble(server: Memory) -> None:
    """It can't be enabled again, and need not be."""
    stop = server.fake_services.on_stop

    def and_delete() -> None:
        stop()
        del server.fake_vbr.job_states["j1"]

    server.fake_services.on_stop = and_delete
    result = server.run()

    assert result.exit_code == 0
    assert server.fake_vbr.job_states == {"j2": True, "off": False}
    assert server.journal().aside is None


def test_a_failed_restart_ends_with_jobs_enabled(server: Memory) -> None:
    """Whatever happens."""
    server.fake_services.stuck = {("Catalog", "stop")}
    result = server.run()
    server.fake_services.stuck = set()

    assert result.exit_code in (4, 5)
    assert server.fake_vbr.job_states == ENABLED
    assert server.xml == DEFAULT.before


def test_jobs_that_cannot_be_enabled_are_named_and_enabled_by_the_next_run(server: Memory) -> None:
    """The server is done, VBR's REST API isn't: a person is called, and the next run tries again."""
    enable = server.fake_vbr.enable_job

    def refuse(job_id: str) -> None:
        if job_id == "j1":
            raise VbrError("VBR answered 500: no reason given", status=500)
        enable(job_id)

    server.fake_vbr.enable_job = refuse  # type: ignore[method-assign]
    first, second = server.run(), None
    try:
        server.run()
    except JobsDisabledError as error:
        second = error
    status = json.loads(json.dumps(server.client().status()))
    planned = server.client().plan()
    server.fake_vbr.enable_job = enable  # type: ignore[method-assign]
    third = server.run()

    assert isinstance(first.problem, JobsDisabledError)
    assert (first.exit_code, first.changed) == (20, True)
    assert "Job j1 (VBR answered 500" in str(first.problem)
    assert "Job j2" not in str(first.problem)
    assert second is not None
    assert status["journal"]["jobs_put_aside"] == ["Job j1", "Job j2"]
    assert "are enabled again by the next `run`" in planned.notes[0]
    assert "enabled again: 2" in third.notes[0]
    assert server.fake_vbr.job_states == ENABLED
    assert server.parameters.outcomes() == ["failed", "adopted"]


class _KilledError(BaseException):
    """The process is gone: nothing of it is undone."""


def _killed_while_a_dependent_stops(server: Memory) -> None:
    """Leave the jobs disabled and the dependent service hanging; VBR's own service runs and answers."""

    def kill(when: str, what: str) -> None:
        if (when, what) == ("after", "FakeServices.request_stop"):
            raise _KilledError

    server.fake_services.stuck = {("Catalog", "stop")}
    server.on_change = kill
    with pytest.raises(_KilledError):
        server.run()
    server.on_change = None


def test_jobs_come_back_although_an_interrupted_restart_cannot_be_taken_back(server: Memory) -> None:
    """A dependent service that hangs for days must not cost the backups of those days."""
    _killed_while_a_dependent_stops(server)
    killed = dict(server.fake_vbr.job_states)
    with pytest.raises(RollbackError, match="Catalog") as raised:
        server.run()
    journal = server.journal()
    server.fake_services.stuck = set()
    healed = server.run()

    assert killed == dict.fromkeys(ENABLED, False)
    assert raised.value.exit_code == 5
    assert (journal.pending is not None, journal.aside) == (True, None)
    assert healed.exit_code == 0
    assert server.fake_vbr.job_states == ENABLED
    assert server.xml == DEFAULT.after


def test_what_cannot_be_taken_back_and_the_jobs_that_stay_disabled_are_told_together(server: Memory) -> None:
    """Whoever is called must know of both; neither hides the other."""
    _killed_while_a_dependent_stops(server)
    server.fake_vbr.is_up = lambda: False
    with pytest.raises(RollbackError, match=r"Catalog.*could not be enabled again \(Job j1, Job j2\)"):
        server.run()
    server.fake_vbr.is_up = lambda: True
    server.fake_services.stuck = set()

    assert server.run().exit_code == 0
    assert server.fake_vbr.job_states == ENABLED


def test_jobs_put_aside_are_not_forgotten_when_vbr_leaves_the_configuration(server: Memory) -> None:
    """Without REST the client can't enable them: it must say so, not go on."""
    server.fake_vbr.enable_job = lambda job_id: None  # type: ignore[method-assign]  # noqa: ARG005
    server.run()
    server.vbr = None

    with pytest.raises(JobsDisabledError, match=r"no \[vbr\] any more"):
        server.run()


def test_a_vbr_that_does_not_answer_stops_everything_before_it_begins(server: Memory) -> None:
    """503 until the patience is over: nobody knows what runs."""
    server.fake_vbr.is_up = lambda: False
    first, second = server.run(), server.run()
    server.fake_vbr.is_up = lambda: True

    assert isinstance(first.problem, VbrError)
    assert (first.exit_code, second.exit_code) == (18, 18)
    assert _as_before(server)
    assert server.run().exit_code == 0
    assert server.parameters.outcomes() == ["failed", "adopted"]


def test_a_service_that_somebody_stopped_is_not_asked_by_rest(server: Memory) -> None:
    """It would answer 503 for minutes, and the reason is known."""
    server.fake_services.states[SERVICE] = ServiceState.STOPPED

    assert server.run().exit_code == 11
    assert server.fake_vbr.calls == []


def test_undo_brings_the_server_to_rest_too(server: Memory) -> None:
    """It restarts the service as well."""
    server.run()
    server.fake_vbr.running = [Running("nightly", "j1", looks=2)]
    result = server.undo()

    assert result.exit_code == 0
    assert server.xml == DEFAULT.before
    assert server.fake_vbr.violations == []
    assert server.fake_vbr.job_states == ENABLED


def test_the_linux_appliance_is_refused_and_the_other_strategy_offered(server: Memory) -> None:
    """Custom files are not supported there."""
    server.fake_vbr.server = replace(server.fake_vbr.server, linux=True)
    result = server.run()

    assert isinstance(result.problem, ConfigurationError)
    assert 'strategy = "service-point"' in str(result.problem)
    assert _as_before(server)


def test_the_report_names_the_version_of_vbr(server: Memory) -> None:
    """The fleet view shows who must upgrade."""
    server.run()

    assert json.loads(server.parameters.puts[0][1])["vbr_version"] == "13.0.1.1000"


# When.


@pytest.mark.parametrize(
    ("text", "at", "is_open"),
    [
        ("22:00-04:00", (21, 59), False),
        ("22:00-04:00", (22, 0), True),
        ("22:00-04:00", (3, 59), True),
        ("22:00-04:00", (4, 0), False),
        ("01:00-02:30", (2, 29), True),
        ("01:00-02:30", (2, 30), False),
    ],
)
def test_a_window_goes_over_midnight(text: str, at: tuple[int, int], is_open: bool) -> None:
    """Nights do."""
    found = window(text)

    assert found is not None
    assert found.is_open(datetime(2026, 1, 31, *at)) is is_open  # noqa: DTZ001 - local time names no zone


@pytest.mark.parametrize("text", ["22-04", "24:00-04:00", "22:00-22:00", "22:60-04:00", " 22:00-04:00", ""])
def test_what_is_no_window_is_none(text: str) -> None:
    """A typing error must not become "always"."""
    assert window(text) is None


def test_run_waits_for_the_window_and_says_until_when(tmp_path: Path) -> None:
    """The restart is for the night."""
    server = memory_server(tmp_path, more='window = "22:00-04:00"\n', rest=True)
    waiting = server.run()
    calls = list(server.fake_vbr.calls)
    status = json.loads(json.dumps(server.client().status()))
    as_before = _as_before(server)
    _at(server, 23)
    done = server.run()

    assert (waiting.exit_code, waiting.changed, waiting.waiting) == (10, False, True)
    assert "until 2026-01-31 22:00" in " ".join(waiting.notes)
    assert waiting.changes
    assert calls == []
    assert "until 2026-01-31 22:00" in status["server"]["run_may_restart_it"]
    assert as_before
    assert done.exit_code == 0
    assert server.client().status()["server"]["run_may_restart_it"] == "now"  # type: ignore[index]


def test_after_the_window_of_today_comes_the_one_of_tomorrow(tmp_path: Path) -> None:
    """`until` must lie ahead."""
    server = memory_server(tmp_path, more='window = "01:00-02:00"\n')
    _at(server, 2, 30)

    assert "until 2026-02-01 01:00" in " ".join(server.run().notes)


def test_the_restart_does_not_fall_out_of_the_window(tmp_path: Path) -> None:
    """What isn't drained at four in the morning waits for the next night."""
    server = memory_server(tmp_path, more='window = "22:00-04:00"\n', rest=True)
    server.fake_vbr.running = [Running("nightly", "j1", looks=None)]
    _at(server, 3, 55)
    result = server.run()

    assert result.exit_code == 19
    assert "still running after 300 s" in str(result.problem)
    assert 300 <= server.clock.monotonic() < 400
    assert _as_before(server)


def test_a_person_does_not_wait_for_the_window(tmp_path: Path) -> None:
    """`apply` is called by somebody who has decided."""
    server = memory_server(tmp_path, more='window = "22:00-04:00"\n', rest=True)

    assert server.apply().exit_code == 0


def test_a_window_does_not_keep_a_crash_from_being_put_right(tmp_path: Path) -> None:
    """The service is stopped by us: that can't wait for the night."""
    server = memory_server(tmp_path, more='window = "22:00-04:00"\n', rest=True)
    _at(server, 23)

    def end(_name: str) -> None:
        raise SystemExit

    start = server.fake_services.request_start
    server.fake_services.request_start = end  # type: ignore[method-assign, assignment]
    with pytest.raises(SystemExit):
        server.run()
    server.fake_services.request_start = start  # type: ignore[method-assign]
    _at(server, 12)
    result = server.run()

    assert result.exit_code == 0
    assert server.xml == DEFAULT.after
    assert server.service() is ServiceState.RUNNING
    assert server.fake_vbr.job_states == ENABLED


def _blind(folder: Path, more: str = "") -> Memory:
    server = memory_server(folder, rest=True)
    server.configuration = configured(folder, more=more)
    server.fake_vbr.server = BLIND
    return server


def test_an_unattended_run_does_not_restart_what_it_cannot_see(tmp_path: Path) -> None:
    """12.x hides agent, copy, tape and offload work: only a person may say that none runs."""
    server = _blind(tmp_path, VBR)
    waiting = server.run()

    assert waiting.exit_code == 10
    assert "does not show agent jobs, backup copy jobs" in " ".join(waiting.notes)
    assert _as_before(server)
    assert server.apply().exit_code == 0


@pytest.mark.parametrize(
    "more", [f'{VBR}unseen_work = "accept"\n', f'window = "10:00-14:00"\n{VBR}'], ids=["accept", "window"]
)
def test_unseen_work_can_be_accepted_or_given_a_window(tmp_path: Path, more: str) -> None:
    """Somebody has decided, once and for all or for that time."""
    assert _blind(tmp_path, more).run().exit_code == 0


# Other repositories of the region.

OURS = Repository(id="r1", name="Ours", type="AmazonS3", region=REGION, bucket="vbr-tokyo", folder="vbr01")
OTHER = replace(OURS, id="r2", name="Archive", bucket="other-bucket")


@pytest.mark.parametrize(
    "other",
    [
        OTHER,
        replace(OTHER, type="AmazonS3Glacier"),
        replace(OTHER, bucket=None),
        replace(OTHER, region=None),
        replace(OTHER, region=REGION.upper()),
    ],
    ids=["bucket", "Glacier", "bucket unknown", "region unknown", "upper case"],
)
def test_a_repository_that_the_endpoint_does_not_serve_is_named_and_nothing_moves(
    server: Memory, other: Repository
) -> None:
    """The override moves every repository of the region: this one would lose its bucket tonight."""
    server.fake_vbr.found = [OURS, other]
    planned = server.client().plan()
    result = server.run()

    assert isinstance(only(result).problem, OtherRepositoryError)
    assert (planned.exit_code, result.exit_code) == (21, 21)
    assert "Archive (bucket" in str(only(result).problem)
    assert "Ours" not in str(only(result).problem)
    assert _as_before(server)
    assert server.parameters.outcomes() == ["failed"]


@pytest.mark.parametrize(
    "other",
    [
        replace(OTHER, region="us-east-1"),
        replace(OTHER, type="S3Compatible", service_point="https://s3.example"),
        replace(OTHER, type="WinLocal", region=None, bucket=None),
    ],
    ids=["another region", "S3 compatible", "local"],
)
def test_a_repository_that_does_not_follow_the_region_is_no_trouble(
    server: Memory, other: Repository
) -> None:
    """Only what the override moves counts."""
    server.fake_vbr.found = [OURS, other]

    assert server.run().exit_code == 0


def test_an_acknowledged_bucket_is_no_trouble(tmp_path: Path) -> None:
    """The administrator has let the endpoint reach it, or gives it up."""
    server = memory_server(tmp_path, rest=True)
    site = f'[[site]]\nname = "{SITE}"\nregion = "{REGION}"\nacknowledged_buckets = ["other-bucket"]\n'
    server.configuration = configured(tmp_path, more=VBR, sites=site)
    server.fake_vbr.found = [OTHER]

    assert server.run().exit_code == 0


def test_a_region_that_follows_already_is_not_refused(server: Memory) -> None:
    """Nothing moves any more; a new repository is `doctor`'s to find."""
    server.run()
    server.fake_vbr.found = [OTHER]
    server.registry.delete(KEY, NAME)

    assert server.run().exit_code == 0


# Nothing may be left out.


def _busy(folder: Path) -> Memory:
    server = memory_server(folder, rest=True)
    server.stop_running = True
    server.fake_vbr.running = [Running("nightly", "j1", looks=None)]
    return server


class _LeaveOut:
    """Passes a changing call on if *passes* says so."""

    def __init__(self, target: object, passes: Callable[[str, str, object], bool]) -> None:
        self._target, self._passes = target, passes

    def __getattr__(self, name: str) -> object:
        method = getattr(self._target, name)
        if name in READS or not callable(method):
            return method

        def call(*arguments: object, **named: object) -> object:
            first = arguments[0] if arguments else None
            if self._passes(f"{type(self._target).__name__}.{name}", name, first):
                return method(*arguments, **named)
            return "left out" if name == "back_up_configuration" else None

        return call


class _NoticedError(Exception):
    """Something that must hold at this moment doesn't."""


def _left_out(folder: Path, index: int | None) -> tuple[list[str], str | None]:
    """Run with one changing call left out; return the calls, and what was noticed."""
    server = _busy(folder)
    services, vbr, files = server.fake_services, server.fake_vbr, server.fake_files
    calls: list[str] = []

    def passes(what: str, name: str, first: object) -> bool:
        journal = Journal(server.configuration.state_folder, files=files)
        pending, aside = journal.pending, journal.aside
        if name in ("write", "request_stop", "disable_job", "back_up_configuration") and pending is None:
            raise _NoticedError(f"{what} before the journal says so")
        if first == server.path and pending is None:
            raise _NoticedError(f"{what} before the journal says so")
        if name == "request_stop" and pending is not None and not pending.service_touched:
            raise _NoticedError(f"{what} before the journal says that we stop it")
        if name == "disable_job" and (aside is None or first not in aside.jobs):
            raise _NoticedError(f"{what} before the journal names the job")
        if name == "enable_job" and pending is not None:
            raise _NoticedError(f"{what} before the journal says that the restart is done")
        calls.append(what)
        return len(calls) - 1 != index

    put = server.parameters.put

    def report(name: str, value: str) -> None:
        if Journal(server.configuration.state_folder, files=files).aside is not None:
            raise _NoticedError("the report before the journal says that all jobs are enabled")
        put(name, value)

    server.parameters.put = report  # type: ignore[method-assign]
    server.registry = cast("Registry", _LeaveOut(server.registry, passes))
    server.services = cast("Services", _LeaveOut(server.services, passes))
    server.files = cast("Files", _LeaveOut(server.files, passes))
    server.vbr = cast("Vbr", _LeaveOut(server.vbr, passes))
    try:
        result = server.apply()
    except (ClientError, _NoticedError) as error:
        return calls, str(error)
    journal = Journal(server.configuration.state_folder, files=files)
    wrong = {
        "exit code": result.exit_code != 0,
        "file": files.contents[server.path] != DEFAULT.after,
        "value": server.registry.read(KEY, NAME) != WANTED,
        "services": services.states
        != {**services.states, SERVICE: ServiceState.RUNNING, "Catalog": ServiceState.RUNNING},
        "loaded": services.loaded != (DEFAULT.after, WANTED) or services.restarts != 1,
        "jobs": vbr.job_states != ENABLED,
        "rest": bool(vbr.violations),
        "stopped with grace": "stop_job gracefully" not in vbr.calls or "stop_job at once" in vbr.calls,
        "journal": journal.pending is not None or journal.aside is not None,
        "memory": not journal.memory.adopted or not journal.memory.reported,
        "staged": bool(files.staged),
        "report": server.parameters.outcomes() != ["adopted"],
    }
    return calls, ", ".join(what for what, is_wrong in wrong.items() if is_wrong) or None


def test_no_changing_call_can_be_left_out_unnoticed(tmp_path: Path) -> None:
    """Each call through an adapter is there for something: without it, something shows."""
    calls, noticed = _left_out(tmp_path, None)
    unnoticed = [call for at, call in enumerate(calls) if _left_out(tmp_path, at)[1] is None]

    assert noticed is None
    assert len(calls) >= 20
    assert {call.partition(".")[0] for call in calls} == {
        "FakeFiles",
        "FakeRegistry",
        "FakeServices",
        "FakeVbr",
    }
    assert unnoticed == []
