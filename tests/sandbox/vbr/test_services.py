"""The service manager: commands through files, pending states, refusals and faults."""

from pathlib import Path

import pytest

from sandbox.vbr.faults import Faults
from sandbox.vbr.services import Service, ServiceManager, ServiceStartError, ServiceState
from tests.sandbox.vbr.conftest import StartVbr
from tests.sandbox.vbr.vbr_client import VbrClient, eventually


class Clock:
    """A service manager whose time the test moves."""

    def __init__(self, folder: Path, *services: Service) -> None:
        self.folder = folder
        self.now = 0.0
        self.faults = Faults()
        self.manager = ServiceManager(
            folder, services, start_duration=1.0, stop_duration=1.0, faults=lambda: self.faults
        )

    def command(self, name: str, command: str) -> None:
        (self.folder / f"{name}.command").write_text(command)
        self.manager.tick(self.now)

    def pass_time(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.manager.tick(self.now)


def _service(name: str = "A", needs: str | None = None) -> Service:
    return Service(name=name, display_name=name, needs=needs)


def test_service_moves_through_its_pending_states(tmp_path: Path) -> None:
    """A client that believes a pending state is the end must be caught."""
    service = _service()
    clock = Clock(tmp_path, service)
    clock.command("A", "start")
    states = [service.state]
    clock.pass_time()
    states.append(service.state)
    clock.command("A", "stop\n")
    states.append(service.state)
    clock.pass_time(0.5)
    states.append(service.state)
    clock.pass_time()
    states.append(service.state)

    assert states == ["start_pending", "running", "stop_pending", "stop_pending", "stopped"]
    assert not list(tmp_path.glob("*.command"))


@pytest.mark.parametrize(
    ("command", "error"), [("stop", "has not been started"), ("pause", "unknown command")]
)
def test_command_that_makes_no_sense_is_refused(tmp_path: Path, command: str, error: str) -> None:
    """Windows refuses it, too, and the state doesn't change."""
    service = _service()
    clock = Clock(tmp_path, service)
    clock.command("A", command)

    assert service.state is ServiceState.STOPPED
    assert error in str(service.last_error)


def test_empty_command_file_is_left_until_it_is_written(tmp_path: Path) -> None:
    """Creating a file and writing to it are two steps."""
    service = _service()
    clock = Clock(tmp_path, service)
    clock.command("A", "")
    waiting = (tmp_path / "A.command").exists()
    clock.command("A", "start")

    assert waiting
    assert service.state is ServiceState.START_PENDING


def test_service_with_running_dependents_does_not_stop(tmp_path: Path) -> None:
    """Who forgets the dependents finds the service still running."""
    base, dependent = _service(), _service("B", needs="A")
    clock = Clock(tmp_path, base, dependent)
    clock.command("B", "start")
    clock.pass_time()
    clock.pass_time()
    running = (base.state, dependent.state)
    clock.command("A", "stop")

    assert running == ("running", "running")
    assert base.state is ServiceState.RUNNING
    assert "B" in str(base.last_error)


def test_start_that_fails_ends_in_stopped_with_its_reason(tmp_path: Path) -> None:
    """And it takes as long as a start: the client must wait for the end."""

    def fail() -> None:
        raise ServiceStartError("no disk")

    service = Service(name="A", display_name="A", on_start=fail)
    clock = Clock(tmp_path, service)
    clock.command("A", "start")
    pending = service.state
    clock.pass_time()

    assert pending is ServiceState.START_PENDING
    assert (service.state, service.last_error, service.starts) == (ServiceState.STOPPED, "no disk", 0)


def test_stop_that_never_finishes_ends_when_the_fault_is_lifted(tmp_path: Path) -> None:
    """A stuck service is one of the things that the client must report."""
    service = _service()
    clock = Clock(tmp_path, service)
    clock.command("A", "start")
    clock.pass_time()
    clock.faults = Faults(stop_never_finishes=True)
    clock.command("A", "stop")
    clock.pass_time(100)
    stuck = service.state
    clock.faults = Faults()
    clock.pass_time()

    assert stuck is ServiceState.STOP_PENDING
    assert service.state is ServiceState.STOPPED


def test_state_file_tells_what_the_service_manager_knows(client: VbrClient) -> None:
    """The client reads nothing else about a service."""
    state = client.service()

    assert set(state) == {
        "name",
        "display_name",
        "state",
        "dependents",
        "started_at",
        "starts",
        "last_error",
    }
    assert (state["display_name"], state["state"], state["dependents"], state["starts"]) == (
        "Veeam Backup Service",
        "running",
        [],
        1,
    )
    assert client.service("VeeamBackupRESTSvc")["state"] == "running"


def test_rest_is_unavailable_for_a_moment_after_the_service_runs(start_vbr: StartVbr) -> None:
    """Running in the service manager is not ready."""
    client = start_vbr(rest_delay=0.4)
    client.command("stop")
    eventually(lambda: bool(client.service()["state"] == "stopped"))
    stopped = client.log_in()[0]
    client.command("start")
    eventually(lambda: bool(client.service()["state"] == "running"))
    started = client.log_in()[0]
    eventually(lambda: client.log_in()[0] == 200)

    assert (stopped, started) == (503, 503)


def test_dependent_rest_service_must_be_stopped_first(start_vbr: StartVbr) -> None:
    """Whether the real one depends is unknown, so both can be tried."""
    client = start_vbr(rest_depends_on_backup_service=True)
    client.command("stop")
    refused = client.service()
    client.command("stop", "VeeamBackupRESTSvc")
    eventually(lambda: bool(client.service("VeeamBackupRESTSvc")["state"] == "stopped"))
    client.command("stop")
    eventually(lambda: bool(client.service()["state"] == "stopped"))

    assert refused["state"] == "running"
    assert "VeeamBackupRESTSvc" in refused["last_error"]
    assert refused["dependents"] == ["VeeamBackupRESTSvc"]


def test_fault_file_makes_the_start_fail(client: VbrClient) -> None:
    """Faults are set from another process in the client's own tests."""
    client.command("stop")
    eventually(lambda: bool(client.service()["state"] == "stopped"))
    client.vbr.inject(Faults(start_fails="a configuration database that is away"))
    client.command("start")
    eventually(lambda: bool(client.service()["state"] == "stopped"))

    assert client.service()["last_error"] == "a configuration database that is away"
