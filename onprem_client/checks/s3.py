"""
Amazon S3 with a repository's key, through the endpoint and in no other way.

Nothing is changed: reading a key that doesn't exist, and a write on a condition that can't hold, are refused
only when the permission is missing. Deleting can't be tried like that, so it isn't.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onprem_client.checks.protocols import Bucket, NetworkError, S3Answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NO_ETAG = '"00000000000000000000000000000000"'
_NOTHING_THERE = {"NoSuchKey", "PreconditionFailed", "404", "412"}
_NOT_CONFIGURED = {"ObjectLockConfigurationNotFoundError"}
_SECONDS = 10


def look_into(bucket: Bucket, *, proxy: str | None, ca_file: Path | None) -> S3Answer:
    """List at most one key."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = _client(bucket, proxy=proxy, ca_file=ca_file)
    try:
        answer = cast("dict[str, Any]", client.list_objects_v2(Bucket=bucket.name, MaxKeys=1))
    except ClientError as error:
        said = error.response["Error"]
        words = f"{said.get('Code')}: {said.get('Message', '')}"
        return S3Answer(refused=words[:250], at=_date(cast("dict[str, Any]", error.response)))
    except BotoCoreError as error:
        raise NetworkError(f"{bucket.host}: {str(error)[:200]}") from error
    return S3Answer(refused=None, at=_date(answer))


def missing_permissions(bucket: Bucket, *, proxy: str | None, ca_file: Path | None) -> tuple[str, ...]:
    """Try each action once; return those that are refused."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = _client(bucket, proxy=proxy, ca_file=ca_file)
    name, key = bucket.name, f"Veeam/Backup/{bucket.folder}/vbr-privatelink-check"
    tries: dict[str, Callable[[], object]] = {
        "s3:ListBucket": lambda: client.list_objects_v2(Bucket=name, MaxKeys=1),
        "s3:GetBucketLocation": lambda: client.get_bucket_location(Bucket=name),
        "s3:GetBucketVersioning": lambda: client.get_bucket_versioning(Bucket=name),
        "s3:GetBucketObjectLockConfiguration": lambda: client.get_object_lock_configuration(Bucket=name),
        "s3:GetObject": lambda: client.get_object(Bucket=name, Key=key),
        "s3:PutObject": lambda: client.put_object(Bucket=name, Key=key, IfMatch=_NO_ETAG),
    }
    if bucket.immutable:
        tries["s3:ListBucketVersions"] = lambda: client.list_object_versions(Bucket=name, MaxKeys=1)
    missing: list[str] = []
    for action, attempt in tries.items():
        try:
            attempt()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOTHING_THERE | _NOT_CONFIGURED:
                missing.append(action)
        except BotoCoreError as error:
            raise NetworkError(f"{bucket.host}: {str(error)[:200]}") from error
    return tuple(missing)


def _client(bucket: Bucket, *, proxy: str | None, ca_file: Path | None) -> "S3Client":
    from botocore.config import Config
    from botocore.session import Session

    # Neither profiles nor configuration files: it is this key that is tried, in this way.
    session = Session(
        session_vars={"profile": (None, None, None, None), "config_file": (None, None, "", None)}
    )
    made = session.create_client(
        "s3",
        region_name=bucket.region,
        endpoint_url=f"https://{bucket.host}",
        aws_access_key_id=bucket.access_key_id,
        aws_secret_access_key=bucket.secret_key.reveal(),
        verify=None if ca_file is None else str(ca_file),
        config=Config(
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            proxies={} if proxy is None else {"https": proxy},
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={"addressing_style": "path"},
            signature_version="s3v4",
        ),
    )
    return cast("S3Client", made)


def _date(answer: dict[str, Any]) -> float | None:
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return None if said is None else parsedate_to_datetime(said).timestamp()
    except (TypeError, ValueError):
        return None
