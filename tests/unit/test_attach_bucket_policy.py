"""
The lock of the buckets: merged into people's own policies, and taken back when a run fails.

Each test that remembers runs against the table's stand-in and against the adapter.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from mypy_boto3_dynamodb import DynamoDBClient

from lambdas.acquire_lease.dynamodb_leases import DynamoDbLeases
from lambdas.acquire_lease.logic import Order
from lambdas.attach_bucket_policy.dynamodb_replaced_policies import DynamoDbReplacedPolicies
from lambdas.attach_bucket_policy.logic import (
    MAXIMUM_BYTES,
    Policy,
    PolicyChange,
    ReplacedPolicies,
    attach,
    detach,
    restore,
    same,
    with_own,
)
from lambdas.attach_bucket_policy.s3_bucket_policies import S3BucketPolicies
from lambdas.attach_bucket_policy.statements import Guest, Lockdown, own_statements
from lambdas.core.drift import ONLY_CHECKED, Drift
from lambdas.core.errors import ConcurrentChangeError, LeaseLostError, PolicyTooLargeError
from lambdas.core.policy_names import is_own
from tests.unit.conftest import TABLE
from tests.unit.sites import ACCOUNT, ENDPOINT_ID, execution

RUN, OTHER_RUN = execution("a"), execution("b")
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/vbr-privatelink-policy-administrator-ap-northeast-1"
OBSERVER = f"arn:aws:iam::{ACCOUNT}:role/vbr-privatelink-ensure-bucket-ap-northeast-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
LOCKDOWN = Lockdown(
    endpoint_ids=(ENDPOINT_ID,),
    observers=(OBSERVER, ADMINISTRATOR, ROOT),
    policy_administrators=(ADMINISTRATOR, ROOT),
)
THEIRS_1: dict[str, Any] = {
    "Sid": "BackupTeam",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:role/backup"},
    "Action": ["s3:GetObject"],
    "Resource": "arn:aws:s3:::backups/*",
}
# Without a Sid, as many are.
THEIRS_2: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:DeleteObjectVersion",
    "Resource": "arn:aws:s3:::backups/*",
}
FOREIGN: Policy = {"Version": "2008-10-17", "Id": "Theirs", "Statement": [THEIRS_1, THEIRS_2]}


@dataclass
class InMemoryPolicies:
    """Policies by bucket; `writes` is every call that changes something."""

    documents: dict[str, Policy] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    fails_at: str | None = None

    def read(self, bucket: str, *, may_be_absent: bool) -> Policy | None:
        del may_be_absent  # Every bucket is there.
        return copy.deepcopy(self.documents.get(bucket))

    def put(self, bucket: str, policy: Policy) -> None:
        if bucket == self.fails_at:
            raise TimeoutError(bucket)
        self.writes.append(f"put {bucket}")
        self.documents[bucket] = copy.deepcopy(policy)

    def delete(self, bucket: str) -> None:
        self.writes.append(f"delete {bucket}")
        del self.documents[bucket]


@dataclass
class InMemoryReplaced:
    """What one run has replaced."""

    kept: Mapping[str, Policy | None] | None = None

    def remember(self, policies: Mapping[str, Policy | None]) -> None:
        if self.kept is None:
            self.kept = copy.deepcopy(dict(policies))

    def recall(self) -> Mapping[str, Policy | None]:
        return self.kept or {}


@pytest.fixture(name="replaced", params=["stand-in", "dynamodb"])
def _replaced(request: pytest.FixtureRequest) -> Iterator[ReplacedPolicies]:
    if request.param == "stand-in":
        yield InMemoryReplaced()
        return
    client: DynamoDBClient = request.getfixturevalue("dynamodb")
    DynamoDbLeases(client, table=TABLE).take("tokyo", execution=RUN, order=Order(), instead_of=None)
    yield DynamoDbReplacedPolicies(client, table=TABLE, site="tokyo", execution=RUN)


def changes(
    policies: InMemoryPolicies, replaced: ReplacedPolicies, *buckets: str, repair: bool
) -> list[PolicyChange]:
    return attach(policies, replaced, buckets=buckets, partition="aws", lockdown=LOCKDOWN, repair=repair)


def locked(policies: InMemoryPolicies, replaced: ReplacedPolicies, *buckets: str) -> list[str]:
    return [change.bucket for change in changes(policies, replaced, *buckets, repair=True)]


def own(bucket: str = "backups") -> list[dict[str, Any]]:
    return own_statements(f"arn:aws:s3:::{bucket}", LOCKDOWN)


def test_a_bucket_without_a_policy_is_locked(replaced: ReplacedPolicies) -> None:
    """The whole document is ours then."""
    policies = InMemoryPolicies()

    changed = locked(policies, replaced, "backups")

    assert changed == ["backups"]
    assert policies.documents == {"backups": {"Version": "2012-10-17", "Statement": own()}}


def test_a_second_run_puts_nothing(replaced: ReplacedPolicies) -> None:
    """A converged run is a silent one; each put would be an alarm in somebody's audit."""
    policies = InMemoryPolicies({"backups": copy.deepcopy(FOREIGN)})
    locked(policies, replaced, "backups")
    policies.writes.clear()

    changed = locked(policies, replaced, "backups")

    assert changed == []
    assert policies.writes == []


