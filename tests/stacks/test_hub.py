"""The hub: the StackSet of the sites, the buckets that their code comes from, and who may tell it what."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract.settings import SiteSettings, settings_digest
from stacks.policies.fleet import NEWS, REQUESTS
from tests.stacks.synthesized import HUB, ROOT, Synthesized, actions, as_text, resources, synthesize

EXAMPLE: dict[str, Any] = json.loads((ROOT / "tests/stacks/organization.json").read_text())
HUB_ACCOUNT, HUB_REGION = "111122223333", "ap-northeast-1"
BUS = f":events:{HUB_REGION}:{HUB_ACCOUNT}:event-bus/vbr-privatelink-fleet"
ROLE = f":iam::{HUB_ACCOUNT}:role/vbr-privatelink-request-run-{HUB_REGION}"
# CloudFormation: what a StackSet takes of a template that is read from S3, and what it refuses.
LARGEST_TEMPLATE = 1_000_000
REFUSED = (
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::Macro",
    "Custom::",
    "AWS::CloudFormation::Custom",
)
# Builds the hub, but nobody explains the wildcards of the StackSet's roles.
UNEXPLAINED = """
import runpy
from stacks.policies import network
network.explained_wildcards = lambda *_arguments: {}
runpy.run_path("app.py")
"""


def stack_set_of(hub: Synthesized) -> dict[str, Any]:
    (properties,) = hub.of_type("AWS::CloudFormation::StackSet").values()
    return properties


def document(stack_set: Synthesized) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(stack_set.template_file.read_text())
    return loaded


def bus_policy(of: Synthesized) -> dict[str, Any]:
    (policy,) = of.of_type("AWS::Events::EventBusPolicy").values()
    statement: dict[str, Any] = policy["Statement"]
    return statement


# The StackSet's template


def test_the_template_is_within_the_limits_of_stack_sets(stack_set: Synthesized) -> None:
    """Service-managed StackSets refuse nested stacks and macros, and 1 MB is the most that S3 may hold."""
    text = stack_set.template_file.read_text()
    template = json.loads(text)

    assert 50_000 < len(text.encode()) < LARGEST_TEMPLATE
    assert "Transform" not in template
    assert "Fn::Transform" not in text
    for name, resource in template["Resources"].items():
        assert not resource["Type"].startswith(REFUSED), name
    assert len(template["Resources"]) < 500
    assert len(template["Parameters"]) < 200


def test_the_template_says_nothing_of_where_it_is_deployed(stack_set: Synthesized) -> None:
    """Account and Region appear as the hub's own address only: the bus, the role that may ask, the code."""
    text = stack_set.template_file.read_text()

    for known in (BUS, ROLE, f":iam::{HUB_ACCOUNT}:root", f'"{HUB_ACCOUNT}"', f"assets-{HUB_ACCOUNT}"):
        assert known in text
        text = text.replace(known, "")
    assert HUB_ACCOUNT not in text
    assert HUB_REGION not in text
    # The CDK's own rule about its bootstrap stack would ask every account for one.
    assert "BootstrapVersion" not in text


def test_both_stacks_hold_the_same_site(synthesized: Synthesized, stack_set: Synthesized) -> None:
    """One construct: what was tried in one account is what all get, and the way to the hub."""
    # The CDK names a rule's permission after its stack.
    alone, each = (
        {
            name: resource
            for name, resource in stack.resources.items()
            if resource["Type"] != "AWS::Lambda::Permission"
        }
        for stack in (synthesized, stack_set)
    )
    added = {name: resource["Type"] for name, resource in each.items() if name not in alone}
    missing = {name for name in alone if name not in each}

    assert missing == set()
    asked_for = ("HubLink", "Deployed", "BackupUser")
    assert {name for name in added if not any(part in name for part in asked_for)} == set()
    assert sorted(kind for name, kind in added.items() if "HubLink" in name) == [
        "AWS::Events::EventBusPolicy",
        "AWS::Events::Rule",
        "AWS::Events::Rule",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
    ]
    for name, resource in alone.items():
        assert each[name]["Type"] == resource["Type"], name
    assert len(stack_set.of_type("AWS::Lambda::Permission")) == len(
        synthesized.of_type("AWS::Lambda::Permission")
    )


