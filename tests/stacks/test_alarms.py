"""What people are told of without looking, and who may tell them."""

import json
import re
from typing import Any

from tests.stacks.synthesized import ROOT, Synthesized, as_text

MISSING = {
    "RunsFailed": "notBreaching",
    "RequestsUndelivered": "notBreaching",
    "DriftFound": "notBreaching",
    # Whoever counts these every hour must be heard of.
    "ServersNotSeen": "missing",
    "EnforcementPending": "missing",
}


def alarms(synthesized: Synthesized) -> dict[str, dict[str, Any]]:
    """Return the alarms by name, without the product's own name in front."""
    return {
        alarm["AlarmName"].removeprefix("vbr-privatelink-"): alarm
        for alarm in synthesized.of_type("AWS::CloudWatch::Alarm").values()
    }


def test_every_site_has_its_alarms(synthesized: Synthesized, twelve_sites: Synthesized) -> None:
    """One for all would hide the second site that is in trouble behind the first."""
    matters = ("DriftFound", "ServersNotSeen", "EnforcementPending")
    always = {"RunsFailed", "RequestsUndelivered"}

    assert set(alarms(synthesized)) == always | {f"{matter}-tokyo" for matter in matters}
    assert set(alarms(twelve_sites)) == always | {
        f"{matter}-site-{number}" for matter in matters for number in range(12)
    }


def test_every_alarm_says_what_to_do_and_tells_the_topic(synthesized: Synthesized) -> None:
    """At three in the morning its description is all that there is."""
    (topic,) = synthesized.of_type("AWS::SNS::Topic")
    for name, alarm in alarms(synthesized).items():
        kind = name.removesuffix("-tokyo")
        description = as_text(alarm["AlarmDescription"])
        assert [as_text(one) for one in alarm["AlarmActions"]] == [f"<{topic}>"], name
        assert alarm["TreatMissingData"] == MISSING[kind], name
        assert ("InsufficientDataActions" in alarm) is (MISSING[kind] == "missing"), name
        assert 100 < len(description) <= 1024, name
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold", name


def test_the_wait_that_raises_an_alarm_is_a_setting(
    synthesized: Synthesized, twelve_sites: Synthesized
) -> None:
    """In days, as in cdk.json."""
    assert alarms(synthesized)["EnforcementPending-tokyo"]["Threshold"] == 7
    assert alarms(twelve_sites)["EnforcementPending-site-0"]["Threshold"] == 7


def test_only_the_rule_and_the_accounts_own_alarms_may_publish(synthesized: Synthesized) -> None:
    """A service that is let in without a condition is let in on anybody's behalf."""
    (policy,) = synthesized.of_type("AWS::SNS::TopicPolicy").values()
    allowed = {
        statement["Principal"]["Service"]: statement["Condition"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    }
    rules = synthesized.of_type("AWS::Events::Rule")
    (rule,) = [
        name for name, one in rules.items() if one.get("EventPattern", {}).get("source") == ["aws.states"]
    ]

    assert set(allowed) == {"events.amazonaws.com", "cloudwatch.amazonaws.com"}
    assert as_text(allowed["events.amazonaws.com"]["ArnEquals"]["aws:SourceArn"]) == f"<{rule}.Arn>"
    assert allowed["cloudwatch.amazonaws.com"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    assert as_text(allowed["cloudwatch.amazonaws.com"]["ArnLike"]["aws:SourceArn"]) == (
        "arn:<AWS::Partition>:cloudwatch:ap-northeast-1:111122223333:alarm:*"
    )
    assert any(statement["Effect"] == "Deny" for statement in policy["PolicyDocument"]["Statement"])


def test_the_dashboard_shows_the_sites_and_every_alarm(twelve_sites: Synthesized) -> None:
    """An alarm that is not on it is found in the mail only."""
    (dashboard,) = twelve_sites.of_type("AWS::CloudWatch::Dashboard").values()
    body = as_text(dashboard["DashboardBody"])
    widgets = json.loads(body)["widgets"]
    functions = {
        f"<{name}.Arn>": one["FunctionName"]
        for name, one in twelve_sites.of_type("AWS::Lambda::Function").items()
    }

    assert dashboard["DashboardName"] == "vbr-privatelink-ap-northeast-1"
    assert [widget["type"] for widget in widgets] == ["custom", "alarm"]
    assert functions[widgets[0]["properties"]["endpoint"]] == "customWidgetVbrPrivateLinkSites"
    # The button's function is never called by a refresh.
    assert "customWidgetVbrPrivateLinkStart" not in body
    assert len(widgets[1]["properties"]["alarms"]) == len(alarms(twelve_sites))


def test_the_watcher_runs_every_hour(synthesized: Synthesized) -> None:
    """Beside the workflow: it must be heard of when no run works any more."""
    rules = synthesized.of_type("AWS::Events::Rule").values()
    (watch,) = [
        name
        for name, one in synthesized.of_type("AWS::Lambda::Function").items()
        if one["FunctionName"] == "vbr-privatelink-watch-servers"
    ]
    (rule,) = [rule for rule in rules if as_text(rule["Targets"][0]["Arn"]) == f"<{watch}.Arn>"]

    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert json.loads(rule["Targets"][0]["Input"]) == {"purpose": "watch"}
    assert rule["Targets"][0]["DeadLetterConfig"]


def told_of_in_the_documentation() -> dict[str, bool]:
    """Return the alarms in the table of docs/operations.md, and of each whether it is one of the hub."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| alarm `([A-Za-z]+)(?:-<site>)?`( \(hub\))? \|", page)
    assert len(rows) == len(dict(rows)), "an alarm is there twice"
    return {name: bool(of_the_hub) for name, of_the_hub in rows}


def test_the_documentation_tells_of_every_alarm_and_of_no_other(
    synthesized: Synthesized, hub: Synthesized
) -> None:
    """Whoever gets a mail looks its name up; and nobody looks for an alarm that was renamed."""
    of_a_site = {name.removesuffix("-tokyo") for name in alarms(synthesized)}

    assert told_of_in_the_documentation() == {
        **dict.fromkeys(of_a_site, False),
        **dict.fromkeys(alarms(hub), True),
    }
