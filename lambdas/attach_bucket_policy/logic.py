"""
Lock the buckets to the endpoint, and take the lock back when the run fails.

The product's statements are merged into whatever policy is there, by Sid: people's own statements
survive, in their order. What is replaced is remembered first, in the item of the lease, so that a run
that fails or dies between two buckets can still be undone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lambdas.attach_bucket_policy.statements import Lockdown, Statement, own_statements
from lambdas.core.drift import ONLY_CHECKED, Drift
from lambdas.core.errors import ConcurrentChangeError, PolicyTooLargeError
from lambdas.core.policy_documents import canonical
from lambdas.core.policy_names import is_own

Policy = dict[str, Any]

# Amazon S3 User Guide, "Bucket policies": at most 20 KB.
MAXIMUM_BYTES = 20 * 1024


class BucketPolicies(Protocol):
    """What this step needs from S3."""

    def read(self, bucket: str, *, may_be_absent: bool) -> Policy | None:
        """Return None when there is no policy; a bucket that isn't there is an error unless it may be."""
        ...

    def put(self, bucket: str, policy: Policy) -> None: ...
    def delete(self, bucket: str) -> None: ...


class ReplacedPolicies(Protocol):
    """What this step needs from the item of the lease."""

    def remember(self, policies: Mapping[str, Policy | None]) -> None:
        """Keep what is about to be replaced; what this run has kept before stays as it is."""
        ...

    def recall(self) -> Mapping[str, Policy | None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """One bucket whose policy is not what it should be."""

    bucket: str
    before: Policy | None
    after: Policy

    def drift(self, *, repair: bool) -> Drift:
        """Say which statements somebody else has changed."""
        found, wanted = _by_sid(self.before), _by_sid(self.after)
        missing = sorted(set(wanted) - set(found))
        altered = sorted(
            sid for sid in wanted if sid in found and canonical(found[sid]) != canonical(wanted[sid])
        )
        extra = sorted(set(found) - set(wanted))
        parts = (("missing", missing), ("altered", altered), ("unknown", extra))
        return Drift(
            resource=self.bucket,
            property="bucket policy",
            found="; ".join(f"{what}: {', '.join(sids)}" for what, sids in parts if sids),
            wanted=", ".join(wanted),
            repaired=repair,
            why=None if repair else ONLY_CHECKED,
        )


def attach(
    policies: BucketPolicies,
    replaced: ReplacedPolicies,
    *,
    buckets: Sequence[str],
    partition: str,
    lockdown: Lockdown,
    repair: bool,
) -> list[PolicyChange]:
    """Lock *buckets*; return the changes that were needed, and made if `repair`."""
    changes = []
    for bucket in buckets:
        before = policies.read(bucket, may_be_absent=False)
        own = own_statements(f"arn:{partition}:s3:::{bucket}", lockdown)
        after = with_own(before, own)
        if not same(before, after):
            _refuse_too_large(bucket, after)
            changes.append(PolicyChange(bucket=bucket, before=before, after=after))
    if changes and repair:
        replaced.remember({change.bucket: change.before for change in changes})
        for change in changes:
            policies.put(change.bucket, change.after)
    return changes


def detach(policies: BucketPolicies, buckets: Sequence[str]) -> list[str]:
    """
    Take the product's statements away, and look whether they are gone; return the changed buckets.

    Servers go back to public endpoints next: a statement that is left would break their backups.
    """
    # A site can be released although its bucket was never made, or is gone.
    changed = [bucket for bucket in buckets if _replace_own(policies, bucket, [], may_be_absent=True)]
    for bucket in changed:
        if any(_is_own(statement) for statement in _statements(policies.read(bucket, may_be_absent=True))):
            raise ConcurrentChangeError(f"bucket {bucket}: its policy still denies what it no longer should")
    return changed


def restore(policies: BucketPolicies, replaced: ReplacedPolicies) -> list[str]:
    """
    Put the product's statements back to what they were before this run; return the changed buckets.

    People's statements are left as they are now, not as they were.
    """
    return [
        bucket
        for bucket, before in replaced.recall().items()
        if _replace_own(
            policies,
            bucket,
            [statement for statement in _statements(before) if _is_own(statement)],
            # It was there when this run locked it: taken for absent, it would stay locked.
            may_be_absent=False,
        )
    ]


def _replace_own(
    policies: BucketPolicies, bucket: str, own: Sequence[Statement], *, may_be_absent: bool
) -> bool:
    """Make *own* the product's statements of *bucket*, and say whether they weren't."""
    now = policies.read(bucket, may_be_absent=may_be_absent)
    wanted = with_own(now, own)
    if same(now, wanted) or (now is None and not wanted["Statement"]):
        return False
    if wanted["Statement"]:
        policies.put(bucket, wanted)
    else:
        policies.delete(bucket)
    return True


def with_own(policy: Policy | None, own: Sequence[Statement]) -> Policy:
    """Return *policy* with exactly *own* as the product's statements, behind everybody else's."""
    others = [statement for statement in _statements(policy) if not _is_own(statement)]
    # A version that people left out is left out: with another one, their variables would mean something.
    return {**({"Version": "2012-10-17"} if policy is None else policy), "Statement": [*others, *own]}


def same(one: Policy | None, other: Policy) -> bool:
    """Compare as IAM does: order doesn't matter, and a list of one equals its only item."""
    return one is not None and canonical({**one, "Statement": _statements(one)}) == canonical(other)


def _statements(policy: Policy | None) -> list[Statement]:
    statements = (policy or {}).get("Statement", [])
    return list(statements) if isinstance(statements, list) else [statements]


def _is_own(statement: Statement) -> bool:
    return is_own(statement.get("Sid"))


def _by_sid(policy: Policy | None) -> dict[str, Statement]:
    return {statement["Sid"]: statement for statement in _statements(policy) if _is_own(statement)}


def _refuse_too_large(bucket: str, policy: Policy) -> None:
    size = len(json.dumps(policy, separators=(",", ":")).encode())
    if size > MAXIMUM_BYTES:
        raise PolicyTooLargeError(
            f"bucket {bucket}: its policy would be {size} bytes long with the product's statements, and S3 "
            f"allows {MAXIMUM_BYTES}; shorten the statements that are there"
        )
