"""
Guests: principals that may read the backups from anywhere, for a while.

Judged by what the policy does, not by how it is written: each statement is easy to get nearly right, and
nearly right is either a hole that stays or a lock that breaks the backups.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from lambdas.acquire_lease.logic import MAXIMUM_GRANTS
from lambdas.acquire_lease.request import Grant
from lambdas.attach_bucket_policy.logic import MAXIMUM_BYTES
from lambdas.attach_bucket_policy.statements import LISTING, READING, Guest, Lockdown, own_statements
from sandbox.aws.policy import PolicyRequest, Verdict, evaluate, require_bucket_policy
from tests.unit.sites import ACCOUNT, ENDPOINT_ID

BUCKET = "arn:aws:s3:::backups"
OBJECT = f"{BUCKET}/Veeam/Backup/tokyo/x"
FOREIGN_ACCOUNT = "444455556666"
GUEST = f"arn:aws:iam::{FOREIGN_ACCOUNT}:role/recovery/reader"
SECOND_GUEST = f"arn:aws:iam::{ACCOUNT}:user/archivist"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/policy-administrator"
OBSERVER = f"arn:aws:iam::{ACCOUNT}:role/ensure-bucket"
SERVER = f"arn:aws:iam::{ACCOUNT}:user/vbr"
BEFORE, EXPIRY, AFTER = "2026-01-31T21:59:59Z", "2026-01-31T22:00:00Z", "2026-01-31T22:00:01Z"
LATER = "2026-02-03T00:00:00Z"
LOCKDOWN = Lockdown(
    endpoint_ids=(ENDPOINT_ID, "vpce-0fedcba9876543210"),
    observers=(OBSERVER, ADMINISTRATOR),
    policy_administrators=(ADMINISTRATOR,),
    guests=(
        Guest(principal=GUEST, expires_at=EXPIRY),
        Guest(principal=SECOND_GUEST, expires_at=LATER),
    ),
)


def the_policy() -> dict[str, Any]:
    """Return the whole policy, made anew: what was made once would never notice a mistake in the making."""
    return {"Version": "2012-10-17", "Statement": own_statements(BUCKET, LOCKDOWN)}


WRITING = (
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutObjectRetention",
    "s3:PutObjectLegalHold",
    "s3:BypassGovernanceRetention",
    "s3:PutObjectAcl",
    "s3:PutObjectTagging",
    "s3:RestoreObject",
    "s3:AbortMultipartUpload",
    # Whatever AWS comes up with tomorrow.
    "s3:OverwriteObject",
)


def verdict(
    action: str,
    principal: str,
    *,
    at: str = BEFORE,
    through: str | None = None,
    policy: dict[str, Any] | None = None,
    context: Mapping[str, str] | None = None,
) -> Verdict:
    """Say what the bucket policy says to a request, in a session of the principal if it is a role."""
    account = principal.split(":")[4]
    names: tuple[str, ...] = (principal,)
    if ":role/" in principal:
        names = (f"arn:aws:sts::{account}:assumed-role/{principal.rsplit('/', 1)[1]}/session", principal)
    request = PolicyRequest(
        action=action,
        resource=BUCKET if action in LISTING or "Bucket" in action else OBJECT,
        caller_arns=names,
        caller_account=account,
        context={
            "aws:currenttime": at,
            "aws:principalarn": principal,
            "aws:principalisawsservice": "false",
            "aws:securetransport": "true",
            "s3:tlsversion": "1.3",
            **({} if through is None else {"aws:sourcevpce": through}),
            **(context or {}),
        },
    )
    return evaluate(policy or the_policy(), request)


def test_as_many_guests_as_can_be_granted_fit_into_the_policy() -> None:
    """A grant that made the policy too large would stop every run of the site until it ends."""
    longest, many = "arn:aws-us-gov:iam::111122223333:role/".ljust(128, "r"), range(12)
    administrators = tuple(f"{ADMINISTRATOR}-{'r' * 24}-{number}" for number in many)
    lockdown = Lockdown(
        endpoint_ids=tuple(f"vpce-{number:017x}" for number in many),
        observers=administrators,
        policy_administrators=administrators,
        guests=tuple(
            Guest(principal=f"{longest[:-1]}{number}", expires_at=EXPIRY) for number in range(MAXIMUM_GRANTS)
        ),
    )
    own = own_statements(f"arn:aws-us-gov:s3:::{'b' * 63}", lockdown)
    policy = json.dumps({"Version": "2012-10-17", "Statement": own}, separators=(",", ":"))

    assert len({guest.principal for guest in lockdown.guests}) == MAXIMUM_GRANTS
    assert len(policy) <= MAXIMUM_BYTES
    # And a longer name is refused at the door.
    assert Grant(principal=longest, hours=1, reason="r").principal == longest
    with pytest.raises(ValidationError):
        Grant(principal=f"{longest}r", hours=1, reason="r")


def test_the_policy_is_one_that_s3_takes() -> None:
    """Two guests, eleven statements, each with a Sid of its own."""
    policy = the_policy()
    require_bucket_policy(policy, "backups")
    sids = [statement["Sid"] for statement in policy["Statement"]]

    assert len(set(sids)) == len(sids) == 5 + 2 * 3
    assert sids[5:] == [
        f"{stem}{number}"
        for number in (1, 2)
        for stem in ("AllowGrantedReading", "DenyChangesByGranted", "DenyGrantedAfterwards")
    ]
    assert all(sid.isalnum() for sid in sids)


@pytest.mark.parametrize("action", [*READING, *LISTING])
def test_a_guest_reads_and_lists_from_outside_until_its_time_is_over(action: str) -> None:
    """The recovery site has no endpoint into the original one; at the stroke of the hour it is over."""
    seen = {at: verdict(action, GUEST, at=at) for at in (BEFORE, EXPIRY, AFTER, LATER)}

    # Of another account: the bucket's own policy has to allow it.
    assert seen == {
        BEFORE: Verdict.ALLOWED_TO_ACCOUNT,
        EXPIRY: Verdict.DENIED,
        AFTER: Verdict.DENIED,
        LATER: Verdict.DENIED,
    }


@pytest.mark.parametrize("action", [*READING, *LISTING])
def test_each_guest_has_its_own_time(action: str) -> None:
    """One that goes early must not take the other with it, and none stays on because of the other."""
    assert verdict(action, SECOND_GUEST, at=AFTER) is Verdict.ALLOWED_TO_ACCOUNT
    assert verdict(action, SECOND_GUEST, at=LATER) is Verdict.DENIED


@pytest.mark.parametrize("action", WRITING)
@pytest.mark.parametrize("at", [BEFORE, AFTER])
@pytest.mark.parametrize("guest", [GUEST, SECOND_GUEST])
def test_a_guest_never_changes_an_object_from_outside(action: str, at: str, guest: str) -> None:
    """A stolen key of the recovery site must not be able to destroy the only copy."""
    assert verdict(action, guest, at=at) is Verdict.DENIED


@pytest.mark.parametrize("action", ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"])
def test_a_guest_never_changes_the_policy(action: str) -> None:
    """It would make itself at home."""
    assert verdict(action, GUEST) is Verdict.DENIED
    assert verdict(action, GUEST, through=ENDPOINT_ID) is Verdict.DENIED


@pytest.mark.parametrize("action", [*READING, *LISTING, *WRITING])
@pytest.mark.parametrize(
    "other",
    [
        SERVER,
        # Alike, and somebody else.
        f"arn:aws:iam::{ACCOUNT}:role/recovery/reader",
        f"arn:aws:iam::{FOREIGN_ACCOUNT}:role/reader",
        f"{GUEST}-2",
        GUEST.replace(":role/", ":user/"),
        f"arn:aws:iam::{ACCOUNT}:role/admin",
    ],
)
def test_nobody_else_gets_in_from_outside(action: str, other: str) -> None:
    """An exception for one principal is no exception for its account."""
    assert verdict(action, other) is Verdict.DENIED


@pytest.mark.parametrize("action", READING)
def test_an_observer_that_is_no_guest_sees_names_and_no_contents(action: str) -> None:
    """The roles of the product look at buckets; that must not have become reading."""
    assert verdict(action, OBSERVER) is Verdict.DENIED
    assert verdict("s3:ListBucketVersions", OBSERVER) is Verdict.SILENT


@pytest.mark.parametrize("action", [*READING, *LISTING, *WRITING])
@pytest.mark.parametrize("endpoint", LOCKDOWN.endpoint_ids)
@pytest.mark.parametrize("at", [BEFORE, AFTER])
def test_through_the_endpoint_the_server_notices_nothing_of_it(action: str, endpoint: str, at: str) -> None:
    """Backups run on while somebody recovers from them."""
    assert verdict(action, SERVER, through=endpoint, at=at) is Verdict.SILENT


@pytest.mark.parametrize("action", [*READING, *LISTING, *WRITING])
@pytest.mark.parametrize("at", [BEFORE, AFTER])
def test_a_guest_that_comes_through_the_endpoint_is_treated_like_anybody_there(action: str, at: str) -> None:
    """A server's own user may be the guest: nothing of its backups may be taken away by the exception."""
    assert verdict(action, GUEST, through=ENDPOINT_ID, at=at) in (Verdict.SILENT, Verdict.ALLOWED_TO_ACCOUNT)


