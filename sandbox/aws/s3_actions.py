"""
Which IAM actions an S3 operation needs, and on which resource.

Most operations are called like their action (`PutObject` needs `s3:PutObject`); the others are listed here
after the S3 user guide, "Required permissions for Amazon S3 API operations", and the operations' own
documentation in botocore.
"""

from collections.abc import Mapping
from typing import Any

# Operations on a bucket or an object whose action has another name.
ACTION_BY_OPERATION = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectAttributes": "GetObject",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "SelectObjectContent": "GetObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
# Object actions of which there is a second one for a named version.
VERSIONED = {
    "DeleteObject": "DeleteObjectVersion",
    "GetObject": "GetObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectAcl": "PutObjectVersionAcl",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
}
BUCKET_POLICY_OPERATIONS = frozenset({"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"})


def required(
    operation: str, parameters: Mapping[str, Any], *, partition: str = "aws"
) -> list[tuple[str, str]]:
    """
    Return the (action, resource ARN) pairs that *operation* needs; the first is the one that AWS names
    first.
    """
    bucket = parameters.get("Bucket")
    if parameters.get("ResourceArn"):
        # S3 Control: tags by ARN.
        return [(f"s3:{operation}", str(parameters["ResourceArn"]))]
    if bucket is None:
        return [(f"s3:{ACTION_BY_OPERATION.get(operation, operation)}", "*")]
    bucket_arn = f"arn:{partition}:s3:::{bucket}"
    if operation == "CreateBucket":
        return [(f"s3:{action}", bucket_arn) for action in _create_bucket(parameters)]
    if operation == "DeleteObjects":
        return [
            (_object_action("DeleteObject", entry), f"{bucket_arn}/{entry['Key']}")
            for entry in (parameters.get("Delete") or {}).get("Objects", [])
        ]
    key = parameters.get("Key")
    if key is None:
        return [(f"s3:{ACTION_BY_OPERATION.get(operation, operation)}", bucket_arn)]
    object_arn = f"{bucket_arn}/{key}"
    needed = [(_object_action(ACTION_BY_OPERATION.get(operation, operation), parameters), object_arn)]
    needed += [(f"s3:{action}", object_arn) for action in _with_headers(operation, parameters)]
    if operation in ("CopyObject", "UploadPartCopy"):
        needed.append(
            (
                "s3:GetObject",
                f"arn:{partition}:s3:::{str(parameters['CopySource']).lstrip('/').split('?')[0]}",
            )
        )
    return needed


def _object_action(action: str, parameters: Mapping[str, Any]) -> str:
    return f"s3:{VERSIONED.get(action, action) if parameters.get('VersionId') else action}"


def _create_bucket(parameters: Mapping[str, Any]) -> list[str]:
    actions = ["CreateBucket"]
    if parameters.get("ObjectLockEnabledForBucket"):
        actions += ["PutBucketObjectLockConfiguration", "PutBucketVersioning"]
    if parameters.get("ObjectOwnership"):
        actions.append("PutBucketOwnershipControls")
    if (parameters.get("CreateBucketConfiguration") or {}).get("Tags"):
        actions.append("TagResource")
    if parameters.get("ACL") not in (None, "private"):
        actions.append("PutBucketAcl")
    return actions


def _with_headers(operation: str, parameters: Mapping[str, Any]) -> list[str]:
    if operation not in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        return []
    actions = []
    if parameters.get("Tagging"):
        actions.append("PutObjectTagging")
    if parameters.get("ObjectLockRetainUntilDate") or parameters.get("ObjectLockMode"):
        actions.append("PutObjectRetention")
    if parameters.get("ObjectLockLegalHoldStatus"):
        actions.append("PutObjectLegalHold")
    if parameters.get("ACL"):
        actions.append("PutObjectAcl")
    return actions
