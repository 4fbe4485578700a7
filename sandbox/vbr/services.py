"""
The Windows services of a backup server, driven through files.

A client asks by creating `services/<Name>.command` that holds `stop` or `start`. The stand-in removes the
file when it has accepted or refused the command, and by then the state file already says which: a client
that waits for the command file to vanish never reads a state from before its own command.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sandbox.vbr.atomic_files import replace_json
from sandbox.vbr.faults import Faults

BACKUP_SERVICE = "VeeamBackupSvc"
REST_SERVICE = "VeeamBackupRESTSvc"

_TICK = 0.01


class ServiceStartError(Exception):
    """The service can't start; the text goes into `last_error`."""


class ServiceState(StrEnum):
    """The states that the service manager reports."""

    STOPPED = "stopped"
    START_PENDING = "start_pending"
    RUNNING = "running"
    STOP_PENDING = "stop_pending"


def _nothing() -> None:
    """Stand for a service that has nothing to do at that moment."""


@dataclass(slots=True, kw_only=True)
class Service:
    """One service; its hooks run in the thread of the service manager."""

    name: str
    display_name: str
    needs: str | None = None
    on_start: Callable[[], None] = _nothing
    on_running: Callable[[], None] = _nothing
    on_stop: Callable[[], None] = _nothing
    state: ServiceState = field(default=ServiceState.STOPPED, init=False)
    started_at: datetime | None = field(default=None, init=False)
    starts: int = field(default=0, init=False)
    last_error: str | None = field(default=None, init=False)
    running_since: float | None = field(default=None, init=False)
    due: float = field(default=0.0, init=False)
    failure: str | None = field(default=None, init=False)


class ServiceManager:
    """Accepts commands, moves services through their pending states and keeps the state files."""

    def __init__(
        self,
        folder: Path,
        services: Iterable[Service],
        *,
        start_duration: float,
        stop_duration: float,
        faults: Callable[[], Faults],
    ) -> None:
        self._folder = folder
        self._services = {service.name: service for service in services}
        self._start_duration = start_duration
        self._stop_duration = stop_duration
        self._faults = faults
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="vbr services")
        folder.mkdir(parents=True, exist_ok=True)
        for command in folder.glob("*.command"):
            command.unlink()
        for service in self._services.values():
            self._write(service)

    def begin(self) -> None:
        """Start every service, as a server does when it boots, and watch for commands."""
        now = time.monotonic()
        for service in self._services.values():
            self.ask(service.name, "start", now=now)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def state(self, name: str) -> ServiceState:
        return self._services[name].state

    def ready(self, name: str, *, after: float) -> bool:
        """Say whether the service has been running for at least *after* seconds."""
        since = self._services[name].running_since
        return since is not None and time.monotonic() - since >= after

    def ask(self, name: str, command: str, *, now: float | None = None) -> None:
        """Accept or refuse one command, as the service manager of Windows would."""
        now = time.monotonic() if now is None else now
        with self._lock:
            service = self._services[name]
            match command, service.state:
                case "start", ServiceState.STOPPED:
                    self._start(service, now)
                case "stop", ServiceState.RUNNING:
                    self._stop(service, now)
                case "start", ServiceState.RUNNING:
                    service.last_error = "an instance of the service is already running"
                case "stop", ServiceState.STOPPED:
                    service.last_error = "the service has not been started"
                case (("start" | "stop"), _):
                    service.last_error = f"the service can't accept a command while it is {service.state}"
                case _:
                    service.last_error = f"unknown command: {command[:40]!r}"
            self._write(service)

    def tick(self, now: float) -> None:
        """Take the commands that are there and finish the transitions that are due."""
        with self._lock:
            self._take_commands(now)
            for service in self._services.values():
                self._advance(service, now)

    def _watch(self) -> None:
        while not self._ended.wait(_TICK):
            self.tick(time.monotonic())

    def _take_commands(self, now: float) -> None:
        for name in self._services:
            file = self._folder / f"{name}.command"
            try:
                command = file.read_text("utf-8", errors="replace").strip().lower()
            except (FileNotFoundError, PermissionError):
                continue
            if not command:
                continue  # The client has created the file and not written to it yet.
            self.ask(name, command, now=now)
            file.unlink(missing_ok=True)

    def _start(self, service: Service, now: float) -> None:
        if service.needs is not None and self._services[service.needs].state is ServiceState.STOPPED:
            self.ask(service.needs, "start", now=now)
        service.last_error = None
        service.failure = None
        service.state = ServiceState.START_PENDING
        service.due = now + self._start_duration
        try:
            # What a service reads at its start it reads now: a file that is edited while the start is
            # still pending comes too late.
            service.on_start()
        except ServiceStartError as error:
            service.failure = str(error)

    def _stop(self, service: Service, now: float) -> None:
        running = [name for name in self._dependents(service) if self.state(name) is not ServiceState.STOPPED]
        if running:
            service.last_error = f"services that depend on it are running: {', '.join(running)}"
            return
        service.last_error = None
        service.state = ServiceState.STOP_PENDING
        service.running_since = None
        service.due = now + self._stop_duration
        service.on_stop()

    def _advance(self, service: Service, now: float) -> None:
        if service.due > now:
            return
        match service.state:
            case ServiceState.START_PENDING:
                self._finish_start(service, now)
            case ServiceState.STOP_PENDING if not self._faults().stop_never_finishes:
                service.state = ServiceState.STOPPED
                service.started_at = None
                self._write(service)

    def _finish_start(self, service: Service, now: float) -> None:
        if service.needs is not None:
            needed = self._services[service.needs]
            if needed.state is ServiceState.START_PENDING:
                return
            if needed.state is not ServiceState.RUNNING:
                service.failure = f"the service {needed.name}, which it depends on, failed to start"
        if service.failure is not None:
            service.state = ServiceState.STOPPED
            service.last_error = service.failure
        else:
            service.state = ServiceState.RUNNING
            service.started_at = datetime.now(UTC)
            service.starts += 1
            service.running_since = now
            service.on_running()
        self._write(service)

    def _dependents(self, service: Service) -> list[str]:
        return sorted(each.name for each in self._services.values() if each.needs == service.name)

    def _write(self, service: Service) -> None:
        replace_json(
            self._folder / f"{service.name}.json",
            {
                "name": service.name,
                "display_name": service.display_name,
                "state": service.state.value,
                "dependents": self._dependents(service),
                "started_at": service.started_at.isoformat() if service.started_at else None,
                "starts": service.starts,
                "last_error": service.last_error,
            },
        )
