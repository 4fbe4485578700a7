"""The connector of the stand-in: the fake and boto3 take the same test."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from sandbox.vbr.s3 import BotoS3Connector, S3Access, S3AccessError, S3Connector
from tests.sandbox.vbr.in_memory_s3 import InMemoryS3

REGION: Final = "ap-northeast-1"


def _access(host: str) -> S3Access:
    return S3Access(host=host, region=REGION, access_key="AKIAEXAMPLE", secret_key="secret-of-the-user")


@pytest.fixture(name="moto_host", scope="module")
def _moto_host() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(
        Bucket="backups",
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    client.close()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(name="s3_and_access", params=["fake", "boto3"])
def _s3_and_access(request: pytest.FixtureRequest) -> Iterator[tuple[S3Connector, S3Access]]:
    if request.param == "fake":
        yield InMemoryS3(objects={"backups": {}}), _access("s3.example")
        return
    connector = BotoS3Connector(proxy_url=None, ca_file=None, scheme="http")
    yield connector, _access(request.getfixturevalue("moto_host"))
    connector.close()


def test_object_is_written_read_and_listed(s3_and_access: tuple[S3Connector, S3Access]) -> None:
    """What each backup does."""
    s3, access = s3_and_access
    until = datetime.now(UTC) + timedelta(days=1)
    s3.put(access, bucket="backups", key="Veeam/Backup/a/1.vbk", body=b"one", retain_until=None)
    s3.put(access, bucket="backups", key="Veeam/Backup/b/2.vbk", body=b"two", retain_until=until)

    assert s3.get(access, bucket="backups", key="Veeam/Backup/a/1.vbk") == b"one"
    assert s3.get(access, bucket="backups", key="Veeam/Backup/a/none") is None
    assert s3.folders(access, bucket="backups", prefix="Veeam/Backup/") == ["a", "b"]
    assert s3.buckets(access) == ["backups"]


def test_missing_bucket_is_an_error_with_its_code(s3_and_access: tuple[S3Connector, S3Access]) -> None:
    """The text goes into the session's result."""
    s3, access = s3_and_access

    with pytest.raises(S3AccessError, match=r"\(NoSuchBucket\) when calling the ListObjectsV2 operation: "):
        s3.folders(access, bucket="nobody-has-this", prefix="")


def test_protection_of_a_bucket_is_read(moto_host: str) -> None:
    """Object Lock switches versioning on."""
    connector = BotoS3Connector(proxy_url=None, ca_file=None, scheme="http")
    protection = connector.protection(_access(moto_host), bucket="backups")
    connector.close()

    assert (protection.versioning, protection.object_lock, protection.default_retention) == (
        True,
        True,
        False,
    )


def test_proxy_that_is_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the environment of the person who runs the sandbox is not looked at."""
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-this")
    monkeypatch.setenv("NO_PROXY", "*")
    connector = BotoS3Connector(proxy_url="http://127.0.0.1:9", ca_file=None)

    with pytest.raises(S3AccessError, match="proxy"):
        connector.buckets(_access("s3.ap-northeast-1.amazonaws.com"))
    connector.close()


def test_host_that_cannot_be_one_is_an_error() -> None:
    """A broken edit of the region list must not crash the backup service."""
    connector = BotoS3Connector(proxy_url=None, ca_file=None)

    with pytest.raises(S3AccessError):
        connector.buckets(_access("not a host"))
    connector.close()
