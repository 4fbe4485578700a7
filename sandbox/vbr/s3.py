"""
How the stand-in reaches S3: what it needs, and the only boto3 of the stand-in.

A backup server signs with an IAM user's access key and nothing else, so nothing of the environment
(profiles, endpoint URLs, proxies) reaches these clients.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Answer = TypeVar("Answer")


class S3AccessError(Exception):
    """S3 refused a call or couldn't be reached; the text is S3's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """With which key, and through which host."""

    host: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketProtection:
    """What decides whether a bucket can hold immutable backups."""

    versioning: bool
    object_lock: bool
    default_retention: bool


class S3Connector(Protocol):
    """What a backup server does with object storage."""

    def buckets(self, access: S3Access) -> list[str]: ...

    def folders(self, access: S3Access, *, bucket: str, prefix: str) -> list[str]: ...

    def put(
        self, access: S3Access, *, bucket: str, key: str, body: bytes, retain_until: datetime | None
    ) -> None: ...

    def get(self, access: S3Access, *, bucket: str, key: str) -> bytes | None: ...

    def protection(self, access: S3Access, *, bucket: str) -> BucketProtection: ...

    def close(self) -> None: ...


class BotoS3Connector:
    """
    S3 through boto3, with the host of the region list as endpoint and path-style addresses.

    The proxy is the embedded AWS: it answers for every host name, so that no DNS has to be changed and
    it sees the host that the backup server has really chosen.
    """

    def __init__(self, *, proxy_url: str | None, ca_file: str | None, scheme: str = "https") -> None:
        self._proxies = {"https": proxy_url, "http": proxy_url} if proxy_url else {}
        self._ca_file = ca_file
        self._scheme = scheme
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str, str], S3Client] = {}

    def buckets(self, access: S3Access) -> list[str]:
        answer = _call(lambda: self._client(access).list_buckets())
        return [bucket["Name"] for bucket in answer["Buckets"]]

    def folders(self, access: S3Access, *, bucket: str, prefix: str) -> list[str]:
        answer = _call(
            lambda: self._client(access).list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
        )
        return [each["Prefix"].removeprefix(prefix).rstrip("/") for each in answer.get("CommonPrefixes", [])]

    def put(
        self, access: S3Access, *, bucket: str, key: str, body: bytes, retain_until: datetime | None
    ) -> None:
        client = self._client(access)
        if retain_until is None:
            _call(lambda: client.put_object(Bucket=bucket, Key=key, Body=body))
        else:
            _call(
                lambda: client.put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=body,
                    ObjectLockMode="COMPLIANCE",
                    ObjectLockRetainUntilDate=retain_until,
                )
            )

    def get(self, access: S3Access, *, bucket: str, key: str) -> bytes | None:
        try:
            return self._client(access).get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise S3AccessError(str(error)) from error
        except BotoCoreError as error:
            raise S3AccessError(str(error)) from error

    def protection(self, access: S3Access, *, bucket: str) -> BucketProtection:
        client = self._client(access)
        versioning = _call(lambda: client.get_bucket_versioning(Bucket=bucket)).get("Status") == "Enabled"
        try:
            lock = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
                raise S3AccessError(str(error)) from error
            return BucketProtection(versioning=versioning, object_lock=False, default_retention=False)
        except BotoCoreError as error:
            raise S3AccessError(str(error)) from error
        return BucketProtection(
            versioning=versioning,
            object_lock=lock.get("ObjectLockEnabled") == "Enabled",
            default_retention="DefaultRetention" in lock.get("Rule", {}),
        )

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, access: S3Access) -> "S3Client":
        identity = (access.host, access.region, access.access_key, access.secret_key)
        with self._lock:
            if identity not in self._clients:
                try:
                    self._clients[identity] = self._connect(access)
                except ValueError as error:  # A host name that can't be one.
                    raise S3AccessError(str(error)) from error
            return self._clients[identity]

    def _connect(self, access: S3Access) -> "S3Client":
        # No file and no variable of the person who runs the sandbox is looked at.
        nowhere = {"profile": (None, None, None, None), "config_file": (None, None, "", None)}
        session = boto3.session.Session(botocore_session=botocore.session.Session(session_vars=nowhere))
        return session.client(
            "s3",
            region_name=access.region,
            endpoint_url=f"{self._scheme}://{access.host}",
            aws_access_key_id=access.access_key,
            aws_secret_access_key=access.secret_key,
            verify=self._ca_file if self._ca_file is not None else True,
            config=Config(
                connect_timeout=5,
                read_timeout=10,
                proxies=self._proxies,
                # With a single attempt botocore would add its own words to every refusal of S3.
                retries={"mode": "standard", "total_max_attempts": 2},
                s3={"addressing_style": "path"},
            ),
        )


def _call(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except (ClientError, BotoCoreError) as error:
        raise S3AccessError(str(error)) from error
