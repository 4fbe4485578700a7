"""A write to S3 that can't succeed."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.prove_lockdown.logic import PROBE_KEY, Answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# No object has this ETag, so S3 writes nothing, whatever else it decides.
_NO_ETAG = '"00000000000000000000000000000000"'
# S3's words for what only the bucket policy does (IAM User Guide, "Access denied error messages").
_BY_BUCKET_POLICY = "with an explicit deny in a resource-based policy"
# Denials of other actions (S3 may look the missing key up) would prove nothing about writing.
_OF_WRITING = "to perform: s3:PutObject on"
_NOTHING_MATCHED = frozenset({"NoSuchKey", "PreconditionFailed", "404", "412"})


class S3Probe:
    """Probes buckets of one account from wherever this function runs: outside the endpoint."""

    def __init__(self, client: "S3Client", *, account_id: str) -> None:
        self._client = client
        self._owner = account_id

    def put_from_outside(self, bucket: str) -> tuple[Answer, str]:
        """Return how S3 answered, and its own words."""
        try:
            self._client.put_object(
                Bucket=bucket,
                Key=PROBE_KEY,
                IfMatch=_NO_ETAG,
                # As every bucket encrypts: a bucket policy that demands the header must not be what refuses.
                ServerSideEncryption="AES256",
                ExpectedBucketOwner=self._owner,
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            words = error.response["Error"].get("Message", code)
            if code == "AccessDenied":
                by_policy = _BY_BUCKET_POLICY in words and _OF_WRITING in words
                return (Answer.DENIED_BY_BUCKET_POLICY if by_policy else Answer.DENIED_OTHERWISE), words
            if code in _NOTHING_MATCHED:
                return Answer.LET_THROUGH, words
            raise
        return Answer.LET_THROUGH, "the object was written"
