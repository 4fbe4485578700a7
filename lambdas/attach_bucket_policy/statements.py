"""
The product's own statements in a bucket policy.

Deny statements only, and none that denies managing the bucket as a whole: denying `s3:*` on the bucket
would also deny repairing the policy, and then only the account's root gets in.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lambdas.core.policy_names import (
    ALLOW_GUEST,
    DENY_GUEST_CHANGES,
    DENY_GUEST_LATER,
    DENY_INSECURE_TRANSPORT,
    DENY_LISTING,
    DENY_OBJECT_ACCESS,
    DENY_OUTDATED_TLS,
    DENY_POLICY_TAMPER,
)

Statement = dict[str, Any]


# What a guest may do with objects from outside the endpoint: read backups and what belongs to them.
READING = (
    "s3:GetObject",
    "s3:GetObjectAttributes",
    "s3:GetObjectLegalHold",
    "s3:GetObjectRetention",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectVersionTagging",
)
LISTING = ("s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A principal that may read from outside the endpoint until `expires_at` (2026-01-31T22:00:00Z)."""

    principal: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockdown:
    """Who still gets in: through which endpoints, who may see the bucket, who may change its policy."""

    endpoint_ids: tuple[str, ...]
    observers: tuple[str, ...]
    policy_administrators: tuple[str, ...]
    guests: tuple[Guest, ...] = ()

    def fingerprint(self) -> str:
        """Return a short text that changes when something else is wanted."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def own_statements(bucket_arn: str, lockdown: Lockdown) -> list[Statement]:
    """Build the statements for one bucket; the same input gives the same statements, in the same order."""
    guests = [guest.principal for guest in lockdown.guests]
    return [
        deny_object_access(bucket_arn, lockdown.endpoint_ids, guests),
        deny_listing(bucket_arn, lockdown.endpoint_ids, (*lockdown.observers, *guests)),
        deny_policy_tamper(bucket_arn, lockdown.policy_administrators),
        deny_insecure_transport(bucket_arn),
        deny_outdated_tls(bucket_arn),
        *(
            statement
            for number, guest in enumerate(lockdown.guests, start=1)
            for statement in guest_statements(bucket_arn, lockdown.endpoint_ids, guest, number)
        ),
    ]


def deny_object_access(bucket_arn: str, endpoint_ids: Sequence[str], guests: Sequence[str]) -> Statement:
    """
    No object is read or written outside the endpoint, by today's actions or by tomorrow's.

    Guests are left out here and bounded by their own statements.

    Without it, a stolen key works from anywhere. AWS's own services are let through: log delivery and
    the like come from no endpoint. `IfExists`, because anonymous requests carry no such key.
    """
    return {
        "Sid": DENY_OBJECT_ACCESS,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"{bucket_arn}/*",
        "Condition": {
            "StringNotEquals": {"aws:SourceVpce": list(endpoint_ids)},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            **({"ArnNotEquals": {"aws:PrincipalArn": list(guests)}} if guests else {}),
        },
    }


def deny_listing(bucket_arn: str, endpoint_ids: Sequence[str], observers: Sequence[str]) -> Statement:
    """
    Names of backups are seen only through the endpoint.

    Without it, anyone in the account who may list learns which machines are backed up, and when. The
    observers are the roles that must look at the bucket from inside AWS.
    """
    return {
        "Sid": DENY_LISTING,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(LISTING),
        "Resource": bucket_arn,
        "Condition": {
            "StringNotEquals": {"aws:SourceVpce": list(endpoint_ids)},
            "ArnNotEquals": {"aws:PrincipalArn": list(observers)},
        },
    }


def deny_policy_tamper(bucket_arn: str, policy_administrators: Sequence[str]) -> Statement:
    """
    Nobody but the policy administrators and the account's root changes this policy.

    Without it, whoever may write bucket policies takes the lock off. Exact ARNs: a pattern can be minted
    by anyone who may create roles.
    """
    return {
        "Sid": DENY_POLICY_TAMPER,
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"],
        "Resource": bucket_arn,
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(policy_administrators)}},
    }


def deny_insecure_transport(bucket_arn: str) -> Statement:
    """Without it, backups could travel unencrypted: interface endpoints of S3 also speak plain HTTP."""
    return {
        "Sid": DENY_INSECURE_TRANSPORT,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def deny_outdated_tls(bucket_arn: str) -> Statement:
    """Without it, a client that is talked down to TLS 1.1 or less is still served."""
    return {
        "Sid": DENY_OUTDATED_TLS,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    }


def guest_statements(
    bucket_arn: str, endpoint_ids: Sequence[str], guest: Guest, number: int
) -> list[Statement]:
    """
    A guest reads from anywhere until its time is over, and never writes.

    The end is in the policy itself: should the run that takes the exception away not come, it is over all
    the same. The allowance is what makes a guest of another account work; its own policies must allow it
    as well.
    """
    outside = {
        "StringNotEquals": {"aws:SourceVpce": list(endpoint_ids)},
        "ArnEquals": {"aws:PrincipalArn": guest.principal},
    }
    bucket_and_objects = [bucket_arn, f"{bucket_arn}/*"]
    _, partition, _, _, account, _ = guest.principal.split(":", 5)
    return [
        {
            "Sid": f"{ALLOW_GUEST}{number}",
            "Effect": "Allow",
            # The account, and the principal as a condition: S3 refuses a whole policy for one principal that
            # is mistyped or was deleted, and then every run of the site would fail until the grant ends.
            "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
            "Action": [*READING, *LISTING],
            "Resource": bucket_and_objects,
            "Condition": {
                "ArnEquals": {"aws:PrincipalArn": guest.principal},
                "DateLessThan": {"aws:CurrentTime": guest.expires_at},
            },
        },
        {
            "Sid": f"{DENY_GUEST_CHANGES}{number}",
            "Effect": "Deny",
            "Principal": "*",
            "NotAction": list(READING),
            "Resource": f"{bucket_arn}/*",
            "Condition": outside,
        },
        {
            "Sid": f"{DENY_GUEST_LATER}{number}",
            "Effect": "Deny",
            "Principal": "*",
            "Action": [*READING, *LISTING],
            "Resource": bucket_and_objects,
            "Condition": {**outside, "DateGreaterThanEquals": {"aws:CurrentTime": guest.expires_at}},
        },
    ]
