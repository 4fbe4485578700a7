"""One stand-in for each test, fast, on a fake S3."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.certificates import SandboxCa
from sandbox.vbr.stand_in import StandInVbr, VbrOptions
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3
from tests.sandbox.vbr.vbr_client import VbrClient


@pytest.fixture(name="ca", scope="session")
def _ca(tmp_path_factory: pytest.TempPathFactory) -> SandboxCa:
    return SandboxCa(tmp_path_factory.mktemp("ca"))


@pytest.fixture(name="s3")
def _s3() -> InMemoryS3:
    return InMemoryS3(objects={"backups": {}})


StartVbr = Callable[..., VbrClient]


@pytest.fixture(name="start_vbr")
def _start_vbr(tmp_path: Path, ca: SandboxCa, s3: InMemoryS3) -> Iterator[StartVbr]:
    """Start a stand-in with other options than the usual ones."""
    started: list[VbrClient] = []

    def start(**changes: Any) -> VbrClient:
        options: dict[str, Any] = {
            "folder": tmp_path / "vbr",
            "tls": ca.server_context(),
            "connector": s3,
            "start_duration": 0.02,
            "stop_duration": 0.02,
            "rest_delay": 0.02,
            "backup_interval": 0.1,
            "session_duration": 0.1,
        }
        vbr = StandInVbr(VbrOptions(**{**options, **changes}))
        vbr.start()
        started.append(VbrClient(vbr, ca.file, changes.get("revision", "1.2-rev1")))
        assert started[-1].log_in()[0] == 200
        return started[-1]

    yield start
    for client in started:
        client.close()
        client.vbr.stop()


@pytest.fixture(name="client")
def _client(start_vbr: StartVbr) -> VbrClient:
    """A logged-in client of a stand-in with the usual options."""
    return start_vbr()