def test_peoples_statements_survive_in_their_order(replaced: ReplacedPolicies) -> None:
    """They come first, untouched, with the policy's own version and id."""
    policies = InMemoryPolicies({"backups": copy.deepcopy(FOREIGN)})

    locked(policies, replaced, "backups")

    assert policies.documents["backups"] == {**FOREIGN, "Statement": [THEIRS_1, THEIRS_2, *own()]}


def test_a_policy_whose_only_statement_is_no_list_is_merged(replaced: ReplacedPolicies) -> None:
    """IAM allows it, and people write it."""
    policies = InMemoryPolicies({"backups": {"Version": "2012-10-17", "Statement": THEIRS_1}})

    locked(policies, replaced, "backups")

    assert policies.documents["backups"]["Statement"] == [THEIRS_1, *own()]


def test_own_statements_are_replaced_wherever_they_stand(replaced: ReplacedPolicies) -> None:
    """Of another endpoint, edited by hand, twice: by their Sids they are ours."""
    old = own_statements(
        "arn:aws:s3:::backups",
        Lockdown(endpoint_ids=("vpce-old00000",), observers=(ROOT,), policy_administrators=(ROOT,)),
    )
    policies = InMemoryPolicies(
        {"backups": {"Version": "2012-10-17", "Statement": [old[0], THEIRS_1, *old, THEIRS_2]}}
    )

    changed = locked(policies, replaced, "backups")

    assert changed == ["backups"]
    assert policies.documents["backups"]["Statement"] == [THEIRS_1, THEIRS_2, *own()]


@pytest.mark.parametrize("missing", range(5))
def test_each_missing_statement_is_put_back(missing: int) -> None:
    """Whichever somebody removes, the lock is not whole any more."""
    left = [statement for index, statement in enumerate(own()) if index != missing]
    policies = InMemoryPolicies({"backups": {"Version": "2012-10-17", "Statement": left}})

    assert locked(policies, InMemoryReplaced(), "backups") == ["backups"]
    assert policies.documents["backups"]["Statement"] == own()
    assert locked(policies, InMemoryReplaced(), "backups") == []


def test_what_s3_writes_differently_is_the_same() -> None:
    """S3 answers a list of one as a text, and keys and lists in another order."""
    policy: Policy = {"Version": "2012-10-17", "Statement": own()}
    rewritten = json.loads(json.dumps(policy, sort_keys=True))
    for statement in rewritten["Statement"]:
        for name in ("Action", "Resource"):
            if isinstance(statement[name], list):
                statement[name].reverse()
    rewritten["Statement"].reverse()
    first = rewritten["Statement"][-1]
    first["Condition"]["StringNotEquals"]["aws:SourceVpce"] = ENDPOINT_ID

    assert rewritten != policy
    assert same(rewritten, policy)
    assert same({"Statement": THEIRS_1}, {"Statement": [THEIRS_1]})


