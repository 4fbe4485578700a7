"""
The backup service itself: what it reads at its start, what it holds, and the work of its sessions.

It reads the region list once, when it starts. Unless the registry forbids it, it refreshes the list
before that, which is how an override without the registry value gets lost.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sandbox.vbr.atomic_files import JsonLines, replace_bytes
from sandbox.vbr.faults import Faults
from sandbox.vbr.jobs import Job, Jobs, stamp
from sandbox.vbr.object_storage import CloudCredentials, Folder, ObjectStorage, ObjectStorageError
from sandbox.vbr.regions import FILE_NAME, RegionList, RegionListError, default_file
from sandbox.vbr.registry import RegistryError, RegistryFile
from sandbox.vbr.repositories import Repositories, Repository
from sandbox.vbr.s3 import S3Access, S3Connector
from sandbox.vbr.services import ServiceStartError
from sandbox.vbr.sessions import Session, SessionFailedError, SessionKind, Sessions

NO_JOB = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedServer:
    """The one server of this installation: it is backup, proxy, gateway and mount server."""

    id: str
    name: str


class BackupServer:
    """Everything that the REST API shows and the services start and stop."""

    def __init__(
        self,
        folder: Path,
        connector: S3Connector,
        *,
        backup_interval: float,
        session_duration: float,
        folder_must_exist: bool,
        platform: str = "Windows",
    ) -> None:
        self.platform = platform
        self.id = str(uuid.uuid4())
        self.this_server = ManagedServer(id=str(uuid.uuid4()), name="vbr01.sandbox.example")
        self.registry = RegistryFile(folder / "registry.json")
        self.credentials = CloudCredentials()
        self.repositories = Repositories()
        self.sessions = Sessions(duration=session_duration, faults=self.faults)
        self.jobs = Jobs(self.sessions, self._run_job)
        self.storage = ObjectStorage(
            connector,
            self.credentials,
            owner=self.id,
            regions=lambda: self._regions,
            folder_must_exist=folder_must_exist,
        )
        self._folder = folder
        self._backups = JsonLines(folder / "backups.jsonl")
        self._interval = backup_interval
        self._regions: RegionList | None = None
        self._region_defaults = default_file()
        self._seed()

    def faults(self) -> Faults:
        return Faults.read(self._folder)

    @property
    def regions(self) -> RegionList | None:
        return self._regions

    def install(self) -> None:
        """Lay out the install folder and the registry as a fresh installation does."""
        if self.platform != "Windows":
            return  # The appliance keeps its list where nobody may edit it.
        core = self._folder / "Backup"
        core.mkdir(parents=True, exist_ok=True)
        replace_bytes(core / FILE_NAME, self._region_defaults)
        self.registry.create(core_path=core)

    def upgrade(self) -> None:
        """Put the region list of a newer version in place, whatever the registry says."""
        self._region_defaults = default_file(upgraded=True)
        if self.platform != "Windows":
            return
        replace_bytes(self.registry.core_path() / FILE_NAME, self._region_defaults)

    def read_configuration(self) -> None:
        """Do what the service does at its start."""
        fault = self.faults().start_fails
        if fault:
            raise ServiceStartError(fault)
        if self.platform != "Windows":
            self._regions = RegionList.parse(self._region_defaults)
            return
        try:
            file = self.registry.core_path() / FILE_NAME
            if not self.registry.keeps_region_list():
                replace_bytes(file, self._region_defaults)
            self._regions = RegionList.parse(file.read_bytes())
        except (RegistryError, RegionListError, OSError) as error:
            raise ServiceStartError(str(error)) from error

    def come_up(self) -> None:
        self.jobs.allow()

    def go_down(self) -> None:
        """Forget what was read, and cut off what still runs: nobody drains a service that is stopped."""
        self.jobs.forbid()
        self.sessions.cut_off_all("The backup service was stopped while this session was running.")
        self._regions = None

    def add_repository(self, repository: Repository, folder: Folder, *, overwrite_owner: bool) -> Session:
        """Connect to the bucket; the repository and its job exist once that has succeeded."""

        def connect() -> None:
            self.storage.check(folder)
            self.storage.take(folder, overwrite_owner=overwrite_owner)
            if not self.repositories.add(repository):
                raise ObjectStorageError(f"there is already a repository named {repository.name}")
            self.jobs.add(
                Job(
                    name=f"Backup to {repository.name}",
                    description="Made with the repository.",
                    repository=repository,
                    interval=self._interval,
                )
            )

        return self._begin(SessionKind.INFRASTRUCTURE, f"Add repository {repository.name}", connect)

    def rescan(self, repositories: list[Repository]) -> Session:
        def check_each() -> None:
            failures = [failure for each in repositories if (failure := self._check(each)) is not None]
            if failures:
                raise ObjectStorageError("; ".join(failures))

        return self._begin(SessionKind.INFRASTRUCTURE, "Rescan repositories", check_each)

    def back_up_configuration(self) -> Session:
        return self._begin(SessionKind.CONFIGURATION_BACKUP, "Configuration backup", lambda: None)

    def _begin(self, kind: SessionKind, name: str, work: Callable[[], None]) -> Session:
        def run(_session: Session) -> None:
            try:
                work()
            except ObjectStorageError as error:
                raise SessionFailedError(str(error)) from error

        return self.sessions.begin(Session(kind=kind, name=name, job_id=NO_JOB), run)

    def _check(self, repository: Repository) -> str | None:
        try:
            if repository.folder is not None:
                self.storage.check(repository.folder)
        except ObjectStorageError as error:
            repository.online = False
            return f"{repository.name}: {error}"
        repository.online = True
        return None

    def _run_job(self, job: Job, session: Session) -> None:
        """Back up through each endpoint of the repository; one failure fails the run."""
        folder = job.repository.folder
        if folder is None:
            return  # The local repository: time passes, and nothing else that could be seen.
        slug = re.sub(r"[^A-Za-z0-9]+", "-", job.name).strip("-")
        name = f"{folder.prefix}{slug}/{slug}{stamp()}"
        try:
            accesses = self.storage.accesses(folder.place)
        except ObjectStorageError as error:
            self._record(job, folder, endpoint=None, key=f"{name}.vbk", error=str(error))
            job.repository.online = False
            raise SessionFailedError(str(error)) from error
        failures = []
        for number, access in enumerate(accesses):
            if not session.running:
                return
            failure = self._back_up(job, folder, access, key=f"{name}-{number}.vbk")
            failures += [failure] if failure is not None else []
        job.repository.online = not failures
        if failures:
            raise SessionFailedError("; ".join(failures))

    def _back_up(self, job: Job, folder: Folder, access: S3Access, *, key: str) -> str | None:
        failure = None
        try:
            self.storage.back_up(access, folder, key=key, body=f"{job.name}, run {job.runs}\n".encode())
        except ObjectStorageError as error:
            failure = str(error)
        self._record(job, folder, endpoint=access.host, key=key, error=failure)
        return failure

    def _record(self, job: Job, folder: Folder, *, endpoint: str | None, key: str, error: str | None) -> None:
        self._backups.append(
            json.dumps(
                {
                    "at": datetime.now(UTC).isoformat(),
                    "repository": job.repository.name,
                    "endpoint": endpoint,
                    "bucket": folder.bucket,
                    "key": key,
                    "ok": error is None,
                    "error": error,
                }
            )
        )

    def _seed(self) -> None:
        local = Repository(
            settings={
                "name": "Default Backup Repository",
                "description": "Made by the installation.",
                "type": "WinLocal",
                "hostId": self.this_server.id,
                "repository": {"path": "D:\\Backup"},
            },
            folder=None,
        )
        self.repositories.add(local)
        seeded = (
            ("File server", "Every now and then.", SessionKind.BACKUP, True),
            ("Old intranet", "Disabled when the intranet was switched off.", SessionKind.BACKUP, False),
            ("Copy to the second site", "Continuous.", SessionKind.BACKUP_COPY, True),
        )
        for name, description, kind, enabled in seeded:
            self.jobs.add(
                Job(
                    name=name,
                    description=description,
                    repository=local,
                    interval=0.0 if kind is SessionKind.BACKUP_COPY else self._interval * 5,
                    kind=kind,
                    enabled=enabled,
                )
            )
