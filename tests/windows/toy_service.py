"""
A real Windows service that stands for Veeam's: `python toy_service.py NAME`.

VeeamBackupSvc reads AmazonS3Regions.xml only when it starts, and writes down what it has read. Unless
CloudRegionsDisableUpdate is DWORD 1 it puts its own list in the file's place first, as VBR does. How a
service behaves is told by `C:\\toy\\NAME.json`: {"start": "fail" | "refuse new"} or
{"stop": "ignore" | "pending"}.

It is started hundreds of times, so it imports little: no framework, only the two modules that are needed.
"""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import base64
import json
import threading
import winreg
from pathlib import Path

import servicemanager
import win32service

FOLDER = Path(r"C:\toy")
MAIN = "VeeamBackupSvc"
KEY = r"SOFTWARE\Veeam\Veeam Backup and Replication"
NAME = sys.argv[1]


class Toy:
    """What the service manager talks to."""

    def __init__(self, arguments: list[str]) -> None:
        self._told = threading.Event()
        self._handle = servicemanager.RegisterServiceCtrlHandler(arguments[0], self._control)

    def SvcRun(self) -> None:  # noqa: N802, its name is given
        """Live from start to stop."""
        self._say(win32service.SERVICE_START_PENDING)
        if _behaviour("start") == "fail" or (_behaviour("start") == "refuse new" and not _has_own_list()):
            self._say(win32service.SERVICE_STOPPED, code=1)
            return
        if NAME == MAIN:
            _load()
        self._say(win32service.SERVICE_RUNNING)
        self._told.wait()
        while _behaviour("stop") in ("ignore", "pending"):
            self._told.clear()
            self._told.wait(0.1)
        self._say(win32service.SERVICE_STOPPED)

    def _control(self, control: int) -> None:
        if control == win32service.SERVICE_CONTROL_STOP:
            if _behaviour("stop") != "ignore":
                self._say(win32service.SERVICE_STOP_PENDING)
            self._told.set()

    def _say(self, state: int, *, code: int = 0) -> None:
        accepted = win32service.SERVICE_ACCEPT_STOP if state == win32service.SERVICE_RUNNING else 0
        status = (win32service.SERVICE_WIN32_OWN_PROCESS, state, accepted, code, 0, 0, 5000)
        win32service.SetServiceStatus(self._handle, status)


def _behaviour(what: str) -> str:
    try:
        return str(json.loads((FOLDER / f"{NAME}.json").read_text()).get(what, ""))
    except FileNotFoundError:
        return ""


def _has_own_list() -> bool:
    return (_install_folder() / "AmazonS3Regions.xml").read_bytes() == (FOLDER / "own.xml").read_bytes()


def _install_folder() -> Path:
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, KEY, 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY) as key:
        return Path(winreg.QueryValueEx(key, "CorePath")[0])


def _load() -> None:
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, KEY, 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY) as key:
        try:
            value, kind = winreg.QueryValueEx(key, "CloudRegionsDisableUpdate")
        except FileNotFoundError:
            value, kind = None, None
    file, own = _install_folder() / "AmazonS3Regions.xml", (FOLDER / "own.xml").read_bytes()
    refreshed = (value, kind) != (1, winreg.REG_DWORD) and file.read_bytes() != own
    if refreshed:
        file.write_bytes(own)
    loaded = {"xml": base64.b64encode(file.read_bytes()).decode(), "value": value, "refreshed": refreshed}
    with (FOLDER / "loaded.jsonl").open("a") as log:
        log.write(json.dumps(loaded) + "\n")


servicemanager.Initialize()
servicemanager.PrepareToHostSingle(Toy)
servicemanager.StartServiceCtrlDispatcher()
