"""The S3 adapter decides by error codes: each is tried, with AWS's own answers."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_s3 import S3Client

from lambdas.core.errors import BucketRefusedError
from lambdas.core.policy_names import DENY_OBJECT_ACCESS
from lambdas.ensure_bucket.logic import BucketState
from lambdas.ensure_bucket.s3_buckets import S3Buckets
from tests.unit.sites import ACCOUNT, REGION

OWNER = {"Bucket": "backups", "ExpectedBucketOwner": ACCOUNT}
TAGS = {"vbr-privatelink": "tokyo", "vbr-privatelink-created-by": "run-1"}
# What S3 answers for a bucket on which nothing has ever been configured.
ABSENT = [
    ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
    ("get_bucket_tagging", "NoSuchTagSet"),
    ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
    ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
    ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
    ("get_bucket_ownership_controls", "OwnershipControlsNotFoundError"),
    ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
]
CONFIGURED: dict[str, dict[str, Any]] = {
    "get_object_lock_configuration": {
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        }
    },
    "get_bucket_tagging": {"TagSet": [{"Key": "a", "Value": "b"}]},
    "get_bucket_lifecycle_configuration": {"Rules": [{"Status": "Enabled"}, {"Status": "Disabled"}]},
    "get_bucket_replication": {
        "ReplicationConfiguration": {
            "Role": "r",
            "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "b"}}],
        }
    },
    "get_public_access_block": {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        }
    },
    "get_bucket_ownership_controls": {
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    },
    "get_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
        }
    },
}


@pytest.fixture(name="client")
def _client() -> S3Client:
    return boto3.client("s3")


@pytest.fixture(name="stub")
def _stub(client: S3Client) -> Iterator[Stubber]:
    """Answers in order; a call that isn't expected, or with other parameters, fails."""
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture(name="buckets")
def _buckets(client: S3Client) -> S3Buckets:
    return S3Buckets(client, account_id=ACCOUNT, region=REGION)


def located(stub: Stubber, location: dict[str, Any] | None = None) -> None:
    """Answer the first two questions about a bucket."""
    answer = {"LocationConstraint": REGION} if location is None else location
    stub.add_response("get_bucket_location", answer, OWNER)
    stub.add_response("get_bucket_versioning", {}, OWNER)


def test_a_bucket_on_which_nothing_is_configured(stub: Stubber, buckets: S3Buckets) -> None:
    """S3 answers "none" as an error, with another code for each configuration."""
    located(stub)
    for call, code in ABSENT:
        stub.add_client_error(call, code, expected_params=OWNER)

    assert buckets.state("backups") == BucketState(
        region=REGION,
        tags={},
        versioning=False,
        object_lock=False,
        default_retention=False,
        lifecycle_rules=0,
        replication=False,
        public_access_blocked=False,
        owner_enforced=False,
        encrypted=False,
    )


def test_a_bucket_on_which_everything_is_configured(stub: Stubber, buckets: S3Buckets) -> None:
    """Each fact comes from its own call, and every call names the expected owner."""
    stub.add_response("get_bucket_location", {"LocationConstraint": REGION}, OWNER)
    stub.add_response("get_bucket_versioning", {"Status": "Enabled"}, OWNER)
    for call, _code in ABSENT:
        stub.add_response(call, CONFIGURED[call], OWNER)

    assert buckets.state("backups") == BucketState(
        region=REGION,
        tags={"a": "b"},
        versioning=True,
        object_lock=True,
        default_retention=True,
        lifecycle_rules=2,
        replication=True,
        public_access_blocked=True,
        owner_enforced=True,
        encrypted=True,
    )


@pytest.mark.parametrize(
    "open_way", ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
)
def test_public_access_is_blocked_only_in_all_four_ways(
    stub: Stubber, buckets: S3Buckets, open_way: str
) -> None:
    """One way that is left open is a way in."""
    block = CONFIGURED["get_public_access_block"]["PublicAccessBlockConfiguration"]
    located(stub)
    for call, code in ABSENT:
        if call == "get_public_access_block":
            answer = {"PublicAccessBlockConfiguration": {**block, open_way: False}}
            stub.add_response(call, answer, OWNER)
        else:
            stub.add_client_error(call, code)

    state = buckets.state("backups")

    assert state is not None
    assert not state.public_access_blocked


@pytest.mark.parametrize("failing", range(len(ABSENT)))
def test_any_other_error_is_not_taken_for_nothing_configured(
    stub: Stubber, buckets: S3Buckets, failing: int
) -> None:
    """ "Denied" read as "no lifecycle rule" would let a rule delete backups."""
    located(stub)
    for call, code in ABSENT[:failing]:
        stub.add_client_error(call, code)
    stub.add_client_error(ABSENT[failing][0], "AccessDenied", http_status_code=403)

    with pytest.raises(ClientError, match="AccessDenied"):
        buckets.state("backups")


@pytest.mark.parametrize(
    ("location", "region"),
    [
        ({"LocationConstraint": "eu-west-1"}, "eu-west-1"),
        ({"LocationConstraint": "EU"}, "eu-west-1"),
        ({}, "us-east-1"),
    ],
)
def test_the_region_of_a_bucket_in_all_its_spellings(
    stub: Stubber, buckets: S3Buckets, location: dict[str, Any], region: str
) -> None:
    """S3 still answers with names from 2007."""
    located(stub, location)
    for call, code in ABSENT:
        stub.add_client_error(call, code)

    state = buckets.state("backups")

    assert state is not None
    assert state.region == region


