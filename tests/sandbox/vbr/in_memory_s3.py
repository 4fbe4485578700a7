"""S3 in a dictionary: the stand-in's connector without a network."""

import threading
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.vbr.s3 import BucketProtection, S3Access, S3AccessError


@dataclass
class InMemoryS3:
    """Buckets and their objects; a refused host is denied as a bucket policy would deny it."""

    objects: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refused_hosts: set[str] = field(default_factory=set)
    protections: dict[str, BucketProtection] = field(default_factory=dict)
    retained: dict[str, datetime] = field(default_factory=dict)
    used: list[S3Access] = field(default_factory=list)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def buckets(self, access: S3Access) -> list[str]:
        self._enter(access, "ListBuckets", None)
        return sorted(self.objects)

    def folders(self, access: S3Access, *, bucket: str, prefix: str) -> list[str]:
        with self.lock:
            keys = list(self._enter(access, "ListObjectsV2", bucket))
        names = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
        return sorted({name.split("/")[0] for name in names if "/" in name})

    def put(
        self, access: S3Access, *, bucket: str, key: str, body: bytes, retain_until: datetime | None
    ) -> None:
        with self.lock:
            self._enter(access, "PutObject", bucket)[key] = body
            if retain_until is not None:
                self.retained[key] = retain_until

    def get(self, access: S3Access, *, bucket: str, key: str) -> bytes | None:
        return self._enter(access, "GetObject", bucket).get(key)

    def protection(self, access: S3Access, *, bucket: str) -> BucketProtection:
        self._enter(access, "GetBucketVersioning", bucket)
        nothing = BucketProtection(versioning=False, object_lock=False, default_retention=False)
        return self.protections.get(bucket, nothing)

    def close(self) -> None:
        self.closed = True

    def _enter(self, access: S3Access, operation: str, bucket: str | None) -> dict[str, bytes]:
        self.used.append(access)
        if access.host in self.refused_hosts:
            raise S3AccessError(
                f"An error occurred (AccessDenied) when calling the {operation} operation: explicit deny"
            )
        if bucket is None:
            return {}
        if bucket not in self.objects:
            raise S3AccessError(
                f"An error occurred (NoSuchBucket) when calling the {operation} operation: no such bucket"
            )
        return self.objects[bucket]
