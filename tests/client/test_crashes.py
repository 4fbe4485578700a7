"""
The client is ended before and after every call that changes something; the next run puts everything right.

The points are found by running once and listening to every adapter, so a new call is covered by itself. In
memory the program ends by an exception that nothing catches; with the stand-ins by SIGKILL. VBR's REST API
is one of the adapters: afterwards exactly the jobs that were enabled are enabled.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from onprem_client.errors import ClientError, ServerError, VbrError
from onprem_client.resources.region_xml import region_endpoints
from onprem_client.resources.registry_value import WANTED
from onprem_client.resources.service_restart import SERVICE
from onprem_client.windows.protocols import ServiceState
from tests.client.fake_vbr import ENABLED
from tests.client.region_files import DEFAULT, HOST, REGION
from tests.client.server import Memory, Server, StandInVbr, document, memory_server, stand_in_server


class KilledError(BaseException):
    """The program ends here; nothing in the client may catch it."""


def _adopt(server: Server) -> None:
    server.run()


def _go_back(server: Server) -> None:
    server.undo()


def _fail_and_roll_back(server: Server) -> None:
    """The service won't start with the new file, so the change is undone: killed on the way back, too."""
    services = server.services
    start = services.request_start
    asked: list[str] = []

    def refuse_once(name: str) -> None:
        asked.append(name)
        if len(asked) == 1:
            raise ServerError("the service did not start")
        start(name)

    services.request_start = refuse_once  # type: ignore[method-assign]
    try:
        server.run()
    finally:
        services.request_start = start  # type: ignore[method-assign]


def _withdraw(server: Server) -> None:
    server.parameters.publish(document(state="withdrawn"))
    server.run()


def _set_value_only(server: Server) -> None:
    server.run()


def _prepared(name: str, server: Server) -> None:
    """Bring the server to where the scenario begins."""
    if name in ("undo", "withdrawn"):
        server.run()
    if name == "registry only":
        server.replace_xml(DEFAULT.after)
        if isinstance(server, Memory):
            server.fake_services.loaded = (DEFAULT.after, None)


SCENARIOS: dict[str, Callable[[Server], None]] = {
    "apply": _adopt,
    "undo": _go_back,
    "roll back": _fail_and_roll_back,
    "withdrawn": _withdraw,
    "registry only": _set_value_only,
    "apply without REST": _adopt,
}
ADOPTED_AFTER = {"apply", "roll back", "registry only", "apply without REST"}


def _memory_server(name: str, folder: Path) -> Memory:
    server = memory_server(folder, rest="without REST" not in name)
    _prepared(name, server)
    return server


def _points(name: str, folder: Path) -> int:
    """Count the moments at which the scenario can be ended."""
    seen: list[str] = []
    server = _memory_server(name, folder)
    server.on_change = lambda when, what: seen.append(f"{when} {what}")
    SCENARIOS[name](server)
    return len(seen)


def _kill_at(point: int, kill: Callable[[str], None], *, once: bool = True) -> Callable[[str, str], None]:
    moments = count()

    def on_change(_when: str, what: str) -> None:
        moment = next(moments)
        if moment == point or (moment > point and not once):
            kill(what)

    return on_change


def _raise(_what: str) -> None:
    raise KilledError


def _each_point(name: str, folder: Path) -> Iterator[tuple[int, Memory]]:
    for point in range(_points(name, folder)):
        server = _memory_server(name, folder)
        server.on_change = _kill_at(point, _raise)
        with pytest.raises(KilledError):
            SCENARIOS[name](server)
        server.on_change = None
        yield point, server


@pytest.mark.parametrize("name", SCENARIOS)
def test_there_are_many_points(name: str, tmp_path: Path) -> None:
    """A listener that hears nothing must not look green."""
    least = 30 if "without REST" not in name else 20
    points = _points(name, tmp_path)
    print(f"{name}: killed at {points} points")

    assert points >= least


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_the_file_is_whole_and_guarded(name: str, tmp_path: Path) -> None:
    """Even before the next run: the XML is old or new, and ours never stands without the value."""
    for point, server in _each_point(name, tmp_path):
        assert server.xml in (DEFAULT.before, DEFAULT.after), point
        assert server.xml == DEFAULT.before or server.value == WANTED or name == "registry only", point


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_the_next_run_puts_it_right(name: str, tmp_path: Path) -> None:
    """File, registry, services and journal agree again, and one more run has nothing to do."""
    for point, server in _each_point(name, tmp_path):
        result = server.run()
        if name == "undo" and not server.journal().memory.held:
            # Ended before anything had been remembered, or taken back: the operator calls undo again.
            server.undo()
        adopted = name in ADOPTED_AFTER

        assert result.exit_code == 0, (point, result.problems)
        assert server.xml == (DEFAULT.after if adopted else DEFAULT.before), point
        assert server.value == (WANTED if adopted else None), point
        _assert_services_as_before(server, point)
        assert server.fake_services.loaded == (server.xml, server.value), point
        assert server.journal().pending is None, point
        assert not server.fake_files.staged, point
        assert not server.run().changed, point


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_by_a_reboot_the_service_ends_with_what_is_there(name: str, tmp_path: Path) -> None:
    """The server went down and came up: the service started by itself, with whatever it found half-way."""
    for point, server in _each_point(name, tmp_path):
        services = server.fake_services
        services.states.update({SERVICE: ServiceState.RUNNING, "Catalog": ServiceState.RUNNING})
        services.loaded = (server.xml, server.value)
        server.run()

        _assert_services_as_before(server, point)
        assert services.loaded == (server.xml, server.value), point


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_it_heals_without_the_cloud(name: str, tmp_path: Path) -> None:
    """The line may be down when the server comes up again; backups must run all the same."""
    for point, server in _each_point(name, tmp_path):
        server.parameters.unreachable = True
        server.run()

        assert server.xml in (DEFAULT.before, DEFAULT.after), point
        if name != "registry only":
            assert (region_endpoints(server.xml, region=REGION) == (HOST,)) is (server.value == WANTED), point
        _assert_services_as_before(server, point)
        assert server.journal().pending is None, point


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_and_again_during_the_recovery(name: str, tmp_path: Path) -> None:
    """A server that crashes once often crashes twice."""
    for second in range(0, 12, 3):
        for point, server in _each_point(name, tmp_path):
            server.on_change = _kill_at(second, _raise)
            try:
                server.run()
            except KilledError:
                server.on_change = None
                server.run()
            server.on_change = None

            assert server.run().exit_code == 0, (point, second)
            _assert_services_as_before(server, point)
            assert server.journal().pending is None, (point, second)


