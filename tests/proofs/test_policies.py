"""
No one let in, no one locked out: every row of the table, for the policies that the product really makes.

Two evaluators that aren't ours must give the expected answer, and so must the embedded AWS, on which all
other tests of the cloud side rely.
"""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from sandbox.aws import Credentials
from sandbox.demo.outside import Outside
from tests.proofs import judges, policies
from tests.proofs import requests as asked
from tests.proofs.judges import Question, Verdicts
from tests.proofs.policies import World, world
from tests.proofs.requests import ROWS


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("policies")) as made:
        yield made


@pytest.fixture(scope="module", name="questions")
def _questions(made: World) -> list[Question]:
    return [judges.question(row, made) for row in ROWS]


def test_the_table_asks_enough() -> None:
    """A table without its hard rows would prove little."""
    assert len(ROWS) >= 60
    assert max(Counter(map(str, ROWS)).values()) == 1
    assert {row.what for row in ROWS} == set(asked.CALLS)
    assert len({row.who for row in ROWS}) == 16
    assert len({row.where for row in ROWS}) == 9
    assert min(Counter(row.answer for row in ROWS).values()) >= 20


def test_iam_simulate_agrees_with_every_row(questions: list[Question]) -> None:
    """Also with the statement that denies: the right answer for a wrong reason is luck."""
    verdicts = judges.iam_simulate(questions)
    wrong = [
        (str(one.row), one.row.answer, one.row.by, verdict)
        for one, verdict in zip(questions, verdicts, strict=True)
        if not _agrees(one, verdict) or not _names_the_same(one, verdict)
    ]

    assert wrong == []
    print(f"\niam-simulate: {len(verdicts)} of {len(ROWS)} rows judged, {len(verdicts)} agree")


def test_ministack_agrees_with_every_row_that_it_can_judge(questions: list[Question]) -> None:
    """A second opinion with no line of code in common with the first."""
    judged = [one for one in questions if judges.ministack_judges(one)]
    verdicts = judges.ministack_says(judged)
    wrong = [
        (str(one.row), one.row.answer, one.row.by, verdict)
        for one, verdict in zip(judged, verdicts, strict=True)
        if not _agrees(one, verdict)
        or (verdict.answer == "explicit deny" and not set(verdict.sids or ()) <= set(one.row.by))
    ]

    assert wrong == []
    assert len(judged) >= 100
    print(f"\nministack: {len(judged)} of {len(ROWS)} rows judged, {len(judged)} agree")


def test_the_embedded_aws_agrees_with_every_row(questions: list[Question]) -> None:
    """Whatever passes on it would pass for nothing if it were more lenient than the others."""
    verdicts = [judges.embedded_aws_says(one) for one in questions]
    wrong = [
        (str(one.row), one.row.answer, verdict.answer)
        for one, verdict in zip(questions, verdicts, strict=True)
        if not _agrees(one, verdict)
    ]

    assert wrong == []
    print(f"\nembedded AWS: {len(verdicts)} of {len(ROWS)} rows judged, {len(verdicts)} agree")


def test_the_users_key_is_in_its_secret_and_works_through_the_endpoint_alone(made: World) -> None:
    """CloudFormation carried it from IAM to Secrets Manager; it passed by no log and no output."""
    secret = made.aws.client("secretsmanager").get_secret_value(SecretId=made.secret_arn)
    key = json.loads(secret["SecretString"])
    keys = Credentials(access_key_id=key["access_key_id"], secret_access_key=key["secret_access_key"])
    outside = Outside(made.aws)
    [endpoint] = made.aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    host = endpoint["DnsEntries"][0]["DnsName"].replace("*", "bucket", 1)
    stacks = made.aws.client("cloudformation")
    told = [
        stacks.describe_stacks(),
        stacks.describe_stack_events(StackName="VbrPrivateLinkSite"),
        stacks.get_template(StackName="VbrPrivateLinkSite"),
    ]
    files = [file for file in made.aws.options.state.rglob("*") if file.is_file()]

    assert outside.put(policies.BUCKET, "Veeam/x", keys=keys, host=host).status == 200
    assert outside.put(policies.BUCKET, "Veeam/x", keys=keys).status == 403
    assert keys.secret_access_key not in json.dumps(told, default=str)
    assert made.aws.requests_log in files
    assert not [file for file in files if keys.secret_access_key.encode() in file.read_bytes()]


def _agrees(one: Question, verdict: Verdicts) -> bool:
    return verdict.answer == one.row.answer


def _names_the_same(one: Question, verdict: Verdicts) -> bool:
    if verdict.sids is None:
        return True
    by_endpoint = one.row.by == (asked.BY_ENDPOINT,)
    return verdict.by_endpoint == by_endpoint and set(verdict.sids) == set(() if by_endpoint else one.row.by)
