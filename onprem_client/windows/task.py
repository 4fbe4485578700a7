"""
The scheduled task that calls `run`: its definition as a text, and registering it.

`definition` is a pure function, so that what `--print` shows is what is registered.
"""

import importlib
import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol, cast
from xml.sax.saxutils import escape

from onprem_client.errors import ConfigurationError, ServerError

NAME = "vbr-privatelink"
SYSTEM = "SYSTEM"

_SYSTEM_IDENTIFIER = "S-1-5-18"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the task starts."""

    program: PurePath
    arguments: str
    folder: PurePath


def definition(command: Command, *, account: str) -> str:
    """
    Return the task in Windows' own format, for SYSTEM or a group managed service account.

    Every five minutes with a random delay, so that many servers don't ask at once; a few minutes after the
    server's start; with highest privileges, because it controls services; never twice at once; ended after
    an hour; whether somebody is logged on or not, without a stored password.
    """
    # A text is escaped, whatever the account's or the folder's name is.
    if account.upper() == SYSTEM:
        who, logon = _SYSTEM_IDENTIFIER, ""
    elif account.endswith("$") and "\\" in account:
        # For a managed service account this means: Windows fetches the password, nobody stores one.
        who, logon = account, "\n      <LogonType>Password</LogonType>"
    else:
        raise ConfigurationError(
            f"{ascii(account)} is neither SYSTEM nor a group managed service account such as DOMAIN\\vbr-client$"
        )
    return f"""<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.3" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Author>VBR PrivateLink</Author>
    <Description>Lets Veeam Backup &amp; Replication back up through a private S3 endpoint.</Description>
    <URI>\\{NAME}</URI>
  </RegistrationInfo>
  <Triggers>
    <TimeTrigger>
      <Repetition>
        <Interval>PT5M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <StartBoundary>2026-01-01T00:00:00</StartBoundary>
      <Enabled>true</Enabled>
      <RandomDelay>PT2M</RandomDelay>
    </TimeTrigger>
    <BootTrigger>
      <Enabled>true</Enabled>
      <Delay>PT2M</Delay>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(who)}</UserId>{logon}
      <RunLevel>HighestAvailable</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT1H</ExecutionTimeLimit>
    <Priority>7</Priority>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(str(command.program))}</Command>
      <Arguments>{escape(command.arguments)}</Arguments>
      <WorkingDirectory>{escape(str(command.folder))}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


class Tasks(Protocol):
    """The machine's scheduled tasks; raises ServerError."""

    def install(self, xml: str, *, account: str) -> None: ...

    def remove(self) -> bool: ...


if sys.platform == "win32":
    _CREATE_OR_UPDATE = 6
    _LOGON_PASSWORD = 1
    _LOGON_SERVICE_ACCOUNT = 5
    _FILE_NOT_FOUND = -2147024894

    class ScheduledTasks:
        """Windows' task scheduler, through its COM interface."""

        def __init__(self) -> None:
            try:
                self._error = cast("type[Exception]", importlib.import_module("pywintypes").com_error)
                client = cast("Any", importlib.import_module("win32com.client.dynamic"))
            except ImportError as error:
                raise ServerError("pywin32 is not installed; no task can be registered without it") from error
            try:
                service = client.Dispatch("Schedule.Service")
                service.Connect()
                self._folder = service.GetFolder("\\")
            except self._error as error:
                raise ServerError(f"the task scheduler can't be reached: {_reason(error)}") from error

        def install(self, xml: str, *, account: str) -> None:
            """Register the task, or put the new definition in the place of the old one."""
            managed = account.upper() != SYSTEM
            logon = _LOGON_PASSWORD if managed else _LOGON_SERVICE_ACCOUNT
            user = account if managed else _SYSTEM_IDENTIFIER
            try:
                self._folder.RegisterTask(NAME, xml, _CREATE_OR_UPDATE, user, None, logon, None)
            except self._error as error:
                raise ServerError(f"the task can't be registered: {_reason(error)}") from error

        def remove(self) -> bool:
            """Remove the task; say whether there was one."""
            try:
                self._folder.DeleteTask(NAME, 0)
            except self._error as error:
                if _FILE_NOT_FOUND in _codes(error):
                    return False
                raise ServerError(f"the task can't be removed: {_reason(error)}") from error
            return True

        def xml(self) -> str | None:
            """Return the registered definition, or None when there is no task."""
            try:
                return str(self._folder.GetTask(NAME).Xml)
            except self._error as error:
                if _FILE_NOT_FOUND in _codes(error):
                    return None
                raise ServerError(f"the task can't be read: {_reason(error)}") from error

    def _codes(error: Exception) -> set[int]:
        """Return the code, and the one inside that a COM object hands on."""
        code, _text, inner, *_rest = (*error.args, None, None, None)
        return {one for one in (code, inner[5] if inner else None) if isinstance(one, int)}

    def _reason(error: Exception) -> str:
        code, text, inner, *_rest = (*error.args, None, None, None)
        return f"{(inner and inner[2]) or text} (error {code})"


def tasks() -> Tasks:
    """Return this machine's scheduled tasks."""
    if sys.platform == "win32":
        return ScheduledTasks()
    raise ConfigurationError(
        "scheduled tasks are Windows'; here, let cron or a systemd timer call `run` every five minutes"
    )
