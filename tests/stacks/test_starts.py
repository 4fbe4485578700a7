"""What starts the workflow: requests, reports, schedules and deployments; and what none of them may say."""

import json
import re
from typing import Any

import pytest

from lambdas.acquire_lease.request import Purpose, ReconcileRequest, reconcile_request
from tests.stacks.synthesized import Synthesized, as_text

ACCOUNT = "111122223333"
# EventBridge: targets of one rule, and bytes of one pattern.
MOST_TARGETS, LARGEST_PATTERN = 5, 4096
REQUESTS = ("Access Grant Requested", "Check Requested", "Provision Requested", "Release Requested")


def rules(synthesized: Synthesized) -> list[dict[str, Any]]:
    """Return the rules that start the workflow."""
    machine = start_of(synthesized)
    found = [
        rule
        for rule in synthesized.of_type("AWS::Events::Rule").values()
        if any(as_text(target["Arn"]) == machine for target in rule["Targets"])
    ]
    assert found
    return found


def start_of(synthesized: Synthesized) -> str:
    (machine,) = synthesized.of_type("AWS::StepFunctions::StateMachine")
    return f"<{machine}>"


def by_source(synthesized: Synthesized, source: str) -> list[dict[str, Any]]:
    return [rule for rule in rules(synthesized) if rule.get("EventPattern", {}).get("source") == [source]]


def scheduled(synthesized: Synthesized, rate: str) -> list[dict[str, Any]]:
    return [rule for rule in rules(synthesized) if rule.get("ScheduleExpression") == rate]


def inputs(found: list[dict[str, Any]]) -> list[ReconcileRequest]:
    """Return what the rules' targets send, as the first step reads it."""
    return [reconcile_request(json.loads(target["Input"])) for rule in found for target in rule["Targets"]]


def sites(synthesized: Synthesized) -> list[str]:
    named: str = synthesized.function("acquire_lease")["Environment"]["Variables"]["SITES"]
    return named.split(",")


@pytest.fixture(name="stack", params=["one site", "twelve sites"])
def _stack(
    request: pytest.FixtureRequest, synthesized: Synthesized, twelve_sites: Synthesized
) -> Synthesized:
    return synthesized if request.param == "one site" else twelve_sites


def test_the_stacks_have_the_sites_that_they_promise(
    synthesized: Synthesized, twelve_sites: Synthesized
) -> None:
    """Otherwise everything below would be about one site."""
    assert (len(sites(synthesized)), len(sites(twelve_sites))) == (1, 12)


def test_every_rule_starts_the_workflow_alone_and_loses_nothing(stack: Synthesized) -> None:
    """What EventBridge can't deliver goes to a queue; what it is not allowed to start never starts."""
    for rule in rules(stack):
        assert rule["State"] == "ENABLED"
        for target in rule["Targets"]:
            assert as_text(target["Arn"]) == start_of(stack)
            assert target["DeadLetterConfig"]["Arn"]
            assert target["RoleArn"]


def test_every_rule_has_room_for_its_targets(stack: Synthesized) -> None:
    """CloudFormation would refuse the sixth site in the middle of a deployment."""
    for rule in rules(stack):
        assert 1 <= len(rule["Targets"]) <= MOST_TARGETS
        assert len({target["Id"] for target in rule["Targets"]}) == len(rule["Targets"])
        assert len(json.dumps(rule.get("EventPattern", {}))) <= LARGEST_PATTERN


def test_requests_are_passed_on_whole(stack: Synthesized) -> None:
    """The first step reads and checks them: a transformation here would be a second, laxer door."""
    (rule,) = by_source(stack, "vbr-privatelink")
    (target,) = rule["Targets"]

    assert sorted(rule["EventPattern"]) == ["account", "detail-type", "source"]
    # Nobody else's, should the account one day let others put events on its bus.
    assert rule["EventPattern"]["account"] == [ACCOUNT]
    assert sorted(rule["EventPattern"]["detail-type"]) == sorted(REQUESTS)
    assert not {"Input", "InputPath", "InputTransformer"} & set(target)


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_door_knows_every_request_that_the_rule_lets_through(kind: str) -> None:
    """One that it refuses would fail a run, and mail somebody, for each event."""
    grant = {"principal": "arn:aws:iam::444455556666:role/reader", "hours": 1, "reason": "fire"}
    detail = {"site": "tokyo", **(grant if kind == "Access Grant Requested" else {})}

    understood = reconcile_request({"source": "vbr-privatelink", "detail-type": kind, "detail": detail})

    assert understood.site == "tokyo"


def test_what_the_product_itself_says_starts_nothing(stack: Synthesized) -> None:
    """Its news go to the same bus, from the same source: a run would start the next one, for ever."""
    (rule,) = by_source(stack, "vbr-privatelink")

    said = {"Site Status", "Drift Found", "Access Granted", "Access Ended"}
    assert not said & set(rule["EventPattern"]["detail-type"])


