"""
The scheduled task that calls `run`: its definition as a text, and registering it.

`definition` is a pure function, so that what `--print` shows is what is registered.
"""

import hashlib
import locale
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from xml.sax.saxutils import escape

from onprem_client.errors import ConfigurationError, ServerError
from onprem_client.windows.log import register_event_source, unregister_event_source
from onprem_client.windows.permissions import ensure_private_folder

NAME = "vbr-privatelink"
SYSTEM = "SYSTEM"

_SYSTEM_IDENTIFIER = "S-1-5-18"
INTERVAL = timedelta(minutes=10)
_SOME_MIDNIGHT = datetime(2026, 1, 1)  # noqa: DTZ001, the scheduler's own clock is local


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the task starts."""

    program: PurePath
    arguments: str
    folder: PurePath


def phase(server: str) -> timedelta:
    """
    Return when within each interval this server asks; whole seconds.

    Parameter Store answers 40 requests a second by default (AWS General Reference, "AWS Systems Manager
    endpoints and quotas"). The name decides, not chance: after a power failure, too, every server asks at its
    own second. There is no trigger at the start of the server and no catching up, for the same reason.
    """
    digest = hashlib.sha256(server.casefold().encode()).digest()
    return timedelta(seconds=int.from_bytes(digest) % int(INTERVAL.total_seconds()))


def definition(command: Command, *, account: str, server: str) -> str:
    """
    Return the task in Windows' own format, for SYSTEM or a group managed service account.

    Every ten minutes, each server at its own second, so that many don't ask at once; with highest
    privileges, because it controls services; never twice at once; ended after an hour; whether somebody is
    logged on or not, without a stored password.
    """
    # A text is escaped, whatever the account's or the folder's name is.
    if account.upper() == SYSTEM:
        who, logon = _SYSTEM_IDENTIFIER, ""
    elif account.endswith("$") and "\\" in account:
        # For a managed service account this means: Windows fetches the password, nobody stores one.
        who, logon = account, "\n      <LogonType>Password</LogonType>"
    else:
        raise ConfigurationError(
            f"{account!a} is neither SYSTEM nor a group managed service account such as DOMAIN\\vbr-client$"
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
        <Interval>PT{int(INTERVAL.total_seconds()) // 60}M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <StartBoundary>{(_SOME_MIDNIGHT + phase(server)).isoformat()}</StartBoundary>
      <Enabled>true</Enabled>
    </TimeTrigger>
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
    <StartWhenAvailable>false</StartWhenAvailable>
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


def install(xml: str, *, account: str, state_folder: Path, ours: bool) -> None:
    """Register the task, or put the new definition in the place of the old one; raises ServerError."""
    _need_windows()
    # In the state folder, where nobody else could change it before it is read.
    ensure_private_folder(state_folder, ours=ours)
    file = state_folder / "task.xml"
    managed = [] if account.upper() == SYSTEM else ["/ru", account, "/rp", ""]
    try:
        file.write_text(xml, encoding="utf-16", newline="\r\n")
        _schtasks("registered", "/create", "/f", "/tn", NAME, "/xml", str(file), *managed)
    except OSError as error:
        raise ServerError(f"the task can't be registered: {error.strerror}") from error
    finally:
        file.unlink(missing_ok=True)
    register_event_source()


def remove() -> bool:
    """Remove the task; say whether there was one."""
    _need_windows()
    if not registered_file().exists():
        return False
    _schtasks("removed", "/delete", "/f", "/tn", NAME)
    unregister_event_source()
    return True


def registered_file() -> Path:
    """Return where Windows keeps the definition."""
    return _system_folder() / "Tasks" / NAME


def _schtasks(done: str, *arguments: str) -> None:
    with subprocess.Popen(
        [_system_folder() / "schtasks.exe", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise ServerError("the task scheduler does not answer") from error
        if code and process.stdout is not None:
            # What it prints is short; and not to its end, which a program that it started might hold open.
            output = os.read(process.stdout.fileno(), 4096).decode(locale.getencoding(), "replace")
            reason = " ".join(output.split()) or f"schtasks ended with {code}"
            raise ServerError(f"the task can't be {done}: {reason}")


def _system_folder() -> Path:
    return Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"


def _need_windows() -> None:
    if sys.platform != "win32":
        raise ConfigurationError(
            "scheduled tasks are Windows'; here, let cron or a systemd timer call `run` every ten minutes"
        )
