"""
VBR's jobs and what runs, around a restart of the service.

Before it: a backup of the configuration, exactly the enabled jobs disabled, and what runs drained. After it,
and whatever happens: exactly those jobs enabled again. Which ones is in the journal before the first is
disabled. A run that belongs to a job may be stopped on explicit consent; anything else, a restore above all,
is only ever waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from onprem_client.clock import Clock
from onprem_client.errors import BusyError, JobsDisabledError, VbrError, VbrMissingError
from onprem_client.journal import Aside, Journal
from onprem_client.plan import Change
from onprem_client.veeam.protocols import Job, Session, Vbr

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_BACKUP_SECONDS = 900.0
# A session may be between two states at the very moment of a look.
_QUIET_LOOKS = 2
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Jobs and sessions as they were when the plan was made; what is done looks again."""

    jobs: tuple[Job, ...]
    sessions: tuple[Session, ...]

    @property
    def enabled(self) -> tuple[Job, ...]:
        """Return the jobs to put aside."""
        return tuple(job for job in self.jobs if job.enabled)


def read(vbr: Vbr) -> Work:
    """Look at what is there."""
    return Work(jobs=vbr.jobs(), sessions=vbr.work())


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiesce:
    """How far the server is to be brought to rest."""

    vbr: Vbr
    clock: Clock
    configuration_backup: bool
    drain_timeout: float
    stop_timeout: float
    stop_running: bool

    def before(self, work: Work, journal: Journal) -> list[Change]:
        """Describe what comes before the restart."""
        backup = Change(
            resource="backup of VBR's configuration",
            before=None,
            after="made",
            do=self._back_up_configuration,
            undo=_nothing,
        )
        jobs = Change(
            resource=f"jobs {_names([job.name for job in work.enabled])}",
            before="enabled",
            after="disabled",
            do=lambda: self._put_aside(journal),
            undo=lambda: self.enable(journal),
        )
        then = "what jobs still run is stopped" if self.stop_running else "else all is left as it was"
        drain = Change(
            resource="running work",
            before=_names([str(session) for session in work.sessions]),
            after=f"none, within {self.drain_timeout:g} s; {then}",
            do=self._drain,
            undo=_nothing,
        )
        return [*([backup] if self.configuration_backup else []), jobs, drain]

    def after(self, work: Work, journal: Journal) -> Change:
        """Describe what comes after it."""
        return Change(
            resource=f"jobs {_names([job.name for job in work.enabled])}",
            before="disabled",
            after="enabled",
            do=lambda: self.enable(journal),
            undo=_nothing,
        )

    def enable(self, journal: Journal) -> None:
        """Enable what the journal says was put aside, once VBR answers."""
        aside = journal.aside
        if aside is None:
            return
        try:
            left = self._enable_each(aside)
        except VbrError as error:
            raise JobsDisabledError(
                f"jobs put aside at {aside.since} could not be enabled again ({_names(aside.names)}): {error}"
            ) from error
        if left:
            raise JobsDisabledError(f"jobs put aside at {aside.since} are still disabled: {'; '.join(left)}")
        journal.take_back()

    def _enable_each(self, aside: Aside) -> list[str]:
        """Enable every job, also when one can't be; return what is left, with its reason."""
        reasons: dict[str, str] = {}
        now = {job.id: job.enabled for job in self.vbr.jobs()}
        for job_id in aside.jobs:
            if now.get(job_id):
                continue
            try:
                self.vbr.enable_job(job_id)
            except VbrMissingError:
                continue  # Somebody deleted it meanwhile.
            except VbrError as error:
                reasons[job_id] = str(error)
        disabled = {job.id for job in self.vbr.jobs() if job.enabled is False}
        return [
            f"{name}{f' ({reasons[job_id]})' if job_id in reasons else ''}"
            for job_id, name in aside.jobs.items()
            if job_id in disabled
        ]

    def _put_aside(self, journal: Journal) -> None:
        enabled = {job.id: job.name for job in self.vbr.jobs() if job.enabled}
        journal.put_aside(Aside(jobs=enabled, since=self.clock.now()))
        for job_id in enabled:
            try:
                self.vbr.disable_job(job_id)
            except VbrMissingError:
                continue
        left = [job.name for job in self.vbr.jobs() if job.enabled]
        if left:
            raise VbrError(f"jobs are still enabled though VBR accepted to disable them: {_names(left)}")

    def _back_up_configuration(self) -> None:
        session = self._ended(self.vbr.back_up_configuration())
        if session.result is None or session.result.lower() not in ("success", "warning"):
            raise VbrError(
                f"the backup of VBR's configuration failed ({session.message or session.result}); repair it, "
                "or switch it off with vbr.configuration_backup = false"
            )

    def _ended(self, session_id: str) -> Session:
        give_up, pause = self.clock.monotonic() + _BACKUP_SECONDS, _FIRST_PAUSE_SECONDS
        while not (session := self.vbr.session(session_id)).over:
            if self.clock.monotonic() >= give_up:
                raise BusyError(f"{session} did not end within {_BACKUP_SECONDS:g} s")
            self.clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return session

    def _drain(self) -> None:
        left = self._wait_for_rest(self.drain_timeout)
        for gracefully in (True, False):
            if left and self.stop_running:
                self._stop(left, gracefully=gracefully)
                left = self._wait_for_rest(self.stop_timeout)
        if left:
            raise BusyError(
                f"still running after {self.drain_timeout:g} s: {_names([str(session) for session in left])}"
                + (
                    "; only runs of jobs are ever stopped, everything else must end by itself"
                    if self.stop_running
                    else "; try again later, or allow runs of jobs to be stopped with --stop-running"
                )
            )

    def _stop(self, sessions: Sequence[Session], *, gracefully: bool) -> None:
        jobs = {job.id for job in self.vbr.jobs()}
        for job_id in dict.fromkeys(session.job_id for session in sessions):
            if job_id in jobs and job_id is not None:
                try:
                    self.vbr.stop_job(job_id, gracefully=gracefully)
                except VbrError as error:
                    if error.status is None:
                        raise
                    # It has ended meanwhile, or can't be stopped like this: the next look tells.

    def _wait_for_rest(self, timeout: float) -> tuple[Session, ...]:
        """Return what still runs at the end of the time, or nothing as soon as nothing runs."""
        give_up, pause, quiet = self.clock.monotonic() + timeout, _FIRST_PAUSE_SECONDS, 0
        while True:
            left = self.vbr.work()
            quiet = 0 if left else quiet + 1
            if quiet >= _QUIET_LOOKS:
                return ()
            if left and self.clock.monotonic() >= give_up:
                return left
            self.clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS) if left else _FIRST_PAUSE_SECONDS


def _names(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _nothing() -> None:
    """Take nothing back."""
