"""Ten sites in one stack: each with its own lease, and started by the deployment itself."""

import json
import time
from collections.abc import Iterator

import pytest

from sandbox.assembly import settings_of, synthesize
from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.stories.workflow import Workflow


@pytest.fixture(scope="module", name="ten_sites")
def _ten_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Ten sites in one stack that starts them by itself when it is deployed."""
    settings = settings_of(ROOT)
    [site] = settings["sites"]
    settings |= {
        "start_on_deployment": True,
        "sites": [{**site, "site": f"site-{number}"} for number in range(10)],
    }
    folder = tmp_path_factory.mktemp("ten")
    synthesize(ROOT, folder / "cdk.out", settings=settings)
    options = SandboxOptions(
        state=folder / "state", root=ROOT, pending_seconds=0.3, assembly=folder / "cdk.out"
    )
    with Sandbox(options) as sandbox:
        yield sandbox


def test_ten_sites_provision_themselves_when_the_stack_is_deployed(ten_sites: Sandbox) -> None:
    """Nobody has to press a button in a new account."""
    workflow = Workflow(ten_sites)
    give_up = time.monotonic() + 30
    while len(workflow.executions()) < 10:
        assert time.monotonic() < give_up, "the deployment did not start all sites"
        time.sleep(0.1)
    runs = [workflow.end_of(execution) for execution in workflow.executions()]

    assert {run.status for run in runs} == {"SUCCEEDED"}, [run.cause for run in runs]
    assert len(workflow.endpoints()) == len(workflow.groups()) == len(workflow.buckets()) == 10


def test_fifty_runs_of_ten_sites_change_nothing(ten_sites: Sandbox) -> None:
    """Every site keeps its own lease: nobody waits for somebody else's site."""
    workflow = Workflow(ten_sites)
    before = workflow.endpoints()
    executions = [workflow.start({"site": f"site-{number % 10}"}) for number in range(50)]
    runs = [workflow.end_of(execution) for execution in executions]

    assert {run.status for run in runs} == {"SUCCEEDED"}, [run.cause for run in runs]
    assert sorted(workflow.endpoints()) == sorted(before)
    assert len(workflow.groups()) == len(workflow.buckets()) == 10


def test_a_deployment_does_not_bring_a_released_site_back(ten_sites: Sandbox) -> None:
    """A deployment of the next version must not undo what a person has decided."""
    workflow = Workflow(ten_sites)
    workflow.run({"site": "site-3", "intent": "released"})
    before = set(workflow.executions())
    ten_sites.aws.deploy(ten_sites.assembly.folder)
    template = json.loads(
        (ten_sites.assembly.folder / f"{ten_sites.assembly.stack_name}.template.json").read_text()
    )
    template["Description"] = "the next version"
    ten_sites.aws.deploy_template(ten_sites.assembly.stack_name, template)
    give_up = time.monotonic() + 30
    while len(set(workflow.executions()) - before) < 10:
        assert time.monotonic() < give_up, "the deployment did not start all sites"
        time.sleep(0.1)
    runs = [workflow.end_of(execution) for execution in set(workflow.executions()) - before]

    assert {run.status for run in runs} == {"SUCCEEDED"}, [run.cause for run in runs]
    assert len(workflow.endpoints()) == 9
