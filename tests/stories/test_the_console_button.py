"""The dashboard's two functions as people call them through CloudWatch: with their own permissions."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import Credentials
from sandbox.aws.testing import wait_until
from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.stories.workflow import Workflow

SHOW, START = "customWidgetVbrPrivateLinkSites", "customWidgetVbrPrivateLinkStart"
# As the docstring of lambdas/show_sites/handler.py promises.
MOST_CALLS = 45
CONTEXT = {"widgetContext": {"dashboardName": "d", "widgetId": "w", "theme": "dark", "width": 800}}


@pytest.fixture(scope="module", name="workflow")
def _workflow(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    options = SandboxOptions(
        state=tmp_path_factory.mktemp("console"), root=ROOT, pending_seconds=0.3, assembly=assembly
    )
    with Sandbox(options) as sandbox:
        yield Workflow(sandbox)


def call(workflow: Workflow, keys: Credentials, function: str, event: dict[str, Any] | None = None) -> str:
    """Call a function as CloudWatch does for whoever looks, and return what it answers."""
    answer = workflow.sandbox.aws.client("lambda", keys).invoke(
        FunctionName=function, Payload=json.dumps({**CONTEXT, **(event or {})})
    )
    text = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, text
    assert isinstance(text, str)
    return text


# The tests below use one sandbox, in this order.


def test_a_reader_sees_that_the_site_needs_provisioning(workflow: Workflow) -> None:
    """The first look at a new stack; the table has no item yet."""
    page = call(workflow, workflow.sandbox.reader_keys, SHOW)

    assert "Nothing has been made yet: provision the site." in page
    assert '<cwdb-action action="call" display="popup" confirmation="Provision site tokyo?' in page


@pytest.mark.parametrize("event", [{}, {"describe": True}, {"request": "provision", "site": "tokyo"}])
def test_a_reader_may_not_even_call_what_acts(workflow: Workflow, event: dict[str, Any]) -> None:
    """Whatever is asked: IAM refuses the call itself."""
    with pytest.raises(ClientError, match="AccessDenied"):
        call(workflow, workflow.sandbox.reader_keys, START, event)

    assert workflow.executions() == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"describe": True, "request": "provision", "site": "tokyo"},
        {"request": "provision"},
        {"site": "tokyo"},
        {"request": "provision", "site": "osaka"},
        {"request": "provision", "site": "Tokyo"},
        {"request": "grant", "site": "tokyo"},
        {"request": ["provision"], "site": "tokyo"},
        {"request": "release", "site": "tokyo", "force": True},
        {"request": "provision", "site": "tokyo", "grant": {}},
        {"request": "provision", "site": "tokyo<script>"},
    ],
)
def test_nothing_but_a_button_starts_anything(workflow: Workflow, event: dict[str, Any]) -> None:
    """An operator's refresh, a look at the documentation, a request with a word too many."""
    since = workflow.seen()
    answers = [call(workflow, workflow.sandbox.operator_keys, function, event) for function in (SHOW, START)]

    assert workflow.executions() == []
    assert workflow.writes(since=since) == []
    assert all("<script" not in answer for answer in answers)


def test_an_operators_press_starts_one_run(workflow: Workflow) -> None:
    """What the button sends, and what becomes of it."""
    since = workflow.seen()
    answer = call(workflow, workflow.sandbox.operator_keys, START, {"request": "provision", "site": "tokyo"})
    (execution,) = workflow.executions()

    assert "Provisioning site tokyo has begun." in answer
    assert execution.rsplit(":", 1)[-1] in answer
    assert calls_of(workflow, START, since=since) == ["stepfunctions:StartExecution"]
    assert workflow.end_of(execution).status == "SUCCEEDED"


def test_the_page_shows_what_has_become_of_it(workflow: Workflow) -> None:
    """The same names and addresses that AWS and the backup server see."""
    published = workflow.published()
    assert published is not None
    document = json.loads(published["Value"])
    since = workflow.seen()
    page = call(workflow, workflow.sandbox.reader_keys, SHOW)
    calls = calls_of(workflow, SHOW, since=since)

    assert f"{document['vpc_endpoint_id']}, available" in page
    assert document["endpoint_host"] in page
    assert ", ".join(document["endpoint_addresses"]) in page
    assert f"{workflow.sandbox.bucket}: locked to the endpoint" in page
    assert "No backup server uses the endpoint yet" in page
    assert calls == ["dynamodb:Scan", "ssm:GetParameters", "ec2:DescribeVpcEndpoints"]


