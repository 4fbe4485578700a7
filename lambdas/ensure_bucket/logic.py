"""
Make the site's buckets fit for backups: create what is missing, check what is there.

All buckets are looked at before the first one is created, so that a refusal leaves nothing behind. A
bucket that the product created (it carries the creator tag) is repaired; any other one is only checked.
Versioning, encryption and Object Lock of an existing bucket are never changed: Veeam's immutability
depends on them. No lifecycle rule, no replication and no default retention may touch backups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lambdas.core.errors import BucketRefusedError
from lambdas.core.site import CREATOR_TAG, SITE_TAG, Bucket, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketState:
    """A bucket as it is."""

    region: str
    tags: dict[str, str]
    versioning: bool
    object_lock: bool
    default_retention: bool
    lifecycle_rules: int
    replication: bool
    public_access_blocked: bool
    owner_enforced: bool
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsuredBucket:
    """A bucket after this step; `enforce` says whether it may be locked to the endpoint at once."""

    name: str
    created: bool
    repaired: tuple[str, ...]
    enforce: bool


class Buckets(Protocol):
    """What this step needs from S3."""

    def state(self, name: str) -> BucketState | None: ...
    def create(self, name: str, *, object_lock: bool, tags: dict[str, str]) -> None: ...
    def block_public_access(self, name: str) -> None: ...
    def enforce_owner(self, name: str) -> None: ...
    def encrypt(self, name: str) -> None: ...
    def is_enforced(self, name: str) -> bool: ...
    def is_empty(self, name: str) -> bool: ...


def ensure_buckets(buckets: Buckets, site: Site, *, run: str) -> tuple[EnsuredBucket, ...]:
    """Make every bucket of *site* match; raises BucketRefusedError before anything is created."""
    states = {wanted.name: buckets.state(wanted.name) for wanted in site.buckets}
    for wanted in site.buckets:
        state = states[wanted.name]
        if state is not None:
            _refuse_unfit(wanted, state, site)
    return tuple(_ensure(buckets, wanted, states[wanted.name], site, run=run) for wanted in site.buckets)


def _ensure(
    buckets: Buckets, wanted: Bucket, state: BucketState | None, site: Site, *, run: str
) -> EnsuredBucket:
    created = state is None
    if state is None:
        buckets.create(
            wanted.name,
            object_lock=wanted.immutability_days > 0,
            tags={SITE_TAG: site.site, CREATOR_TAG: run},
        )
        # What a new bucket is like, AWS decides: look, then repair like any other bucket of ours.
        state = buckets.state(wanted.name)
        if state is None:
            raise BucketRefusedError(bucket=wanted.name, problem="it disappeared right after it was created")
    ours = CREATOR_TAG in state.tags
    return EnsuredBucket(
        name=wanted.name,
        created=created,
        repaired=_repair(buckets, wanted.name, state) if ours else (),
        enforce=ours or buckets.is_enforced(wanted.name) or buckets.is_empty(wanted.name),
    )


def _repair(buckets: Buckets, name: str, state: BucketState) -> tuple[str, ...]:
    repaired = []
    if not state.public_access_blocked:
        buckets.block_public_access(name)
        repaired.append("public access block")
    if not state.owner_enforced:
        buckets.enforce_owner(name)
        repaired.append("object ownership")
    if not state.encrypted:
        buckets.encrypt(name)
        repaired.append("default encryption")
    return tuple(repaired)


def _refuse_unfit(wanted: Bucket, state: BucketState, site: Site) -> None:
    problems = [
        problem
        for unfit, problem in (
            (
                state.region != site.region,
                f"it is in {state.region}, not {site.region}; name a bucket of the site's Region",
            ),
            (
                state.tags.get(SITE_TAG, site.site) != site.site,
                f"it belongs to site {state.tags.get(SITE_TAG)}; name another bucket",
            ),
            (
                wanted.immutability_days > 0 and not (state.versioning and state.object_lock),
                (
                    "immutability_days needs Versioning and Object Lock, which are never switched on in an "
                    "existing bucket; name a bucket that has both or a new one, or set immutability_days to 0"
                ),
            ),
            (
                state.default_retention,
                "it has a default retention, which Veeam does not support; remove the default retention",
            ),
            (
                state.lifecycle_rules > 0,
                f"it has {state.lifecycle_rules} lifecycle rules, which would damage backups; remove them",
            ),
            (state.replication, "it is replicated, which Veeam does not support; remove the replication"),
        )
        if unfit
    ]
    if problems:
        raise BucketRefusedError(bucket=wanted.name, problem=problems[0])


def result(ensured: Sequence[EnsuredBucket]) -> dict[str, object]:
    """Say what this step did, for the execution's output."""
    return {
        "changed": any(bucket.created or bucket.repaired for bucket in ensured),
        "created": [bucket.name for bucket in ensured if bucket.created],
        "repaired": [f"{bucket.name}: {what}" for bucket in ensured for what in bucket.repaired],
        "enforced": [bucket.name for bucket in ensured if bucket.enforce],
        "pending": [bucket.name for bucket in ensured if not bucket.enforce],
    }
