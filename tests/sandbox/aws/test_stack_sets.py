"""StackSets: into the accounts of units and into named ones, who may, what fails, what comes and goes."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import DeploymentError, EmbeddedAws, Organization
from sandbox.aws.deployment import zipped
from sandbox.aws.testing import allow, trust, wait_until
from tests.sandbox.aws.templates import function, stack

HUB = "111122223333"
MANAGEMENT = "999988887777"
HERE, THERE = "ap-northeast-1", "ap-northeast-3"
NUMBERS = itertools.count(100000000001)
DELEGATED = {"PermissionModel": "SERVICE_MANAGED", "CallAs": "DELEGATED_ADMIN"}


@pytest.fixture(name="organization", scope="module")
def _organization(aws: EmbeddedAws) -> Organization:
    return aws.create_organization(MANAGEMENT, delegated_administrator=HUB)


@pytest.fixture(name="cloudformation")
def _cloudformation(aws: EmbeddedAws) -> Any:
    return aws.client("cloudformation")


def parameter(value: str = "one", name: str = "/of/the/set") -> dict[str, Any]:
    """Return a template with one parameter of Parameter Store, whose value an account may change."""
    resource = {"Name": name, "Type": "String", "Value": {"Ref": "Value"}}
    return {
        "Parameters": {"Value": {"Type": "String", "Default": value}},
        "Resources": {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": resource}},
    }


def joined(organization: Organization, unit_id: str, count: int) -> list[str]:
    """Let so many new accounts join a unit."""
    accounts = [str(next(NUMBERS)) for _ in range(count)]
    for account in accounts:
        organization.add_account(account, unit_id=unit_id)
    return accounts


def ended(cloudformation: Any, name: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Wait for an operation and return it."""
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        answer = cloudformation.describe_stack_set_operation(
            StackSetName=name, OperationId=operation["OperationId"]
        )
        found.update(answer["StackSetOperation"])
        return found["Status"] not in ("QUEUED", "RUNNING")

    wait_until(has_ended, what=f"the operation of {name} ended", seconds=60)
    return found


def instances(cloudformation: Any, name: str) -> dict[tuple[str, str], Any]:
    """Return the instances by account and Region."""
    found = cloudformation.list_stack_instances(StackSetName=name)["Summaries"]
    return {(item["Account"], item["Region"]): item for item in found}


def value_in(aws: EmbeddedAws, account: str, region: str, name: str = "/of/the/set") -> str | None:
    """Read the parameter as that account's administrator."""
    ssm = aws.client("ssm", aws.root(account), region=region)
    try:
        return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None


def test_a_unit_gets_the_stack_in_every_account_and_region(
    aws: EmbeddedAws, organization: Organization, cloudformation: Any
) -> None:
    """Units in the unit too; the management account never."""
    unit = organization.add_unit("backup")
    accounts = joined(organization, unit, 2) + joined(
        organization, organization.add_unit("in", parent_id=unit), 1
    )
    joined(organization, organization.root_id, 1)
    cloudformation.create_stack_set(StackSetName="unit", TemplateBody=json.dumps(parameter()), **DELEGATED)
    operation = cloudformation.create_stack_instances(
        StackSetName="unit",
        DeploymentTargets={"OrganizationalUnitIds": [unit]},
        Regions=[HERE, THERE],
        CallAs="DELEGATED_ADMIN",
    )

    assert ended(cloudformation, "unit", operation)["Status"] == "SUCCEEDED"
    found = instances(cloudformation, "unit")
    assert set(found) == set(itertools.product(accounts, [HERE, THERE]))
    assert {item["Status"] for item in found.values()} == {"CURRENT"}
    assert {value_in(aws, *place) for place in found} == {"one"}
    assert ":" not in found[accounts[0], HERE]["StackId"].split("/")[1]
    # The account sees the stack as one of its own.
    [own] = aws.client("cloudformation", aws.root(accounts[0]), region=THERE).describe_stacks()["Stacks"]
    assert own["StackId"] == found[accounts[0], THERE]["StackId"]


def test_accounts_that_join_or_leave_are_followed(
    aws: EmbeddedAws, organization: Organization, cloudformation: Any
) -> None:
    """Stacks that are to be retained outlive the membership; the others go."""
    unit, elsewhere = organization.add_unit("automatic"), organization.add_unit("elsewhere")
    stays = joined(organization, unit, 1)
    for name, retain in (("kept", True), ("taken", False)):
        cloudformation.create_stack_set(
            StackSetName=name,
            TemplateBody=json.dumps(parameter(name=f"/{name}")),
            AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": retain},
            ManagedExecution={"Active": True},
            **DELEGATED,
        )
        cloudformation.create_stack_instances(
            StackSetName=name, DeploymentTargets={"OrganizationalUnitIds": [unit]}, Regions=[HERE]
        )
    [account] = joined(organization, unit, 1)
    wait_until(lambda: value_in(aws, account, HERE, "/taken") is not None, what="the account got its stack")
    assert value_in(aws, account, HERE, "/kept") == "one"
    organization.move_account(account, unit_id=elsewhere)
    wait_until(lambda: value_in(aws, account, HERE, "/taken") is None, what="the stack was taken away")

    assert value_in(aws, account, HERE, "/kept") == "one"
    assert value_in(aws, stays[0], HERE, "/taken") == "one"
    for name in ("kept", "taken"):
        assert set(instances(cloudformation, name)) == {(stays[0], HERE)}