def test_the_code_comes_from_the_bucket_of_the_region(hub: Synthesized, stack_set: Synthesized) -> None:
    """Lambda takes code from its own Region; what the template names must be what the hub copies there."""
    (code,) = {json.dumps(f["Code"]) for f in stack_set.of_type("AWS::Lambda::Function").values()}
    found = json.loads(code)
    copies = hub.of_type("Custom::CDKBucketDeployment").values()

    assert as_text(found["S3Bucket"]) == f"vbr-privatelink-assets-{HUB_ACCOUNT}-<AWS::Region>"
    regions = EXAMPLE["settings"]["hub"]["regions"]
    assert sorted(copy["DestinationBucketName"] for copy in copies) == [
        f"vbr-privatelink-assets-{HUB_ACCOUNT}-{region}" for region in sorted(regions)
    ]
    assert all(found["S3Key"] in copy["SourceObjectKeys"] for copy in copies)


def test_the_stack_set_waits_for_its_code(hub: Synthesized) -> None:
    """Otherwise the first deployment fails in every account at once."""
    (waits,) = [
        resource["DependsOn"]
        for resource in hub.resources.values()
        if resource["Type"] == "AWS::CloudFormation::StackSet"
    ]

    assert set(hub.of_type("Custom::CDKBucketDeployment")) <= set(waits)


def test_the_settings_are_parameters_that_an_account_can_override(
    hub: Synthesized, stack_set: Synthesized
) -> None:
    """What the workflow reads in an account is what was written for it, as a whole."""
    (written,) = stack_set.of_type("AWS::SSM::Parameter").values()
    common = SiteSettings.from_json(document(stack_set)["Parameters"]["Settingstokyo"]["Default"])
    groups = stack_set_of(hub)["StackInstancesGroup"]
    everybody, *others = groups
    overridden = {
        (group["DeploymentTargets"]["Accounts"][0], tuple(group["Regions"])): {
            parameter["ParameterKey"]: SiteSettings.from_json(parameter["ParameterValue"])
            for parameter in group.get("ParameterOverrides", [])
            if parameter["ParameterKey"].startswith("Settings")
        }
        for group in others
    }

    assert (written["Name"], written["Value"]) == (
        "/vbr-privatelink/tokyo/settings",
        {"Ref": "Settingstokyo"},
    )
    assert common.expected_servers == ()
    assert everybody["DeploymentTargets"] == {
        "AccountFilterType": "DIFFERENCE",
        "Accounts": ["444455556666", "100000000001"],
        "OrganizationalUnitIds": ["ou-ab12-cd34ef56"],
    }
    assert "ParameterOverrides" not in everybody
    assert set(overridden) == {
        ("444455556666", ("ap-northeast-1", "ap-southeast-1")),
        ("100000000001", ("ap-northeast-1",)),
        ("100000000001", ("ap-southeast-1",)),
    }
    first = overridden["444455556666", ("ap-northeast-1", "ap-southeast-1")]["Settingstokyo"]
    assert first.expected_servers == ("vbr01", "vbr02")
    assert first.onprem_cidrs == common.onprem_cidrs
    assert overridden["100000000001", ("ap-northeast-1",)] == {}
    assert overridden["100000000001", ("ap-southeast-1",)]["Settingstokyo"].vpc_id == "vpc-0123456789abcdef0"


