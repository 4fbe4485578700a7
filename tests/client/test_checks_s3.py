"""What the repository's key is tried with: nothing that changes anything, and through the endpoint alone."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from onprem_client.checks import s3
from onprem_client.checks.protocols import Bucket, NetworkError
from onprem_client.secret import Secret
from tests.client.region_files import HOST, REGION

BUCKET = Bucket(
    host=HOST,
    region=REGION,
    name="vbr-tokyo",
    folder="vbr01",
    immutable=True,
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_key=Secret("the/secret+key"),
)


class _Picky:
    """S3 that refuses some calls, and remembers all."""

    def __init__(self, client: object, refused: dict[str, Exception]) -> None:
        self._client = client
        self._refused = refused
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**named: object) -> object:
            self.called.append(name)
            if name in self._refused:
                raise self._refused[name]
            return method(**named)

        return call


@pytest.fixture(name="s3_service")
def _s3_service() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(
            Bucket=BUCKET.name, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
        )
        yield client


def _denied(operation: str) -> ClientError:
    response: Any = {
        "Error": {"Code": "AccessDenied", "Message": "explicit deny"},
        "ResponseMetadata": {"HTTPHeaders": {"date": "Sat, 31 Jan 2026 22:00:00 GMT"}},
    }
    return ClientError(response, operation)


def _try(client: object, monkeypatch: pytest.MonkeyPatch, **refused: Exception) -> _Picky:
    picky = _Picky(client, refused)
    monkeypatch.setattr(s3, "_client", lambda *_arguments, **_named: picky)
    return picky


def test_a_key_that_may_everything_misses_nothing_and_leaves_nothing(
    s3_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each action is tried, and the bucket is as empty as before."""
    picky = _try(s3_service, monkeypatch)
    missing = s3.missing_permissions(BUCKET, proxy=None, ca_file=None)

    assert missing == ()
    assert picky.called == [
        "list_objects_v2",
        "get_bucket_location",
        "get_bucket_versioning",
        "get_object_lock_configuration",
        "get_object",
        "put_object",
        "list_object_versions",
    ]
    assert "Contents" not in s3_service.list_objects_v2(Bucket=BUCKET.name)


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("list_objects_v2", "s3:ListBucket"),
        ("get_bucket_location", "s3:GetBucketLocation"),
        ("get_bucket_versioning", "s3:GetBucketVersioning"),
        ("get_object_lock_configuration", "s3:GetBucketObjectLockConfiguration"),
        ("get_object", "s3:GetObject"),
        ("put_object", "s3:PutObject"),
        ("list_object_versions", "s3:ListBucketVersions"),
    ],
)
def test_what_is_refused_is_named_as_the_policy_names_it(
    s3_service: Any, monkeypatch: pytest.MonkeyPatch, call: str, action: str
) -> None:
    """So that it can be copied into the policy."""
    _try(s3_service, monkeypatch, **{call: _denied(call)})

    assert s3.missing_permissions(BUCKET, proxy=None, ca_file=None) == (action,)


def test_versions_are_tried_for_immutable_buckets_only(
    s3_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key for another bucket need not have that."""
    picky = _try(s3_service, monkeypatch)
    s3.missing_permissions(replace(BUCKET, immutable=False), proxy=None, ca_file=None)

    assert "list_object_versions" not in picky.called


def test_a_refusal_comes_with_s3s_words_and_clock(s3_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which policy denies stands in the words; a wrong clock is refused, too, and must be seen."""
    _try(s3_service, monkeypatch, list_objects_v2=_denied("ListObjectsV2"))
    answer = s3.look_into(BUCKET, proxy=None, ca_file=None)

    assert answer.refused == "AccessDenied: explicit deny"
    assert answer.at == 1769896800.0


def test_what_cannot_be_reached_is_a_finding(s3_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback."""
    _try(s3_service, monkeypatch, list_objects_v2=EndpointConnectionError(endpoint_url=f"https://{HOST}"))

    with pytest.raises(NetworkError, match="Could not connect"):
        s3.look_into(BUCKET, proxy=None, ca_file=None)
    with pytest.raises(NetworkError, match="Could not connect"):
        s3.missing_permissions(BUCKET, proxy=None, ca_file=None)


def test_the_client_uses_the_endpoint_and_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile or a proxy of whoever calls it must not make a bad key look good."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    client = s3._client(BUCKET, proxy=None, ca_file=None)
    credentials = cast("Any", client)._request_signer._credentials

    assert client.meta.endpoint_url == f"https://{HOST}"
    assert credentials.access_key == BUCKET.access_key_id
    assert cast("Any", client).meta.config.proxies == {}