@pytest.mark.parametrize(
    "other",
    [
        None,
        {},
        {"Version": "2008-10-17", "Statement": [THEIRS_1]},
        {"Version": "2012-10-17", "Statement": [{**THEIRS_1, "Effect": "Deny"}]},
        {"Version": "2012-10-17", "Statement": [{**THEIRS_1, "Action": ["s3:GetObject", "s3:PutObject"]}]},
        {"Version": "2012-10-17", "Statement": [THEIRS_1, THEIRS_2]},
        {"Version": "2012-10-17", "Statement": [{**THEIRS_1, "Condition": {}}]},
    ],
)
def test_what_means_something_else_is_not_the_same(other: Policy | None) -> None:
    """A comparison that is too kind leaves a hole open for ever."""
    assert not same(other, {"Version": "2012-10-17", "Statement": [THEIRS_1]})


def large_policy() -> Policy:
    """Return a policy that S3 takes, and that has no room for ours."""
    policy: Policy = {"Version": "2012-10-17", "Statement": []}
    while len(json.dumps(policy, separators=(",", ":"))) < MAXIMUM_BYTES - 500:
        policy["Statement"].append({**THEIRS_1, "Sid": f"Team{len(policy['Statement'])}"})
    return policy


def test_a_policy_that_would_be_too_large_is_refused_and_nothing_is_put(replaced: ReplacedPolicies) -> None:
    """Several buckets, the last one too large: none may be locked alone."""
    policies = InMemoryPolicies({"last": large_policy()})

    with pytest.raises(
        PolicyTooLargeError,
        match=r"^bucket last: its policy would be \d+ bytes .*, and S3 allows 20480; shorten the statements",
    ):
        locked(policies, replaced, "first", "last")

    assert policies.writes == []
    assert replaced.recall() == {}


def test_a_failed_run_puts_back_what_was_there(replaced: ReplacedPolicies) -> None:
    """Servers that back up from outside must be able to go on as before."""
    before = {"backups": copy.deepcopy(FOREIGN)}
    policies = InMemoryPolicies(copy.deepcopy(before))
    locked(policies, replaced, "backups", "new")

    changed = restore(policies, replaced)

    assert sorted(changed) == ["backups", "new"]
    assert policies.documents == before


def test_a_second_restore_writes_nothing(replaced: ReplacedPolicies) -> None:
    """The step is retried when its answer is lost; a policy that is gone is not deleted again."""
    policies = InMemoryPolicies({"backups": copy.deepcopy(FOREIGN)})
    locked(policies, replaced, "backups", "new")
    restore(policies, replaced)
    policies.writes.clear()

    assert restore(policies, replaced) == []
    assert policies.writes == []


def test_restore_puts_an_earlier_lock_back(replaced: ReplacedPolicies) -> None:
    """A bucket that was locked before the failed run stays locked, to the endpoint of then."""
    earlier = with_own(
        FOREIGN,
        own_statements(
            "arn:aws:s3:::backups",
            Lockdown(endpoint_ids=("vpce-00000001",), observers=(ROOT,), policy_administrators=(ROOT,)),
        ),
    )
    policies = InMemoryPolicies({"backups": copy.deepcopy(earlier)})
    locked(policies, replaced, "backups")

    restore(policies, replaced)

    assert policies.documents == {"backups": earlier}


