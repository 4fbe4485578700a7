"""
Who may do what with a site's buckets, from where: the table of the policy proof, and of docs/security.md.

Each row is a request with the answer that it must get. It is written by hand and judged by evaluators that
know nothing of the product (`judges.py`); nothing in here is derived from the code that makes the policies.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Answer = Literal["allowed", "implicit deny", "explicit deny"]

# Who.
ANONYMOUS = "anonymous"
ROOT = "the account's root"
ADMINISTRATOR = "an administrator"
OPERATOR = "an operator"
POLICY_ADMINISTRATOR = "the policy-administrator role"
ENSURE_BUCKET = "the ensure-bucket role"
PROVE_LOCKDOWN = "the prove-lockdown role"
PUBLISH_ENDPOINT = "the publish-endpoint role"
BREAK_GLASS = "a role in `policy_administrators`"
LOOKALIKE = "a role with a similar name"
NAMESAKE = "another account's role with the same name"
OTHER_ACCOUNT = "another account's administrator"
LOG_DELIVERY = "an AWS service"
BACKUP_USER = "VBR's user"
GUEST = "a guest"
LATE_GUEST = "a guest after the grant's end"

# From where.
THIS = "this endpoint"
SECOND = "an endpoint in `additional_endpoint_ids`"
FOREIGN = "another endpoint"
INTERNET = "the internet"
CONSOLE = "the console"
INSIDE = "AWS, no endpoint"
THIS_HTTP = "this endpoint, http"
INTERNET_HTTP = "the internet, http"
THIS_TLS11 = "this endpoint, TLS 1.1"

# On what.
BUCKET = "the bucket"
BACKUP = "a backup"
PROBE = "the probe's key"
LOCKED_BUCKET = "the immutable bucket"
LOCKED_BACKUP = "an immutable backup"
OTHER_SITES_BUCKET = "another site's bucket"
OTHER_SITES_BACKUP = "another site's backup"
FOREIGN_OBJECT = "an object in a bucket of another account"
TAKEN_NAME = "a backup, the bucket's name now being another account's"
ACCOUNT = "all buckets"

# The Sids of the product, spelled out: a renamed one must be seen here.
OBJECTS = "DenyObjectAccessOutsideEndpoint"
LISTING = "DenyListingOutsideEndpoint"
TAMPER = "DenyPolicyTamper"
HTTP = "DenyInsecureTransport"
TLS = "DenyOutdatedTls"
GUEST_CHANGES = "DenyChangesByGranted1"
GUEST_LATER = "DenyGrantedAfterwards1"
BY_ENDPOINT = "the endpoint's policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An S3 operation, with the IAM action that it needs and the parameters that matter for that."""

    action: str
    operation: str
    parameters: dict[str, Any] = field(default_factory=dict)


