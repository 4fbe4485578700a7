"""
A real Windows service that stands for Veeam's: `python toy_service.py NAME`.

VeeamBackupSvc reads AmazonS3Regions.xml only when it starts, and writes down what it has read. Unless
CloudRegionsDisableUpdate is DWORD 1 it puts its own list in the file's place first, as VBR does. How a
service behaves is told by `C:\\toy\\NAME.json`: {"start": "fail" | "refuse new"} or
{"stop": "ignore" | "pending"}.
"""

import sys

assert sys.platform == "win32"  # So that mypy checks the rest for Windows only.

import base64
import json
import winreg
from pathlib import Path

import servicemanager
import win32event
import win32service
import win32serviceutil

FOLDER = Path(r"C:\toy")
MAIN = "VeeamBackupSvc"
KEY = r"SOFTWARE\Veeam\Veeam Backup and Replication"


class Toy(win32serviceutil.ServiceFramework):
    _svc_name_ = sys.argv[1]

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self._told = win32event.CreateEvent(None, 0, 0, None)
        self._stopping = False

    def SvcStop(self) -> None:  # noqa: N802
        if _behaviour("stop") != "ignore":
            self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        self._stopping = True
        win32event.SetEvent(self._told)

    def SvcRun(self) -> None:  # noqa: N802
        self.ReportServiceStatus(win32service.SERVICE_START_PENDING)
        if _behaviour("start") == "fail" or (_behaviour("start") == "refuse new" and not _has_own_list()):
            self.ReportServiceStatus(win32service.SERVICE_STOPPED, win32ExitCode=1)
            return
        if self._svc_name_ == MAIN:
            _load()
        self.ReportServiceStatus(win32service.SERVICE_RUNNING)
        while not self._stopping or _behaviour("stop") in ("ignore", "pending"):
            win32event.WaitForSingleObject(self._told, 200)
        self.ReportServiceStatus(win32service.SERVICE_STOPPED)


def _behaviour(what: str) -> str:
    try:
        return str(json.loads((FOLDER / f"{Toy._svc_name_}.json").read_text()).get(what, ""))
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