def test_what_people_changed_in_between_survives_a_restore(replaced: ReplacedPolicies) -> None:
    """Putting the old image back as a whole would undo their work as well."""
    policies = InMemoryPolicies({"backups": copy.deepcopy(FOREIGN)})
    locked(policies, replaced, "backups", "new")
    added = {**THEIRS_1, "Sid": "Added"}
    policies.documents["backups"]["Statement"] = [THEIRS_2, *own(), added]
    policies.documents["new"]["Statement"].append(added)

    restore(policies, replaced)

    assert policies.documents["backups"]["Statement"] == [THEIRS_2, added]
    assert policies.documents["new"]["Statement"] == [added]


def test_a_run_that_replaced_nothing_restores_nothing(replaced: ReplacedPolicies) -> None:
    """A lock that stood before the run is not this run's to take away."""
    policies = InMemoryPolicies({"backups": {"Version": "2012-10-17", "Statement": own()}})
    locked(policies, replaced, "backups")

    assert restore(policies, replaced) == []
    assert policies.writes == []


def test_a_run_that_died_between_two_buckets_is_undone_as_a_whole(replaced: ReplacedPolicies) -> None:
    """What is replaced is remembered before the first put, and a retry doesn't overwrite it."""
    policies = InMemoryPolicies({"one": copy.deepcopy(FOREIGN)}, fails_at="two")
    with pytest.raises(TimeoutError):
        locked(policies, replaced, "one", "two")
    policies.fails_at = None
    locked(policies, replaced, "one", "two")

    restore(policies, replaced)

    assert policies.documents == {"one": FOREIGN}


def test_a_run_that_has_lost_its_lease_must_not_lock(dynamodb: DynamoDBClient) -> None:
    """It was believed dead and another run works: two would overwrite each other's policies."""
    DynamoDbLeases(dynamodb, table=TABLE).take("tokyo", execution=OTHER_RUN, order=Order(), instead_of=None)
    policies = InMemoryPolicies()
    replaced = DynamoDbReplacedPolicies(dynamodb, table=TABLE, site="tokyo", execution=RUN)

    with pytest.raises(LeaseLostError, match=OTHER_RUN):
        locked(policies, replaced, "backups")

    assert policies.writes == []


def test_a_run_without_any_lease_must_not_lock(dynamodb: DynamoDBClient) -> None:
    """Released, or the item was deleted by hand."""
    replaced = DynamoDbReplacedPolicies(dynamodb, table=TABLE, site="tokyo", execution=RUN)

    with pytest.raises(LeaseLostError, match="nobody"):
        replaced.remember({"backups": None})


def test_what_another_run_has_replaced_is_not_recalled(dynamodb: DynamoDBClient) -> None:
    """A takeover finds the dead run's image: restoring it would be wrong, overwriting it is right."""
    leases = DynamoDbLeases(dynamodb, table=TABLE)
    leases.take("tokyo", execution=OTHER_RUN, order=Order(), instead_of=None)
    DynamoDbReplacedPolicies(dynamodb, table=TABLE, site="tokyo", execution=OTHER_RUN).remember(
        {"backups": FOREIGN}
    )
    leases.take("tokyo", execution=RUN, order=Order(), instead_of=OTHER_RUN)
    replaced = DynamoDbReplacedPolicies(dynamodb, table=TABLE, site="tokyo", execution=RUN)

    assert replaced.recall() == {}
    replaced.remember({"backups": None})
    assert replaced.recall() == {"backups": None}


def test_an_error_of_the_table_is_not_taken_for_a_lost_lease() -> None:
    """Throttling is worth a retry; a lost lease is not."""
    client = boto3.client("dynamodb")
    replaced = DynamoDbReplacedPolicies(client, table=TABLE, site="tokyo", execution=RUN)
    with Stubber(client) as stub:
        stub.add_client_error("update_item", "ThrottlingException")

        with pytest.raises(ClientError, match="ThrottlingException"):
            replaced.remember({})


