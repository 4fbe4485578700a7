"""A lock that nobody has tried is a hope: the probe must be refused, and for the right reason."""

from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from lambdas.core.errors import LockdownNotEffectiveError, LockdownUnprovenError
from lambdas.prove_lockdown.logic import PROBE_KEY, Answer, prove
from lambdas.prove_lockdown.s3_probe import S3Probe
from tests.unit.sites import ACCOUNT

DENIED = (
    "User: arn:aws:sts::111122223333:assumed-role/r/f is not authorized to perform: s3:PutObject "
    'on resource: "arn:aws:s3:::backups/vbr-privatelink-probe" '
)
BY_BUCKET_POLICY = f"{DENIED}with an explicit deny in a resource-based policy"
OF_READING = BY_BUCKET_POLICY.replace("s3:PutObject", "s3:GetObject")
OF_LISTING = BY_BUCKET_POLICY.replace("s3:PutObject", "s3:ListBucket")
BY_OWN_POLICY = f"{DENIED}because no identity-based policy allows the s3:PutObject action"
BY_IDENTITY_DENY = f"{DENIED}with an explicit deny in an identity-based policy"
BY_ORGANIZATION = f"{DENIED}with an explicit deny in a service control policy"
BY_ENDPOINT = f"{DENIED}because no VPC endpoint policy allows the s3:PutObject action"


@dataclass
class Answers:
    """S3's answer per bucket."""

    by_bucket: dict[str, Answer]
    asked: list[str] = field(default_factory=list)

    def put_from_outside(self, bucket: str) -> tuple[Answer, str]:
        self.asked.append(bucket)
        return self.by_bucket[bucket], "S3's own words"


def test_every_bucket_is_tried() -> None:
    """One open bucket among ten is an open bucket; and asking twice asks twice."""
    answers = Answers(dict.fromkeys(("one", "two"), Answer.DENIED_BY_BUCKET_POLICY))

    for _ in range(2):
        prove(answers, ["one", "two"])

    assert answers.asked == ["one", "two", "one", "two"]


def test_nothing_to_prove_is_proven() -> None:
    """While enforcement is pending no bucket is locked."""
    prove(Answers({}), [])


def test_a_write_that_is_let_through_is_tried_again() -> None:
    """A fresh policy needs a moment; if it stays so, the retries end and the run fails."""
    answers = Answers({"one": Answer.DENIED_BY_BUCKET_POLICY, "two": Answer.LET_THROUGH})

    with pytest.raises(
        LockdownNotEffectiveError,
        match=r"^bucket two: .*S3's own words.*; check the bucket policy for what lets it in$",
    ):
        prove(answers, ["one", "two"])


def test_a_refusal_for_another_reason_proves_nothing() -> None:
    """Taken for a proof, it would hide that the bucket is open to everybody else."""
    answers = Answers({"one": Answer.DENIED_OTHERWISE})

    with pytest.raises(LockdownUnprovenError, match=f"^bucket one: .*let the probing role put {PROBE_KEY}"):
        prove(answers, ["one"])


def probed(stub_with: dict[str, Any] | None) -> tuple[Answer, str]:
    """Return how the adapter reads one answer of S3, and check what it asked."""
    client = boto3.client("s3")
    asked = {
        "Bucket": "backups",
        "Key": PROBE_KEY,
        "IfMatch": '"00000000000000000000000000000000"',
        "ServerSideEncryption": "AES256",
        "ExpectedBucketOwner": ACCOUNT,
    }
    with Stubber(client) as stub:
        if stub_with is None:
            stub.add_response("put_object", {}, asked)
        else:
            stub.add_client_error("put_object", expected_params=asked, **stub_with)
        return S3Probe(client, account_id=ACCOUNT).put_from_outside("backups")


@pytest.mark.parametrize(
    ("code", "words", "status", "answer"),
    [
        ("AccessDenied", BY_BUCKET_POLICY, 403, Answer.DENIED_BY_BUCKET_POLICY),
        ("AccessDenied", BY_OWN_POLICY, 403, Answer.DENIED_OTHERWISE),
        ("AccessDenied", BY_IDENTITY_DENY, 403, Answer.DENIED_OTHERWISE),
        ("AccessDenied", BY_ORGANIZATION, 403, Answer.DENIED_OTHERWISE),
        ("AccessDenied", BY_ENDPOINT, 403, Answer.DENIED_OTHERWISE),
        ("AccessDenied", "Access Denied", 403, Answer.DENIED_OTHERWISE),
        # S3 may look the missing key up first: a denial of that says nothing about writing.
        ("AccessDenied", OF_READING, 403, Answer.DENIED_OTHERWISE),
        ("AccessDenied", OF_LISTING, 403, Answer.DENIED_OTHERWISE),
        ("NoSuchKey", "The specified key does not exist.", 404, Answer.LET_THROUGH),
        ("PreconditionFailed", "At least one of the pre-conditions failed", 412, Answer.LET_THROUGH),
    ],
)
def test_each_answer_of_s3_is_read(code: str, words: str, status: int, answer: Answer) -> None:
    """Only S3's own words tell by whom it was denied."""
    got = probed({"service_error_code": code, "service_message": words, "http_status_code": status})

    assert got == (answer, words)


def test_a_write_that_succeeds_is_let_through() -> None:
    """It can't, with an If-Match that matches nothing; if it does all the same, nothing is locked."""
    answer, _words = probed(None)

    assert answer is Answer.LET_THROUGH


@pytest.mark.parametrize("code", ["NoSuchBucket", "SlowDown", "InvalidAccessKeyId"])
def test_any_other_error_is_neither(code: str) -> None:
    """Throttled or gone is no proof, and no open door either."""
    with pytest.raises(ClientError, match=code):
        probed({"service_error_code": code})
