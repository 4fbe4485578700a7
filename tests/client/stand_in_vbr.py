"""The sandbox's stand-in VBR server, fast and on a fake S3, and the client's way to its REST API."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onprem_client.clock import Clock, SystemClock
from onprem_client.secret import Secret
from onprem_client.veeam.connection import HttpsConnection, Trust
from onprem_client.veeam.rest import Rest
from onprem_client.veeam.server import RestVbr
from sandbox.certificates import SandboxCa
from sandbox.vbr.stand_in import StandInVbr, VbrOptions
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3


class HastyClock(SystemClock):
    """Time that passes fifty times as fast: the stand-in is quick, and the client's waits are long."""

    def monotonic(self) -> float:
        return super().monotonic() * 50

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 50)


@contextmanager
def stand_in_vbr(folder: Path, ca: SandboxCa, s3: InMemoryS3, **changes: Any) -> Iterator[StandInVbr]:
    """Start a stand-in with other options than the usual ones."""
    options: dict[str, Any] = {
        "folder": folder,
        "tls": ca.server_context(),
        "connector": s3,
        "start_duration": 0.02,
        "stop_duration": 0.02,
        "rest_delay": 0.02,
        "backup_interval": 30.0,
        "session_duration": 0.05,
    }
    with StandInVbr(VbrOptions(**{**options, **changes})) as vbr:
        yield vbr


def connection_to(
    vbr: StandInVbr, *, ca_file: Path | None = None, fingerprint: str | None = None
) -> HttpsConnection:
    """Open the way to a stand-in."""
    port = int(vbr.url.rpartition(":")[2])
    return HttpsConnection(host="127.0.0.1", port=port, trust=Trust(ca_file=ca_file, fingerprint=fingerprint))


def rest_of(vbr: StandInVbr, ca: SandboxCa, *, patience: float = 180.0, clock: Clock | None = None) -> Rest:
    """Sign in to a stand-in."""
    return Rest(
        connection_to(vbr, ca_file=ca.file),
        user=vbr.user,
        password=lambda: Secret(vbr.password),
        clock=clock or HastyClock(),
        patience=patience,
    )


def vbr_of(vbr: StandInVbr, ca: SandboxCa, *, patience: float = 180.0) -> RestVbr:
    """Make the calls of a stand-in."""
    return RestVbr(rest_of(vbr, ca, patience=patience))