def test_one_account_fails_and_the_others_go_on_as_far_as_that_is_tolerated(
    aws: EmbeddedAws, organization: Organization, cloudformation: Any
) -> None:
    """Each account has its own result, with the reason; a second operation mends it."""
    unit = organization.add_unit("failing")
    accounts = joined(organization, unit, 3)
    taken = {"Name": "/of/the/set", "Type": "String", "Value": "somebody else's"}
    aws.client("ssm", aws.root(accounts[1])).put_parameter(**taken)
    target = {"DeploymentTargets": {"OrganizationalUnitIds": [unit]}, "Regions": [HERE, THERE]}
    for name, tolerated in (("strict", 0), ("tolerant", 1)):
        cloudformation.create_stack_set(StackSetName=name, TemplateBody=json.dumps(parameter()), **DELEGATED)
        operation = cloudformation.create_stack_instances(
            StackSetName=name, OperationPreferences={"FailureToleranceCount": tolerated}, **target
        )
        status = ended(cloudformation, name, operation)["Status"]
        results = cloudformation.list_stack_set_operation_results(
            StackSetName=name, OperationId=operation["OperationId"]
        )["Summaries"]
        outcome = {(item["Account"], item["Region"]): item["Status"] for item in results}
        if not tolerated:
            assert status == "FAILED"
            assert [outcome[account, HERE] for account in accounts] == ["SUCCEEDED", "FAILED", "CANCELLED"]
            assert {outcome[account, THERE] for account in accounts} == {"CANCELLED"}
            [failure] = [item for item in results if item["Status"] == "FAILED"]
            assert "ResourceLogicalId:Parameter" in failure["StatusReason"]
            cloudformation.delete_stack_instances(StackSetName=name, RetainStacks=False, **target)
            continue
        assert status == "SUCCEEDED"
        assert [item for item in outcome if outcome[item] != "SUCCEEDED"] == [(accounts[1], HERE)]
    aws.client("ssm", aws.root(accounts[1])).delete_parameter(Name="/of/the/set")
    again = cloudformation.update_stack_instances(StackSetName="tolerant", ParameterOverrides=[], **target)

    assert ended(cloudformation, "tolerant", again)["Status"] == "SUCCEEDED"
    assert {item["Status"] for item in instances(cloudformation, "tolerant").values()} == {"CURRENT"}
    assert value_in(aws, accounts[1], HERE) == "one"


def test_an_account_may_differ_and_a_changed_set_changes_every_account(
    aws: EmbeddedAws, organization: Organization, cloudformation: Any
) -> None:
    """What was overridden stays so when the template changes."""
    unit = organization.add_unit("differing")
    accounts = joined(organization, unit, 2)
    cloudformation.create_stack_set(
        StackSetName="differing",
        TemplateBody=json.dumps(parameter()),
        ManagedExecution={"Active": True},
        **DELEGATED,
    )
    units = {"OrganizationalUnitIds": [unit]}
    cloudformation.create_stack_instances(StackSetName="differing", DeploymentTargets=units, Regions=[HERE])
    cloudformation.update_stack_instances(
        StackSetName="differing",
        DeploymentTargets={**units, "Accounts": accounts[:1], "AccountFilterType": "INTERSECTION"},
        Regions=[HERE],
        ParameterOverrides=[{"ParameterKey": "Value", "ParameterValue": "own"}],
    )
    operation = cloudformation.update_stack_set(
        StackSetName="differing", TemplateBody=json.dumps(parameter("two"))
    )

    assert ended(cloudformation, "differing", operation)["Status"] == "SUCCEEDED"
    assert [value_in(aws, account, HERE) for account in accounts] == ["own", "two"]


