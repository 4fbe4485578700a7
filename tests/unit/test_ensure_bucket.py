"""Buckets hold the backups: what is missing is created, what is somebody else's is only looked at."""

from dataclasses import dataclass, field, replace

import pytest

from lambdas.core.drift import NOT_OURS, ONLY_CHECKED, Drift
from lambdas.core.errors import BucketRefusedError, ConcurrentChangeError
from lambdas.core.site import CREATOR_TAG, SITE_TAG, Site
from lambdas.ensure_bucket.logic import BucketState, EnsuredBucket, ensure_buckets, result
from tests.unit.sites import REGION, a_bucket, a_site

# Somebody's own bucket, without any tag, that is fit for backups.
FOREIGN = BucketState(
    region=REGION,
    tags={},
    versioning=False,
    object_lock=False,
    default_retention=False,
    lifecycle_rules=0,
    replication=False,
    public_access_blocked=True,
    owner_enforced=True,
    encrypted=True,
)
OWN = replace(FOREIGN, tags={SITE_TAG: "tokyo", CREATOR_TAG: "an-earlier-run"})
LOOSE = replace(FOREIGN, public_access_blocked=False, owner_enforced=False, encrypted=False)
# Ownership comes with the creation and encryption from S3.
NEW = replace(FOREIGN, public_access_blocked=False)


@dataclass
class InMemoryBuckets:
    """Buckets by name; `writes` is every call that changes something."""

    states: dict[str, BucketState] = field(default_factory=dict)
    full: set[str] = field(default_factory=set)
    enforced: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)

    def state(self, name: str) -> BucketState | None:
        self.looks.append(name)
        return self.states.get(name)

    def create(self, name: str, *, object_lock: bool, tags: dict[str, str]) -> bool:
        assert name not in self.states
        self.writes.append(f"create {name}")
        self.states[name] = replace(NEW, tags=tags, object_lock=object_lock, versioning=object_lock)
        return True

    def block_public_access(self, name: str) -> None:
        self._write(name, "block", replace(self.states[name], public_access_blocked=True))

    def enforce_owner(self, name: str) -> None:
        self._write(name, "owner", replace(self.states[name], owner_enforced=True))

    def encrypt(self, name: str) -> None:
        self._write(name, "encrypt", replace(self.states[name], encrypted=True))

    def is_enforced(self, name: str) -> bool:
        return name in self.enforced

    def is_empty(self, name: str) -> bool:
        return name not in self.full

    def _write(self, name: str, what: str, state: BucketState) -> None:
        self.writes.append(f"{what} {name}")
        self.states[name] = state


def ensured_buckets(
    buckets: InMemoryBuckets,
    site: Site,
    *,
    run: str,
    repair: bool = True,
    enforced_before: tuple[str, ...] = (),
) -> tuple[EnsuredBucket, ...]:
    """Run the step as a run that repairs a site which was never locked, unless a test says otherwise."""
    return ensure_buckets(buckets, site, run=run, repair=repair, enforced_before=enforced_before)


def drifted(what: str, wanted: str, *, why: str | None = None) -> Drift:
    """Return the drift of a property of the bucket; one that says why was left as it is."""
    return Drift(
        resource="backups",
        property=what,
        found=f"not {wanted}",
        wanted=wanted,
        repaired=why is None,
        why=why,
    )


WAYS = (
    ("public access", "blocked"),
    ("object ownership", "bucket owner enforced"),
    ("default encryption", "on"),
)


def test_a_missing_bucket_is_created_locked_down_and_tagged() -> None:
    """The tags say that it is ours: the next run repairs it, and no other site takes it."""
    buckets = InMemoryBuckets()

    ensured = ensured_buckets(buckets, a_site(), run="run-1")

    assert ensured == (EnsuredBucket(name="backups", exists=True, created=True, drift=(), enforce=True),)
    assert buckets.looks == ["backups"], "a bucket that was made just now needs no second look"
    assert buckets.states["backups"].tags == {SITE_TAG: "tokyo", CREATOR_TAG: "run-1"}
    assert buckets.states["backups"] == replace(FOREIGN, tags={SITE_TAG: "tokyo", CREATOR_TAG: "run-1"})


def test_a_second_run_writes_nothing() -> None:
    """A converged run is a silent one."""
    buckets = InMemoryBuckets()
    ensured_buckets(buckets, a_site(), run="run-1")
    buckets.writes.clear()

    ensured = ensured_buckets(buckets, a_site(), run="run-2")

    assert ensured == (EnsuredBucket(name="backups", exists=True, created=False, drift=(), enforce=True),)
    assert buckets.writes == []
    assert result(ensured)["changed"] is False


