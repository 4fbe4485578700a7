"""The real CDK command line deploys, changes and removes the product, under the roles of its bootstrap."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract.names import site_name
from contract.parameters import settings_parameter
from contract.settings import SiteSettings
from sandbox.assembly import settings_of, stacks_of, synthesize
from sandbox.aws import EmbeddedAws
from sandbox.aws.testing import finished
from sandbox.fleet import MANAGEMENT, ORGANIZATION, REGIONS, UNIT, account_number, hub_settings
from tests.conftest import ROOT
from tests.stories.cdk_cli import cdk_on_embedded_aws

pytestmark = pytest.mark.long

DEPLOY = ("deploy", "--all", "--require-approval", "never")


def site_settings(aws: EmbeddedAws, account_id: str, region: str) -> SiteSettings:
    """Read what the workflow would read."""
    ssm = aws.client("ssm", aws.root(account_id), region=region)
    found = ssm.get_parameter(Name=settings_parameter(site_name("tokyo")))["Parameter"]["Value"]
    return SiteSettings.from_json(found)


def with_other_addresses(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with one change that reaches the site."""
    [site] = settings["sites"]
    return {**settings, "sites": [{**site, "onprem_cidrs": ["172.16.0.0/12"]}]}


def test_a_site_is_deployed_changed_and_removed(assembly: Path, tmp_path: Path) -> None:
    """What was backed up outlives the stack: the bucket stays, the table stays, the roles go."""
    changed = tmp_path / "changed"
    synthesize(ROOT, changed, settings=with_other_addresses(settings_of(ROOT)))
    [site] = stacks_of(assembly)
    with cdk_on_embedded_aws(tmp_path) as (cdk, aws):
        aws.create_network("tokyo")
        cdk(assembly, "bootstrap", f"aws://{site.account_id}/{site.region}")
        assert "Outputs:" in cdk(assembly, *DEPLOY)
        [machine] = aws.client("stepfunctions").list_state_machines()["stateMachines"]
        run = aws.client("stepfunctions").start_execution(
            stateMachineArn=machine["stateMachineArn"], input=json.dumps({"site": "tokyo"})
        )
        assert (
            finished(aws.client("stepfunctions"), run["executionArn"], seconds=120)["status"] == "SUCCEEDED"
        )
        assert "(no changes)" in cdk(assembly, *DEPLOY)
        assert site_settings(aws, site.account_id, site.region).onprem_cidrs == ("192.168.0.0/16",)
        cdk(changed, *DEPLOY)
        assert site_settings(aws, site.account_id, site.region).onprem_cidrs == ("172.16.0.0/12",)
        # Everything went through the roles that the bootstrap made.
        deploying = {
            call["principal"].split("/")[1]
            for call in aws.requests()
            if call["action"] in ("CreateChangeSet", "ExecuteChangeSet")
        }
        assert f"cdk-hnb659fds-deploy-role-{site.account_id}-{site.region}" in deploying
        cdk(changed, "destroy", "--all", "--force")
        stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
        buckets = [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
        roles = [role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]]

        assert [stack["StackName"] for stack in stacks] == ["CDKToolkit"]
        assert f"vbr-tokyo-{site.account_id}-{site.region}" in buckets
        assert aws.client("dynamodb").list_tables()["TableNames"]
        assert not [name for name in roles if name.startswith("vbr-privatelink")]


def test_a_hub_is_deployed_and_changed(hub_assembly: Path, tmp_path: Path) -> None:
    """The CLI deploys the buckets of the Regions and the hub; StackSets does the rest, twice."""
    changed = tmp_path / "changed"
    synthesize(ROOT, changed, settings=with_other_addresses(hub_settings(ROOT)))
    hub = stacks_of(hub_assembly)[-1]
    accounts = [account_number(1), account_number(2)]
    with cdk_on_embedded_aws(tmp_path) as (cdk, aws):
        organization = aws.create_organization(
            MANAGEMENT, delegated_administrator=hub.account_id, organization_id=ORGANIZATION
        )
        unit = organization.add_unit("backup", unit_id=UNIT)
        for account in accounts:
            organization.add_account(account, unit_id=unit)
        cdk(hub_assembly, "bootstrap", *(f"aws://{hub.account_id}/{region}" for region in REGIONS))
        for folder, addresses in ((hub_assembly, "192.168.0.0/16"), (changed, "172.16.0.0/12")):
            cdk(folder, *DEPLOY)
            for account in accounts:
                for region in REGIONS:
                    assert site_settings(aws, account, region).onprem_cidrs == (addresses,)
        found = aws.client("cloudformation").list_stack_instances(StackSetName="vbr-privatelink")["Summaries"]

        assert len(found) == len(accounts) * len(REGIONS)
        assert {item["Status"] for item in found} == {"CURRENT"}
