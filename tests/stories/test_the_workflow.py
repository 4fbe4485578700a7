"""The workflow on the embedded AWS: from several starts, with bad input, and when a step fails."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.stories.workflow import Workflow

LEASE = ["dynamodb:UpdateItem"] * 2


@pytest.fixture(scope="module", name="workflow")
def _workflow(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    options = SandboxOptions(
        state=tmp_path_factory.mktemp("sandbox"), root=ROOT, pending_seconds=0.5, assembly=assembly
    )
    with Sandbox(options) as sandbox:
        yield Workflow(sandbox)


# The tests below use one sandbox, in this order: what is refused and what is undone leaves it as it was.


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"site": "tokyo", "buckets": []}, "InvalidRequestError", "buckets: is not a known field"),
        ({"site": "Tokyo"}, "InvalidRequestError", "site: "),
        ({"site": "osaka"}, "InvalidRequestError", "site: there are no settings for osaka"),
        ({"site": "tokyo", "intent": "burn"}, "InvalidRequestError", "intent: "),
        ({}, "InvalidRequestError", "site: is missing"),
        ([], "InvalidRequestError", "request: "),
        ({"detail-type": "Greeting", "detail": {}}, "InvalidRequestError", "detail-type: "),
    ],
)
def test_a_bad_request_is_refused_at_the_door(
    workflow: Workflow, request_: object, error: str, words: str
) -> None:
    """Not even the lease is taken for a request that names nothing or too much."""
    since = workflow.seen()
    run = workflow.run(request_)

    assert (run.status, run.error) == ("FAILED", error)
    assert json.loads(run.cause)["errorMessage"].startswith(words)
    assert workflow.writes(since=since) == []


def test_a_run_that_may_not_create_the_bucket_leaves_nothing(workflow: Workflow) -> None:
    """The first step that makes something is also the first that can be refused."""
    with workflow.denied("ensure-bucket", "s3:CreateBucket"):
        run = workflow.run()

    assert (run.status, run.error) == ("FAILED", "AccessDeniedError"), run.cause
    assert workflow.buckets() == []
    assert "lease" not in workflow.lease()


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"onprem_cidrs": ["10.0.0.0/33"]}, "InvalidRequestError", "onprem_cidrs[0]: '10.0.0.0/33'"),
        ({"onprem_cidrs": ["10.0.0.1/8"]}, "InvalidRequestError", "onprem_cidrs[0]: '10.0.0.1/8'"),
        ({"colour": "blue"}, "InvalidRequestError", "colour: is not a known field; remove it"),
        (
            {"buckets": [{"name": "Bad_Name", "folder": "f", "immutability_days": 0}]},
            "InvalidRequestError",
            "buckets[0].name: 'Bad_Name' is not valid",
        ),
        (
            {"vpc_id": "vpc-0123456789abcdef0"},
            "NetworkNotFoundError",
            "vpc_id: vpc-0123456789abcdef0 does not exist",
        ),
        ({"site": "osaka"}, "InvalidRequestError", "site: the settings of tokyo speak of osaka"),
        ({"security_group_id": "sg-0123456789abcdef0"}, "EndpointRefusedError", "security_group_id: "),
        ({"vpc_endpoint_id": "vpce-0123456789abcdef0"}, "EndpointRefusedError", "vpc_endpoint_id: "),
    ],
)
def test_bad_settings_are_refused_with_the_field_and_the_fix(
    workflow: Workflow, changed: dict[str, object], error: str, words: str
) -> None:
    """Whoever deploys them reads what to correct; nothing but the bucket can be there."""
    with workflow.settings(**changed):
        run = workflow.run()

    assert (run.status, run.error) == ("FAILED", error)
    assert json.loads(run.cause)["errorMessage"].startswith(words)
    assert workflow.endpoints() == []
    assert workflow.groups() == []
    assert workflow.published() is None
    assert "lease" not in workflow.lease()


def test_unfit_buckets_are_refused_before_anything_is_created(workflow: Workflow) -> None:
    """A second bucket's mistake must not leave the first bucket behind."""
    s3 = workflow.sandbox.aws.client("s3")
    place = {"CreateBucketConfiguration": {"LocationConstraint": workflow.sandbox.assembly.region}}
    s3.create_bucket(Bucket="osaka-backups", **place)
    s3.put_bucket_tagging(
        Bucket="osaka-backups", Tagging={"TagSet": [{"Key": "vbr-privatelink", "Value": "osaka"}]}
    )
    s3.create_bucket(Bucket="retained-backups", ObjectLockEnabledForBucket=True, **place)
    s3.put_object_lock_configuration(
        Bucket="retained-backups",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
        },
    )
    other = workflow.sandbox.aws.client("s3", workflow.sandbox.aws.administrator_of("444455556666"))
    other.create_bucket(Bucket="foreign-backups", **place)
    before = set(workflow.buckets())
    since = workflow.seen()

    for name, words in (
        ("osaka-backups", "bucket osaka-backups: it belongs to site osaka"),
        ("retained-backups", "bucket retained-backups: it has a default retention"),
        ("foreign-backups", "bucket foreign-backups: it belongs to another account"),
    ):
        first = {"name": f"new-{name}", "folder": "f", "immutability_days": 0}
        buckets = [first, {**first, "name": name}]
        with workflow.settings(buckets=buckets), workflow.allowed("ensure-bucket", "s3:*"):
            run = workflow.run()

        assert (run.status, run.error) == ("FAILED", "BucketRefusedError"), run.cause
        assert json.loads(run.cause)["errorMessage"].startswith(words)

    assert set(workflow.buckets()) == before
    assert set(workflow.writes(since=since)) == {"dynamodb:UpdateItem", "events:PutEvents"}
    for name in ("osaka-backups", "retained-backups"):
        s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    ("step", "action", "error"),
    [
        ("ensure-endpoint", "ec2:AuthorizeSecurityGroupIngress", "AccessDeniedError"),
        ("ensure-endpoint", "ec2:CreateVpcEndpoint", "AccessDeniedError"),
        ("check-endpoint", "ec2:DescribeNetworkInterfaces", "AccessDeniedError"),
        ("attach-bucket-policy", "s3:PutBucketPolicy", "AccessDeniedError"),
        ("prove-lockdown", "s3:PutObject", "LockdownUnprovenError"),
        ("publish-endpoint", "ssm:PutParameter", "AccessDeniedError"),
    ],
)
def test_what_a_failed_run_has_made_is_taken_back(
    workflow: Workflow, step: str, action: str, error: str
) -> None:
    """The first error is the execution's error; only the bucket stays, for the next run."""
    with workflow.denied(step, action):
        run = workflow.run()

    assert (run.status, run.error) == ("FAILED", error), run.cause
    assert workflow.endpoints() == []
    assert workflow.groups() == []
    assert workflow.published() is None
    assert workflow.policy() is None
    assert "lease" not in workflow.lease()


