"""
The service manager of this Windows machine, through pywin32.

pywin32 comes without types; `_ServiceApi` names the few calls that are used, and is the only door to it.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

from onprem_client.errors import ServerError
from onprem_client.windows.protocols import ServiceState


def in_stop_order(name: str, needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """
    Name the services that need *name*, directly or through others, in the order to stop them in.

    `needs` says for each service what it names as its dependencies; upper and lower case are the same.
    """
    ordered: list[str] = []
    seen = {name.lower()}

    def visit(needed: str) -> None:
        for service, named in needs.items():
            if service.lower() not in seen and needed.lower() in (one.lower() for one in named):
                seen.add(service.lower())
                visit(service)
                ordered.append(service)

    visit(name)
    return tuple(ordered)


if sys.platform == "win32":
    import winreg

    _SERVICES_KEY = r"SYSTEM\CurrentControlSet\Services"
    # Programs, alone or sharing a process; not drivers.
    _OWN_PROCESS_OR_SHARED = 0x10 | 0x20

    _SC_MANAGER_CONNECT = 0x0001
    _SERVICE_QUERY_STATUS = 0x0004
    _SERVICE_ENUMERATE_DEPENDENTS = 0x0008
    _SERVICE_START = 0x0010
    _SERVICE_STOP = 0x0020
    _SERVICE_CONTROL_STOP = 0x0001
    _SERVICE_STATE_ALL = 0x0003

    _ALREADY_RUNNING = 1056
    _NOT_ACTIVE = 1062
    # The service is on its way already and takes no orders: the caller waits for the state and sees.
    _CANNOT_ACCEPT_CONTROL = 1061

    # A paused service still holds its files and needs a stop like a running one.
    _STATES = {
        1: ServiceState.STOPPED,
        2: ServiceState.START_PENDING,
        3: ServiceState.STOP_PENDING,
        4: ServiceState.RUNNING,
        5: ServiceState.START_PENDING,
        6: ServiceState.STOP_PENDING,
        7: ServiceState.RUNNING,
    }

    class _ServiceApi(Protocol):
        """What is used of pywin32's win32service."""

        def OpenSCManager(self, machine: str | None, database: str | None, access: int) -> Any: ...  # noqa: N802

        def OpenService(self, manager: Any, name: str, access: int) -> Any: ...  # noqa: N802

        def CloseServiceHandle(self, handle: Any) -> None: ...  # noqa: N802

        def QueryServiceStatus(self, service: Any) -> tuple[int, ...]: ...  # noqa: N802

        def EnumDependentServices(self, service: Any, state: int) -> Any: ...  # noqa: N802

        def ControlService(self, service: Any, control: int) -> Any: ...  # noqa: N802

        def StartService(self, service: Any, arguments: list[str] | None) -> None: ...  # noqa: N802

    class WindowsServices:
        """Services of this machine; every handle is closed again at once."""

        def __init__(self) -> None:
            try:
                # In this order: pywintypes loads the library that win32service needs.
                self._error = cast("type[Exception]", importlib.import_module("pywintypes").error)
                self._api = cast("_ServiceApi", importlib.import_module("win32service"))
            except ImportError as error:
                raise ServerError(
                    "pywin32 is not installed; services can't be controlled without it"
                ) from error

        def state(self, name: str) -> ServiceState:
            """Return the state of a service."""
            with self._opened(name, _SERVICE_QUERY_STATUS) as service:
                return _STATES[self._api.QueryServiceStatus(service)[1]]

        def dependents(self, name: str) -> tuple[str, ...]:
            """
            Ask for the dependents; the service manager lists them in the order to stop them in.

            Where it lists none, the registry is asked: what was registered by writing there is known to the
            service manager only after the next start of the machine.
            """
            with self._opened(name, _SERVICE_ENUMERATE_DEPENDENTS) as service:
                listed = self._api.EnumDependentServices(service, _SERVICE_STATE_ALL)
            return tuple(str(entry[0]) for entry in listed) or in_stop_order(name, _needs_in_registry())

        def request_stop(self, name: str) -> None:
            """Ask for a stop; a service that is stopped or stopping already is fine."""
            with self._opened(name, _SERVICE_STOP, fine=(_NOT_ACTIVE, _CANNOT_ACCEPT_CONTROL)) as service:
                self._api.ControlService(service, _SERVICE_CONTROL_STOP)

        def request_start(self, name: str) -> None:
            """Ask for a start; a service that is running already is fine."""
            with self._opened(name, _SERVICE_START, fine=(_ALREADY_RUNNING,)) as service:
                self._api.StartService(service, None)

        @contextmanager
        def _opened(self, name: str, access: int, *, fine: tuple[int, ...] = ()) -> Iterator[Any]:
            manager = service = None
            try:
                manager = self._api.OpenSCManager(None, None, _SC_MANAGER_CONNECT)
                service = self._api.OpenService(manager, name, access)
                yield service
            except self._error as error:
                code, _function, text = (*error.args, "", "")[:3]
                if code not in fine:
                    raise ServerError(f"service {name}: {text} (Windows error {code})") from error
            finally:
                for handle in (service, manager):
                    if handle is not None:
                        self._api.CloseServiceHandle(handle)

    def _needs_in_registry() -> dict[str, list[str]]:
        needs: dict[str, list[str]] = {}
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _SERVICES_KEY) as services:
                for number in range(winreg.QueryInfoKey(services)[0]):
                    name = winreg.EnumKey(services, number)
                    named = _needed_by(services, name)
                    if named:
                        needs[name] = named
        except OSError as error:
            raise ServerError(f"the registry's list of services can't be read: {error.strerror}") from error
        return needs

    def _needed_by(services: winreg.HKEYType, name: str) -> list[str]:
        try:
            with winreg.OpenKey(services, name) as service:
                kind, _type = winreg.QueryValueEx(service, "Type")
                named, _type = winreg.QueryValueEx(service, "DependOnService")
        except OSError:
            return []  # Removed meanwhile, closed to administrators, or it names nothing.
        if not isinstance(kind, int) or not kind & _OWN_PROCESS_OR_SHARED or not isinstance(named, list):
            return []
        return [str(one) for one in named]