def test_a_bucket_that_is_not_there(stub: Stubber, buckets: S3Buckets) -> None:
    """The one answer after which a bucket may be created."""
    stub.add_client_error("get_bucket_location", "NoSuchBucket", http_status_code=404, expected_params=OWNER)

    assert buckets.state("backups") is None


def test_another_accounts_bucket_is_refused_with_the_fix(stub: Stubber, buckets: S3Buckets) -> None:
    """Names are global: a typing error finds somebody else's bucket, and backups must not go there."""
    stub.add_client_error("get_bucket_location", "AccessDenied", http_status_code=403)

    with pytest.raises(BucketRefusedError, match=r"another account.*name another bucket"):
        buckets.state("backups")


def test_a_throttled_look_is_neither_there_nor_absent(stub: Stubber, buckets: S3Buckets) -> None:
    """A name that S3 was too busy for must not be created."""
    stub.add_client_error("get_bucket_location", "SlowDown", http_status_code=503)

    with pytest.raises(ClientError, match="SlowDown"):
        buckets.state("backups")


@pytest.mark.parametrize(
    ("region", "constraint"),
    [(REGION, {"LocationConstraint": REGION}), ("us-east-1", {})],
)
def test_a_bucket_is_created_with_its_tags_in_one_call(
    client: S3Client, stub: Stubber, region: str, constraint: dict[str, str]
) -> None:
    """A run that is killed between two calls would leave a bucket that nobody knows to be ours."""
    stub.add_response(
        "create_bucket",
        {},
        {
            "Bucket": "backups",
            "CreateBucketConfiguration": {
                "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()],
                **constraint,
            },
            "ObjectLockEnabledForBucket": True,
            "ObjectOwnership": "BucketOwnerEnforced",
        },
    )

    assert S3Buckets(client, account_id=ACCOUNT, region=region).create("backups", object_lock=True, tags=TAGS)


def test_a_bucket_that_an_earlier_attempt_created_is_fine(stub: Stubber, buckets: S3Buckets) -> None:
    """The answer to the first attempt was lost; the retry finds its own bucket, and has to look at it."""
    stub.add_client_error("create_bucket", "BucketAlreadyOwnedByYou", http_status_code=409)

    assert not buckets.create("backups", object_lock=False, tags=TAGS)


def test_a_name_that_is_taken_meanwhile_is_refused(stub: Stubber, buckets: S3Buckets) -> None:
    """It was free when we looked."""
    stub.add_client_error("create_bucket", "BucketAlreadyExists", http_status_code=409)

    with pytest.raises(BucketRefusedError, match="another account owns this name"):
        buckets.create("backups", object_lock=False, tags=TAGS)


def test_any_other_error_of_create_is_passed_on(stub: Stubber, buckets: S3Buckets) -> None:
    """A name that was deleted within the hour answers OperationAborted: that is worth a retry."""
    stub.add_client_error("create_bucket", "OperationAborted", http_status_code=409)

    with pytest.raises(ClientError, match="OperationAborted"):
        buckets.create("backups", object_lock=False, tags=TAGS)


@pytest.mark.parametrize(
    ("versions", "uploads", "empty"),
    [
        ({}, {}, True),
        ({"Versions": [{"Key": "a"}]}, None, False),
        ({"DeleteMarkers": [{"Key": "a"}]}, None, False),
        ({}, {"Uploads": [{"Key": "a"}]}, False),
    ],
)
def test_a_bucket_is_empty_only_without_versions_markers_and_uploads(
    stub: Stubber,
    buckets: S3Buckets,
    versions: dict[str, Any],
    uploads: dict[str, Any] | None,
    *,
    empty: bool,
) -> None:
    """An upload of hours may be running: locking the bucket now would break it."""
    stub.add_response("list_object_versions", versions, {**OWNER, "MaxKeys": 1})
    if uploads is not None:
        stub.add_response("list_multipart_uploads", uploads, {**OWNER, "MaxUploads": 1})

    assert buckets.is_empty("backups") is empty


@pytest.mark.parametrize(
    ("policy", "enforced"),
    [
        (None, False),
        ({"Statement": []}, False),
        ({"Statement": {"Sid": "Theirs"}}, False),
        ({"Statement": {"Sid": DENY_OBJECT_ACCESS}}, True),
        ({"Statement": [{"Effect": "Deny"}, {"Sid": DENY_OBJECT_ACCESS}]}, True),
    ],
)
def test_a_bucket_is_locked_when_its_policy_has_our_statement(
    stub: Stubber, buckets: S3Buckets, policy: dict[str, Any] | None, *, enforced: bool
) -> None:
    """IAM takes a single statement without a list as well."""
    if policy is None:
        stub.add_client_error("get_bucket_policy", "NoSuchBucketPolicy", expected_params=OWNER)
    else:
        stub.add_response("get_bucket_policy", {"Policy": json.dumps(policy)}, OWNER)

    assert buckets.is_enforced("backups") is enforced


def test_each_repair_changes_what_the_state_says() -> None:
    """Written by the adapter, read back by the adapter, in an emulated S3; and each one twice."""
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(
            Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
        )
        buckets = S3Buckets(client, account_id=ACCOUNT, region=REGION)
        before = buckets.state("backups")
        for _ in range(2):
            buckets.block_public_access("backups")
            buckets.enforce_owner("backups")
            buckets.encrypt("backups")
        after = buckets.state("backups")

    assert before is not None
    assert after is not None
    assert (before.public_access_blocked, before.encrypted) == (False, False)
    assert (after.public_access_blocked, after.owner_enforced, after.encrypted) == (True, True, True)