def test_somebody_elses_policy_is_put_back_after_a_failure(workflow: Workflow) -> None:
    """People's statements survive the merge, and the undo takes only the product's away."""
    own = {
        "Sid": "AuditorsMayLook",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "s3:GetBucketLocation",
        "Resource": f"arn:aws:s3:::{workflow.sandbox.bucket}",
    }
    theirs = {"Version": "2012-10-17", "Statement": [own]}
    s3 = workflow.sandbox.aws.client("s3")
    s3.put_bucket_policy(Bucket=workflow.sandbox.bucket, Policy=json.dumps(theirs))
    with workflow.denied("publish-endpoint", "ssm:PutParameter"):
        run = workflow.run()

    assert run.status == "FAILED"
    assert workflow.policy() == theirs


def test_two_runs_started_together_end_in_one_endpoint(workflow: Workflow) -> None:
    """EventBridge delivers twice now and then; the second run waits and finds everything done."""
    executions = [workflow.start(), workflow.start()]
    runs = [workflow.end_of(execution) for execution in executions]
    policy = workflow.policy()

    assert [run.status for run in runs] == ["SUCCEEDED", "SUCCEEDED"], [run.cause for run in runs]
    assert sum(run.output["publication"]["changed"] for run in runs) == 1
    assert workflow.buckets().count(workflow.sandbox.bucket) == 1
    assert len(workflow.endpoints()) == len(workflow.groups()) == 1
    published = workflow.published()
    assert published is not None
    assert published["Version"] == 1
    assert policy is not None
    assert [statement["Sid"] for statement in policy["Statement"]] == [
        "AuditorsMayLook",
        "DenyObjectAccessOutsideEndpoint",
        "DenyListingOutsideEndpoint",
        "DenyPolicyTamper",
        "DenyInsecureTransport",
        "DenyOutdatedTls",
    ]