def test_the_adapter_always_names_the_expected_owner_and_never_confirms_self_removal() -> None:
    """A bucket that changed hands, or a policy that shuts our own role out, must both be refused by S3."""
    client = boto3.client("s3")
    owner = {"Bucket": "backups", "ExpectedBucketOwner": ACCOUNT}
    policies = S3BucketPolicies(client, account_id=ACCOUNT)
    with Stubber(client) as stub:
        stub.add_response("get_bucket_policy", {"Policy": json.dumps(FOREIGN)}, owner)
        stub.add_client_error("get_bucket_policy", "NoSuchBucketPolicy", expected_params=owner)
        stub.add_response("put_bucket_policy", {}, {**owner, "Policy": '{"Statement":[]}'})
        stub.add_response("delete_bucket_policy", {}, owner)

        assert policies.read("backups", may_be_absent=False) == FOREIGN
        assert policies.read("backups", may_be_absent=False) is None
        policies.put("backups", {"Statement": []})
        policies.delete("backups")
        stub.assert_no_pending_responses()


def test_an_unreadable_policy_is_not_taken_for_none() -> None:
    """Otherwise people's statements would be overwritten."""
    client = boto3.client("s3")
    with Stubber(client) as stub:
        stub.add_client_error("get_bucket_policy", "AccessDenied")

        with pytest.raises(ClientError, match="AccessDenied"):
            S3BucketPolicies(client, account_id=ACCOUNT).read("backups", may_be_absent=True)


def test_a_bucket_that_is_not_there_has_no_policy() -> None:
    """A site whose bucket was never made, or is gone, must still be releasable."""
    client = boto3.client("s3")
    policies = S3BucketPolicies(client, account_id=ACCOUNT)
    with Stubber(client) as stub:
        stub.add_client_error("get_bucket_policy", "NoSuchBucket")

        assert detach(policies, ["backups"]) == []
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("restores", [False, True])
def test_a_bucket_that_s3_does_not_know_yet_is_not_one_without_a_policy(*, restores: bool) -> None:
    """Right after it was made: taken for unlocked, a failed run's lock would stay on it for ever."""
    client = boto3.client("s3")
    policies, replaced = S3BucketPolicies(client, account_id=ACCOUNT), InMemoryReplaced({"backups": None})

    def act() -> object:
        if restores:
            return restore(policies, replaced)
        return attach(
            policies, replaced, buckets=["backups"], partition="aws", lockdown=LOCKDOWN, repair=True
        )

    with Stubber(client) as stub:
        stub.add_client_error("get_bucket_policy", "NoSuchBucket")

        with pytest.raises(ClientError, match="NoSuchBucket"):
            act()


def test_a_run_that_only_checks_puts_nothing_and_remembers_nothing(replaced: ReplacedPolicies) -> None:
    """It says what it would do; were it remembered, a failed check would restore what it never changed."""
    policies = InMemoryPolicies({"backups": copy.deepcopy(FOREIGN), "fine": {"Version": "2012-10-17"}})
    policies.documents["fine"]["Statement"] = own("fine")

    found = changes(policies, replaced, "backups", "fine", "bare", repair=False)

    assert [(change.bucket, change.before) for change in found] == [("backups", FOREIGN), ("bare", None)]
    assert found[0].after["Statement"] == [THEIRS_1, THEIRS_2, *own()]
    assert policies.writes == []
    assert replaced.recall() == {}