@pytest.mark.parametrize("name", ["apply", "undo"])
def test_a_service_that_has_read_the_right_file_is_not_restarted_again(name: str, tmp_path: Path) -> None:
    """Killed after the start, or rebooted: each restart more would interrupt running tasks for nothing."""
    wanted = DEFAULT.after if name == "apply" else DEFAULT.before
    seen = 0
    for point, server in _each_point(name, tmp_path):
        services = server.fake_services
        unfinished = server.journal().pending is not None
        if unfinished and server.xml == wanted and services.states[SERVICE] is ServiceState.RUNNING:
            before = services.restarts
            server.run()
            seen += 1

            assert services.restarts == before, point

    assert seen


def _fail(what: str) -> None:
    raise VbrError("the call failed") if "Vbr" in what else ServerError("the call failed")


def test_one_error_anywhere_leaves_the_server_whole(tmp_path: Path) -> None:
    """Not only a kill: any call may fail; then all is as before, or as wanted, and the services run."""
    for point in range(_points("apply", tmp_path)):
        server = _memory_server("apply", tmp_path)
        server.on_change = _kill_at(point, _fail)
        with suppress(ServerError):
            server.run()
        server.on_change = None
        if server.journal().aside is not None:
            server.run()  # A job could not be enabled again: that is what the next run begins with.

        _assert_services_as_before(server, point)
        assert server.run().exit_code == 0, point
        assert server.xml == DEFAULT.after, point
        assert server.value == WANTED, point


def test_everything_failing_from_some_moment_on_is_healed_by_the_next_run(tmp_path: Path) -> None:
    """A full disk, a lost right: the way back fails too; the journal stays until the server works again."""
    for point in range(_points("apply", tmp_path)):
        server = _memory_server("apply", tmp_path)
        server.on_change = _kill_at(point, _fail, once=False)
        for _again in range(2):
            with suppress(ClientError):
                server.run()

            assert server.xml in (DEFAULT.before, DEFAULT.after), point
        server.on_change = None

        assert server.run().exit_code == 0, point
        assert server.xml == DEFAULT.after, point
        assert server.value == WANTED, point
        _assert_services_as_before(server, point)
        assert server.journal().pending is None, point


def _assert_services_as_before(server: Memory, point: int) -> None:
    states = server.fake_services.states
    assert states == {
        SERVICE: ServiceState.RUNNING,
        "Catalog": ServiceState.RUNNING,
        "Idle": ServiceState.STOPPED,
    }, point
    assert server.fake_services.loaded[0] == server.xml, point
    if server.vbr is not None:
        assert server.fake_vbr.job_states == ENABLED, point
        assert server.fake_vbr.violations == [], point
        assert server.journal().aside is None, point


def _kill_myself(_what: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("name", ["apply", "undo"])
def test_a_real_kill_on_real_files(name: str, tmp_path: Path) -> None:
    """SIGKILL before and after each call that changes a file, the registry or a service."""
    killed = 0
    for point in range(200):
        folder = tmp_path / str(point)
        folder.mkdir()
        with StandInVbr(folder / "vbr") as vbr:
            server = stand_in_server(vbr, folder)
            _prepared(name, server)
            child = os.fork()
            if child == 0:
                server.on_change = _kill_at(point, _kill_myself)
                SCENARIOS[name](server)
                os._exit(0)
            _pid, status = os.waitpid(child, 0)
            result = server.run()
            if name == "undo" and not server.journal().memory.held:
                server.undo()
            expected = DEFAULT.after if name == "apply" else DEFAULT.before

            assert result.exit_code == 0, (point, result.problems)
            assert server.xml == expected, point
            assert server.value == (WANTED if name == "apply" else None), point
            assert server.service() is ServiceState.RUNNING, point
            assert server.services.state("Catalog") is ServiceState.RUNNING, point
            assert not list(folder.rglob("*staged")), point
        if not os.WIFSIGNALED(status):
            break
        killed += 1
    print(f"{name}: killed at {killed} points")

    assert killed >= 20
