"""Which machine this is: the defaults that depend on it, and the adapters that fit it."""

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from onprem_client.errors import ConfigurationError
from onprem_client.windows.files import WholeFiles
from onprem_client.windows.lock import StateFolderLock
from onprem_client.windows.protocols import Files, Lock, Registry, Secrets, Services
from onprem_client.windows.secret_files import SecretFiles
from onprem_client.windows.stand_in import StandInRegistry, StandInServices

if sys.platform == "win32":
    from onprem_client.windows.registry import WindowsRegistry
    from onprem_client.windows.services import WindowsServices

    DEFAULT_STATE_FOLDER: Path | None = Path(r"C:\ProgramData\vbr-privatelink")
    DEFAULT_CONFIGURATION: Path | None = Path(r"C:\ProgramData\vbr-privatelink\client.toml")

    def _real() -> tuple[Registry, Services]:
        return WindowsRegistry(), WindowsServices()

else:
    DEFAULT_STATE_FOLDER: Path | None = None
    DEFAULT_CONFIGURATION: Path | None = None

    def _real() -> tuple[Registry, Services]:
        raise ConfigurationError(
            'strategy "regions-file" needs the Windows VBR server: run the client there, or use strategy = '
            '"service-point", which works from any host (to try it out against a stand-in, name its files '
            "under [stand_in])"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The adapters for one server."""

    registry: Registry
    services: Services
    files: Files
    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Where the stand-ins are, when the client is tried out."""

    registry_file: Path
    services_folder: Path


def machine(*, state_folder: Path, stand_in: StandIn | None) -> Machine:
    """Choose the adapters: the stand-ins when they are configured, else this Windows machine's."""
    if stand_in is None:
        registry, services = _real()
    else:
        registry, services = (
            StandInRegistry(stand_in.registry_file),
            StandInServices(stand_in.services_folder),
        )
    return Machine(
        registry=registry,
        services=services,
        files=WholeFiles(),
        lock=StateFolderLock(state_folder, ours=is_ours(state_folder)),
    )


def secrets(state_folder: Path) -> Secrets:
    """Return this machine's secrets."""
    return SecretFiles(state_folder, ours=is_ours(state_folder))


def is_ours(state_folder: Path) -> bool:
    """Only the default folder belongs to this program alone, so only that may be closed to others."""
    return state_folder == DEFAULT_STATE_FOLDER


def host_name() -> str:
    """Return this machine's name without its domain, in lower case."""
    return socket.gethostname().partition(".")[0].lower()
