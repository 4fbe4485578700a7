"""What each function may do: the least it needs, and some things never."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from contract.errors import ContractError
from contract.names import region
from tests.stacks.synthesized import Synthesized, actions, as_text, resources

ACCOUNT, REGION = "111122223333", "ap-northeast-1"
BUCKET = f"arn:<AWS::Partition>:s3:::vbr-tokyo-{ACCOUNT}-{REGION}"
# Exactly what each step may call, beside its own log and X-Ray.
MAY = {
    "acquire_lease": {"dynamodb:GetItem", "dynamodb:UpdateItem", "states:DescribeExecution"},
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
    # S3 demands both for a conditional write; both end at the probe's key.
    "prove_lockdown": {"s3:GetObject", "s3:PutObject"},
    "publish_endpoint": {"ssm:GetParameter", "ssm:PutParameter"},
    "read_adoption": {"ssm:GetParametersByPath"},
    "remove_endpoints": {
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteVpcEndpoints",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcEndpoints",
    },
    "undo_provisioning": {
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteVpcEndpoints",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcEndpoints",
        "ssm:GetParameter",
    },
    "release_lease": {"dynamodb:UpdateItem", "events:PutEvents"},
    # Runs at every refresh of somebody's dashboard, so it only reads.
    "show_sites": {
        "dynamodb:Scan",
        "ec2:DescribeVpcEndpoints",
        "ssm:GetParameters",
        "states:DescribeExecution",
    },
    # Runs every hour, beside the workflow.
    "watch_servers": {"dynamodb:Scan", "sqs:SendMessage", "ssm:GetParameters"},
    # Runs when somebody presses a button, and can't even look.
    "start_run": {"states:StartExecution"},
}
TRACING = {
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
EVERY_STEP = {"logs:CreateLogStream", "logs:PutLogEvents", *TRACING}
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
    *TRACING,
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
    allowed = [
        (name, action, statement)
        for name, statement in statements(synthesized)
        for action in actions(statement)
    ]

    assert len(allowed) > 50
    for name, action, statement in allowed:
        assert "*" not in action, name
        # The probe's key is no backup: nothing is ever there.
        of_the_probe = action == "s3:GetObject" and resources(statement) == [
            f"{BUCKET}/vbr-privatelink-probe"
        ]
        if action != "s3:DeleteBucketPolicy" and not of_the_probe:
            assert not action.startswith(never), f"{name}: {action}"


def test_objects_are_touched_under_the_probes_key_alone(synthesized: Synthesized) -> None:
    """A permission on an object is a permission on a backup unless its key says otherwise."""
    touching = [
        (action, resources(statement))
        for _name, statement in statements(synthesized)
        for action in actions(statement)
        if action.startswith("s3:") and any("/" in arn for arn in resources(statement))
    ]

    assert sorted(action for action, _arns in touching) == ["s3:GetObject", "s3:PutObject"]
    assert all(arns == [f"{BUCKET}/vbr-privatelink-probe"] for _action, arns in touching)


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
    site = f"arn:<AWS::Partition>:ssm:{REGION}:{ACCOUNT}:parameter/vbr-privatelink/tokyo"
    # Reports come under names that nobody knows beforehand: they are read below the site's own path.
    everything = {site, f"{site}/*"}
    words = {f"{site}/adoption/*", f"{site}/seen/*"}
    allowed = {
        *words,
        BUCKET,
        f"{BUCKET}/vbr-privatelink-probe",
        f"{site}/settings",
        f"{site}/endpoint",
        *everything,
    }
    seen = set()
    for name, statement in statements(synthesized):
        if actions(statement)[0].startswith(("s3:", "ssm:")):
            seen |= set(resources(statement))
            assert set(resources(statement)) <= allowed, name
            if everything & set(resources(statement)):
                assert actions(statement) == ["ssm:GetParametersByPath"], name
            if words & set(resources(statement)):
                assert actions(statement) == ["ssm:GetParameters"], name
    assert seen == allowed


def test_only_one_role_writes_a_document_and_none_a_report_or_settings(synthesized: Synthesized) -> None:
    """A report is a server's word; whoever could write one could lock a bucket that is in use."""
    writing = [
        resources(statement)
        for _name, statement in statements(synthesized)
        if "ssm:PutParameter" in actions(statement)
    ]

    assert [[arn.split("/vbr-privatelink/")[1] for arn in arns] for arns in writing] == [["tokyo/endpoint"]]


