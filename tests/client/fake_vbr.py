"""
VBR's REST API in memory.

It answers only while the service runs, as the real one does, and it is a witness: whoever stops the service
while jobs are enabled, work runs or the configuration isn't backed up is remembered.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from onprem_client.errors import VbrError, VbrMissingError
from onprem_client.secret import Secret
from onprem_client.veeam.protocols import (
    Credential,
    Job,
    NewRepository,
    Place,
    Repository,
    ServerInfo,
    Session,
)

INFO = ServerInfo(
    id="0b5b8f2e-6d0b-4f0e-9f2c-1f4f6f1f2f3f",
    name="vbr01",
    version="13.0.1.1000",
    revision="1.3-rev1",
    linux=False,
    unseen=("tape jobs",),
    blind=False,
)
BLIND = replace(
    INFO,
    version="12.3.1.1000",
    revision="1.2-rev1",
    unseen=("agent jobs", "backup copy jobs", "tape jobs", "offload to object storage"),
    blind=True,
)
ENABLED = {"j1": True, "j2": True, "off": False}


@dataclass
class Running:
    """Work that ends after so many looks at it; None: never by itself."""

    name: str
    job_id: str | None
    looks: int | None
    type: str = "BackupJob"
    stubborn: bool = False
    """It doesn't end when it is asked to with grace."""
    stopped: bool = False


class FakeVbr:
    """One VBR server."""

    def __init__(self, is_up: Callable[[], bool] = lambda: True) -> None:
        self.is_up = is_up
        self.server = INFO
        self.job_states: dict[str, bool | None] = dict(ENABLED)
        self.running: list[Running] = []
        self.backups: list[str] = []
        self.backup_result = "Success"
        self.found: list[Repository] = []
        self.keys: dict[str, tuple[str, Secret]] = {}
        self.buckets: dict[str, set[str]] = {"vbr-tokyo": set()}
        self.owners: dict[tuple[str, str], str] = {}
        self.offline: set[str] = set()
        self.wakes_up: set[str] = set()
        self.adding: dict[str, tuple[NewRepository, str | None]] = {}
        self.added: list[NewRepository] = []
        self.browsed = 0
        self.calls: list[str] = []
        self.violations: list[str] = []

    def witness_stop(self) -> None:
        """The service is told to stop."""
        self.violations += [f"{job} is enabled" for job, enabled in self.job_states.items() if enabled]
        self.violations += [f"{one.name} runs" for one in self.running if not one.stopped]
        if not self.backups:
            self.violations.append("the configuration is not backed up")
        self.running = []

    def info(self) -> ServerInfo:
        self._enter("info")
        return self.server

    def jobs(self) -> tuple[Job, ...]:
        self._enter("jobs")
        return tuple(
            Job(id=job, name=f"Job {job}", enabled=enabled) for job, enabled in self.job_states.items()
        )

    def work(self) -> tuple[Session, ...]:
        self._enter("work")
        for one in self.running:
            if one.looks is not None:
                one.looks -= 1
                one.stopped = one.stopped or one.looks < 0
        return tuple(
            Session(
                id=f"session of {one.name}",
                name=one.name,
                type=one.type,
                job_id=one.job_id,
                state="Working",
                over=False,
                resting=False,
            )
            for one in self.running
            if not one.stopped
        )

    def session(self, session_id: str) -> Session:
        self._enter("session")
        result, message = self.backup_result, ""
        if session_id in self.adding:
            _new, problem = self.adding[session_id]
            result, message = ("Success", "") if problem is None else ("Failed", problem)
            self._settle()
        return Session(
            id=session_id,
            name=session_id,
            type="Infrastructure",
            job_id=None,
            state="Stopped",
            over=True,
            resting=False,
            result=result,
            message=message,
        )

    def repositories(self) -> tuple[Repository, ...]:
        self._enter("repositories")
        return tuple(self.found)

    def is_online(self, repository: Repository) -> bool | None:
        self._enter("is_online")
        return repository.name not in self.offline

    def credentials(self) -> tuple[Credential, ...]:
        self._enter("credentials")
        return tuple(Credential(id=one, access_key_id=key) for one, (key, _secret) in self.keys.items())

    def managed_servers(self) -> dict[str, str]:
        self._enter("managed_servers")
        return {"vbr01": "m1", "gateway": "m2"}

    def folders(self, place: Place) -> tuple[str, ...]:
        self._enter("folders")
        self.browsed += 1
        if place.bucket not in self.buckets:
            raise VbrError(f"VBR answered 400: no way to {place.bucket}", status=400)
        return tuple(sorted(self.buckets[place.bucket]))

    def rescan(self, repository: Repository) -> str | None:
        self._enter("rescan")
        if repository.name in self.wakes_up:
            self.offline.discard(repository.name)
        return "rescan"

    def back_up_configuration(self) -> str:
        self._enter("back_up_configuration")
        self.backups.append(f"backup {len(self.backups)}")
        return self.backups[-1]

    def disable_job(self, job_id: str) -> None:
        self._switch(job_id, enabled=False)

    def enable_job(self, job_id: str) -> None:
        self._switch(job_id, enabled=True)

    def stop_job(self, job_id: str, *, gracefully: bool) -> None:
        self._enter(f"stop_job {'gracefully' if gracefully else 'at once'}")
        for one in self.running:
            if one.job_id == job_id and not (gracefully and one.stubborn):
                one.stopped = True

    def add_credential(self, access_key_id: str, secret_key: Secret, description: str) -> str:  # noqa: ARG002
        self._enter("add_credential")
        self.keys[f"c{len(self.keys) + 1}"] = (access_key_id, secret_key)
        return f"c{len(self.keys)}"

    def add_folder(self, place: Place, name: str) -> None:
        self._enter("add_folder")
        if name in self.buckets[place.bucket]:
            raise VbrError("VBR answered 400: the folder already exists", status=400)
        self.buckets[place.bucket].add(name)

    def add_repository(self, new: NewRepository) -> str:
        self._enter("add_repository")
        self._settle()
        problem: str | None = None
        owner = self.owners.get((new.place.bucket, new.folder), "me")
        if new.name in {one.name for one in self.found}:
            problem = f"there is already a repository named {new.name}"
        elif owner != "me" and not new.take_ownership:
            problem = "the folder belongs to another backup server"
        elif new.folder not in self.buckets[new.place.bucket]:
            problem = "there is no such folder"
        session = f"add {len(self.added)}"
        self.added.append(new)
        self.adding[session] = (new, problem)
        return session

    def _settle(self) -> None:
        """Let what was begun come to its end; VBR does that whether anybody looks or not."""
        for new, problem in self.adding.values():
            if problem is None:
                self.owners[new.place.bucket, new.folder] = "me"
                self.found.append(
                    Repository(
                        id=f"r{len(self.found) + 1}",
                        name=new.name,
                        type="AmazonS3" if new.place.service_point is None else "S3Compatible",
                        region=new.place.region,
                        bucket=new.place.bucket,
                        folder=new.folder,
                        service_point=new.place.service_point,
                        immutability_days=new.immutability_days,
                    )
                )
        self.adding.clear()

    def _switch(self, job_id: str, *, enabled: bool) -> None:
        self._enter("enable_job" if enabled else "disable_job")
        if job_id not in self.job_states:
            raise VbrMissingError("VBR answered 404: no such job", status=404)
        self.job_states[job_id] = enabled

    def _enter(self, call: str) -> None:
        if not self.is_up():
            raise VbrError("VBR answered 503: not available (tried again for 180 s)", status=503)
        self.calls.append(call)
