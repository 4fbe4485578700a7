"""
Buckets of one account in S3.

Every call sends ExpectedBucketOwner: a name can change hands, and then nothing may be read from or
written to the new owner's bucket.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import ClientError

from lambdas.core.errors import BucketRefusedError
from lambdas.core.policy_names import DENY_OBJECT_ACCESS
from lambdas.ensure_bucket.logic import BucketState

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType
    from mypy_boto3_s3.type_defs import CreateBucketConfigurationTypeDef

T = TypeVar("T")

# The one Region that S3 leaves out of LocationConstraint, and answers null for.
_UNNAMED_REGION = "us-east-1"
# What GetBucketLocation still answers for old buckets in eu-west-1.
_OLD_NAMES = {"EU": "eu-west-1"}


class S3Buckets:
    """Buckets of *account_id*; new ones are made in *region*."""

    def __init__(self, client: "S3Client", *, account_id: str, region: str) -> None:
        self._client = client
        self._owner = account_id
        self._region = region

    def state(self, name: str) -> BucketState | None:
        """Read everything this step decides on; None when there is no such bucket."""
        try:
            location = self._client.get_bucket_location(Bucket=name, ExpectedBucketOwner=self._owner)
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "NoSuchBucket":
                    return None
                case "AccessDenied":
                    raise BucketRefusedError(
                        bucket=name,
                        problem="it belongs to another account, its policy keeps this one out, or the stack "
                        f"was deployed without it ({error}); name another bucket, or deploy the stack again",
                    ) from error
                case _:
                    raise
        # The stubs know only today's names; us-east-1 is answered as null.
        region = str(cast("str | None", location.get("LocationConstraint")) or _UNNAMED_REGION)
        versioning = self._client.get_bucket_versioning(Bucket=name, ExpectedBucketOwner=self._owner)
        lock = self._object_lock(name)
        return BucketState(
            region=_OLD_NAMES.get(region, region),
            tags=self._tags(name),
            versioning=versioning.get("Status") == "Enabled",
            object_lock=lock.get("ObjectLockEnabled") == "Enabled",
            default_retention="DefaultRetention" in lock.get("Rule", {}),
            lifecycle_rules=self._lifecycle_rules(name),
            replication=self._replication(name),
            public_access_blocked=self._public_access_blocked(name),
            owner_enforced=self._owner_enforced(name),
            encrypted=self._encrypted(name),
        )

    def create(self, name: str, *, object_lock: bool, tags: dict[str, str]) -> bool:
        """
        Create the bucket with its tags in one call, so that it is known as ours at any moment.

        False means that it is this account's already: an earlier attempt's answer was lost, or somebody else
        was faster.
        """
        configuration: CreateBucketConfigurationTypeDef = {
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]
        }
        if self._region != _UNNAMED_REGION:
            configuration["LocationConstraint"] = cast("BucketLocationConstraintType", self._region)
        try:
            self._client.create_bucket(
                Bucket=name,
                CreateBucketConfiguration=configuration,
                ObjectLockEnabledForBucket=object_lock,
                ObjectOwnership="BucketOwnerEnforced",
            )
        except ClientError as error:
            # The name was free a moment ago, or S3 hides it: whose it is now, only its owner can say.
            if error.response["Error"]["Code"] == "BucketAlreadyExists":
                raise BucketRefusedError(
                    bucket=name, problem="another account owns this name; name another bucket"
                ) from error
            if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise
            return False
        return True

    def block_public_access(self, name: str) -> None:
        """Block public access in all four ways."""
        self._client.put_public_access_block(
            Bucket=name,
            ExpectedBucketOwner=self._owner,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )

    def enforce_owner(self, name: str) -> None:
        """Switch access control lists off."""
        self._client.put_bucket_ownership_controls(
            Bucket=name,
            ExpectedBucketOwner=self._owner,
            OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        )

    def encrypt(self, name: str) -> None:
        """Encrypt new objects with S3's own keys unless they say otherwise."""
        self._client.put_bucket_encryption(
            Bucket=name,
            ExpectedBucketOwner=self._owner,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )

    def is_enforced(self, name: str) -> bool:
        """Say whether the product's policy has locked this bucket before."""
        answer = self._configured(self._client.get_bucket_policy, name, absent="NoSuchBucketPolicy")
        statements = json.loads(answer["Policy"]).get("Statement", []) if answer else []
        return any(
            statement.get("Sid") == DENY_OBJECT_ACCESS
            for statement in (statements if isinstance(statements, list) else [statements])
        )

    def is_empty(self, name: str) -> bool:
        """Say whether the bucket holds no version, no delete marker and no unfinished upload."""
        versions = self._client.list_object_versions(Bucket=name, ExpectedBucketOwner=self._owner, MaxKeys=1)
        if versions.get("Versions") or versions.get("DeleteMarkers"):
            return False
        uploads = self._client.list_multipart_uploads(
            Bucket=name, ExpectedBucketOwner=self._owner, MaxUploads=1
        )
        return not uploads.get("Uploads")

    def _tags(self, name: str) -> dict[str, str]:
        answer = self._configured(self._client.get_bucket_tagging, name, absent="NoSuchTagSet")
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]} if answer else {}

    def _object_lock(self, name: str) -> dict[str, Any]:
        answer = self._configured(
            self._client.get_object_lock_configuration, name, absent="ObjectLockConfigurationNotFoundError"
        )
        return dict(answer["ObjectLockConfiguration"]) if answer else {}

    def _lifecycle_rules(self, name: str) -> int:
        answer = self._configured(
            self._client.get_bucket_lifecycle_configuration, name, absent="NoSuchLifecycleConfiguration"
        )
        return len(answer["Rules"]) if answer else 0

    def _replication(self, name: str) -> bool:
        answer = self._configured(
            self._client.get_bucket_replication, name, absent="ReplicationConfigurationNotFoundError"
        )
        return answer is not None

    def _public_access_blocked(self, name: str) -> bool:
        answer = self._configured(
            self._client.get_public_access_block, name, absent="NoSuchPublicAccessBlockConfiguration"
        )
        ways = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        return answer is not None and all(answer["PublicAccessBlockConfiguration"].get(way) for way in ways)

    def _owner_enforced(self, name: str) -> bool:
        answer = self._configured(
            self._client.get_bucket_ownership_controls, name, absent="OwnershipControlsNotFoundError"
        )
        rules = answer["OwnershipControls"]["Rules"] if answer else []
        return [rule["ObjectOwnership"] for rule in rules] == ["BucketOwnerEnforced"]

    def _encrypted(self, name: str) -> bool:
        answer = self._configured(
            self._client.get_bucket_encryption, name, absent="ServerSideEncryptionConfigurationNotFoundError"
        )
        return answer is not None

    def _configured(self, read: Callable[..., T], name: str, *, absent: str) -> T | None:
        """Read one configuration of the bucket; S3 answers the error *absent* when there is none."""
        try:
            return read(Bucket=name, ExpectedBucketOwner=self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] == absent:
                return None
            raise
