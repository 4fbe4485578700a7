"""Runs that are stopped in the middle, and many runs of one site at once: always the same end."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.stories.workflow import Workflow

PROVISION = (
    "AcquireLease",
    "ResolveRequest",
    "EnsureBucket",
    "EnsureEndpoint",
    "CheckEndpoint",
    "ReadAdoption",
    "AttachBucketPolicy",
    "ProveLockdown",
    "PublishEndpoint",
    "ReleaseLease",
)
RELEASE = (
    "AcquireLease",
    "ResolveRelease",
    "DetachBucketPolicy",
    "WithdrawEndpoint",
    "ReadReversion",
    "RemoveEndpoints",
    "ReleaseLease",
)


@pytest.fixture(scope="module", name="workflow")
def _workflow(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    options = SandboxOptions(
        state=tmp_path_factory.mktemp("sandbox"), root=ROOT, pending_seconds=0.3, assembly=assembly
    )
    with Sandbox(options) as sandbox:
        workflow = Workflow(sandbox)
        workflow.run()
        workflow.run({"site": "tokyo", "intent": "released"})
        yield workflow


def stop_in(workflow: Workflow, state: str, request: dict[str, object]) -> str:
    """Start a run and stop it as soon as it has entered *state*; return how it ended."""
    states = workflow.sandbox.aws.client("stepfunctions")
    execution = workflow.start(request)
    give_up = time.monotonic() + 30
    while True:
        history = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        entered = {
            event["stateEnteredEventDetails"]["name"]
            for event in history
            if "stateEnteredEventDetails" in event
        }
        if state in entered:
            break
        assert time.monotonic() < give_up, f"{state} is never entered"
        time.sleep(0.01)
    workflow.stop(execution)
    # A function that has been called works on: what it still does, the next run must cope with as well.
    return workflow.end_of(execution).status


@pytest.mark.parametrize("state", PROVISION)
def test_a_provisioning_that_is_stopped_anywhere_is_finished_by_the_next_run(
    workflow: Workflow, state: str
) -> None:
    """A stopped run's Catch doesn't run: nothing cleans up behind it but the next run."""
    stop_in(workflow, state, {"site": "tokyo", "intent": "provisioned"})
    time.sleep(0.5)
    run = workflow.run({"site": "tokyo"})
    again = workflow.run({"site": "tokyo"})
    published = workflow.published()
    endpoints, groups = workflow.endpoints(), workflow.groups()
    policy = workflow.policy()
    released = workflow.run({"site": "tokyo", "intent": "released"})

    assert (run.status, again.status) == ("SUCCEEDED", "SUCCEEDED"), run.cause
    assert len(endpoints) == len(groups) == 1
    assert published is not None
    assert json.loads(published["Value"])["vpc_endpoint_id"] == endpoints[0]
    assert policy is not None
    assert len(policy["Statement"]) == 5
    assert released.status == "SUCCEEDED", released.cause
    assert workflow.endpoints() == workflow.groups() == []


@pytest.mark.parametrize("state", RELEASE)
def test_a_release_that_is_stopped_anywhere_is_finished_by_the_next_run(
    workflow: Workflow, state: str
) -> None:
    """The intent was stored with the lease: the daily run finishes what a person began."""
    provisioned = workflow.run({"site": "tokyo", "intent": "provisioned"})
    stop_in(workflow, state, {"site": "tokyo", "intent": "released"})
    time.sleep(0.5)
    # Stopped before it had the lease, the request was never heard.
    intent = {} if state != "AcquireLease" else {"intent": "released"}
    run = workflow.run({"site": "tokyo", **intent})

    assert provisioned.status == "SUCCEEDED", provisioned.cause
    assert run.status == "SUCCEEDED", run.cause
    assert workflow.endpoints() == workflow.groups() == []
    assert workflow.policy() is None
    assert json.loads(workflow.lease()["status"]["S"])["state"] == "released"


def test_twenty_runs_at_once_make_one_endpoint(workflow: Workflow) -> None:
    """One works, one waits, and the others see that they aren't needed."""
    workflow.run({"site": "tokyo", "intent": "released"})
    workflow.run({"site": "tokyo", "intent": "provisioned"})
    workflow.run({"site": "tokyo", "intent": "released"})
    executions = [workflow.start({"site": "tokyo", "intent": "provisioned"}) for _ in range(20)]
    runs = [workflow.end_of(execution) for execution in executions]

    assert {run.status for run in runs} == {"SUCCEEDED"}, [run.cause for run in runs]
    assert len(workflow.endpoints()) == len(workflow.groups()) == 1
    assert workflow.buckets() == [workflow.sandbox.bucket]
    assert sum(bool(run.output.get("endpoint", {}).get("created")) for run in runs) == 1
