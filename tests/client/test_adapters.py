"""The fakes and the stand-ins keep the same promises; a kinder fake proves nothing."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from onprem_client.clock import SystemClock
from onprem_client.errors import AlreadyRunningError, ServerError, ServiceTimeoutError
from onprem_client.resources import service_restart
from onprem_client.resources.registry_value import KEY, NAME
from onprem_client.resources.service_restart import SERVICE, ServiceImage
from onprem_client.windows.files import STAGED_SUFFIX, WholeFiles
from onprem_client.windows.lock import StateFolderLock
from onprem_client.windows.protocols import Files, Registry, RegistryValue, Services, ServiceState
from onprem_client.windows.stand_in import StandInRegistry, StandInServices
from tests.client.server import FakeClock, FakeFiles, FakeRegistry, FakeServices, ShortClock, StandInVbr


@pytest.fixture(name="vbr")
def _vbr(tmp_path: Path) -> Iterator[StandInVbr]:
    with StandInVbr(tmp_path / "vbr") as vbr:
        yield vbr


@pytest.fixture(name="registry", params=["fake", "stand-in"])
def _registry(request: pytest.FixtureRequest, vbr: StandInVbr) -> Registry:
    return FakeRegistry(vbr.install) if request.param == "fake" else StandInRegistry(vbr.registry_file)


@pytest.fixture(name="services", params=["fake", "stand-in"])
def _services(request: pytest.FixtureRequest, vbr: StandInVbr) -> Services:
    return (
        FakeServices(lambda: (None, None))
        if request.param == "fake"
        else StandInServices(vbr.services_folder)
    )


@pytest.fixture(name="files", params=["fake", "real"])
def _files(request: pytest.FixtureRequest) -> Files:
    return FakeFiles() if request.param == "fake" else WholeFiles()


@pytest.mark.parametrize("value", [RegistryValue("REG_DWORD", 1), RegistryValue("REG_SZ", "text")], ids=str)
def test_a_registry_value_keeps_its_type_and_goes_away_again(
    registry: Registry, value: RegistryValue
) -> None:
    """Undo must be able to tell absent from 0 and a number from a text."""
    before = registry.read(KEY, NAME)
    for _twice in range(2):
        registry.write(KEY, NAME, value)
    written = registry.read(KEY, NAME)
    for _twice in range(2):
        registry.delete(KEY, NAME)

    assert before is None
    assert written == value
    assert registry.read(KEY, NAME) is None
    assert registry.has_key(KEY)
    assert not registry.has_key("HKEY_LOCAL_MACHINE\\SOFTWARE\\Other")


def test_the_stand_in_registry_gives_back_the_same_bytes(vbr: StandInVbr) -> None:
    """So that a byte comparison can prove undo."""
    before = vbr.registry_file.read_bytes()
    registry = StandInRegistry(vbr.registry_file)
    registry.write(KEY, NAME, RegistryValue("REG_DWORD", 1))
    changed = vbr.registry_file.read_bytes()
    registry.delete(KEY, NAME)

    assert changed != before
    assert changed == (json.dumps(json.loads(changed), indent=2, sort_keys=True) + "\n").encode()
    assert vbr.registry_file.read_bytes() == before


def test_a_service_is_pending_as_soon_as_it_has_been_told(services: Services) -> None:
    """Between the order and its effect nobody may take it for settled."""
    services.request_stop(SERVICE)
    told = services.state(SERVICE)
    _wait(services, ServiceState.STOPPED)
    services.request_stop(SERVICE)
    _wait(services, ServiceState.STOPPED)
    services.request_start(SERVICE)
    _wait(services, ServiceState.RUNNING)

    assert told in (ServiceState.STOP_PENDING, ServiceState.STOPPED)
    assert "Catalog" in services.dependents(SERVICE)


def _wait(services: Services, wanted: ServiceState) -> None:
    clock = ShortClock()
    while services.state(SERVICE) is not wanted:
        clock.sleep(0.05)
        assert clock.monotonic() < 2


def test_an_unknown_service_is_a_clear_error(services: Services) -> None:
    """VBR isn't here, or another version calls it otherwise."""
    with pytest.raises(ServerError):
        services.state("NoSuchService")


