"""
What the backup server does with buckets.

Which hosts it may use comes from the region list that the service has loaded, or, for an S3-compatible
repository, from its service point. The real server picks any of a region's endpoints; the stand-in goes
through each of them every time, so that one leftover endpoint is enough to show.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sandbox.vbr.regions import RegionList
from sandbox.vbr.request_shapes import AMAZON_S3
from sandbox.vbr.s3 import S3Access, S3AccessError, S3Connector

ROOT = "Veeam/Backup/"
OWNER_MARK = "stand-in-owner"
"""An object in the folder that names the backup server it belongs to; the real mark isn't published."""


class ObjectStorageError(Exception):
    """A bucket can't be used; the text says through which host, and why."""


@dataclass(slots=True, kw_only=True)
class CloudCredential:
    """An access key that was added through REST."""

    access_key: str
    secret_key: str = field(repr=False)
    description: str
    unique_id: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    modified_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class CloudCredentials:
    """Every access key of the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, CloudCredential] = {}

    def add(self, credential: CloudCredential) -> None:
        with self._lock:
            self._all[credential.id] = credential

    def all(self) -> list[CloudCredential]:
        with self._lock:
            return list(self._all.values())

    def find(self, credential_id: str) -> CloudCredential | None:
        with self._lock:
            return self._all.get(credential_id.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a kind of object storage is, and with which key."""

    service_type: str
    credentials_id: str
    region_id: str
    region_type: str = ""
    service_point: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder of one bucket, with the immutability that a repository asks for."""

    place: Place
    bucket: str
    name: str
    immutability_days: int = 0

    @property
    def prefix(self) -> str:
        return f"{ROOT}{self.name}/"


class ObjectStorage:
    """Buckets, reached as the loaded region list says."""

    def __init__(
        self,
        connector: S3Connector,
        credentials: CloudCredentials,
        *,
        owner: str,
        regions: Callable[[], RegionList | None],
        folder_must_exist: bool,
    ) -> None:
        self._connector = connector
        self._credentials = credentials
        self._owner = owner
        self._regions = regions
        self._folder_must_exist = folder_must_exist

    def accesses(self, place: Place) -> list[S3Access]:
        """Return every way to *place* that the server may take."""
        credential = self._credentials.find(place.credentials_id)
        if credential is None:
            raise ObjectStorageError(f"there is no cloud credential {place.credentials_id}")
        return [
            S3Access(
                host=host,
                region=place.region_id,
                access_key=credential.access_key,
                secret_key=credential.secret_key,
            )
            for host in self._hosts(place)
        ]

    def browse(self, place: Place, *, bucket: str | None) -> dict[str, list[str]]:
        """List the folders of a bucket, or of every bucket that the key may look into."""
        found: dict[str, list[str]] = {}
        for access in self.accesses(place):
            with _through(access):
                names = [bucket] if bucket is not None else self._connector.buckets(access)
            for name in names:
                try:
                    found[name] = self._folders(access, name)
                except ObjectStorageError:
                    if bucket is not None:
                        raise
                    found[name] = []
        return found

    def create_folder(self, folder: Folder) -> None:
        accesses = self.accesses(folder.place)
        if any(folder.name in self._folders(access, folder.bucket) for access in accesses):
            raise ObjectStorageError(f"the folder {folder.name} already exists in {folder.bucket}")
        self._put(accesses[0], folder, key=folder.prefix, body=b"")

    def check(self, folder: Folder) -> None:
        """Fail unless every endpoint lets the server use the bucket as the repository wants it."""
        for access in self.accesses(folder.place):
            folders = self._folders(access, folder.bucket)
            if self._folder_must_exist and folder.name not in folders:
                raise ObjectStorageError(f"there is no folder {folder.name} in {folder.bucket}")
            if folder.immutability_days:
                self._check_protection(access, folder.bucket)

    def take(self, folder: Folder, *, overwrite_owner: bool) -> None:
        """Mark the folder as this server's, unless it is another server's."""
        key = f"{folder.prefix}{OWNER_MARK}"
        mine = self._owner.encode()
        for access in self.accesses(folder.place):
            mark = self._get(access, folder, key=key)
            if mark not in (None, mine) and not overwrite_owner:
                raise ObjectStorageError(
                    f"the folder {folder.name} in {folder.bucket} belongs to another backup server"
                )
            if mark != mine:
                self._put(access, folder, key=key, body=mine)

    def back_up(self, access: S3Access, folder: Folder, *, key: str, body: bytes) -> None:
        """Write one backup file through one endpoint, read it back and list its folder."""
        until = None
        if folder.immutability_days:
            until = datetime.now(UTC) + timedelta(days=folder.immutability_days)
        self._put(access, folder, key=key, body=body, retain_until=until)
        if self._get(access, folder, key=key) != body:
            raise ObjectStorageError(f"{access.host}: {key} doesn't read back as it was written")
        if folder.name not in self._folders(access, folder.bucket):
            raise ObjectStorageError(f"{access.host}: {folder.bucket} doesn't list the folder {folder.name}")

    def _folders(self, access: S3Access, bucket: str) -> list[str]:
        with _through(access):
            return self._connector.folders(access, bucket=bucket, prefix=ROOT)

    def _get(self, access: S3Access, folder: Folder, *, key: str) -> bytes | None:
        with _through(access):
            return self._connector.get(access, bucket=folder.bucket, key=key)

    def _put(
        self,
        access: S3Access,
        folder: Folder,
        *,
        key: str,
        body: bytes,
        retain_until: datetime | None = None,
    ) -> None:
        with _through(access):
            self._connector.put(access, bucket=folder.bucket, key=key, body=body, retain_until=retain_until)

    def _hosts(self, place: Place) -> list[str]:
        if place.service_type != AMAZON_S3:
            return [place.service_point.removeprefix("https://").rstrip("/")]
        regions = self._regions()
        region = regions.find(place.region_id) if regions is not None else None
        if region is None or region.type != place.region_type:
            raise ObjectStorageError(
                f"the loaded region list has no {place.region_type} region {place.region_id}"
            )
        if not region.endpoints:
            raise ObjectStorageError(f"the loaded region list names no S3 endpoint for {place.region_id}")
        return list(region.endpoints)

    def _check_protection(self, access: S3Access, bucket: str) -> None:
        with _through(access):
            protection = self._connector.protection(access, bucket=bucket)
        if not (protection.versioning and protection.object_lock):
            raise ObjectStorageError(f"immutability needs versioning and Object Lock on {bucket}")
        if protection.default_retention:
            raise ObjectStorageError(f"immutability needs {bucket} to have no default retention")


@contextmanager
def _through(access: S3Access) -> Iterator[None]:
    """Say through which host S3 refused or couldn't be reached."""
    try:
        yield
    except S3AccessError as error:
        raise ObjectStorageError(f"{access.host}: {error}") from error
