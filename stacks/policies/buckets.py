"""Statements about the sites' buckets. None allows deleting a bucket or reading an object."""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam


def create_buckets(bucket_arns: Sequence[str]) -> iam.PolicyStatement:
    """
    Create the buckets that the settings name.

    CreateBucket needs one further permission for each thing it sets: tags, ownership, and for Object
    Lock both the lock and versioning (Amazon S3 API Reference, CreateBucket).
    """
    return iam.PolicyStatement(
        sid="CreateBuckets",
        actions=[
            "s3:CreateBucket",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketVersioning",
            "s3:TagResource",
        ],
        resources=list(bucket_arns),
    )


def look_at_buckets(bucket_arns: Sequence[str]) -> iam.PolicyStatement:
    """See whose a bucket is, how it is configured and whether it holds anything; contents stay unseen."""
    return iam.PolicyStatement(
        sid="LookAtBuckets",
        actions=[
            "s3:GetBucketLocation",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:ListBucketMultipartUploads",
            "s3:ListBucketVersions",
        ],
        resources=list(bucket_arns),
    )


def repair_buckets(bucket_arns: Sequence[str]) -> iam.PolicyStatement:
    """Close again what somebody opened in a bucket of the product."""
    return iam.PolicyStatement(
        sid="RepairBuckets",
        actions=["s3:PutBucketPublicAccessBlock", "s3:PutEncryptionConfiguration"],
        resources=list(bucket_arns),
    )


def administer_bucket_policies(bucket_arns: Sequence[str]) -> iam.PolicyStatement:
    """The one role of the product that the buckets' own policies let change them."""
    return iam.PolicyStatement(
        sid="AdministerBucketPolicies",
        actions=["s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"],
        resources=list(bucket_arns),
    )


def put_the_probe(probe_arns: Sequence[str]) -> iam.PolicyStatement:
    """
    Without it, the probe would be refused for want of permission, and that would prove nothing.

    One key per bucket, and a condition in the request keeps even that from being written; a conditional
    write needs the permission to read the key as well (Amazon S3 User Guide, "Conditional writes").
    """
    return iam.PolicyStatement(
        sid="PutTheProbe", actions=["s3:GetObject", "s3:PutObject"], resources=list(probe_arns)
    )