def test_a_policy_that_would_be_too_large_is_found_by_a_check_as_well() -> None:
    """Better now than in the night of the next daily run."""
    with pytest.raises(PolicyTooLargeError):
        changes(InMemoryPolicies({"last": large_policy()}), InMemoryReplaced(), "last", repair=False)


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (
            None,
            f"missing: {', '.join(sorted(statement['Sid'] for statement in own()))}",
        ),
        ({"Statement": [THEIRS_1, *own()[1:]]}, "missing: DenyObjectAccessOutsideEndpoint"),
        (
            {"Statement": [{**own()[0], "Effect": "Allow"}, *own()[1:4]]},
            "missing: DenyOutdatedTls; altered: DenyObjectAccessOutsideEndpoint",
        ),
        (
            {"Statement": [*own(), {**THEIRS_1, "Sid": "AllowGrantedReading7"}]},
            "unknown: AllowGrantedReading7",
        ),
    ],
)
@pytest.mark.parametrize("repair", [True, False])
def test_drift_names_the_statements_that_somebody_has_changed(
    before: Policy | None, found: str, *, repair: bool
) -> None:
    """Whole policies fit no message; the Sids tell what was open, and nothing is said of people's own."""
    policies = InMemoryPolicies({} if before is None else {"backups": {"Version": "2012-10-17", **before}})

    (change,) = changes(policies, InMemoryReplaced(), "backups", repair=repair)

    assert change.drift(repair=repair) == Drift(
        resource="backups",
        property="bucket policy",
        found=found,
        wanted=", ".join(statement["Sid"] for statement in own()),
        repaired=repair,
        why=None if repair else ONLY_CHECKED,
    )


def test_the_fingerprint_changes_with_whatever_is_wanted_and_with_nothing_else() -> None:
    """It tells drift from a decision: what differs because something else is wanted is no drift."""
    guest = Guest(principal="arn:aws:iam::444455556666:role/recovery", expires_at="2026-01-31T22:00:00Z")
    others = [
        replace(LOCKDOWN, endpoint_ids=("vpce-00000001",)),
        replace(LOCKDOWN, endpoint_ids=(ENDPOINT_ID, "vpce-00000001")),
        replace(LOCKDOWN, observers=(OBSERVER,)),
        replace(LOCKDOWN, policy_administrators=(ROOT,)),
        replace(LOCKDOWN, guests=(guest,)),
        replace(LOCKDOWN, guests=(replace(guest, expires_at="2026-02-01T22:00:00Z"),)),
    ]

    assert replace(LOCKDOWN).fingerprint() == LOCKDOWN.fingerprint()
    assert len(LOCKDOWN.fingerprint()) == 16
    assert len({LOCKDOWN.fingerprint(), *(other.fingerprint() for other in others)}) == 1 + len(others)


def test_a_release_takes_the_lock_off_and_leaves_what_is_peoples() -> None:
    """Servers go back to public endpoints next: whatever of ours stays would refuse their backups."""
    guest = Guest(principal="arn:aws:iam::444455556666:role/recovery", expires_at="2026-01-31T22:00:00Z")
    with_guest = own_statements("arn:aws:s3:::backups", replace(LOCKDOWN, guests=(guest,)))
    policies = InMemoryPolicies(
        {
            "backups": {**FOREIGN, "Statement": [THEIRS_1, *with_guest, THEIRS_2]},
            "ours": {"Version": "2012-10-17", "Statement": own("ours")},
            "theirs": copy.deepcopy(FOREIGN),
        }
    )

    changed = detach(policies, ["backups", "ours", "theirs", "without"])
    again = detach(policies, ["backups", "ours", "theirs", "without"])

    assert (changed, again) == (["backups", "ours"], [])
    assert policies.documents == {"backups": FOREIGN, "theirs": FOREIGN}
    assert policies.writes == ["put backups", "delete ours"]


@pytest.mark.parametrize(
    "policy",
    [
        # Without a version, as IAM allows: then variables are plain text, and must stay so.
        {"Statement": [THEIRS_1]},
        {"Version": "2008-10-17", "Statement": THEIRS_1},
        {"Id": "Theirs", "Statement": [THEIRS_2]},
    ],
)
def test_a_policy_with_nothing_of_ours_is_not_touched_by_a_release(policy: Policy) -> None:
    """However somebody has written it."""
    policies = InMemoryPolicies({"backups": copy.deepcopy(policy)})

    assert detach(policies, ["backups"]) == []
    assert policies.writes == []