def test_leases_and_news_are_the_stacks_own(synthesized: Synthesized) -> None:
    """The one table, this workflow and its executions, and the account's own bus."""
    (table,) = synthesized.of_type("AWS::DynamoDB::Table")
    (machine,) = synthesized.of_type("AWS::StepFunctions::StateMachine")
    prefix = "arn:<AWS::Partition>"
    allowed = {
        "dynamodb": {f"<{table}.Arn>"},
        "states": {
            f"{prefix}:states:{REGION}:{ACCOUNT}:execution:vbr-privatelink-reconcile:*",
            f"<{machine}>",
        },
        "events": {f"{prefix}:events:{REGION}:{ACCOUNT}:event-bus/default"},
    }
    seen: dict[str, set[str]] = {}
    for step in MAY:
        for statement in synthesized.statements_of(synthesized.role_of(step)):
            service = actions(statement)[0].split(":")[0]
            if service in allowed:
                seen.setdefault(service, set()).update(resources(statement))

    assert seen == allowed


def test_the_other_roles_start_the_workflow_and_call_its_steps(synthesized: Synthesized) -> None:
    """EventBridge's one role starts this machine, the runbook's waits, too; the machine calls its steps."""
    (machine,) = synthesized.of_type("AWS::StepFunctions::StateMachine")
    of_steps = {synthesized.role_of(step) for step in MAY}
    others = {
        role: [
            (action, resources(statement))
            for statement in synthesized.statements_of(role)
            for action in actions(statement)
        ]
        for role in synthesized.of_type("AWS::IAM::Role")
        if role not in of_steps
    }
    functions = {
        f"<{name}.Arn>"
        for name, function in synthesized.of_type("AWS::Lambda::Function").items()
        if not function["FunctionName"].startswith("customWidget")
        and function["FunctionName"] != "vbr-privatelink-watch-servers"
    }

    assert len(others) == 3
    starting, waiting, calling = sorted(others.values(), key=len)
    assert starting == [("states:StartExecution", [f"<{machine}>"])]
    assert [action for action, _arns in waiting] == [
        "states:StartExecution",
        "states:DescribeExecution",
        "states:StopExecution",
    ]
    invoked = [(action, sorted(arns)) for action, arns in calling if action.startswith("lambda:")]
    assert invoked == [("lambda:InvokeFunction", sorted(functions))]
    assert len(functions) == len(MAY) - 3
    assert {action for action, _arns in calling} - {"lambda:InvokeFunction"} == WITHOUT_RESOURCE


SEEING = {
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetDashboard",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListDashboards",
    "states:DescribeExecution",
    "states:DescribeStateMachine",
    "states:GetExecutionHistory",
}


@pytest.mark.parametrize(
    ("who", "calls", "more"),
    [
        ("readers", ["show_sites"], set[str]()),
        ("operators", ["show_sites", "start_run"], {"iam:PassRole", "ssm:StartAutomationExecution"}),
    ],
)
def test_people_before_the_dashboard_may_what_their_policy_says(
    synthesized: Synthesized, who: str, calls: list[str], more: set[str]
) -> None:
    """CloudWatch calls the functions as whoever looks: that alone tells a reader from an operator."""
    name = f"vbr-privatelink-{who}-{REGION}"
    (policy,) = [
        policy
        for policy in synthesized.of_type("AWS::IAM::ManagedPolicy").values()
        if policy["ManagedPolicyName"] == name
    ]
    found = policy["PolicyDocument"]["Statement"]
    invoked = {
        arn
        for statement in found
        if "lambda:InvokeFunction" in actions(statement)
        for arn in resources(statement)
    }
    names = {
        f"<{logical}.Arn>": function["Handler"].split(".")[1]
        for logical, function in synthesized.of_type("AWS::Lambda::Function").items()
    }

    assert {action for statement in found for action in actions(statement)} == {
        *SEEING,
        *more,
        "lambda:InvokeFunction",
    }
    for statement in found:
        if "iam:PassRole" in actions(statement):
            assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}
            assert len(resources(statement)) == 1
    assert sorted(names[arn] for arn in invoked) == calls
    assert not {"Roles", "Users", "Groups"} & set(policy)


def test_what_changes_or_deletes_in_ec2_needs_the_products_tag(synthesized: Synthesized) -> None:
    """Somebody else's endpoint or group is out of reach, whatever a bug asks for."""
    own = {"Null": {"aws:ResourceTag/vbr-privatelink-created-by": "false"}}
    seen = set()
    for step in ("ensure_endpoint", "remove_endpoints", "undo_provisioning"):
        for statement in synthesized.statements_of(synthesized.role_of(step)):
            changing = {
                action
                for action in actions(statement)
                if action.split(":")[1].startswith(("Authorize", "Revoke", "Modify", "Delete"))
            }
            # An endpoint is also moved to subnets and groups, which needn't be the product's.
            on_own_kinds = not any("subnet/" in arn for arn in resources(statement))
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

    assert services == {
        "lambda.amazonaws.com",
        "states.amazonaws.com",
        "events.amazonaws.com",
        "ssm.amazonaws.com",
    }
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