def test_without_an_organization_both_roles_are_asked(aws: EmbeddedAws, cloudformation: Any) -> None:
    """An account whose role doesn't trust is a result, and says what it lacks."""
    roles = {}
    for account in ("200000000001", "200000000002"):
        iam = aws.client("iam", aws.root(account))
        trusted = (
            f"arn:aws:iam::{HUB}:role/Administration"
            if account.endswith("1")
            else f"arn:aws:iam::{HUB}:user/x"
        )
        statement = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
        iam.create_role(
            RoleName="Execution",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        roles[account] = f"arn:aws:iam::{account}:role/Execution"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudformation.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    iam = aws.client("iam")
    iam.create_role(
        RoleName="Administration",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    iam.put_role_policy(
        RoleName="Administration",
        PolicyName="assume",
        PolicyDocument=json.dumps(allow("sts:AssumeRole", resource=list(roles.values()))),
    )
    cloudformation.create_stack_set(
        StackSetName="self",
        TemplateBody=json.dumps(parameter()),
        AdministrationRoleARN=f"arn:aws:iam::{HUB}:role/Administration",
        ExecutionRoleName="Execution",
    )
    operation = cloudformation.create_stack_instances(
        StackSetName="self",
        Accounts=[*roles, "200000000003"],
        Regions=[THERE],
        OperationPreferences={"FailureToleranceCount": 2},
    )
    ended(cloudformation, "self", operation)
    found = instances(cloudformation, "self")

    assert {account: item["Status"] for (account, _), item in found.items()} == {
        "200000000001": "CURRENT",
        "200000000002": "OUTDATED",
        "200000000003": "OUTDATED",
    }
    assert "should have 'Execution' role" in found["200000000002", THERE]["StatusReason"]
    assert value_in(aws, "200000000001", THERE) == "one"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (HUB, {"PermissionModel": "SERVICE_MANAGED"}, "management account or delegated admin"),
    ("444455556666", {**DELEGATED}, "You must enable organizations access"),
    (HUB, {**DELEGATED, "TemplateBody": json.dumps({"Transform": "X", "Resources": {}})}, "macros"),
    (
        HUB,
        {**DELEGATED, "TemplateBody": json.dumps(stack({"N": {"Type": "AWS::CloudFormation::Stack"}}))},
        "nested",
    ),
    (HUB, {**DELEGATED, "TemplateBody": json.dumps(stack(function("x")))}, "CAPABILITY_IAM"),
    (
        HUB,
        {**DELEGATED, "Parameters": [{"ParameterKey": "Other", "ParameterValue": "x"}]},
        r"\[Other\] do not exist",
    ),
    (HUB, {**DELEGATED, "TemplateBody": " " * 51_201}, "51200 bytes"),
]


@pytest.mark.parametrize(("account", "request_", "message"), REFUSED, ids=[text for _, _, text in REFUSED])
@pytest.mark.usefixtures("organization")
def test_what_aws_refuses_is_refused(
    aws: EmbeddedAws, account: str, request_: dict[str, Any], message: str
) -> None:
    """Before anything is made."""
    cloudformation = aws.client("cloudformation", aws.root(account))
    given = {"StackSetName": "refused", "TemplateBody": json.dumps(parameter()), **request_}

    with pytest.raises(ClientError, match=message):
        cloudformation.create_stack_set(**given)


def test_a_template_makes_a_set_changes_it_and_removes_it(
    aws: EmbeddedAws, organization: Organization, cloudformation: Any
) -> None:
    """CloudFormation waits for every account, and takes the stacks away with the resource."""
    unit = organization.add_unit("by-template")
    accounts = joined(organization, unit, 2)

    def template(value: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
        properties = {
            "StackSetName": "by-template",
            "TemplateBody": json.dumps(parameter(value)),
            "AutoDeployment": {"Enabled": True, "RetainStacksOnAccountRemoval": True},
            "ManagedExecution": {"Active": True},
            "StackInstancesGroup": groups,
            **DELEGATED,
        }
        resources = {"Set": {"Type": "AWS::CloudFormation::StackSet", "Properties": properties}}
        return {"Resources": resources, "Outputs": {"Id": {"Value": {"Fn::GetAtt": ["Set", "StackSetId"]}}}}

    units = {"OrganizationalUnitIds": [unit]}
    everywhere = [{"DeploymentTargets": units, "Regions": [HERE, THERE]}]
    outputs = aws.deploy_template("hub", template("one", everywhere))
    assert outputs["Id"].startswith("by-template:")
    assert {value_in(aws, account, region) for account in accounts for region in (HERE, THERE)} == {"one"}

    one = {**units, "AccountFilterType": "INTERSECTION", "Accounts": accounts[:1]}
    rest = {**units, "AccountFilterType": "DIFFERENCE", "Accounts": accounts[:1]}
    own = [{"ParameterKey": "Value", "ParameterValue": "own"}]
    differing: list[dict[str, Any]] = [
        {"DeploymentTargets": rest, "Regions": [HERE]},
        {"DeploymentTargets": one, "Regions": [HERE], "ParameterOverrides": own},
    ]
    assert aws.deploy_template("hub", template("two", differing))["Id"] == outputs["Id"]
    assert [value_in(aws, account, HERE) for account in accounts] == ["own", "two"]
    assert [value_in(aws, account, THERE) for account in accounts] == [None, None]

    cloudformation.delete_stack(StackName="hub")
    assert [value_in(aws, account, HERE) for account in accounts] == [None, None]
    with pytest.raises(cloudformation.exceptions.StackSetNotFoundException):
        cloudformation.describe_stack_set(StackSetName="by-template")


def test_code_comes_from_a_bucket_of_the_region_that_lets_the_account_in(
    aws: EmbeddedAws, organization: Organization, tmp_path: Path
) -> None:
    """As Lambda wants it: that is why a StackSet has a bucket in each Region."""
    unit = organization.add_unit("with-code")
    [account] = joined(organization, unit, 1)
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="code-here", CreateBucketConfiguration={"LocationConstraint": HERE})
    s3.put_object(Bucket="code-here", Key="a.zip", Body=zipped_index(tmp_path))
    template = stack(function("", Code={"S3Bucket": "code-here", "S3Key": "a.zip"}))
    outside = "444455556666"
    with pytest.raises(DeploymentError, match="denied by S3"):
        aws.deploy_template("code", template, account_id=account)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::code-here/*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization.id}},
    }
    s3.put_bucket_policy(
        Bucket="code-here", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    with pytest.raises(DeploymentError, match="denied by S3"):
        aws.deploy_template("code", template, account_id=outside)
    with pytest.raises(DeploymentError, match="is in ap-northeast-1"):
        aws.deploy_template("code", template, account_id=account, region=THERE)
    name = aws.deploy_template("code", template, account_id=account)["Function"]

    answer = aws.client("lambda", aws.root(account)).invoke(FunctionName=name)
    assert json.loads(answer["Payload"].read()) == "read"


def zipped_index(folder: Path, code: str = "def handler(event, context):\n    return 'read'\n") -> bytes:
    """Return a function as an asset: the same code is the same bytes."""
    (folder / "index.py").write_text(code)
    return zipped(folder)


def shared_function(aws: EmbeddedAws, account: str, archive: bytes) -> None:
    """Make the function `shared` in an account, with the account's id in its environment."""
    role = aws.client("iam", aws.root(account)).create_role(
        RoleName="shared", AssumeRolePolicyDocument=json.dumps(trust("lambda.amazonaws.com"))
    )["Role"]["Arn"]
    aws.client("lambda", aws.root(account)).create_function(
        FunctionName="shared",
        Role=role,
        Runtime="python3.13",
        Handler="index.handler",
        Code={"ZipFile": archive},
        Environment={"Variables": {"OWN": account}},
    )


def test_functions_of_many_accounts_share_what_they_import_and_nothing_else(
    aws: EmbeddedAws, organization: Organization, tmp_path: Path
) -> None:
    """Forty processes are kept, whoever they belong to; each is its own account's."""
    code = (
        "import os, boto3\nSEEN = []\nprint('imported')\n"
        "def handler(event, context):\n"
        "    SEEN.append(os.environ['AWS_REGION'])\n"
        "    who = boto3.client('sts').get_caller_identity()['Account']\n"
        "    return {'account': who, 'own': os.environ['OWN'], 'seen': SEEN, 'parent': os.getppid()}\n"
    )
    unit = organization.add_unit("sharing")
    answers = {}
    for account in joined(organization, unit, 4):
        shared_function(aws, account, zipped_index(tmp_path, code))
        lambda_ = aws.client("lambda", aws.root(account))
        answers[account] = json.loads(lambda_.invoke(FunctionName="shared")["Payload"].read())
        logs = aws.client("logs", aws.root(account))
        messages = [
            event["message"] for event in logs.filter_log_events(logGroupName="/aws/lambda/shared")["events"]
        ]

        assert "imported" in messages
    assert {account: answer["account"] for account, answer in answers.items()} == {x: x for x in answers}
    assert {account: answer["own"] for account, answer in answers.items()} == {x: x for x in answers}
    assert {tuple(answer["seen"]) for answer in answers.values()} == {(HERE,)}
    # The first is forked from the template itself; all others from the image.
    assert len({answer["parent"] for answer in answers.values()}) == 2


def test_an_import_that_reads_what_differs_is_not_shared(
    aws: EmbeddedAws, organization: Organization, tmp_path: Path
) -> None:
    """What a module keeps of its environment would otherwise be another account's."""
    code = "import os\nOWN = os.environ['OWN']\ndef handler(event, context):\n    return OWN\n"
    unit = organization.add_unit("not-sharing")
    answers = []
    accounts = joined(organization, unit, 6)
    for account in accounts:
        shared_function(aws, account, zipped_index(tmp_path, code))
        answer = aws.client("lambda", aws.root(account)).invoke(FunctionName="shared")
        answers.append(json.loads(answer["Payload"].read()))

    assert answers == accounts
