"""
New buckets are as AWS makes them, and policies are judged elsewhere.

moto: a new bucket has no public access block, no encryption and no ownership setting; tags in
CreateBucketConfiguration are dropped; a bucket policy is looked at with one condition operator known, every
other counting as met; a bucket whose encryption is deleted has none.
AWS: since 2023 all four blocks are on, objects are encrypted with S3's own key, and the owner is enforced;
tags are kept; policies are evaluated (`authorization.py`, before moto sees the call); encryption can't be
switched off.
"""

import threading
from typing import Any

import xmltodict  # type: ignore[import-untyped]  # it has no types, and no stubs here
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, PublicAccessBlock, S3Backend
from moto.s3.responses import S3Response

from sandbox.aws.moto_pin import Corrections

S3_MANAGED_KEY = {
    "Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
}


def apply(corrections: Corrections) -> None:
    """Correct S3."""
    lock = threading.Lock()

    def create_bucket(
        self: Any, bucket_name: str, region_name: str, bucket_namespace: str | None = None
    ) -> Any:
        with lock:
            bucket = original_create(self, bucket_name, region_name, bucket_namespace)
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = "BucketOwnerEnforced"
        bucket.encryption = S3_MANAGED_KEY
        return bucket

    def put(self: Any, request: Any, bucket_name: str, querystring: Any) -> Any:
        creates = bucket_name not in self.backend.buckets
        answer = original_put(self, request, bucket_name, querystring)
        tags = tags_of(self.body) if creates else {}
        if tags and bucket_name in self.backend.buckets:
            self.backend.put_bucket_tagging(bucket_name, tags)
        return answer

    def delete_encryption(self: Any, bucket_name: str) -> None:
        self.get_bucket(bucket_name).encryption = S3_MANAGED_KEY

    original_create = corrections.replace(
        S3Backend,
        "create_bucket",
        create_bucket,
        parameters=["self", "bucket_name", "region_name", "bucket_namespace"],
    )
    original_put = corrections.replace(
        S3Response, "_bucket_response_put", put, parameters=["self", "request", "bucket_name", "querystring"]
    )
    corrections.replace(
        S3Backend, "delete_bucket_encryption", delete_encryption, parameters=["self", "bucket_name"]
    )
    corrections.replace(
        FakeBucket,
        "get_permission",
        lambda _self, _action, _resource: PermissionResult.PERMITTED,
        parameters=["self", "action", "resource"],
    )


def tags_of(body: Any) -> dict[str, str]:
    """Return the tags in the body of CreateBucket."""
    if not body:
        return {}
    text = body.decode() if isinstance(body, bytes) else str(body)
    configuration = xmltodict.parse(text, force_list=("Tag",)).get("CreateBucketConfiguration") or {}
    found = (configuration.get("Tags") or {}).get("Tag") or []
    return {str(tag["Key"]): str(tag.get("Value") or "") for tag in found}
