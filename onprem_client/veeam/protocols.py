"""
What the client needs from VBR's REST API.

Adapters raise VbrError and nothing else for what an operator can meet. A method is either a pure read or one
change, so that being killed before or after it is all that can happen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from onprem_client.secret import Secret

Sources = Callable[[], "Vbr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """Which server answers, and how much of its work its revision shows."""

    id: str
    name: str
    version: str | None
    revision: str
    linux: bool
    unseen: tuple[str, ...]
    """Kinds of work that the lists of this revision leave out."""
    blind: bool
    """They leave out so much that nobody can say whether anything runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job; `enabled` is None when its status is one that we don't know."""

    id: str
    name: str
    enabled: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session: `over` when it has stopped, `resting` when it idles as continuous jobs do."""

    id: str
    name: str
    type: str
    job_id: str | None
    state: str
    over: bool
    resting: bool
    result: str | None = None
    message: str = ""

    def __str__(self) -> str:
        return f"{self.name or self.type or self.id} ({self.type}, {self.state})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One repository; what it doesn't have, or what can't be read, is None."""

    id: str
    name: str
    type: str
    region: str | None = None
    bucket: str | None = None
    folder: str | None = None
    service_point: str | None = None
    immutability_days: int = 0

    @property
    def follows_region_file(self) -> bool:
        """Say whether its endpoint comes from AmazonS3Regions.xml."""
        return self.type.lower().startswith("amazons3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A cloud credential: the key's id, never its secret."""

    id: str
    access_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a bucket is; with a service point it is S3-compatible storage, without one Amazon S3."""

    credential_id: str
    region: str
    bucket: str
    service_point: str | None = None
    gateway_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRepository:
    """A repository to be added."""

    name: str
    description: str
    place: Place
    folder: str
    immutability_days: int
    write_cache_folder: str | None
    take_ownership: bool


class Vbr(Protocol):
    """One VBR server, signed in when the first call needs it."""

    def info(self) -> ServerInfo: ...

    def jobs(self) -> tuple[Job, ...]: ...

    def work(self) -> tuple[Session, ...]:
        """List the sessions that are neither over nor resting."""
        ...

    def session(self, session_id: str) -> Session: ...

    def repositories(self) -> tuple[Repository, ...]: ...

    def is_online(self, repository: Repository) -> bool | None:
        """Say whether a repository is online; None where the revision doesn't tell."""
        ...

    def credentials(self) -> tuple[Credential, ...]: ...

    def managed_servers(self) -> dict[str, str]:
        """Return the id of each managed server under its name in lower case."""
        ...

    def folders(self, place: Place) -> tuple[str, ...]:
        """Look into a bucket now, past every cache: the test that VBR reaches it."""
        ...

    def rescan(self, repository: Repository) -> str | None:
        """Let VBR look at a repository again; None where the revision can't."""
        ...

    def back_up_configuration(self) -> str: ...

    def disable_job(self, job_id: str) -> None: ...

    def enable_job(self, job_id: str) -> None: ...

    def stop_job(self, job_id: str, *, gracefully: bool) -> None: ...

    def add_credential(self, access_key_id: str, secret_key: Secret, description: str) -> str: ...

    def add_folder(self, place: Place, name: str) -> None: ...

    def add_repository(self, new: NewRepository) -> str: ...