def test_a_guest_uses_tls_like_everybody() -> None:
    """Backups must not travel in the clear because there was a fire."""
    assert verdict("s3:GetObject", GUEST, context={"aws:securetransport": "false"}) is Verdict.DENIED
    assert verdict("s3:GetObject", GUEST, context={"s3:tlsversion": "1.1"}) is Verdict.DENIED


@pytest.mark.parametrize("action", ["s3:PutBucketPublicAccessBlock", "s3:GetBucketPolicy", "s3:DeleteBucket"])
def test_a_guest_is_allowed_nothing_about_the_bucket_as_a_whole(action: str) -> None:
    """The allowance names reading; what a guest of the account may otherwise do, its own policies say."""
    assert verdict(action, GUEST) is Verdict.SILENT


def test_without_guests_there_is_no_trace_of_them() -> None:
    """A lock with an exception for nobody is a lock that somebody has to read twice."""
    statements = own_statements(
        BUCKET,
        Lockdown(
            endpoint_ids=LOCKDOWN.endpoint_ids,
            observers=LOCKDOWN.observers,
            policy_administrators=LOCKDOWN.policy_administrators,
        ),
    )
    policy = {"Version": "2012-10-17", "Statement": statements}

    assert len(statements) == 5
    assert {statement["Effect"] for statement in statements} == {"Deny"}
    assert verdict("s3:GetObject", GUEST, policy=policy) is Verdict.DENIED
    assert verdict("s3:ListBucket", GUEST, policy=policy) is Verdict.DENIED


