"""
A site's life, short and complete: every step of the workflow does everything that its role is for.

The runs are made on the embedded AWS of the policy proof, after its policies were read.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from sandbox.aws import EmbeddedAws
from tests.stories.workflow import Run, Workflow

T = TypeVar("T")

_PATIENCE_SECONDS = 120.0
SITE = {"site": "tokyo"}
# The bucket that the product makes itself; the other one is there before.
LOCKED = "vbr-tokyo-locked-111122223333"


def failed_and_undone(workflow: Workflow) -> None:
    """The first run fails at its last step: policies are put back, endpoint and group are deleted."""
    with workflow.denied("publish-endpoint", "ssm:PutParameter"):
        run = workflow.run(SITE)
    assert (run.status, run.error) == ("FAILED", "AccessDeniedError"), run.cause
    assert workflow.endpoints() == workflow.groups() == []


def everything_else(workflow: Workflow) -> None:
    """Drift, a stopped run, a schedule, the console, a release, and the site made anew."""
    _drift(workflow)
    _succeeded(workflow.run(SITE))
    _stopped_in_the_middle(workflow)
    _succeeded(workflow.run(SITE))
    _a_schedule(workflow)
    _a_button(workflow)
    _succeeded(workflow.run({**SITE, "intent": "released"}))
    # Now the page has something to say of a server: the release waits for it, and it will report nothing.
    _look(workflow)
    _succeeded(workflow.run({**SITE, "intent": "released", "force": True}))
    assert workflow.endpoints() == []
    _succeeded(workflow.run({**SITE, "intent": "provisioned"}))
    _succeeded(workflow.run(SITE))


def _succeeded(run: Run) -> None:
    assert run.status == "SUCCEEDED", run.cause


def _drift(workflow: Workflow) -> None:
    """Somebody changes by hand whatever the product repairs."""
    aws = workflow.sandbox.aws
    s3, ec2 = aws.client("s3"), aws.client("ec2")
    bucket = LOCKED
    s3.delete_public_access_block(Bucket=bucket)
    s3.delete_bucket_encryption(Bucket=bucket)
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    [group] = workflow.groups()
    everybody = [{"CidrIp": "0.0.0.0/0"}]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": everybody}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "192.168.0.0/16"}]}
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    [endpoint] = workflow.endpoints()
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    other = ec2.create_security_group(GroupName="other", Description="other", VpcId=found["VpcId"])
    ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint,
        RemoveSubnetIds=found["SubnetIds"][:1],
        AddSecurityGroupIds=[other["GroupId"]],
        RemoveSecurityGroupIds=[group],
        ResetPolicy=True,
    )


def _stopped_in_the_middle(workflow: Workflow) -> None:
    """A run is stopped while it holds the lease: the next one has to see that it has ended."""
    stopped = workflow.start(SITE)
    _eventually(lambda: "lease" in workflow.lease(), "the run takes no lease")
    workflow.stop(stopped)
    # The lease is still there: the page asks whether its run is.
    _look(workflow)


def _a_schedule(workflow: Workflow) -> None:
    """EventBridge starts a run with its own role, and the function that watches the servers."""
    aws: EmbeddedAws = workflow.sandbox.aws
    rules = aws.client("events").list_rules()["Rules"]
    daily, hourly = (
        next(rule["Name"] for rule in rules if rule.get("Description", "").startswith(beginning))
        for beginning in ("Repairs what somebody has changed", "Counts servers that are not heard of")
    )
    _starts_a_run(workflow, lambda: aws.fire_schedule(daily))
    since = workflow.seen()
    aws.fire_schedule(hourly)
    _eventually(
        lambda: any(
            call["source"] == "lambda:vbr-privatelink-watch-servers" and call["service"] == "ssm"
            for call in aws.requests()[since:]
        ),
        "nobody looks after the servers",
    )


def _look(workflow: Workflow) -> None:
    """Somebody looks at the dashboard."""
    _call(workflow, "customWidgetVbrPrivateLinkSites", {})


def _a_button(workflow: Workflow) -> None:
    """Somebody presses a button of the dashboard."""
    press = {**SITE, "request": "check"}
    _starts_a_run(workflow, lambda: _call(workflow, "customWidgetVbrPrivateLinkStart", press))


def _call(workflow: Workflow, function: str, event: Mapping[str, str]) -> None:
    answer = workflow.sandbox.aws.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps(event).encode()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def _starts_a_run(workflow: Workflow, start: Callable[[], None]) -> None:
    before = set(workflow.executions())
    start()
    started = _eventually(lambda: set(workflow.executions()) - before, "nothing starts a run")
    _succeeded(workflow.end_of(started.pop()))


def _eventually(ask: Callable[[], T], otherwise: str) -> T:
    """Ask until the answer is true."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < give_up, otherwise
        time.sleep(0.05)
    return answer
