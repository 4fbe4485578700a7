"""What each function may do: the least it needs, and some things never."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from contract.errors import ContractError
from contract.names import region
from tests.stacks.synthesized import Synthesized, actions, as_text, resources

pytestmark = pytest.mark.xdist_group("synth")

ACCOUNT, REGION = "111122223333", "ap-northeast-1"
BUCKET = f"arn:<AWS::Partition>:s3:::vbr-tokyo-{ACCOUNT}-{REGION}"
# Exactly what each step may call, beside its own log and X-Ray.
MAY = {
    "acquire_lease": {"dynamodb:UpdateItem", "states:DescribeExecution"},
    "resolve_request": {"ssm:GetParameter", "ec2:DescribeSubnets", "ec2:DescribeVpcs"},
    "ensure_bucket": {
        "s3:CreateBucket",
        "s3:GetBucketLocation",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutBucketOwnershipControls",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketVersioning",
        "s3:PutEncryptionConfiguration",
        "s3:TagResource",
    },
    "ensure_endpoint": {
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateSecurityGroup",
        "ec2:CreateTags",
        "ec2:CreateVpcEndpoint",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcEndpointServices",
        "ec2:DescribeVpcEndpoints",
        "ec2:ModifyVpcEndpoint",
        "ec2:RevokeSecurityGroupIngress",
    },
    "check_endpoint": {"ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcEndpoints"},
    "attach_bucket_policy": {
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
        "s3:DeleteBucketPolicy",
        "s3:GetBucketPolicy",
        "s3:PutBucketPolicy",
        "ssm:GetParameter",
    },
    "prove_lockdown": {"s3:PutObject"},
    "publish_endpoint": {"ssm:GetParameter", "ssm:PutParameter"},
    "undo_provisioning": {
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteVpcEndpoints",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcEndpoints",
        "ssm:GetParameter",
    },
    "release_lease": {"dynamodb:UpdateItem"},
}
EVERY_STEP = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
# Calls that accept no resource (Service Authorization Reference).
WITHOUT_RESOURCE = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def statements(synthesized: Synthesized) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of every role of the stack."""
    for name, policy in synthesized.of_type("AWS::IAM::Policy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def test_every_step_may_do_what_it_needs_and_nothing_else(synthesized: Synthesized) -> None:
    """A permission more is a decision that somebody should see in a review of this table."""
    may = {
        step: {
            action
            for statement in synthesized.statements_of(synthesized.role_of(step))
            for action in actions(statement)
        }
        for step in MAY
    }

    assert may == {step: allowed | EVERY_STEP for step, allowed in MAY.items()}
    assert len(MAY) == len(synthesized.of_type("AWS::Lambda::Function"))


def test_no_role_may_what_the_product_must_never_do(synthesized: Synthesized) -> None:
    """Backups are neither read nor deleted, and nobody gives himself more permissions."""
    never = ("s3:DeleteBucket", "s3:DeleteObject", "s3:GetObject", "s3:PutLifecycle", "iam:", "sts:", "kms:")
    allowed = [(name, action) for name, statement in statements(synthesized) for action in actions(statement)]

    assert len(allowed) > 50
    for name, action in allowed:
        assert "*" not in action, name
        if action != "s3:DeleteBucketPolicy":
            assert not action.startswith(never), f"{name}: {action}"


def test_every_statement_allows_and_names_its_actions(synthesized: Synthesized) -> None:
    """NotAction and NotResource allow what nobody has thought of."""
    for name, statement in statements(synthesized):
        assert statement["Effect"] == "Allow", name
        assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement), name


def test_only_what_accepts_no_resource_is_allowed_on_all(synthesized: Synthesized) -> None:
    """`*` beside a call that does accept a resource is the whole account."""
    seen = 0
    for name, statement in statements(synthesized):
        if "*" in resources(statement):
            seen += 1
            for action in actions(statement):
                assert action in WITHOUT_RESOURCE or action.startswith("ec2:Describe"), f"{name}: {action}"
    assert seen