def test_the_digest_goes_wherever_the_settings_go(hub: Synthesized, stack_set: Synthesized) -> None:
    """An account with settings of its own and the digest of all others would refuse every run."""
    defaults = {name: one.get("Default") for name, one in document(stack_set)["Parameters"].items()}
    given = [
        {one["ParameterKey"]: one["ParameterValue"] for one in group["ParameterOverrides"]}
        for group in stack_set_of(hub)["StackInstancesGroup"]
        if group.get("ParameterOverrides")
    ]
    variables = stack_set.function("resolve_request")["Environment"]["Variables"]

    assert given
    for parameters in (defaults, *given):
        assert parameters["Digesttokyo"] == settings_digest(parameters["Settingstokyo"])
    assert variables["SETTINGS_DIGESTS"] == {"Fn::Join": ["", ["tokyo=", {"Ref": "Digesttokyo"}]]}


def test_no_place_is_named_twice(hub: Synthesized) -> None:
    """StackSets refuses it in the middle of a deployment."""
    places = [
        (account, region)
        for group in stack_set_of(hub)["StackInstancesGroup"][1:]
        for account in group["DeploymentTargets"]["Accounts"]
        for region in group["Regions"]
    ]

    assert len(places) == len(set(places)) == 4


def test_the_stack_set_is_the_organizations_and_leaves_backups_alone(hub: Synthesized) -> None:
    """An account that joins is provisioned by itself; one that leaves keeps its endpoint."""
    properties = stack_set_of(hub)

    assert properties["PermissionModel"] == "SERVICE_MANAGED"
    assert properties["CallAs"] == "DELEGATED_ADMIN"
    assert properties["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": True}
    assert properties["ManagedExecution"] == {"Active": True}
    assert properties["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert properties["TemplateURL"]
    assert "TemplateBody" not in properties
    assert "OperationPreferences" not in properties


def test_a_new_account_provisions_itself(stack_set: Synthesized) -> None:
    """The rule knows its own stack by its id, whatever name StackSets gives it."""
    (rule,) = [
        rule
        for rule in stack_set.of_type("AWS::Events::Rule").values()
        if rule.get("EventPattern", {}).get("source") == ["aws.cloudformation"]
    ]

    assert rule["EventPattern"]["detail"]["stack-id"] == [{"Ref": "AWS::StackId"}]
    assert [json.loads(target["Input"]) for target in rule["Targets"]] == [
        {"site": "tokyo", "purpose": "reconcile"}
    ]


# Events, there and back


def test_a_site_tells_the_hub_its_own_news_and_nothing_else(stack_set: Synthesized) -> None:
    """Not what somebody else was let put on the account's bus, and no event of AWS."""
    (rule,) = [
        rule
        for rule in stack_set.of_type("AWS::Events::Rule").values()
        if any(as_text(target["Arn"]).endswith(BUS) for target in rule["Targets"])
    ]
    (target,) = rule["Targets"]
    role = target["RoleArn"]["Fn::GetAtt"][0]

    assert rule["EventPattern"] == {
        "account": [{"Ref": "AWS::AccountId"}],
        "source": ["vbr-privatelink"],
        "detail-type": list(NEWS),
    }
    assert target["DeadLetterConfig"]["Arn"]
    assert [(actions(statement), resources(statement)) for statement in stack_set.statements_of(role)] == [
        (["events:PutEvents"], [f"arn:<AWS::Partition>{BUS}"])
    ]


def test_the_accounts_bus_takes_requests_of_one_role_of_the_hub(stack_set: Synthesized) -> None:
    """No other account, no other role there, no other event; above all no grant of access."""
    statement = bus_policy(stack_set)

    assert statement["Effect"] == "Allow"
    assert as_text(statement["Principal"]["AWS"]).endswith(f":iam::{HUB_ACCOUNT}:root")
    assert statement["Action"] == "events:PutEvents"
    assert as_text(statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]).endswith(ROLE)
    assert statement["Condition"]["ForAllValues:StringEquals"] == {
        "events:source": "vbr-privatelink",
        "events:detail-type": list(REQUESTS),
    }
    assert "Access Grant Requested" not in REQUESTS