@pytest.mark.parametrize(("days", "lock"), [(0, False), (1, True), (30, True)])
def test_object_lock_is_asked_for_only_with_immutability(days: int, *, lock: bool) -> None:
    """It can't be switched off again, and Veeam wants it exactly when immutability is on."""
    buckets = InMemoryBuckets()

    ensured_buckets(buckets, a_site(buckets=(a_bucket(immutability_days=days),)), run="run-1")

    assert buckets.states["backups"].object_lock is lock


def test_an_own_bucket_of_a_died_run_is_adopted_and_finished() -> None:
    """A run that was killed right after CreateBucket leaves a bucket that is not locked down yet."""
    buckets = InMemoryBuckets({"backups": replace(LOOSE, tags={SITE_TAG: "tokyo", CREATOR_TAG: "dead"})})

    (ensured,) = ensured_buckets(buckets, a_site(), run="run-2")

    assert not ensured.created
    assert ensured.drift == tuple(drifted(what, wanted) for what, wanted in WAYS)
    assert ensured.enforce
    assert buckets.writes == ["block backups", "owner backups", "encrypt backups"]


@pytest.mark.parametrize(
    ("drift", "write", "way"),
    [
        (replace(OWN, public_access_blocked=False), "block backups", WAYS[0]),
        (replace(OWN, owner_enforced=False), "owner backups", WAYS[1]),
        (replace(OWN, encrypted=False), "encrypt backups", WAYS[2]),
    ],
)
def test_each_drift_of_an_own_bucket_is_repaired_alone(
    drift: BucketState, write: str, way: tuple[str, str]
) -> None:
    """Whatever somebody opened is closed again, and nothing else is written."""
    buckets = InMemoryBuckets({"backups": drift})

    ensured = ensured_buckets(buckets, a_site(), run="run-2")
    again = ensured_buckets(buckets, a_site(), run="run-3")

    assert buckets.writes == [write]
    assert ensured[0].drift == (drifted(*way),)
    assert result(ensured)["changed"] is True
    assert result(again)["changed"] is False
    assert result(again)["drift"] == []


def test_a_foreign_bucket_is_never_written_to() -> None:
    """Its owner may have reasons; only the bucket policy will be added, and people are told so."""
    open_bucket = replace(LOOSE, tags={"owner": "backup team"})
    buckets = InMemoryBuckets({"backups": open_bucket})

    (ensured,) = ensured_buckets(buckets, a_site(), run="run-1")

    assert buckets.writes == []
    assert buckets.states["backups"] == open_bucket
    assert not ensured.created
    assert ensured.drift == tuple(drifted(what, wanted, why=NOT_OURS) for what, wanted in WAYS)
    assert result((ensured,))["changed"] is False


def test_a_foreign_bucket_with_the_tag_of_this_site_is_not_ours() -> None:
    """People may tag their own bucket for the site: only the creator tag makes it the product's."""
    buckets = InMemoryBuckets({"backups": replace(LOOSE, tags={SITE_TAG: "tokyo"})})

    ensured_buckets(buckets, a_site(), run="run-1")

    assert buckets.writes == []


UNFIT = {
    "another Region": (replace(FOREIGN, region="us-east-1"), 0, "it is in us-east-1, not ap-northeast-1"),
    "another site": (replace(FOREIGN, tags={SITE_TAG: "osaka"}), 0, "it belongs to site osaka"),
    "another site's own": (
        replace(OWN, tags={SITE_TAG: "osaka", CREATOR_TAG: "r"}),
        0,
        "it belongs to site osaka; name another bucket",
    ),
    "no Object Lock": (
        replace(FOREIGN, versioning=True),
        1,
        (
            "immutability_days needs Versioning and Object Lock, which are never switched on in an existing "
            "bucket; name a bucket that has both or a new one, or set immutability_days to 0$"
        ),
    ),
    "no Versioning": (
        replace(FOREIGN, object_lock=True),
        30,
        "immutability_days needs Versioning and Object",
    ),
    "own without Object Lock": (OWN, 30, "or set immutability_days to 0"),
    "default retention": (
        replace(FOREIGN, object_lock=True, versioning=True, default_retention=True),
        30,
        "unfit: it has a default retention, which Veeam does not support; remove the default retention$",
    ),
    "own with default retention": (replace(OWN, default_retention=True), 0, "remove the default retention"),
    "lifecycle rule": (
        replace(FOREIGN, lifecycle_rules=1),
        0,
        "bucket unfit: it has 1 lifecycle rules, which would damage backups; remove them$",
    ),
    "replication": (
        replace(FOREIGN, replication=True),
        0,
        "bucket unfit: it is replicated, which Veeam does not support; remove the replication$",
    ),
}