CALLS = {
    "put": Call(action="s3:PutObject", operation="PutObject"),
    "get": Call(action="s3:GetObject", operation="GetObject"),
    "head": Call(action="s3:GetObject", operation="HeadObject"),
    "delete": Call(action="s3:DeleteObject", operation="DeleteObject"),
    "get a version": Call(
        action="s3:GetObjectVersion", operation="GetObject", parameters={"VersionId": "v1"}
    ),
    "delete a version": Call(
        action="s3:DeleteObjectVersion", operation="DeleteObject", parameters={"VersionId": "v1"}
    ),
    "set a retention": Call(action="s3:PutObjectRetention", operation="PutObjectRetention"),
    "bypass a retention": Call(action="s3:BypassGovernanceRetention", operation="BypassGovernanceRetention"),
    "an object action of tomorrow": Call(
        action="s3:ObjectActionOfTomorrow", operation="ObjectActionOfTomorrow"
    ),
    "list": Call(action="s3:ListBucket", operation="ListObjectsV2"),
    "head the bucket": Call(action="s3:ListBucket", operation="HeadBucket"),
    "list versions": Call(action="s3:ListBucketVersions", operation="ListObjectVersions"),
    "get the location": Call(action="s3:GetBucketLocation", operation="GetBucketLocation"),
    "get the policy": Call(action="s3:GetBucketPolicy", operation="GetBucketPolicy"),
    "put the policy": Call(action="s3:PutBucketPolicy", operation="PutBucketPolicy"),
    "delete the policy": Call(action="s3:DeleteBucketPolicy", operation="DeleteBucketPolicy"),
    "set versioning": Call(action="s3:PutBucketVersioning", operation="PutBucketVersioning"),
    "set the lock configuration": Call(
        action="s3:PutBucketObjectLockConfiguration", operation="PutObjectLockConfiguration"
    ),
    "set a lifecycle": Call(
        action="s3:PutLifecycleConfiguration", operation="PutBucketLifecycleConfiguration"
    ),
    "delete the bucket": Call(action="s3:DeleteBucket", operation="DeleteBucket"),
    "list all buckets": Call(action="s3:ListAllMyBuckets", operation="ListBuckets"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request; `by` are the Sids that deny it, or what didn't allow it."""

    who: str
    where: str
    what: str
    on: str
    answer: Answer
    by: tuple[str, ...] = ()

    @property
    def call(self) -> Call:
        """The S3 operation behind `what`."""
        return CALLS[self.what]

    def __str__(self) -> str:
        return f"{self.who}, from {self.where}: {self.what} on {self.on}"


def _rows(who: str, *lines: tuple[str, str, str, str]) -> tuple[Row, ...]:
    """Read lines of (where, what, on, answer): `yes`, `no` (nothing allows it) or the denying Sids."""
    rows = []
    for where, what, on, answer in lines:
        sids = tuple(answer.split(" + "))
        rows.append(
            Row(who=who, where=where, what=what, on=on, answer="allowed")
            if answer == "yes"
            else Row(who=who, where=where, what=what, on=on, answer="implicit deny")
            if answer == "no"
            else Row(who=who, where=where, what=what, on=on, answer="implicit deny", by=sids)
            if sids == (BY_ENDPOINT,)
            else Row(who=who, where=where, what=what, on=on, answer="explicit deny", by=sids)
        )
    return tuple(rows)


ROWS = (
    *_rows(
        BACKUP_USER,
        (THIS, "put", BACKUP, "yes"),
        (THIS, "get", BACKUP, "yes"),
        (THIS, "head", BACKUP, "yes"),
        (THIS, "delete", BACKUP, "yes"),
        (THIS, "list", BUCKET, "yes"),
        (THIS, "head the bucket", BUCKET, "yes"),
        (THIS, "get the location", BUCKET, "yes"),
        (THIS, "list all buckets", ACCOUNT, "yes"),
        (THIS, "delete a version", BACKUP, "no"),
        (THIS, "get a version", LOCKED_BACKUP, "yes"),
        (THIS, "delete a version", LOCKED_BACKUP, "yes"),
        (THIS, "set a retention", LOCKED_BACKUP, "yes"),
        (THIS, "list versions", LOCKED_BUCKET, "yes"),
        (THIS, "bypass a retention", LOCKED_BACKUP, "no"),
        (THIS, "set a retention", BACKUP, "no"),
        (THIS, "an object action of tomorrow", BACKUP, "no"),
        (THIS, "get the policy", BUCKET, "no"),
        (THIS, "put the policy", BUCKET, TAMPER),
        (THIS, "set versioning", BUCKET, "no"),
        (THIS, "set the lock configuration", LOCKED_BUCKET, "no"),
        (THIS, "set a lifecycle", BUCKET, "no"),
        (THIS, "delete the bucket", BUCKET, "no"),
        (THIS, "get", OTHER_SITES_BACKUP, "no"),
        (THIS, "put", TAKEN_NAME, "no"),
        (SECOND, "put", BACKUP, "yes"),
        (SECOND, "list", BUCKET, "yes"),
        (FOREIGN, "put", BACKUP, OBJECTS),
        (FOREIGN, "get", BACKUP, OBJECTS),
        (FOREIGN, "list", BUCKET, LISTING),
        (INTERNET, "put", BACKUP, OBJECTS),
        (INTERNET, "get", BACKUP, OBJECTS),
        (INTERNET, "head", BACKUP, OBJECTS),
        (INTERNET, "delete", BACKUP, OBJECTS),
        (INTERNET, "delete a version", LOCKED_BACKUP, OBJECTS),
        (INTERNET, "list", BUCKET, LISTING),
        (INTERNET, "head the bucket", BUCKET, LISTING),
        (INTERNET, "get the location", BUCKET, "yes"),
        (THIS_HTTP, "put", BACKUP, HTTP),
        (THIS_HTTP, "list", BUCKET, HTTP),
        (INTERNET_HTTP, "put", BACKUP, f"{OBJECTS} + {HTTP}"),
        (THIS_TLS11, "put", BACKUP, TLS),
        (THIS_TLS11, "list", BUCKET, TLS),
    ),
    *_rows(
        ADMINISTRATOR,
        (CONSOLE, "put", BACKUP, OBJECTS),
        (CONSOLE, "get", BACKUP, OBJECTS),
        (CONSOLE, "delete", BACKUP, OBJECTS),
        (CONSOLE, "bypass a retention", LOCKED_BACKUP, OBJECTS),
        (CONSOLE, "an object action of tomorrow", BACKUP, OBJECTS),
        (CONSOLE, "list", BUCKET, LISTING),
        (CONSOLE, "get the policy", BUCKET, "yes"),
        (CONSOLE, "put the policy", BUCKET, TAMPER),
        (CONSOLE, "delete the policy", BUCKET, TAMPER),
        (CONSOLE, "set versioning", BUCKET, "yes"),
        (CONSOLE, "set the lock configuration", LOCKED_BUCKET, "yes"),
        (CONSOLE, "set a lifecycle", BUCKET, "yes"),
        (THIS, "get", BACKUP, "yes"),
        (THIS, "an object action of tomorrow", BACKUP, "yes"),
        (THIS, "put the policy", BUCKET, TAMPER),
        (THIS, "get", OTHER_SITES_BACKUP, BY_ENDPOINT),
        (THIS, "list", OTHER_SITES_BUCKET, BY_ENDPOINT),
        (THIS, "put", FOREIGN_OBJECT, BY_ENDPOINT),
        (FOREIGN, "put", FOREIGN_OBJECT, "yes"),
        (FOREIGN, "get", BACKUP, OBJECTS),
    ),
    *_rows(
        ROOT,
        (CONSOLE, "put the policy", BUCKET, "yes"),
        (CONSOLE, "delete the policy", BUCKET, "yes"),
        (CONSOLE, "get the policy", BUCKET, "yes"),
        (CONSOLE, "list", BUCKET, "yes"),
        (CONSOLE, "get", BACKUP, OBJECTS),
        (CONSOLE, "put", BACKUP, OBJECTS),
        (INTERNET_HTTP, "get", BACKUP, f"{OBJECTS} + {HTTP}"),
    ),
    *_rows(
        BREAK_GLASS,
        (CONSOLE, "put the policy", BUCKET, "yes"),
        (CONSOLE, "delete the policy", BUCKET, "yes"),
        (CONSOLE, "list", BUCKET, "yes"),
        (CONSOLE, "get", BACKUP, OBJECTS),
    ),
    *_rows(
        LOOKALIKE,
        (INSIDE, "put the policy", BUCKET, TAMPER),
        (INSIDE, "list", BUCKET, LISTING),
        (INSIDE, "get", BACKUP, OBJECTS),
    ),
    *_rows(
        NAMESAKE,
        (INSIDE, "put the policy", BUCKET, TAMPER),
        (INSIDE, "list", BUCKET, LISTING),
        (INSIDE, "get", BACKUP, OBJECTS),
    ),
    *_rows(
        OPERATOR,
        (CONSOLE, "get", BACKUP, OBJECTS),
        (CONSOLE, "list", BUCKET, LISTING),
        (CONSOLE, "get the policy", BUCKET, "yes"),
        (CONSOLE, "put the policy", BUCKET, TAMPER),
        (CONSOLE, "set versioning", BUCKET, "no"),
    ),
    *_rows(
        POLICY_ADMINISTRATOR,
        (INSIDE, "get the policy", BUCKET, "yes"),
        (INSIDE, "put the policy", BUCKET, "yes"),
        (INSIDE, "delete the policy", BUCKET, "yes"),
        (INSIDE, "get", BACKUP, OBJECTS),
        (INSIDE, "put the policy", OTHER_SITES_BUCKET, "no"),
        (INSIDE, "set versioning", BUCKET, "no"),
    ),
    *_rows(
        ENSURE_BUCKET,
        (INSIDE, "list versions", BUCKET, "yes"),
        (INSIDE, "get the policy", BUCKET, "yes"),
        (INSIDE, "put the policy", BUCKET, TAMPER),
        (INSIDE, "get", BACKUP, OBJECTS),
        (INSIDE, "delete the bucket", BUCKET, "no"),
        (INSIDE, "set a lifecycle", BUCKET, "no"),
    ),
    *_rows(
        PROVE_LOCKDOWN,
        (INSIDE, "put", PROBE, OBJECTS),
        (INSIDE, "put", BACKUP, OBJECTS),
        (INSIDE, "put the policy", BUCKET, TAMPER),
    ),
    *_rows(
        PUBLISH_ENDPOINT,
        (INSIDE, "get", BACKUP, OBJECTS),
        (INSIDE, "get the policy", BUCKET, "no"),
    ),
    *_rows(
        GUEST,
        (INTERNET, "get", BACKUP, "yes"),
        (INTERNET, "list", BUCKET, "yes"),
        (INTERNET, "put", BACKUP, GUEST_CHANGES),
        (INTERNET, "delete", BACKUP, GUEST_CHANGES),
        (INTERNET, "an object action of tomorrow", BACKUP, GUEST_CHANGES),
        (INTERNET, "put the policy", BUCKET, TAMPER),
        (INTERNET_HTTP, "get", BACKUP, HTTP),
    ),
    *_rows(
        LATE_GUEST,
        (INTERNET, "get", BACKUP, GUEST_LATER),
        (INTERNET, "list", BUCKET, GUEST_LATER),
        (INTERNET, "put", BACKUP, GUEST_CHANGES),
    ),
    *_rows(
        OTHER_ACCOUNT,
        (INTERNET, "get", BACKUP, OBJECTS),
        (INTERNET, "list", BUCKET, LISTING),
        (FOREIGN, "get", BACKUP, OBJECTS),
        (THIS, "get", BACKUP, "yes"),
        (THIS, "put", BACKUP, "no"),
        (THIS, "put", FOREIGN_OBJECT, BY_ENDPOINT),
        (INTERNET, "put the policy", BUCKET, TAMPER),
        (INTERNET, "get the location", BUCKET, "no"),
    ),
    *_rows(
        ANONYMOUS,
        (INTERNET, "get", BACKUP, OBJECTS),
        (INTERNET, "put", BACKUP, OBJECTS),
        (INTERNET, "list", BUCKET, LISTING),
        (INTERNET, "put the policy", BUCKET, TAMPER),
        (INTERNET, "get the location", BUCKET, "no"),
        (INTERNET_HTTP, "get", BACKUP, f"{OBJECTS} + {HTTP}"),
        (FOREIGN, "get", BACKUP, OBJECTS),
        (THIS, "put", BACKUP, "no"),
        (THIS, "list", BUCKET, "no"),
    ),
    *_rows(
        LOG_DELIVERY,
        (INSIDE, "put", BACKUP, "yes"),
        (INSIDE, "get", BACKUP, "no"),
        (INSIDE, "put the policy", BUCKET, TAMPER),
    ),
)
