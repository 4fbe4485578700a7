"""Everything but S3: a permission that a role forgets breaks the run."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import Credentials, EmbeddedAws
from sandbox.aws.testing import allow, trust

HERE = "arn:aws:{}:ap-northeast-1:111122223333:{}"


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Return code and message of the error that *call* ends in."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_parameters_are_guarded_by_name(aws: EmbeddedAws) -> None:
    """A site's role reaches its own parameters only."""
    policy = allow(
        "ssm:PutParameter", "ssm:GetParameter*", resource=HERE.format("ssm", "parameter/sites/tokyo/*")
    )
    ssm = aws.client("ssm", aws.create_user("parameters", policy))
    ssm.put_parameter(Name="/sites/tokyo/endpoint", Value="v", Type="String")
    code, message = refusal(ssm.put_parameter, Name="/sites/osaka/endpoint", Value="v", Type="String")

    assert ssm.get_parameter(Name="/sites/tokyo/endpoint")
    assert code == "AccessDeniedException"
    assert message == (
        "User: arn:aws:iam::111122223333:user/parameters is not authorized to perform: ssm:PutParameter on "
        f"resource: {HERE.format('ssm', 'parameter/sites/osaka/endpoint')} because no identity-based policy"
        " allows the ssm:PutParameter action"
    )
    assert refusal(ssm.get_parameters, Names=["/sites/tokyo/endpoint", "/sites/osaka/endpoint"])[0] == code


def test_endpoints_may_be_made_only_with_the_tag_and_touched_only_with_it(aws: EmbeddedAws) -> None:
    """How a role is kept from other people's endpoints."""
    network = aws.create_network("guarded")
    tag = {"StringEquals": {"aws:RequestTag/vbr-privatelink": "guarded"}}
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "ec2:CreateVpcEndpoint",
                "Resource": HERE.format("ec2", "vpc-endpoint/*"),
                "Condition": tag,
            },
            {
                "Effect": "Allow",
                "Action": "ec2:CreateVpcEndpoint",
                "Resource": [HERE.format("ec2", f"{kind}/*") for kind in ("vpc", "subnet", "security-group")],
            },
            {
                "Effect": "Allow",
                "Action": "ec2:CreateTags",
                "Resource": HERE.format("ec2", "vpc-endpoint/*"),
                "Condition": {"StringEquals": {"ec2:CreateAction": "CreateVpcEndpoint"}},
            },
            {
                "Effect": "Allow",
                "Action": "ec2:DeleteVpcEndpoints",
                "Resource": HERE.format("ec2", "vpc-endpoint/*"),
                "Condition": {"StringEquals": {"aws:ResourceTag/vbr-privatelink": "guarded"}},
            },
        ],
    }
    mine = aws.client("ec2", aws.create_user("endpoints", policy))
    asked = {
        "VpcEndpointType": "Interface",
        "VpcId": network.vpc_id,
        "ServiceName": "com.amazonaws.ap-northeast-1.s3",
        "SubnetIds": list(network.subnet_ids),
        "PrivateDnsEnabled": False,
    }
    tags = [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "vbr-privatelink", "Value": "guarded"}]}]
    made = mine.create_vpc_endpoint(**asked, TagSpecifications=tags)["VpcEndpoint"]["VpcEndpointId"]
    theirs = aws.client("ec2").create_vpc_endpoint(**asked)["VpcEndpoint"]["VpcEndpointId"]
    code, message = refusal(mine.create_vpc_endpoint, **asked)

    assert code == "UnauthorizedOperation"
    assert "ec2:CreateVpcEndpoint" in message
    assert refusal(mine.delete_vpc_endpoints, VpcEndpointIds=[theirs])[0] == code
    assert refusal(mine.create_tags, Resources=[theirs], Tags=[{"Key": "a", "Value": "b"}])[0] == code
    assert mine.delete_vpc_endpoints(VpcEndpointIds=[made])["Unsuccessful"] == []


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "action"),
    [
        ("dynamodb", "get_item", {"TableName": "t", "Key": {"a": {"S": "b"}}}, "dynamodb:GetItem"),
        ("stepfunctions", "list_state_machines", {}, "states:ListStateMachines"),
        (
            "events",
            "put_events",
            {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}]},
            "events:PutEvents",
        ),
        ("lambda", "invoke", {"FunctionName": "f"}, "lambda:InvokeFunction"),
        ("logs", "describe_log_groups", {}, "logs:DescribeLogGroups"),
        ("sns", "list_topics", {}, "sns:ListTopics"),
        ("sqs", "list_queues", {}, "sqs:ListQueues"),
        ("cloudwatch", "list_dashboards", {}, "cloudwatch:ListDashboards"),
        ("iam", "list_users", {}, "iam:ListUsers"),
        ("cloudformation", "list_stacks", {}, "cloudformation:ListStacks"),
        ("scheduler", "list_schedules", {}, "scheduler:ListSchedules"),
    ],
)
def test_every_service_asks(
    aws: EmbeddedAws, service: str, operation: str, arguments: dict[str, Any], action: str
) -> None:
    """Nothing is let through because nobody thought of it; and the words name the action."""
    powerless = aws.client(service, powerless_user(aws))
    code, message = refusal(getattr(powerless, operation), **arguments)

    assert code in ("AccessDenied", "AccessDeniedException", "AuthorizationError")
    assert f"is not authorized to perform: {action}" in message