@pytest.mark.parametrize(("state", "days", "words"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_bucket_is_refused_before_anything_is_created(
    state: BucketState, days: int, words: str
) -> None:
    """Several buckets, the last one unfit: a refusal must leave nothing behind."""
    wanted = (a_bucket("new-1"), a_bucket("new-2"), a_bucket("unfit", immutability_days=days))
    buckets = InMemoryBuckets({"unfit": state})

    with pytest.raises(BucketRefusedError, match=words) as refusal:
        ensured_buckets(buckets, a_site(buckets=wanted), run="run-1")

    assert refusal.value.bucket == "unfit"
    assert str(refusal.value).startswith("bucket unfit: ")
    assert buckets.writes == []
    assert set(buckets.states) == {"unfit"}


def test_a_bucket_with_everything_that_immutability_needs_is_taken() -> None:
    """The counterpart of the refusals: fit means fit."""
    state = replace(FOREIGN, object_lock=True, versioning=True)

    (ensured,) = ensured_buckets(
        InMemoryBuckets({"backups": state}),
        a_site(buckets=(a_bucket(immutability_days=30),)),
        run="run-1",
    )

    assert ensured.enforce


def test_a_bucket_that_holds_something_is_not_locked_yet() -> None:
    """Servers write to it from outside the endpoint today: locking now would break running backups."""
    buckets = InMemoryBuckets({"backups": FOREIGN, "empty": FOREIGN}, full={"backups"})

    ensured = ensured_buckets(
        buckets, a_site(buckets=(a_bucket("backups"), a_bucket("empty"), a_bucket("new"))), run="run-1"
    )

    assert result(ensured)["enforced"] == ["empty", "new"]
    assert result(ensured)["pending"] == ["backups"]


def test_a_bucket_that_is_locked_already_stays_locked() -> None:
    """Once locked, backups go through the endpoint: filling up must not take the lock off."""
    buckets = InMemoryBuckets({"backups": FOREIGN}, full={"backups"}, enforced={"backups"})

    (ensured,) = ensured_buckets(buckets, a_site(), run="run-1")

    assert ensured.enforce


def test_an_own_bucket_that_holds_something_and_is_not_locked_waits_as_well() -> None:
    """The site was released and is wanted again: backups went on over public endpoints meanwhile."""
    buckets = InMemoryBuckets({"backups": OWN}, full={"backups"})

    (ensured,) = ensured_buckets(buckets, a_site(), run="run-1")

    assert not ensured.enforce
    assert result((ensured,))["pending"] == ["backups"]


@pytest.mark.parametrize("state", [OWN, FOREIGN])
def test_a_bucket_that_was_locked_before_is_locked_again(state: BucketState) -> None:
    """Somebody has taken the policy off by hand: that is drift, and no reason to ask servers anew."""
    buckets = InMemoryBuckets({"backups": state}, full={"backups"})

    (ensured,) = ensured_buckets(buckets, a_site(), run="run-1", enforced_before=("backups",))

    assert ensured.enforce


def test_what_was_locked_before_is_looked_up_by_its_name() -> None:
    """The settings have a second bucket since: it is in use, and nobody has been asked about it."""
    buckets = InMemoryBuckets({"backups": OWN, "second": FOREIGN}, full={"backups", "second"})
    site = a_site(buckets=(a_bucket("backups"), a_bucket("second")))

    ensured = ensured_buckets(buckets, site, run="run-1", enforced_before=("backups", "not-ours-any-more"))

    assert result(ensured)["enforced"] == ["backups"]
    assert result(ensured)["pending"] == ["second"]


def test_a_locked_bucket_that_has_disappeared_is_made_again_and_told() -> None:
    """Somebody has deleted it with everything in it: the greatest drift of all must not look like a start."""
    ensured = ensured_buckets(InMemoryBuckets(), a_site(), run="run-1", enforced_before=("backups",))

    gone = Drift(resource="backups", property="bucket", found="absent", wanted="there", repaired=True)
    assert ensured == (EnsuredBucket(name="backups", exists=True, created=True, drift=(gone,), enforce=True),)


def test_a_run_that_only_checks_creates_nothing_and_says_what_is_missing() -> None:
    """Neither locked nor waited for: there is nothing yet to lock."""
    buckets = InMemoryBuckets()

    ensured = ensured_buckets(buckets, a_site(), run="run-1", repair=False)

    assert [(one.name, one.exists, one.created, one.enforce) for one in ensured] == [
        ("backups", False, False, False)
    ]
    gone = Drift(
        resource="backups",
        property="bucket",
        found="absent",
        wanted="there",
        repaired=False,
        why=ONLY_CHECKED,
    )
    assert result(ensured) == {
        "changed": False,
        "created": [],
        "enforced": [],
        "pending": [],
        "drift": [gone.model_dump()],
    }
    assert buckets.writes == []
    assert buckets.states == {}


@pytest.mark.parametrize("creator", [{CREATOR_TAG: "an-earlier-run"}, {}])
def test_a_run_that_only_checks_changes_nothing_and_says_what_it_found(creator: dict[str, str]) -> None:
    """Of an own bucket what the next run would repair, of somebody's what it would leave."""
    state = replace(LOOSE, tags={SITE_TAG: "tokyo", **creator})
    buckets = InMemoryBuckets({"backups": state}, full={"backups"}, enforced={"backups"})

    ensured = ensured_buckets(buckets, a_site(), run="run-1", repair=False)

    why = ONLY_CHECKED if creator else NOT_OURS
    assert ensured[0].drift == tuple(drifted(what, wanted, why=why) for what, wanted in WAYS)
    assert result(ensured)["changed"] is False
    assert result(ensured)["enforced"] == ["backups"]
    assert buckets.writes == []
    assert buckets.states == {"backups": state}


@pytest.mark.parametrize(("state", "days", "words"), UNFIT.values(), ids=UNFIT)
def test_a_check_refuses_an_unfit_bucket_as_well(state: BucketState, days: int, words: str) -> None:
    """It is what the next run would stumble over."""
    wanted = a_site(buckets=(a_bucket("new"), a_bucket("unfit", immutability_days=days)))

    with pytest.raises(BucketRefusedError, match=words):
        ensured_buckets(InMemoryBuckets({"unfit": state}), wanted, run="run-1", repair=False)


@dataclass
class AlreadyOurs(InMemoryBuckets):
    """Buckets of which one appears between the look and the creation."""

    appearing: BucketState | None = None

    def create(self, name: str, *, object_lock: bool, tags: dict[str, str]) -> bool:
        assert tags[CREATOR_TAG]
        assert not object_lock
        if self.appearing is not None:
            self.states[name] = self.appearing
        return False


def test_a_bucket_that_disappears_at_once_is_an_error() -> None:
    """Somebody deletes while we create: going on would build an endpoint to nothing."""
    with pytest.raises(ConcurrentChangeError, match="backups was created and can't be seen yet"):
        ensured_buckets(AlreadyOurs(), a_site(), run="run-1")


def test_a_creation_whose_answer_was_lost_is_ours() -> None:
    """Its tag says that this run made it: repaired like any other of ours, and locked at once."""
    buckets = AlreadyOurs(appearing=replace(LOOSE, tags={SITE_TAG: "tokyo", CREATOR_TAG: "run-1"}))

    assert ensured_buckets(buckets, a_site(), run="run-1") == (
        EnsuredBucket(name="backups", exists=True, created=True, drift=(), enforce=True),
    )
    assert buckets.states["backups"].public_access_blocked


def test_a_bucket_that_somebody_else_made_a_moment_ago_is_theirs() -> None:
    """It is examined like any other bucket that was there: not locked while it holds something."""
    buckets = AlreadyOurs(appearing=FOREIGN, full={"backups"})

    assert ensured_buckets(buckets, a_site(), run="run-1") == (
        EnsuredBucket(name="backups", exists=True, created=False, drift=(), enforce=False),
    )


def test_an_unfit_bucket_that_somebody_else_made_a_moment_ago_is_refused() -> None:
    """A lifecycle rule damages backups, however new the bucket is."""
    with pytest.raises(BucketRefusedError, match="lifecycle rules"):
        ensured_buckets(AlreadyOurs(appearing=replace(FOREIGN, lifecycle_rules=1)), a_site(), run="run-1")


def test_the_result_names_what_was_done() -> None:
    """The execution's output is what people read in the console."""
    drift = drifted("default encryption", "on")
    ensured = (
        EnsuredBucket(name="one", exists=True, created=True, drift=(), enforce=True),
        EnsuredBucket(name="two", exists=True, created=False, drift=(drift,), enforce=False),
        EnsuredBucket(name="three", exists=False, created=False, drift=(), enforce=False),
    )

    assert result(ensured) == {
        "changed": True,
        "created": ["one"],
        "enforced": ["one"],
        "pending": ["two"],
        "drift": [drift.model_dump()],
    }
