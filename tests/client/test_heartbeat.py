"""A server says twice a day that it is there; then its silence means something."""

import json
from pathlib import Path

import pytest

from contract.names import Region
from onprem_client.configuration import Configuration
from onprem_client.errors import CloudError
from onprem_client.heartbeat import Heartbeat
from onprem_client.parameter_store import ParameterStore
from tests.client.server import SITE, FakeClock, FakeFiles, FakeParameters, configured

SEEN = f"/vbr-privatelink/{SITE}/seen/vbr01"


class Clock(FakeClock):
    def __init__(self, now: str) -> None:
        super().__init__()
        self.said = now

    def now(self) -> str:
        return self.said


class Machine:
    """What survives from run to run."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.files = FakeFiles()
        self.parameters = FakeParameters()

    def beat(self, now: str) -> CloudError | None:
        def store(_region: Region) -> ParameterStore:
            return self.parameters

        problem = Heartbeat(self.configuration, store, Clock(now), self.files).beat()
        assert problem is None or isinstance(problem, CloudError)
        return problem

    @property
    def file(self) -> Path:
        return self.configuration.state_folder / "seen.json"


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Machine:
    return Machine(configured(tmp_path))


def test_a_server_says_twice_a_day_that_it_is_there(server: Machine) -> None:
    """Half a day, and not at each of the runs in between."""
    told = []
    for now in (
        "2026-01-31T00:00:00Z",
        "2026-01-31T00:05:00Z",
        "2026-01-31T11:59:59Z",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:05:00Z",
    ):
        assert server.beat(now) is None
        told.append(len(server.parameters.puts))
    name, value = server.parameters.puts[-1]

    assert told == [1, 1, 1, 2, 2]
    assert name == SEEN
    assert json.loads(value)["server"] == "vbr01"
    assert json.loads(value)["at"] == "2026-01-31T12:00:00Z"


def test_what_could_not_be_told_is_told_by_the_next_run(server: Machine) -> None:
    """And the run says so: a missing permission would otherwise look like a dead server."""
    server.parameters.unreachable = True
    problem = server.beat("2026-01-31T00:00:00Z")
    server.parameters.unreachable = False

    assert problem is not None
    assert "could not be told to site" in str(problem)
    assert server.beat("2026-01-31T00:05:00Z") is None
    assert [name for name, _value in server.parameters.puts] == [SEEN]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"%s": 7}' % SITE.encode(), b'{"%s": "yesterday"}' % SITE.encode(), b"\xff"],
)
def test_a_file_that_can_not_be_read_silences_nobody(server: Machine, content: bytes) -> None:
    """Once too often does no harm."""
    server.files.contents[server.file] = content

    assert server.beat("2026-01-31T00:00:00Z") is None
    assert len(server.parameters.puts) == 1


def test_a_clock_that_was_ahead_silences_nobody(server: Machine) -> None:
    """Otherwise a server with a wrong year would say nothing until that year."""
    server.beat("2036-01-31T00:00:00Z")
    server.beat("2026-01-31T00:00:00Z")

    assert len(server.parameters.puts) == 2
