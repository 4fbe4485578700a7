"""
Statements for the IAM user with whose keys VBR works: the one policy of the product that isn't a role's.

The actions are the ones that Veeam documents for Amazon S3 repositories ("Using Object Storage
Repositories", permissions without and with immutability). Veeam knows access keys of IAM users only. No
statement asks for the endpoint: a site that waits for its servers, or is released, is backed up to over
public endpoints, and a locked bucket's own policy asks already.
"""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam


def statements(
    bucket_arns: Sequence[str], *, immutable_bucket_arns: Sequence[str], account_id: str
) -> list[iam.PolicyStatement]:
    """Return the whole policy; the immutable ones are among *bucket_arns*."""
    always = [
        use_buckets(bucket_arns, account_id=account_id),
        keep_backups(bucket_arns, account_id=account_id),
        browse_buckets(),
    ]
    if not immutable_bucket_arns:
        return always
    return [
        *always,
        list_versions(immutable_bucket_arns, account_id=account_id),
        lock_backups(immutable_bucket_arns, account_id=account_id),
    ]


def use_buckets(bucket_arns: Sequence[str], *, account_id: str) -> iam.PolicyStatement:
    """Find the bucket fit, and list the backups in it."""
    return iam.PolicyStatement(
        sid="UseBuckets",
        actions=[
            "s3:GetBucketLocation",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketVersioning",
            "s3:ListBucket",
        ],
        resources=list(bucket_arns),
        conditions=_owned_by(account_id),
    )


def keep_backups(bucket_arns: Sequence[str], *, account_id: str) -> iam.PolicyStatement:
    """Write, read and expire backups. Whether VBR writes outside of `Veeam/` isn't documented: all keys."""
    return iam.PolicyStatement(
        sid="KeepBackups",
        actions=["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        resources=[f"{arn}/*" for arn in bucket_arns],
        conditions=_owned_by(account_id),
    )


def list_versions(bucket_arns: Sequence[str], *, account_id: str) -> iam.PolicyStatement:
    """With Object Lock a backup is a version, and expires as one."""
    return iam.PolicyStatement(
        sid="ListVersions",
        actions=["s3:ListBucketVersions"],
        resources=list(bucket_arns),
        conditions=_owned_by(account_id),
    )


def lock_backups(bucket_arns: Sequence[str], *, account_id: str) -> iam.PolicyStatement:
    """
    Set the lock of each object, and remove versions whose lock has ended.

    Not `s3:BypassGovernanceRetention`: without it, whoever steals the key can't shorten any lock.
    """
    return iam.PolicyStatement(
        sid="LockBackups",
        actions=[
            "s3:DeleteObjectVersion",
            "s3:GetObjectLegalHold",
            "s3:GetObjectRetention",
            "s3:GetObjectVersion",
            "s3:PutObjectLegalHold",
            "s3:PutObjectRetention",
        ],
        resources=[f"{arn}/*" for arn in bucket_arns],
        conditions=_owned_by(account_id),
    )


def browse_buckets() -> iam.PolicyStatement:
    """
    See the names of the account's buckets; the call accepts no resource.

    Without it, choosing the bucket in VBR's wizard finds nothing, and its name must be typed.
    """
    return iam.PolicyStatement(sid="BrowseBuckets", actions=["s3:ListAllMyBuckets"], resources=["*"])


def _owned_by(account_id: str) -> dict[str, dict[str, str]]:
    """Without it, backups would go to whoever takes the name after the bucket was deleted."""
    return {"StringEquals": {"s3:ResourceAccount": account_id}}
