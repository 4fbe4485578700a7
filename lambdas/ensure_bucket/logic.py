"""
Make the site's buckets fit for backups: create what is missing, check what is there.

All buckets are looked at before the first one is created, so that a refusal leaves nothing behind. A
bucket that the product created (it carries the creator tag) is repaired; any other one is only checked.
Versioning, encryption and Object Lock of an existing bucket are never changed: Veeam's immutability
depends on them. No lifecycle rule, no replication and no default retention may touch backups.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from lambdas.core.drift import NOT_OURS, ONLY_CHECKED, Drift
from lambdas.core.errors import BucketRefusedError, ConcurrentChangeError
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
    """
    A bucket after this step; `enforce` says whether it may be locked to the endpoint at once.

    `exists` is false only where a run that only checks found no bucket.
    """

    name: str
    exists: bool
    created: bool
    drift: tuple[Drift, ...]
    enforce: bool


class Buckets(Protocol):
    """What this step needs from S3."""

    def state(self, name: str) -> BucketState | None: ...
    def create(self, name: str, *, object_lock: bool, tags: dict[str, str]) -> bool: ...
    def block_public_access(self, name: str) -> None: ...
    def enforce_owner(self, name: str) -> None: ...
    def encrypt(self, name: str) -> None: ...
    def is_enforced(self, name: str) -> bool: ...
    def is_empty(self, name: str) -> bool: ...


def ensure_buckets(
    buckets: Buckets, site: Site, *, run: str, repair: bool, enforced_before: Collection[str]
) -> tuple[EnsuredBucket, ...]:
    """
    Make every bucket of *site* match; raises BucketRefusedError before anything is created.

    `enforced_before` were locked by an earlier run: they are locked again whatever happened to their
    policy. Without `repair` nothing is created or changed.
    """
    states = {wanted.name: buckets.state(wanted.name) for wanted in site.buckets}
    for wanted in site.buckets:
        state = states[wanted.name]
        if state is not None:
            _refuse_unfit(wanted, state, site)
    return tuple(
        _ensure(
            buckets,
            wanted,
            states[wanted.name],
            site,
            run=run,
            repair=repair,
            enforced=wanted.name in enforced_before,
        )
        for wanted in site.buckets
    )


def _ensure(
    buckets: Buckets,
    wanted: Bucket,
    state: BucketState | None,
    site: Site,
    *,
    run: str,
    repair: bool,
    enforced: bool,
) -> EnsuredBucket:
    name = wanted.name
    created = state is None and repair
    missing: tuple[Drift, ...] = ()
    if state is None:
        missing = (_missing(name, repair=repair),) if enforced or not repair else ()
        if not repair:
            return EnsuredBucket(name=name, exists=False, created=False, drift=missing, enforce=False)
        made = buckets.create(
            name,
            object_lock=wanted.immutability_days > 0,
            tags={SITE_TAG: site.site, CREATOR_TAG: run},
        )
        if made:
            # Ownership came with the creation, and S3 encrypts every bucket; nothing else is in a new one.
            buckets.block_public_access(name)
            return EnsuredBucket(name=name, exists=True, created=True, drift=missing, enforce=True)
        state = buckets.state(name)
        if state is None:
            raise ConcurrentChangeError(f"bucket {name} was created and can't be seen yet")
        # The lost attempt may have been ours, or somebody was faster than we.
        created = state.tags.get(CREATOR_TAG) == run
        _refuse_unfit(wanted, state, site)
    drift = _drift(buckets, name, state, repair=repair)
    return EnsuredBucket(
        name=name,
        exists=True,
        created=created,
        # What AWS gave a bucket that was made just now is nobody's drift.
        drift=missing if created else drift,
        # Nobody relies on an empty bucket; one that holds something may be in use from elsewhere.
        enforce=enforced or created or buckets.is_enforced(name) or buckets.is_empty(name),
    )


def _missing(name: str, *, repair: bool) -> Drift:
    return Drift(
        resource=name,
        property="bucket",
        found="absent",
        wanted="there",
        repaired=repair,
        why=None if repair else ONLY_CHECKED,
    )


def _drift(buckets: Buckets, name: str, state: BucketState, *, repair: bool) -> tuple[Drift, ...]:
    ours = CREATOR_TAG in state.tags
    found = []
    for wrong, what, wanted, mend in (
        (not state.public_access_blocked, "public access", "blocked", buckets.block_public_access),
        (not state.owner_enforced, "object ownership", "bucket owner enforced", buckets.enforce_owner),
        (not state.encrypted, "default encryption", "on", buckets.encrypt),
    ):
        if not wrong:
            continue
        if ours and repair:
            mend(name)
        found.append(
            Drift(
                resource=name,
                property=what,
                found=f"not {wanted}",
                wanted=wanted,
                repaired=ours and repair,
                why=NOT_OURS if not ours else None if repair else ONLY_CHECKED,
            )
        )
    return tuple(found)


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
    drift = [drift for bucket in ensured for drift in bucket.drift]
    return {
        "changed": any(bucket.created for bucket in ensured) or any(one.repaired for one in drift),
        "created": [bucket.name for bucket in ensured if bucket.created],
        "enforced": [bucket.name for bucket in ensured if bucket.enforce],
        "pending": [bucket.name for bucket in ensured if bucket.exists and not bucket.enforce],
        "drift": [one.model_dump() for one in drift],
    }