def test_reports_of_the_stacks_own_sites_start_the_workflow(stack: Synthesized) -> None:
    """Neither heartbeats, nor the workflow's own publication, nor the deletion of a report."""
    (rule,) = by_source(stack, "aws.ssm")
    (target,) = rule["Targets"]
    pattern = rule["EventPattern"]
    names = pattern["detail"]["name"]
    regular = [re.compile(re.escape(name["wildcard"]).replace(r"\*", ".*")) for name in names]

    def starts(name: str) -> bool:
        return any(one.fullmatch(name) for one in regular)

    assert pattern["detail-type"] == ["Parameter Store Change"]
    assert sorted(pattern["detail"]["operation"]) == ["Create", "Update"]
    assert sorted(pattern["detail"]) == ["name", "operation"]
    assert not {"Input", "InputPath", "InputTransformer"} & set(target)
    for site in sites(stack):
        name = f"/vbr-privatelink/{site}/adoption/vbr01"
        assert starts(name)
        assert reconcile_request(
            {"source": "aws.ssm", "detail-type": "Parameter Store Change", "detail": {"name": name}}
        ) == ReconcileRequest(site=site)
        for other in ("endpoint", "settings", "seen/vbr01", "adoption"):
            assert not starts(f"/vbr-privatelink/{site}/{other}")
    assert not starts("/vbr-privatelink/nowhere/adoption/vbr01")
    assert not starts("/other/vbr-privatelink/tokyo/adoption/vbr01")


@pytest.mark.parametrize(
    ("rate", "purpose"), [("rate(1 hour)", Purpose.PENDING), ("rate(1 day)", Purpose.RECONCILE)]
)
def test_every_site_is_looked_after_hourly_and_daily(stack: Synthesized, rate: str, purpose: Purpose) -> None:
    """Each exactly once; the hourly run only looks after what waits."""
    sent = inputs(scheduled(stack, rate))

    assert sorted(sent, key=lambda one: one.site) == [
        ReconcileRequest(site=site, purpose=purpose) for site in sorted(sites(stack))
    ]


def test_there_is_no_other_schedule(stack: Synthesized) -> None:
    """What comes by more often costs money for each site."""
    rates = {rule["ScheduleExpression"] for rule in rules(stack) if "ScheduleExpression" in rule}

    assert rates == {"rate(1 hour)", "rate(1 day)"}


def test_a_deployment_starts_every_site_only_where_the_settings_say_so(
    synthesized: Synthesized, twelve_sites: Synthesized
) -> None:
    """The stack is deployed by people who may not want runs to begin with it."""
    assert by_source(synthesized, "aws.cloudformation") == []
    deployed = by_source(twelve_sites, "aws.cloudformation")

    assert sorted(inputs(deployed), key=lambda one: one.site) == [
        ReconcileRequest(site=site) for site in sorted(sites(twelve_sites))
    ]
    for rule in deployed:
        pattern = rule["EventPattern"]
        assert pattern["detail-type"] == ["CloudFormation Stack Status Change"]
        # This very stack, and only when it has come to a good end.
        assert [as_text(one) for one in pattern["detail"]["stack-id"]] == ["<AWS::StackId>"]
        assert sorted(pattern["detail"]["status-details"]["status"]) == [
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
        ]


def test_nothing_that_starts_by_itself_says_what_a_site_should_be(twelve_sites: Synthesized) -> None:
    """A schedule or a deployment with an intent would bring released sites back."""
    sent = [
        json.loads(target["Input"])
        for rule in rules(twelve_sites)
        for target in rule["Targets"]
        if "Input" in target
    ]

    assert len(sent) == 3 * 12
    assert {tuple(sorted(one)) for one in sent} == {("purpose", "site")}


def test_every_site_has_its_settings_and_its_place_in_the_roles(twelve_sites: Synthesized) -> None:
    """Exact names for each: more sites must not mean wider patterns."""
    named = sites(twelve_sites)
    parameters = {parameter["Name"] for parameter in twelve_sites.of_type("AWS::SSM::Parameter").values()}
    published = [
        as_text(arn)
        for statement in twelve_sites.statements_of(twelve_sites.role_of("publish_endpoint"))
        if "ssm:PutParameter" in statement["Action"]
        for arn in statement["Resource"]
    ]

    assert parameters >= {f"/vbr-privatelink/{site}/settings" for site in named}
    assert sorted(arn.split("parameter")[1] for arn in published) == sorted(
        f"/vbr-privatelink/{site}/endpoint" for site in named
    )


def test_the_roles_of_many_sites_fit_what_iam_takes(twelve_sites: Synthesized) -> None:
    """All inline policies of a role together: 10,240 characters, without white space."""
    sizes: dict[str, int] = {}
    for policy in twelve_sites.of_type("AWS::IAM::Policy").values():
        text = json.dumps(
            [
                {**statement, "Resource": [as_text(one) for one in listed(statement["Resource"])]}
                for statement in policy["PolicyDocument"]["Statement"]
            ],
            separators=(",", ":"),
        )
        for role in policy["Roles"]:
            sizes[role["Ref"]] = sizes.get(role["Ref"], 0) + len(text)

    assert sizes
    assert max(sizes.values()) <= 10_240


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