def test_a_third_run_writes_nothing_but_its_lease(workflow: Workflow) -> None:
    """Judged by the log of AWS calls, not by what the steps say."""
    since = workflow.seen()
    run = workflow.run()

    assert run.status == "SUCCEEDED"
    assert workflow.writes(since=since) == LEASE


def test_an_event_starts_the_workflow(workflow: Workflow) -> None:
    """The console button and other accounts send events; the execution gets the whole event as its input."""
    before = workflow.executions()
    workflow.put_event("Provision Requested", {"site": workflow.sandbox.settings.site})
    give_up = time.monotonic() + 20
    while (now := workflow.executions()) == before:
        assert time.monotonic() < give_up, "the event started nothing"
        time.sleep(0.1)
    [started] = set(now) - set(before)
    run = workflow.end_of(started)

    assert run.status == "SUCCEEDED"
    assert workflow.lease()["intent"] == {"S": "provisioned"}


def test_an_event_with_an_unknown_field_is_refused(workflow: Workflow) -> None:
    """A misspelt field in an event must not be dropped on the way."""
    run = workflow.run(
        {
            "source": "vbr-privatelink",
            "detail-type": "Provision Requested",
            "detail": {"site": "tokyo", "force": True},
        }
    )

    assert (run.status, run.error) == ("FAILED", "InvalidRequestError")
    assert json.loads(run.cause)["errorMessage"] == "force: is not a known field; remove it"


def test_drift_of_what_the_product_made_is_repaired(workflow: Workflow) -> None:
    """Somebody opens the group and turns the endpoint's policy to full access; the next run closes both."""
    ec2 = workflow.sandbox.aws.client("ec2")
    [group], [endpoint] = workflow.groups(), workflow.endpoints()
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ],
    )
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, ResetPolicy=True)
    run = workflow.run()
    rules = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]

    assert [(drift["resource"], drift["property"]) for drift in run.output["end"]["drift"]] == [
        (group, "other incoming rules"),
        (endpoint, "endpoint policy"),
    ]
    assert all(drift["repaired"] for drift in run.output["end"]["drift"])
    assert [rule["FromPort"] for rule in rules] == [443]
    assert workflow.run().output["end"]["drift"] == []


def test_settings_that_nobody_deployed_let_nobody_in(workflow: Workflow) -> None:
    """
    A deployment changes parameter and digest one after the other, so the step tries again for a while: a
    run that finds the right settings in time goes on, and the ones written by hand never count.
    """
    deployed = workflow.deployed_settings()
    mallory = {"policy_administrators": ["arn:aws:iam::111122223333:role/mallory"]}
    workflow.edit_settings(json.dumps({**json.loads(deployed), **mallory}))
    run = workflow.start()
    give_up = time.monotonic() + 60
    while "SettingsNotDeployedError" not in workflow.history(run):
        assert time.monotonic() < give_up, "the settings were taken for deployed"
        time.sleep(0.1)
    workflow.edit_settings(deployed)
    ended = workflow.end_of(run)

    assert ended.status == "SUCCEEDED"
    assert "mallory" not in json.dumps(workflow.policy())


def test_the_lease_of_a_stopped_run_is_taken_over(workflow: Workflow) -> None:
    """A stopped run releases nothing: without the take-over its site would be held for ever."""
    ec2 = workflow.sandbox.aws.client("ec2")
    [endpoint] = workflow.endpoints()
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    stopped = workflow.start()
    give_up = time.monotonic() + 20
    while not workflow.endpoints():
        assert time.monotonic() < give_up, "no new endpoint was made"
        time.sleep(0.05)
    workflow.stop(stopped)
    made = workflow.endpoints()
    run = workflow.run()

    assert workflow.end_of(stopped).status == "ABORTED"
    assert run.status == "SUCCEEDED", run.cause
    assert workflow.endpoints() == made
    assert run.output["endpoint"]["created"] == []
    published = workflow.published()
    assert published is not None
    assert json.loads(published["Value"])["vpc_endpoint_id"] == made[0]