def test_the_counts_that_the_alarms_watch_are_really_written(workflow: Workflow) -> None:
    """An alarm on a name that nobody counts under is silent for ever."""
    aws = workflow.sandbox.aws
    (rule,) = [rule["Name"] for rule in aws.client("events").list_rules()["Rules"] if "Watch" in rule["Name"]]
    aws.fire_schedule(rule)
    watched = {
        (
            alarm["Namespace"],
            alarm["MetricName"],
            *sorted((one["Name"], one["Value"]) for one in alarm["Dimensions"]),
        )
        for alarm in aws.client("cloudwatch", workflow.sandbox.reader_keys).describe_alarms()["MetricAlarms"]
        if alarm.get("Namespace") == "VbrPrivateLink"
    }

    assert len(watched) == 3
    wait_until(lambda: watched <= counted(workflow), what="every metric of an alarm was counted")


def counted(workflow: Workflow) -> set[tuple[object, ...]]:
    """Return namespace, name and dimensions of what the functions have counted, as CloudWatch reads it."""
    logs = workflow.sandbox.aws.client("logs")
    found: set[tuple[object, ...]] = set()
    for group in logs.describe_log_groups()["logGroups"]:
        for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
            if not event["message"].startswith('{"_aws"'):
                continue
            line = json.loads(event["message"])
            for part in line["_aws"]["CloudWatchMetrics"]:
                for dimensions in part["Dimensions"]:
                    found |= {
                        (
                            part["Namespace"],
                            metric["Name"],
                            *sorted((name, line[name]) for name in dimensions),
                        )
                        for metric in part["Metrics"]
                    }
    return found


def test_a_parameter_that_is_no_report_fails_no_run(workflow: Workflow) -> None:
    """The rule's pattern ends in a wildcard; nobody can do anything about the mail."""
    before = set(workflow.executions())
    workflow.sandbox.aws.client("ssm").put_parameter(
        Name="/vbr-privatelink/tokyo/adoption/a/b", Value="x", Type="String"
    )
    wait_until(lambda: len(set(workflow.executions()) - before) == 1, what="the rule has started a run")
    (execution,) = set(workflow.executions()) - before
    run = workflow.end_of(execution)

    assert (run.status, run.output["lease"]["outcome"]) == ("SUCCEEDED", "idle")


def test_a_thousand_sites_cost_no_more_calls_than_a_few(workflow: Workflow) -> None:
    """At most so many calls, below a second and a megabyte; and all of them only read."""
    item = workflow.lease()
    status = json.loads(item["status"]["S"])
    busy = {"lease": {"M": {"execution": {"S": json.loads(item["last_run"]["S"])["execution"]}}}}
    sites = [
        {
            **item,
            "site": {"S": f"site-{number:04}"},
            "status": {"S": json.dumps({**status, "why": "w" * 300})},
            # More of them than are looked at seem to be at work.
            **(busy if number < 50 else {}),
        }
        for number in range(1000)
    ]
    for first in range(0, 1000, 25):
        workflow.sandbox.aws.client("dynamodb").batch_write_item(
            RequestItems={
                workflow.sandbox.sites_table: [
                    {"PutRequest": {"Item": one}} for one in sites[first : first + 25]
                ]
            }
        )
    lasted, page, calls = min(timed(workflow) for _ in range(4))

    assert lasted < 1
    assert len(page) < 1_000_000
    assert len(calls) <= MOST_CALLS, calls
    assert {call.split(":")[1].startswith(("Describe", "Get", "Scan")) for call in calls} == {True}
    assert "and 941 more<" in page
    assert "and 981 more sites" in page


def timed(workflow: Workflow) -> tuple[float, str, list[str]]:
    """Refresh once; return how long that took in seconds, the page, and what the function has called."""
    since, began = workflow.seen(), time.monotonic()
    page = call(workflow, workflow.sandbox.reader_keys, SHOW)
    lasted = time.monotonic() - began
    return lasted, page, calls_of(workflow, SHOW, since=since)


def calls_of(workflow: Workflow, function: str, *, since: int) -> list[str]:
    """Return what a function has called, as the outside world has seen it."""
    return [
        f"{call['service']}:{call['action']}"
        for call in workflow.sandbox.aws.requests()[since:]
        if call["source"] == f"lambda:{function}"
    ]