def test_buckets_and_parameters_are_the_stacks_own(synthesized: Synthesized) -> None:
    """Exact names: no pattern that another bucket or another site's parameter could match."""
    parameters = f"arn:<AWS::Partition>:ssm:{REGION}:{ACCOUNT}:parameter/vbr-privatelink/tokyo/"
    allowed = {
        BUCKET,
        f"{BUCKET}/vbr-privatelink-probe",
        f"{parameters}settings",
        f"{parameters}endpoint",
    }
    seen = set()
    for name, statement in statements(synthesized):
        if actions(statement)[0].startswith(("s3:", "ssm:")):
            seen |= set(resources(statement))
            assert set(resources(statement)) <= allowed, name
    assert seen == allowed


def test_what_changes_or_deletes_in_ec2_needs_the_products_tag(synthesized: Synthesized) -> None:
    """Somebody else's endpoint or group is out of reach, whatever a bug asks for."""
    own = {"Null": {"aws:ResourceTag/vbr-privatelink-created-by": "false"}}
    seen = set()
    for step in ("ensure_endpoint", "undo_provisioning"):
        for statement in synthesized.statements_of(synthesized.role_of(step)):
            changing = {
                action
                for action in actions(statement)
                if action.split(":")[1].startswith(("Authorize", "Revoke", "Modify", "Delete"))
            }
            on_own_kinds = any("vpc-endpoint/" in arn for arn in resources(statement))
            if changing and on_own_kinds:
                assert statement["Condition"] == own
                seen |= changing

    assert seen == {
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteVpcEndpoints",
        "ec2:ModifyVpcEndpoint",
        "ec2:RevokeSecurityGroupIngress",
    }


def test_only_the_functions_and_the_workflow_assume_the_roles(synthesized: Synthesized) -> None:
    """A role that an account could assume is a way past every other test here."""
    services = {
        as_text(statement["Principal"]["Service"])
        for role in synthesized.of_type("AWS::IAM::Role").values()
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
    }

    assert services == {"lambda.amazonaws.com", "states.amazonaws.com", "events.amazonaws.com"}
    assert not any(role.get("ManagedPolicyArns") for role in synthesized.of_type("AWS::IAM::Role").values())


@pytest.mark.parametrize(
    ("step", "purpose"),
    [("attach_bucket_policy", "policy-administrator"), ("ensure_bucket", "ensure-bucket")],
)
def test_the_roles_that_bucket_policies_name_have_fixed_names(
    synthesized: Synthesized, step: str, purpose: str
) -> None:
    """Policies compare ARN strings: with a generated name, a replaced role would be locked out."""
    name = f"vbr-privatelink-{purpose}-{REGION}"
    role = synthesized.resources[synthesized.role_of(step)]["Properties"]
    given = synthesized.function("attach_bucket_policy")["Environment"]["Variables"]

    assert role["RoleName"] == name
    assert (
        as_text(given[f"{purpose.replace('-', '_').upper()}_ROLE"])
        == f"arn:<AWS::Partition>:iam::{ACCOUNT}:role/{name}"
    )


def test_the_fixed_names_fit_in_every_region() -> None:
    """IAM takes 64 characters; a Region with a long name must not be the one that fails."""
    session = boto3.session.Session()
    regions = {
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("ec2", partition_name=partition)
    }
    supported = set()
    for name in regions:
        try:
            supported.add(region(name))
        except ContractError:
            assert "iso" in name

    assert len(supported) > 30
    assert max(len(f"vbr-privatelink-policy-administrator-{name}") for name in supported) <= 64


def test_no_other_name_of_a_role_is_fixed(synthesized: Synthesized) -> None:
    """A fixed name is in the way of a second stack; it needs a reason."""
    fixed = [role for role in synthesized.of_type("AWS::IAM::Role").values() if "RoleName" in role]

    assert len(fixed) == 2