def test_a_policy_without_a_version_keeps_none() -> None:
    """With another version, the variables in people's statements would mean something else."""
    policies = InMemoryPolicies({"backups": {"Statement": [THEIRS_1]}})

    locked(policies, InMemoryReplaced(), "backups")
    detach(policies, ["backups"])

    assert policies.documents == {"backups": {"Statement": [THEIRS_1]}}


def test_a_lock_that_stays_although_it_was_taken_off_is_told() -> None:
    """S3 answers with what was there before for a moment, or somebody put it back: look again."""

    class Stale(InMemoryPolicies):
        def put(self, bucket: str, policy: Policy) -> None:
            super().put(bucket, {**policy, "Statement": [*policy["Statement"], *own()]})

    policies = Stale({"backups": {**FOREIGN, "Statement": [THEIRS_1, *own()]}})

    with pytest.raises(ConcurrentChangeError, match=r"^bucket backups: "):
        detach(policies, ["backups"])


def test_there_are_five_statements_and_each_has_its_sid() -> None:
    """By the Sids they are found again, whatever else changes."""
    assert [statement["Sid"] for statement in own()] == [
        "DenyObjectAccessOutsideEndpoint",
        "DenyListingOutsideEndpoint",
        "DenyPolicyTamper",
        "DenyInsecureTransport",
        "DenyOutdatedTls",
    ]
    assert all(is_own(statement["Sid"]) for statement in own())


@pytest.mark.parametrize(
    "sid",
    [
        None,
        "",
        5,
        "BackupTeam",
        "denyObjectAccessOutsideEndpoint",
        "DenyObjectAccessOutsideEndpoint1",
        "DenyPolicyTamper2",
        "AllowGrantedReadingToo1",
        "MyAllowGrantedReading1",
        "1",
    ],
)
def test_what_is_only_named_alike_is_somebody_elses(sid: object) -> None:
    """Whatever is taken for ours is overwritten or removed."""
    assert not is_own(sid)


@pytest.mark.parametrize("number", ["1", "9", "10", "123"])
@pytest.mark.parametrize("stem", ["AllowGrantedReading", "DenyChangesByGranted", "DenyGrantedAfterwards"])
def test_statements_of_every_guest_are_found_again(stem: str, number: str) -> None:
    """One that is not would let its guest in for ever."""
    assert is_own(f"{stem}{number}")


def test_no_statement_denies_managing_the_bucket_as_a_whole() -> None:
    """Denying s3:* on the bucket itself outside the endpoint is how teams lock themselves out for good."""
    for statement in own():
        resources = statement["Resource"]
        on_bucket = "arn:aws:s3:::backups" in (resources if isinstance(resources, list) else [resources])
        by_transport = statement["Sid"] in ("DenyInsecureTransport", "DenyOutdatedTls")
        if on_bucket and not by_transport:
            assert "s3:*" not in statement["Action"]
            assert not any(
                action.startswith(("s3:Get", "s3:PutBucketPublic")) for action in statement["Action"]
            )


def test_the_statements_say_what_the_facts_demand() -> None:
    """One wrong operator here and the lock either has a hole or has no key."""
    objects, listing, tamper, transport, tls = own()

    assert objects["Action"] == "s3:*"
    assert objects["Resource"] == "arn:aws:s3:::backups/*"
    assert objects["Condition"] == {
        "StringNotEquals": {"aws:SourceVpce": [ENDPOINT_ID]},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    assert set(listing["Action"]) == {
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:ListBucketMultipartUploads",
    }
    assert listing["Condition"] == {
        "StringNotEquals": {"aws:SourceVpce": [ENDPOINT_ID]},
        "ArnNotEquals": {"aws:PrincipalArn": [OBSERVER, ADMINISTRATOR, ROOT]},
    }
    assert set(tamper["Action"]) == {"s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}
    assert tamper["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [ADMINISTRATOR, ROOT]}}
    assert transport["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert tls["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    assert {statement["Effect"] for statement in own()} == {"Deny"}
    assert {statement["Principal"] for statement in own()} == {"*"}
