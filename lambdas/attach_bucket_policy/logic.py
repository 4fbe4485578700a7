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
from lambdas.core.errors import PolicyTooLargeError
from lambdas.core.policy_names import OWN_SIDS

Policy = dict[str, Any]

# Amazon S3 User Guide, "Bucket policies": at most 20 KB.
MAXIMUM_BYTES = 20 * 1024


class BucketPolicies(Protocol):
    """What this step needs from S3."""

    def read(self, bucket: str) -> Policy | None: ...
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
    """One bucket whose policy changes."""

    bucket: str
    before: Policy | None
    after: Policy


def attach(
    policies: BucketPolicies,
    replaced: ReplacedPolicies,
    *,
    buckets: Sequence[str],
    partition: str,
    lockdown: Lockdown,
) -> list[str]:
    """Lock *buckets*; return the names of those whose policy changed."""
    changes = []
    for bucket in buckets:
        before = policies.read(bucket)
        own = own_statements(f"arn:{partition}:s3:::{bucket}", lockdown)
        after = with_own(before, own)
        if not same(before, after):
            _refuse_too_large(bucket, after)
            changes.append(PolicyChange(bucket=bucket, before=before, after=after))
    if changes:
        replaced.remember({change.bucket: change.before for change in changes})
    for change in changes:
        policies.put(change.bucket, change.after)
    return [change.bucket for change in changes]


def restore(policies: BucketPolicies, replaced: ReplacedPolicies) -> list[str]:
    """
    Put the product's statements back to what they were before this run; return the changed buckets.

    People's statements are left as they are now, not as they were.
    """
    changed = []
    for bucket, before in replaced.recall().items():
        now = policies.read(bucket)
        restored = with_own(now, [statement for statement in _statements(before) if _is_own(statement)])
        if same(now, restored) or (now is None and not restored["Statement"]):
            continue
        if restored["Statement"]:
            policies.put(bucket, restored)
        else:
            policies.delete(bucket)
        changed.append(bucket)
    return changed


def with_own(policy: Policy | None, own: Sequence[Statement]) -> Policy:
    """Return *policy* with exactly *own* as the product's statements, behind everybody else's."""
    others = [statement for statement in _statements(policy) if not _is_own(statement)]
    return {"Version": "2012-10-17", **(policy or {}), "Statement": [*others, *own]}


def same(one: Policy | None, other: Policy) -> bool:
    """Compare as IAM does: order doesn't matter, and a list of one equals its only item."""
    return one is not None and _canonical({**one, "Statement": _statements(one)}) == _canonical(other)


def _statements(policy: Policy | None) -> list[Statement]:
    statements = (policy or {}).get("Statement", [])
    return list(statements) if isinstance(statements, list) else [statements]


def _is_own(statement: Statement) -> bool:
    return statement.get("Sid") in OWN_SIDS


def _canonical(value: Any) -> str:
    match value:
        case dict():
            return json.dumps({key: _canonical(item) for key, item in value.items()}, sort_keys=True)
        case list():
            items = sorted(_canonical(item) for item in value)
            return items[0] if len(items) == 1 else json.dumps(items)
        case _:
            return json.dumps(value)


def _refuse_too_large(bucket: str, policy: Policy) -> None:
    size = len(json.dumps(policy, separators=(",", ":")).encode())
    if size > MAXIMUM_BYTES:
        raise PolicyTooLargeError(
            f"bucket {bucket}: its policy would be {size} bytes long with the product's statements, and S3 "
            f"allows {MAXIMUM_BYTES}; shorten the statements that are there"
        )
