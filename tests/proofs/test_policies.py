"""
No one let in, no one locked out: every row of the table, for the policies that the product really makes.
And no role that may do more, or less, than its function was seen doing.

Two evaluators that aren't ours must give the expected answer, and so must the embedded AWS, on which all
other tests of the cloud side rely.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from sandbox.aws import Credentials
from sandbox.demo.outside import Outside
from tests.proofs import judges, permissions, policies, scenarios
from tests.proofs import requests as asked
from tests.proofs.judges import Question, Verdicts
from tests.proofs.needs import IDLE, OF_THE_PLATFORM, UNSEEN, WILDCARDS, Need
from tests.proofs.permissions import Grant, Roles
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


# From here on the site lives its whole life: the tests above have read its policies.


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the roles may do, and what their calls need."""

    roles: Roles
    needs: dict[str, list[Need]]
    calls: int

    def each(self) -> list[tuple[str, Need]]:
        """Return every need with the role that has it."""
        return [(role, need) for role, needs in self.needs.items() for need in needs]


@pytest.fixture(scope="module", name="seen")
def _seen(made: World) -> Seen:
    scenarios.everything_else(made.workflow)
    roles = permissions.roles_of(made.aws, "VbrPrivateLinkSite")
    calls = sum(":assumed-role/" in call["principal"] for call in made.aws.requests())
    return Seen(roles=roles, needs=permissions.needs_of(made.aws, roles), calls=calls)


def test_every_function_was_seen_at_work(seen: Seen) -> None:
    """A function that no scenario calls would have a role that nobody has compared with anything."""
    idle = [seen.roles.label[role] for role, needs in seen.needs.items() if not needs]

    assert set(idle) == set(IDLE)
    assert len(seen.roles.label) >= 14
    assert seen.calls >= 300


def test_no_role_lacks_what_its_calls_need(seen: Seen) -> None:
    """Two evaluators that aren't ours say so; the embedded AWS has said it at each call."""
    each = seen.each()
    allowed = judges.roles_allow([(seen.roles.policies[role], need) for role, need in each])
    wrong = [
        (seen.roles.label[role], need, opinions)
        for (role, need), opinions in zip(each, allowed, strict=True)
        if opinions != (True, True)
    ]

    assert wrong == []
    print(f"\nleast privilege: {seen.calls} calls of {len(seen.roles.label)} roles need {len(each)} things")


def test_no_role_may_what_no_call_needs(seen: Seen) -> None:
    """A permission that nothing uses is there for whoever takes the function over."""
    grants = seen.roles.grants()
    unneeded = {
        (seen.roles.label[grant.role], grant.action, grant.kind)
        for grant in permissions.spare(grants, seen.needs)
        if grant.action not in OF_THE_PLATFORM
    }

    assert unneeded == set(UNSEEN)
    assert {grant.action for grant in grants} >= set(OF_THE_PLATFORM)
    print(f"\nleast privilege: {len(grants)} grants, {len(UNSEEN)} unseen and explained")


def test_a_permission_too_many_would_be_seen(seen: Seen) -> None:
    """The comparison before this one is worth what it can find."""
    role = next(iter(seen.needs))
    extra = [
        Grant(role=role, action="s3:DeleteBucket", resource=f"arn:aws:s3:::{policies.BUCKET}"),
        Grant(role=role, action="dynamodb:GetItem", resource="arn:aws:dynamodb:*:*:table/other"),
    ]
    known = seen.roles.grants()
    found = set(permissions.spare([*known, *extra], seen.needs)) - set(permissions.spare(known, seen.needs))

    assert found == set(extra)


def test_each_permission_is_what_lets_its_calls_through(seen: Seen) -> None:
    """With the action taken out of the role, nothing else in it allows the call."""
    each = seen.each()
    allowed = judges.roles_allow(
        [(permissions.without(seen.roles.policies[role], need.action), need) for role, need in each]
    )
    wrong = [
        (seen.roles.label[role], need, opinions)
        for (role, need), opinions in zip(each, allowed, strict=True)
        if opinions != (False, False)
    ]

    assert wrong == []


def test_conditions_refuse_what_does_not_carry_the_products_tag(seen: Seen) -> None:
    """The same call on somebody else's endpoint or group: its tags are not there."""
    bound = [
        (role, need)
        for role, need in seen.each()
        if permissions.has_condition(seen.roles.policies[role], need)
    ]
    allowed = judges.roles_allow(
        [(seen.roles.policies[role], replace(need, context={})) for role, need in bound]
    )

    assert {need.action for _role, need in bound} == {
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateSecurityGroup",
        "ec2:CreateTags",
        "ec2:CreateVpcEndpoint",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteVpcEndpoints",
        "ec2:ModifyVpcEndpoint",
        "ec2:RevokeSecurityGroupIngress",
    }
    assert set(allowed) == {(False, False)}


def test_every_wildcard_is_one_that_the_service_leaves_no_way_around(seen: Seen) -> None:
    """`*` stands beside actions that accept no resource, by AWS's own list; other patterns have a reason."""
    grants = seen.roles.grants()
    known = judges.actions(sorted({grant.action for grant in grants}))
    ends = {grant.resource.split(":", 5)[-1] for grant in grants if "*" in grant.resource}

    assert all(answer["exists"] for answer in known.values())
    for grant in grants:
        assert "*" not in grant.action
        assert (grant.resource == "*") == (not known[grant.action]["acceptsResource"]), grant
    assert ends - {"*"} == set(WILDCARDS)
