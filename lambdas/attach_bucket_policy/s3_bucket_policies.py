"""Bucket policies of one account in S3."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.attach_bucket_policy.logic import Policy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3BucketPolicies:
    """
    Every call sends ExpectedBucketOwner, and none ever sends ConfirmRemoveSelfBucketAccess: S3 then
    refuses a policy that would shut out the role that puts it.
    """

    def __init__(self, client: "S3Client", *, account_id: str) -> None:
        self._client = client
        self._owner = account_id

    def read(self, bucket: str, *, may_be_absent: bool) -> Policy | None:
        """Return the policy document, or None when the bucket has none, or isn't there and may be absent."""
        nothing = ("NoSuchBucketPolicy", "NoSuchBucket") if may_be_absent else ("NoSuchBucketPolicy",)
        try:
            answer = self._client.get_bucket_policy(Bucket=bucket, ExpectedBucketOwner=self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in nothing:
                return None
            raise
        policy: Policy = json.loads(answer["Policy"])
        return policy

    def put(self, bucket: str, policy: Policy) -> None:
        """Replace the policy document."""
        self._client.put_bucket_policy(
            Bucket=bucket,
            ExpectedBucketOwner=self._owner,
            Policy=json.dumps(policy, separators=(",", ":")),
        )

    def delete(self, bucket: str) -> None:
        """Remove the policy document."""
        self._client.delete_bucket_policy(Bucket=bucket, ExpectedBucketOwner=self._owner)
