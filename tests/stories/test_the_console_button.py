"""The dashboard's two functions as people call them through CloudWatch: with their own permissions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import Credentials
from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.stories.workflow import Workflow

SHOW, START = "customWidgetVbrPrivateLinkSites", "customWidgetVbrPrivateLinkStart"
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
    assert [
        call["action"]
        for call in workflow.sandbox.aws.requests()[since:]
        if call["source"] == f"lambda:{START}"
    ] == ["StartExecution"]
    assert workflow.end_of(execution).status == "SUCCEEDED"


def test_the_page_shows_what_has_become_of_it(workflow: Workflow) -> None:
    """The same names and addresses that AWS and the backup server see."""
    published = workflow.published()
    assert published is not None
    document = json.loads(published["Value"])
    since = workflow.seen()
    page = call(workflow, workflow.sandbox.reader_keys, SHOW)
    calls = [
        f"{call['service']}:{call['action']}"
        for call in workflow.sandbox.aws.requests()[since:]
        if call["source"] == f"lambda:{SHOW}"
    ]

    assert f"{document['vpc_endpoint_id']}, available" in page
    assert document["endpoint_host"] in page
    assert ", ".join(document["endpoint_addresses"]) in page
    assert f"{workflow.sandbox.bucket}: locked to the endpoint" in page
    assert "No backup server uses the endpoint yet" in page
    assert calls == ["dynamodb:Scan", "ssm:GetParameters", "ec2:DescribeVpcEndpoints"]
