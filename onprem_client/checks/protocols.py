"""What the checks need from the network. Adapters raise NetworkError, whose text is the reason."""

from dataclasses import dataclass
from typing import Protocol

from onprem_client.secret import Secret


class NetworkError(Exception):
    """Something could not be reached, or refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a server's certificate says, after it has been verified for the name."""

    expires: str
    revocation_hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket, the way to it, and the key to use."""

    host: str
    region: str
    name: str
    folder: str
    immutable: bool
    access_key_id: str
    secret_key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Answer:
    """How S3 answered one request: None, or why it was refused; and S3's clock in seconds."""

    refused: str | None
    at: float | None


class Network(Protocol):
    """The way from this machine."""

    @property
    def through_proxy(self) -> bool:
        """Say whether a proxy looks names up and makes connections."""
        ...

    def resolve(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a name; none when there is no answer."""
        ...

    def connect(self, host: str, port: int) -> None: ...

    def certificate(self, host: str) -> Certificate: ...

    def look_into(self, bucket: Bucket) -> S3Answer:
        """List the bucket, at most one key of it."""
        ...

    def missing_permissions(self, bucket: Bucket) -> tuple[str, ...]:
        """Try what can be tried without changing anything; return the actions that are refused."""
        ...