def test_what_the_hub_asks_starts_the_workflow_by_its_envelope(stack_set: Synthesized) -> None:
    """The envelope's account is EventBridge's word; a local request stays a local one."""
    (machine,) = stack_set.of_type("AWS::StepFunctions::StateMachine")
    rules = [
        rule
        for rule in stack_set.of_type("AWS::Events::Rule").values()
        if rule.get("EventPattern", {}).get("source") == ["vbr-privatelink"]
        and [as_text(target["Arn"]) for target in rule["Targets"]] == [f"<{machine}>"]
    ]
    by_account = {json.dumps(rule["EventPattern"]["account"]): rule for rule in rules}

    assert set(by_account) == {json.dumps([HUB_ACCOUNT]), json.dumps([{"Ref": "AWS::AccountId"}])}
    asked = by_account[json.dumps([HUB_ACCOUNT])]
    assert asked["EventPattern"]["detail-type"] == list(REQUESTS)
    assert asked["Targets"][0]["DeadLetterConfig"]["Arn"]


def test_a_site_without_a_hub_listens_to_nobody(synthesized: Synthesized) -> None:
    """The plain stack opens no bus."""
    kinds = {resource["Type"] for resource in synthesized.resources.values()}

    assert "AWS::Events::EventBusPolicy" not in kinds
    assert synthesized.function("release_lease")["Environment"]["Variables"]["TELL_UNCHANGED"] == "false"


def test_the_sites_of_a_hub_tell_it_every_day(stack_set: Synthesized) -> None:
    """A site that says nothing while nothing changes could as well be dead."""
    variables = stack_set.function("release_lease")["Environment"]["Variables"]

    assert variables["TELL_UNCHANGED"] == "true"


def test_the_hubs_bus_is_the_organizations(hub: Synthesized) -> None:
    """Whoever is outside is refused, and inside only the product's news are taken."""
    statement = bus_policy(hub)

    assert statement["Principal"] == "*"
    assert statement["Action"] == "events:PutEvents"
    assert statement["Condition"] == {
        "StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
        "ForAllValues:StringEquals": {"events:source": "vbr-privatelink", "events:detail-type": list(NEWS)},
    }
    assert as_text(statement["Resource"]) == f"<{next(iter(hub.of_type('AWS::Events::EventBus')))}.Arn>"


def test_what_the_hub_can_not_keep_is_not_lost(hub: Synthesized) -> None:
    """Neither an event that EventBridge can't hand over, nor one that the function can't take."""
    (queue,) = hub.of_type("AWS::SQS::Queue")
    functions = [
        function
        for function in hub.of_type("AWS::Lambda::Function").values()
        if function["Handler"].startswith("lambdas.")
    ]

    for rule in hub.of_type("AWS::Events::Rule").values():
        for target in rule["Targets"]:
            assert as_text(target["DeadLetterConfig"]["Arn"]) == f"<{queue}.Arn>"
    behind_rules = [function for function in functions if "DeadLetterConfig" in function]
    assert {function["Handler"].split(".")[1] for function in behind_rules} == {
        "record_site_status",
        "survey_fleet",
    }
    for function in behind_rules:
        assert as_text(function["DeadLetterConfig"]["TargetArn"]) == f"<{queue}.Arn>"


# What each function of the hub may do


