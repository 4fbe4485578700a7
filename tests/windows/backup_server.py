"""
A backup server on this Windows machine: Veeam's registry key and folder, and real services.

It looks at them through winreg, pywin32 and plain files, never through the client's adapters.
"""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import base64
import ctypes
import json
import subprocess
import time
import winreg
from pathlib import Path
from typing import Any

import pywintypes
import win32service
import winerror

from tests.client.region_files import DEFAULT, REGION
from tests.windows import toy_service_path

KEY = r"SOFTWARE\Veeam\Veeam Backup and Replication"
VALUE = "CloudRegionsDisableUpdate"
INSTALL = Path(r"C:\Program Files\Veeam\Backup and Replication\Backup")
XML = INSTALL / "AmazonS3Regions.xml"
TOY = Path(r"C:\toy")
STATE = Path(r"C:\ProgramData\vbr-privatelink")
CONFIGURATION = STATE / "client.toml"

MAIN = "VeeamBackupSvc"
DEPENDENT = "VeeamCatalogSvc"
IDLE = "VeeamIdleSvc"
SERVICES = {MAIN: (), DEPENDENT: (MAIN,), IDLE: (MAIN,)}
RUNNING, STOPPED, STOP_PENDING = 4, 1, 3


UNDER_WINE = hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


class BackupServer:
    """The machine's one VBR."""

    def install(self) -> None:
        """Set everything up; what an earlier run left is removed."""
        TOY.mkdir(exist_ok=True)
        INSTALL.mkdir(parents=True, exist_ok=True)
        with winreg.CreateKeyEx(
            winreg.HKEY_LOCAL_MACHINE, KEY, 0, winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY
        ) as key:
            winreg.SetValueEx(key, "CorePath", 0, winreg.REG_SZ, f"{INSTALL}\\")
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)
        for name, needs in SERVICES.items():
            try:
                service = win32service.CreateService(
                    manager,
                    name,
                    f"Veeam stand-in {name}",
                    win32service.SERVICE_ALL_ACCESS,
                    win32service.SERVICE_WIN32_OWN_PROCESS,
                    win32service.SERVICE_DEMAND_START,
                    win32service.SERVICE_ERROR_NORMAL,
                    f'"{sys.executable}" "{toy_service_path()}" {name}',
                    None,
                    0,
                    list(needs) or None,
                    None,
                    None,
                )
            except pywintypes.error as error:
                if error.winerror != winerror.ERROR_SERVICE_EXISTS:
                    raise
            else:
                win32service.CloseServiceHandle(service)
        win32service.CloseServiceHandle(manager)

    def reset(self) -> None:
        """Bring it to before the first apply: Veeam's own file, no value, the services that should run do."""
        for name in SERVICES:
            self.behave(name)
        self.set_value(None)
        if self.xml() != DEFAULT.before:
            self.write_xml(DEFAULT.before)
        (TOY / "own.xml").write_bytes(DEFAULT.before)
        self.stop(IDLE)
        self.stop(MAIN)
        (TOY / "loaded.jsonl").write_text("")
        self.start(MAIN)
        self.start(DEPENDENT)

    # Files and registry.

    def xml(self) -> bytes | None:
        return XML.read_bytes() if XML.exists() else None

    def write_xml(self, content: bytes) -> None:
        if XML.exists():
            XML.chmod(0o600)
        XML.write_bytes(content)

    def value(self, *, view: int = winreg.KEY_WOW64_64KEY) -> tuple[object, int] | None:
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, KEY, 0, winreg.KEY_READ | view) as key:
                return winreg.QueryValueEx(key, VALUE)
        except FileNotFoundError:
            return None

    def set_value(self, value: int | str | None, kind: int = winreg.REG_DWORD) -> None:
        access = winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, KEY, 0, access) as key:
            if value is not None:
                winreg.SetValueEx(key, VALUE, 0, kind, value)
            elif self.value() is not None:
                winreg.DeleteValue(key, VALUE)

    # Services.

    def behave(self, name: str, **behaviour: str) -> None:
        (TOY / f"{name}.json").write_text(json.dumps(behaviour))

    def loaded(self) -> list[dict[str, Any]]:
        """Return what the main service has read, once for each of its starts."""
        log = TOY / "loaded.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [{**(one := json.loads(line)), "xml": base64.b64decode(one["xml"])} for line in lines]

    def state(self, name: str) -> int:
        return int(self._with(name, win32service.QueryServiceStatus)[1])

    def states(self) -> dict[str, int]:
        return {name: self.state(name) for name in SERVICES}

    def start(self, name: str) -> None:
        if self.state(name) != RUNNING:
            self._with(name, lambda service: win32service.StartService(service, None))
        self.wait(name, RUNNING)

    def stop(self, name: str) -> None:
        if self.state(name) == RUNNING:
            self._with(
                name, lambda service: win32service.ControlService(service, win32service.SERVICE_CONTROL_STOP)
            )
        self.wait(name, STOPPED)

    def wait(self, name: str, wanted: int) -> None:
        deadline = time.monotonic() + 30
        while self.state(name) != wanted:
            assert time.monotonic() < deadline, (name, self.state(name))
            time.sleep(0.02)

    def _with(self, name: str, call: Any) -> Any:
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
        service = win32service.OpenService(manager, name, win32service.SERVICE_ALL_ACCESS)
        try:
            return call(service)
        finally:
            win32service.CloseServiceHandle(service)
            win32service.CloseServiceHandle(manager)


def configure(*, more: str = "", auto_apply: bool = True, aws: str = "") -> None:
    """Write client.toml as Windows' editors do: with a byte order mark and CRLF."""
    text = (
        f'strategy = "regions-file"\nserver = "vbr01"\nauto_apply = {str(auto_apply).lower()}\n{more}\n'
        f'{aws}\n[[site]]\nname = "tokyo"\nregion = "{REGION}"\naccount_id = "111122223333"\n'
    )
    STATE.mkdir(exist_ok=True)
    CONFIGURATION.write_text(text, encoding="utf-8-sig", newline="\r\n")


def python(
    *arguments: str, stdin: str | None = None, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the Windows Python as an operator would."""
    return subprocess.run(
        [sys.executable, *arguments],
        input=stdin or "",
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )
