"""
The service manager of this Windows machine, through pywin32.

pywin32 comes without types; `_ServiceApi` names the few calls that are used, and is the only door to it.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from onprem_client.errors import ServerError
from onprem_client.windows.protocols import ServiceState

if sys.platform == "win32":
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
            """Ask for the dependents; the service manager lists them in the order to stop them in."""
            with self._opened(name, _SERVICE_ENUMERATE_DEPENDENTS) as service:
                listed = self._api.EnumDependentServices(service, _SERVICE_STATE_ALL)
                return tuple(str(entry[0]) for entry in listed)

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