def test_an_order_that_nobody_obeys_ends_in_a_timeout(tmp_path: Path) -> None:
    """The stand-in isn't running: the client must not hang."""
    (tmp_path / f"{SERVICE}.json").write_text('{"state": "running", "dependents": []}')
    services = StandInServices(tmp_path)
    restart = service_restart.restart(
        services,
        ServiceImage(service=SERVICE, dependents=()),
        clock=FakeClock(),
        stop_timeout=3,
        start_timeout=3,
        before_stop=lambda: None,
        ours=False,
    )

    with pytest.raises(ServiceTimeoutError, match="not stopped but stop pending, after 3 s"):
        restart.stop.do()

    assert (tmp_path / f"{SERVICE}.command").read_text() == "stop"


def test_a_service_that_dies_while_starting_is_not_waited_for() -> None:
    """Five minutes of silence would be the operator's worst."""
    services = FakeServices(lambda: (None, None))
    services.states[SERVICE] = ServiceState.STOPPED
    services.request_start = lambda name: None  # type: ignore[method-assign]  # noqa: ARG005
    clock = FakeClock()
    restart = service_restart.restart(
        services,
        ServiceImage(service=SERVICE, dependents=()),
        clock=clock,
        stop_timeout=3,
        start_timeout=300,
        before_stop=lambda: None,
        ours=True,
    )

    with pytest.raises(ServerError, match="stopped again while it was starting"):
        restart.start.do()

    assert clock.monotonic() < 10


def test_a_file_is_replaced_only_when_it_is_put_in_place(files: Files, tmp_path: Path) -> None:
    """A reader sees the old file or the new one, never half of one."""
    path = tmp_path / "new folder" / "file.xml"
    absent = files.read(path)
    files.stage(path, b"one")
    staged = files.read(path)
    files.put_in_place(path)
    files.stage(path, b"two")
    files.stage(path, b"three")
    files.discard(path)
    files.discard(path)

    assert absent is None
    assert staged is None
    assert files.read(path) == b"one"
    with pytest.raises(ServerError):
        files.put_in_place(path)


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    """Others must still be able to read it, and only those."""
    path = tmp_path / "file.xml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    WholeFiles().stage(path, b"new")
    WholeFiles().put_in_place(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.xml"]


def test_staging_never_writes_through_a_link(tmp_path: Path) -> None:
    """Somebody who may write into the folder must not get another file overwritten by the system account."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = tmp_path / "file.xml"
    path.with_name(path.name + STAGED_SUFFIX).symlink_to(victim)
    WholeFiles().stage(path, b"new")
    WholeFiles().put_in_place(path)

    assert victim.read_bytes() == b"precious"
    assert path.read_bytes() == b"new"


def test_a_folder_in_the_place_of_a_file_is_a_clear_error(tmp_path: Path) -> None:
    """An operating system's error must not reach the operator as a traceback."""
    (tmp_path / "file.xml").mkdir()
    files = WholeFiles()
    files.stage(tmp_path / "file.xml", b"")

    with pytest.raises(ServerError, match="can't be read"):
        files.read(tmp_path / "file.xml")
    with pytest.raises(ServerError, match="can't be replaced"):
        files.put_in_place(tmp_path / "file.xml")


def test_one_instance_at_a_time(tmp_path: Path) -> None:
    """The task may start while a person is at work; and the lock is free again afterwards."""
    for _twice in range(2):
        with (
            StateFolderLock(tmp_path).held(),
            pytest.raises(AlreadyRunningError),
            StateFolderLock(tmp_path).held(),
        ):
            pass

    assert list(tmp_path.iterdir()) == []


def test_the_clock_writes_time_as_the_contract_reads_it() -> None:
    """A report with another form would be refused by the cloud."""
    clock = SystemClock()

    assert len(clock.now()) == len("2026-01-31T22:00:00Z")
    assert clock.monotonic() <= clock.monotonic()
