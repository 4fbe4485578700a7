"""
Backup jobs, and the schedule that runs them while the backup service does.

Each object storage repository has one job. Three more belong to the installation: one that runs now and
then, one that somebody has disabled, and a copy job that idles for ever, as continuous jobs do. A client
that waits until nothing is "active" would wait for that one until the end of time.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.vbr.repositories import Repository
from sandbox.vbr.sessions import Session, SessionKind, Sessions, SessionState

_TICK = 0.02


@dataclass(slots=True, kw_only=True)
class Job:
    """One job and its latest run."""

    name: str
    description: str
    repository: Repository
    interval: float
    kind: SessionKind = SessionKind.BACKUP
    enabled: bool = True
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    latest: Session | None = field(default=None, init=False)
    due: float = field(default=0.0, init=False)
    runs: int = field(default=0, init=False)

    @property
    def running(self) -> bool:
        return self.latest is not None and self.latest.running

    @property
    def status(self) -> str:
        """Return the status in the stand-in's own words; a revision has its spelling for each."""
        if not self.enabled:
            return "disabled"
        if self.latest is None:
            return "never_run"
        if self.latest.running:
            return "stopping" if self.latest.state is SessionState.STOPPING else "running"
        return "stopped" if self.latest.canceled else "idle"


class Jobs:
    """Every job; `begin` starts the schedule."""

    def __init__(self, sessions: Sessions, work: Callable[[Job, Session], None]) -> None:
        self._sessions = sessions
        self._work = work
        self._lock = threading.Lock()
        self._all: list[Job] = []
        self._on = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._schedule, name="vbr job schedule")

    def add(self, job: Job) -> None:
        with self._lock:
            job.due = time.monotonic() + job.interval
            self._all.append(job)

    def all(self) -> list[Job]:
        with self._lock:
            return list(self._all)

    def find(self, job_id: str) -> Job | None:
        return next((each for each in self.all() if each.id == job_id.lower()), None)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def allow(self) -> None:
        """Let jobs run: the backup service is up."""
        self._on.set()

    def forbid(self) -> None:
        """Start no further run; a run that the schedule is just starting is in the list when this returns."""
        with self._lock:
            self._on.clear()

    def _schedule(self) -> None:
        while not self._ended.wait(_TICK):
            now = time.monotonic()
            with self._lock:
                for job in self._all:
                    if self._on.is_set() and job.enabled and not job.running and job.due <= now:
                        self._run(job, now)

    def _run(self, job: Job, now: float) -> None:
        session = Session(
            kind=job.kind,
            name=job.name,
            job_id=job.id,
            continuous=job.kind is SessionKind.BACKUP_COPY,
        )
        job.latest = session
        job.runs += 1
        job.due = now + job.interval
        self._sessions.begin(session, lambda session: self._work(job, session))


def stamp() -> str:
    """Name a backup file after the moment it was made, as backup files are."""
    return datetime.now(UTC).strftime("D%Y-%m-%dT%H%M%S%f")
