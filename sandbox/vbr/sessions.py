"""
Sessions: work that takes time and can be watched, asked to stop, or cut off.

Each one runs in its own thread, for as long as its work needs and never shorter than a session takes. A
session that was cut off is over at once; what its thread still does no longer changes it.
"""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from sandbox.vbr.faults import Faults

_PAUSE = 0.02


class SessionState(StrEnum):
    """The states that the stand-in's own sessions pass through."""

    STARTING = "Starting"
    WORKING = "Working"
    IDLE = "Idle"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class SessionKind(StrEnum):
    """What a session does; a revision has its own word for some of them."""

    BACKUP = "backup"
    BACKUP_COPY = "backup copy"
    INFRASTRUCTURE = "Infrastructure"
    CONFIGURATION_BACKUP = "ConfigurationBackup"


class SessionFailedError(Exception):
    """The work of a session failed; the text becomes its result."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One session as REST shows it."""

    kind: SessionKind
    name: str
    job_id: str
    continuous: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: SessionState = field(default=SessionState.STARTING, init=False)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC), init=False)
    ended_at: datetime | None = field(default=None, init=False)
    result: str = field(default="None", init=False)
    message: str = field(default="", init=False)
    canceled: bool = field(default=False, init=False)
    over: threading.Event = field(default_factory=threading.Event, init=False)

    @property
    def running(self) -> bool:
        return not self.over.is_set()


class Sessions:
    """Every session of this process, the newest first."""

    def __init__(self, *, duration: float, faults: Callable[[], Faults]) -> None:
        self._duration = duration
        self._faults = faults
        self._lock = threading.RLock()
        self._all: list[Session] = []
        self._threads: list[threading.Thread] = []

    def newest_first(self) -> list[Session]:
        with self._lock:
            return list(reversed(self._all))

    def find(self, session_id: str) -> Session | None:
        return next((each for each in self.newest_first() if each.id == session_id), None)

    def begin(self, session: Session, work: Callable[[Session], None]) -> Session:
        """Start *work* as *session* and return at once."""
        thread = threading.Thread(target=self._run, args=(session, work), name=f"vbr session {session.name}")
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._all.append(session)
            self._threads.append(thread)
            thread.start()
        return session

    def ask_to_stop(self, session: Session) -> None:
        """Let the session come to a good end; one that would idle on ends now."""
        with self._lock:
            if session.running:
                session.state = SessionState.STOPPING

    def cut_off(self, session: Session, reason: str) -> None:
        """End the session now, as failed."""
        self._end(session, failure=reason, canceled=True)

    def cut_off_all(self, reason: str) -> None:
        for session in self.newest_first():
            self.cut_off(session, reason)

    def join(self) -> None:
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _run(self, session: Session, work: Callable[[Session], None]) -> None:
        session.over.wait(self._duration * 0.2)
        self._move(session, SessionState.STARTING, SessionState.WORKING)
        # The time passes before the work: what a session brings about is there at its end, not before.
        session.over.wait(self._duration * 0.8)
        failure: str | None = None
        try:
            if session.running:
                work(session)
        except SessionFailedError as error:
            failure = str(error)
        if session.continuous and failure is None:
            self._move(session, SessionState.WORKING, SessionState.IDLE)
            while session.state is SessionState.IDLE:
                session.over.wait(_PAUSE)
        while session.running and session.name in self._faults().endless_jobs:
            session.over.wait(_PAUSE)
        failing = self._faults().failing_sessions
        if failure is None and (session.name in failing or session.kind in failing):
            failure = "The stand-in was asked to let this session fail."
        self._end(session, failure=failure, canceled=False)

    def _move(self, session: Session, before: SessionState, after: SessionState) -> None:
        with self._lock:
            if session.state is before:
                session.state = after

    def _end(self, session: Session, *, failure: str | None, canceled: bool) -> None:
        with self._lock:
            if not session.running:
                return
            session.state = SessionState.STOPPED
            session.ended_at = datetime.now(UTC)
            session.result = "Success" if failure is None else "Failed"
            session.message = failure or ""
            session.canceled = canceled
            session.over.set()