@pytest.mark.parametrize(
    ("step", "allowed"),
    [
        ("record_site_status", {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"}),
        ("survey_fleet", {"dynamodb:Scan"}),
        ("show_fleet", {"dynamodb:Scan"}),
        ("request_run", {"dynamodb:GetItem"}),
    ],
)
def test_each_function_of_the_hub_may_do_its_own_work(hub: Synthesized, step: str, allowed: set[str]) -> None:
    """No function deletes what was said, and only one writes."""
    (table,) = hub.of_type("AWS::DynamoDB::Table")
    on_the_table = {
        action: resources(statement)
        for statement in hub.statements_of(hub.role_of(step))
        for action in actions(statement)
        if action.startswith("dynamodb:")
    }

    assert set(on_the_table) == allowed
    assert all(arns == [f"<{table}.Arn>"] for arns in on_the_table.values())


def test_only_one_function_asks_accounts_and_that_under_a_fixed_name(hub: Synthesized) -> None:
    """The accounts' buses compare its ARN; and what it may put is what they take."""
    asking = [
        (policy["Roles"], statement)
        for policy in hub.of_type("AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "events:PutEvents" in actions(statement)
    ]
    ((roles, statement),) = asking
    role = hub.role_of("request_run")

    assert roles == [{"Ref": role}]
    assert hub.resources[role]["Properties"]["RoleName"] == ROLE.split("/")[1]
    assert resources(statement) == [
        f"arn:<AWS::Partition>:events:{region}:*:event-bus/default"
        for region in EXAMPLE["settings"]["hub"]["regions"]
    ]
    assert statement["Condition"] == {
        "StringEquals": {"aws:ResourceOrgID": "o-a1b2c3d4e5"},
        "ForAllValues:StringEquals": {
            "events:source": "vbr-privatelink",
            "events:detail-type": list(REQUESTS),
        },
    }


def test_a_reader_looks_and_an_operator_presses(hub: Synthesized) -> None:
    """CloudWatch calls both functions with the permissions of whoever is before the dashboard."""
    by_function = {
        function["FunctionName"]: name
        for name, function in hub.of_type("AWS::Lambda::Function").items()
        if "FunctionName" in function
    }
    may = {
        policy["ManagedPolicyName"]: {
            arn
            for statement in policy["PolicyDocument"]["Statement"]
            if "lambda:InvokeFunction" in actions(statement)
            for arn in resources(statement)
        }
        for policy in hub.of_type("AWS::IAM::ManagedPolicy").values()
    }
    show = f"<{by_function['customWidgetVbrPrivateLinkFleet']}.Arn>"
    start = f"<{by_function['customWidgetVbrPrivateLinkFleetStart']}.Arn>"

    assert may == {
        f"vbr-privatelink-fleet-readers-{HUB_REGION}": {show},
        f"vbr-privatelink-fleet-operators-{HUB_REGION}": {show, start},
    }


def test_the_key_of_the_table_is_account_and_place(hub: Synthesized) -> None:
    """Both of the envelope."""
    (table,) = hub.of_type("AWS::DynamoDB::Table").values()

    assert [key["AttributeName"] for key in table["KeySchema"]] == ["account", "place"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_alarms_are_about_numbers_that_the_survey_counts(hub: Synthesized) -> None:
    """An alarm about a metric that nobody writes is never told from a quiet one."""
    from lambdas.survey_fleet.handler import METRICS

    alarms = hub.of_type("AWS::CloudWatch::Alarm").values()
    counted = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == "VbrPrivateLink"}
    variables = hub.function("survey_fleet")["Environment"]["Variables"]

    assert counted == {"SitesFailed", "SitesNotHeardOf"} <= set(METRICS.values())
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "VbrPrivateLink"
    assert variables["POWERTOOLS_SERVICE_NAME"] == "survey_fleet"
    for alarm in alarms:
        assert alarm["AlarmActions"]
        if alarm["Namespace"] == "VbrPrivateLink":
            assert alarm["Dimensions"] == [{"Name": "service", "Value": "survey_fleet"}]
    # A survey that doesn't run sees nothing, and one alarm is enough to say so.
    missing = {alarm["MetricName"]: alarm["TreatMissingData"] for alarm in alarms}
    assert missing["SitesNotHeardOf"] == "breaching"
    assert missing["SitesFailed"] == "notBreaching"


# The buckets of the Regions


def test_each_region_has_a_bucket_that_the_organization_reads(hub: Synthesized) -> None:
    """Made first: the hub's stack depends on these."""
    manifest = json.loads((hub.folder / "manifest.json").read_text())["artifacts"]
    for region in EXAMPLE["settings"]["hub"]["regions"]:
        name = f"VbrPrivateLinkAssets-{region}"
        assets = Synthesized(hub.folder, f"{name}.template.json")
        (bucket,) = assets.of_type("AWS::S3::Bucket").values()
        (policy,) = assets.of_type("AWS::S3::BucketPolicy").values()
        allowing = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

        assert name in manifest[HUB]["dependencies"]
        assert manifest[name]["environment"] == f"aws://{HUB_ACCOUNT}/{region}"
        assert bucket["BucketName"] == f"vbr-privatelink-assets-{HUB_ACCOUNT}-{region}"
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        (statement,) = allowing
        assert actions(statement) == ["s3:GetObject"]
        assert statement["Principal"] == {"AWS": "*"}
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}


# Without an organization


@pytest.fixture(name="self_managed", scope="module")
def _self_managed(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    settings = json.loads(json.dumps(EXAMPLE["settings"]))
    hub = settings["hub"]
    del hub["organization_id"], hub["organizational_units"]
    hub["accounts"] = ["444455556666", "100000000001", "100000000002"]
    folder = tmp_path_factory.mktemp("accounts") / "cdk.out"
    answer = synthesize(folder, context={"settings": settings})
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return Synthesized(folder, f"{HUB}.template.json")


def test_without_an_organization_the_accounts_are_named(self_managed: Synthesized) -> None:
    """One role deploys, and only into these accounts; only these read the code and may tell the hub."""
    properties = stack_set_of(self_managed)
    accounts = ["444455556666", "100000000001", "100000000002"]
    roles = [
        f"arn:<AWS::Partition>:iam::{account}:role/{properties['ExecutionRoleName']}" for account in accounts
    ]
    administration = properties["AdministrationRoleARN"]["Fn::GetAtt"][0]
    assets = Synthesized(self_managed.folder, f"VbrPrivateLinkAssets-{HUB_REGION}.template.json")
    (policy,) = assets.of_type("AWS::S3::BucketPolicy").values()
    readers = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    assert properties["PermissionModel"] == "SELF_MANAGED"
    assert not {"AutoDeployment", "CallAs"} & set(properties)
    assert [
        (actions(statement), resources(statement)) for statement in self_managed.statements_of(administration)
    ] == [(["sts:AssumeRole"], roles)]
    told = bus_policy(self_managed)["Principal"]["AWS"]
    assert sorted(as_text(arn).split(":")[-2] for arn in told) == sorted(accounts)
    assert sorted(as_text(arn).split(":")[-2] for arn in readers[0]["Principal"]["AWS"]) == sorted(accounts)


# Synth


def test_cfn_lint_finds_nothing_in_any_template(hub: Synthesized, self_managed: Synthesized) -> None:
    """Neither in the hub's, nor in the StackSet's, nor in those of the buckets."""
    templates = [*hub.folder.glob("*.template.json"), self_managed.template_file]
    answer = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--", *templates],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert len(templates) == 5
    assert (answer.returncode, answer.stdout) == (0, ""), answer.stderr


def test_cdk_nag_looks_into_the_stack_sets_template_too(tmp_path: Path) -> None:
    """It is a stack inside a stack, and no artifact: a linter that passes it over would be silent."""
    answer = synthesize(tmp_path / "cdk.out", context=EXAMPLE, program=UNEXPLAINED)

    assert answer.returncode != 0
    assert f"{HUB}/Sites/Site/EnsureEndpoint/Role/DefaultPolicy" in answer.stdout + answer.stderr
    assert "Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:vpc/*" in (
        answer.stdout + answer.stderr
    )
