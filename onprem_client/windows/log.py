"""
What the client has done, for whoever looks for the reason afterwards: a file, and the Windows event log.

The file gets an entry for each command that may change something. The event log gets only what is news: an
entry that says the same as the last one is not repeated every ten minutes. A log that can't be written
never turns a good run into a bad one.
"""

import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

LOG_FILE = "client.log"
MAXIMUM_BYTES = 1_000_000
KEPT_FILES = 5

if sys.platform == "win32":
    import winreg

    EVENT_SOURCE = "vbr-privatelink"
    _SOURCE_KEY = rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{EVENT_SOURCE}"
    # Windows' own program whose message 1 to 1000 is the text that is handed over.
    _MESSAGES = r"%SystemRoot%\System32\EventCreate.exe"
    _ERROR = 0x1
    _INFORMATION = 0x4
    _DONE_EVENT = 100

    class _EventLogApi(Protocol):
        """What is used of pywin32's win32evtlog."""

        def RegisterEventSource(self, server: str | None, source: str) -> Any: ...  # noqa: N802

        def ReportEvent(  # noqa: N802
            self, log: Any, kind: int, category: int, event: int, user: Any, texts: list[str], data: None
        ) -> None: ...

        def DeregisterEventSource(self, log: Any) -> None: ...  # noqa: N802

    def register_event_source() -> None:
        """Tell the Event Viewer how to show our entries; without this it shows them with an apology."""
        with suppress(OSError), winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, _SOURCE_KEY) as key:
            winreg.SetValueEx(key, "EventMessageFile", 0, winreg.REG_EXPAND_SZ, _MESSAGES)
            winreg.SetValueEx(key, "TypesSupported", 0, winreg.REG_DWORD, 7)

    def unregister_event_source() -> None:
        """Forget the source again."""
        with suppress(OSError):
            winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, _SOURCE_KEY)

    def _report_event(text: str, exit_code: int) -> None:
        try:
            error = cast("type[Exception]", importlib.import_module("pywintypes").error)
            api = cast("_EventLogApi", importlib.import_module("win32evtlog"))
        except ImportError:
            return  # Without pywin32 nothing works, and that is said elsewhere.
        # The number tells the outcome, so that monitoring needn't read the text: an exit code, or 100.
        kind, event = (_ERROR, exit_code) if exit_code else (_INFORMATION, _DONE_EVENT)
        with suppress(error):
            log = api.RegisterEventSource(None, EVENT_SOURCE)
            try:
                api.ReportEvent(log, kind, 0, event, None, [text], None)
            finally:
                api.DeregisterEventSource(log)

else:

    def register_event_source() -> None:
        """There is no Windows event log here."""

    def unregister_event_source() -> None:
        """There is no Windows event log here."""

    def _report_event(_text: str, _exit_code: int) -> None:
        """There is no Windows event log here."""


class RunLog:
    """client.log in the state folder, and the event log where there is one."""

    def __init__(self, state_folder: Path) -> None:
        self._file = state_folder / LOG_FILE

    def record(self, *, at: str, command: str, exit_code: int, lines: Sequence[str]) -> None:
        """Append one entry; does nothing where the state folder doesn't exist."""
        said = "\n".join([f"{command}: exit code {exit_code}", *(f"    {line}" for line in lines)])
        try:
            news = self._last() != said
            self._rotate()
            with self._file.open(
                "a", encoding="utf-8", newline="\r\n" if sys.platform == "win32" else "\n"
            ) as file:
                file.write(f"{at} {said}\n")
        except OSError as error:
            news = True
            said += f"\n    (client.log can't be written: {error.strerror})"
        if news:
            _report_event(said, exit_code)

    def _last(self) -> str | None:
        """Return the last entry without its time."""
        try:
            text = self._file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        entries = [line for line in text.splitlines() if line]
        begins = [number for number, line in enumerate(entries) if not line.startswith(" ")]
        if not begins:
            return None
        first, *rest = entries[begins[-1] :]
        return "\n".join([first.partition(" ")[2], *rest])

    def _rotate(self) -> None:
        with suppress(FileNotFoundError):
            if self._file.stat().st_size < MAXIMUM_BYTES:
                return
            for number in range(KEPT_FILES - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self._file.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._file.with_name(f"{LOG_FILE}.{number}")