def test_an_anonymous_request_is_no_guest() -> None:
    """It carries no principal at all: a condition that counts an absent key as met would let it in."""
    request = PolicyRequest(
        action="s3:GetObject",
        resource=OBJECT,
        anonymous=True,
        context={"aws:currenttime": BEFORE, "aws:securetransport": "true", "s3:tlsversion": "1.3"},
    )

    assert evaluate(the_policy(), request) is Verdict.DENIED


def test_the_statements_of_a_guest_are_these() -> None:
    """Word by word: the embedded AWS reads keys and operators in any case, and AWS need not."""
    outside = {
        "StringNotEquals": {"aws:SourceVpce": list(LOCKDOWN.endpoint_ids)},
        "ArnEquals": {"aws:PrincipalArn": GUEST},
    }

    assert the_policy()["Statement"][5:8] == [
        {
            "Sid": "AllowGrantedReading1",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{FOREIGN_ACCOUNT}:root"},
            "Action": [*READING, *LISTING],
            "Resource": [BUCKET, f"{BUCKET}/*"],
            "Condition": {
                "ArnEquals": {"aws:PrincipalArn": GUEST},
                "DateLessThan": {"aws:CurrentTime": EXPIRY},
            },
        },
        {
            "Sid": "DenyChangesByGranted1",
            "Effect": "Deny",
            "Principal": "*",
            "NotAction": list(READING),
            "Resource": f"{BUCKET}/*",
            "Condition": outside,
        },
        {
            "Sid": "DenyGrantedAfterwards1",
            "Effect": "Deny",
            "Principal": "*",
            "Action": [*READING, *LISTING],
            "Resource": [BUCKET, f"{BUCKET}/*"],
            "Condition": {**outside, "DateGreaterThanEquals": {"aws:CurrentTime": EXPIRY}},
        },
    ]
    assert the_policy()["Statement"][0]["Condition"]["ArnNotEquals"] == {
        "aws:PrincipalArn": [GUEST, SECOND_GUEST]
    }
