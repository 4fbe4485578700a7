"""
What the client needs from the backup server's operating system.

Adapters raise ServerError and nothing else for what an operator can meet; a method is either a pure read or
one change, so that being killed before or after it is all that can happen.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from onprem_client.secret import Secret


@dataclass(frozen=True, slots=True)
class RegistryValue:
    """A typed value; texts for REG_SZ and REG_EXPAND_SZ, numbers for REG_DWORD and REG_QWORD."""

    type: str
    value: str | int

    def __str__(self) -> str:
        return f"{self.type} {self.value}"


class Registry(Protocol):
    """Values below HKEY_LOCAL_MACHINE, in the 64-bit view; keys are written with their hive."""

    def has_key(self, key: str) -> bool: ...

    def read(self, key: str, name: str) -> RegistryValue | None: ...

    def write(self, key: str, name: str, value: RegistryValue) -> None: ...

    def delete(self, key: str, name: str) -> None: ...


class ServiceState(StrEnum):
    """Where a service is."""

    RUNNING = "running"
    STOPPED = "stopped"
    START_PENDING = "start_pending"
    STOP_PENDING = "stop_pending"


class Services(Protocol):
    """The service manager; asking for a change returns at once, the caller waits."""

    def state(self, name: str) -> ServiceState: ...

    def dependents(self, name: str) -> tuple[str, ...]:
        """Name the services that need *name* to run, in the order in which they must be stopped."""
        ...

    def request_stop(self, name: str) -> None: ...

    def request_start(self, name: str) -> None: ...


class Files(Protocol):
    """Whole files. A new content is staged beside its target first, so that replacing can hardly fail."""

    def read(self, path: Path) -> bytes | None: ...

    def stage(self, path: Path, content: bytes) -> None: ...

    def put_in_place(self, path: Path) -> None: ...

    def discard(self, path: Path) -> None: ...


class Lock(Protocol):
    """One instance of the client at a time on this server."""

    def held(self) -> AbstractContextManager[None]: ...


class Secrets(Protocol):
    """Secrets of this machine; names come from `onprem_client.secret`. Adapters raise SecretError."""

    def read(self, name: str) -> Secret | None: ...

    def write(self, name: str, value: Secret) -> None: ...

    def delete(self, name: str) -> None: ...