def powerless_user(aws: EmbeddedAws) -> Credentials:
    """Return a user without any policy, made at first use."""
    iam = aws.client("iam")
    if "powerless" not in [user["UserName"] for user in iam.list_users()["Users"]]:
        iam.create_user(UserName="powerless")
    key = iam.create_access_key(UserName="powerless")["AccessKey"]
    for old in iam.list_access_keys(UserName="powerless")["AccessKeyMetadata"]:
        if old["AccessKeyId"] != key["AccessKeyId"]:
            iam.delete_access_key(UserName="powerless", AccessKeyId=old["AccessKeyId"])
    return Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


def test_everybody_may_ask_who_they_are(aws: EmbeddedAws) -> None:
    """No policy can take it away."""
    arn = aws.client("sts", powerless_user(aws)).get_caller_identity()["Arn"]

    assert arn == "arn:aws:iam::111122223333:user/powerless"


def test_a_role_is_assumed_by_who_it_trusts_and_who_may(aws: EmbeddedAws) -> None:
    """Both the trust policy and the caller's own are asked."""
    iam = aws.client("iam")
    of_service = iam.create_role(
        RoleName="of-lambda", AssumeRolePolicyDocument=json.dumps(trust("lambda.amazonaws.com"))
    )["Role"]["Arn"]
    of_account = iam.create_role(
        RoleName="of-account",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    )["Role"]["Arn"]
    admin, powerless = aws.client("sts"), aws.client("sts", powerless_user(aws))
    found = admin.assume_role(RoleArn=of_account, RoleSessionName="me")["Credentials"]
    session = Credentials(
        access_key_id=found["AccessKeyId"],
        secret_access_key=found["SecretAccessKey"],
        session_token=found["SessionToken"],
    )

    assert refusal(admin.assume_role, RoleArn=of_service, RoleSessionName="me")[0] == "AccessDenied"
    assert refusal(powerless.assume_role, RoleArn=of_account, RoleSessionName="me")[0] == "AccessDenied"
    assert aws.client("sts", session).get_caller_identity()["Arn"].endswith("assumed-role/of-account/me")
    assert refusal(aws.client("s3", session).list_buckets)[0] == "AccessDenied"


def test_other_accounts_have_their_own_resources(aws: EmbeddedAws) -> None:
    """As a hub and its spokes do."""
    theirs = aws.client("ssm", aws.administrator_of("444455556666"))
    theirs.put_parameter(Name="/theirs", Value="v", Type="String")

    assert refusal(aws.client("ssm").get_parameter, Name="/theirs")[0] == "ParameterNotFound"
    assert "444455556666" in theirs.get_parameter(Name="/theirs")["Parameter"]["ARN"]


def test_a_dashboard_is_guarded_by_its_name(aws: EmbeddedAws) -> None:
    """Who may look at one dashboard may not look at all; dashboards belong to no region."""
    for name in ("sites", "other"):
        aws.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
    policy = allow("cloudwatch:GetDashboard", resource="arn:aws:cloudwatch::111122223333:dashboard/sites")
    cloudwatch = aws.client("cloudwatch", aws.create_user("looker", policy))

    assert cloudwatch.get_dashboard(DashboardName="sites")["DashboardBody"]
    assert "dashboard/other" in refusal(cloudwatch.get_dashboard, DashboardName="other")[1]
    assert "cloudwatch:ListDashboards" in refusal(cloudwatch.list_dashboards)[1]
