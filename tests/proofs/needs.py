"""
Which IAM permissions an API call needs, and why a role may have one that no call has shown.

Reviewed by hand, after each service's page of the Service Authorization Reference and, for S3, "Required
permissions for Amazon S3 API operations" in its User Guide. The embedded AWS has a table of its own; the two
are compared by every call that it records.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """An action on a resource, and the condition keys that the request carries for it."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call was made, and the tags of EC2's resources by id."""

    region: str
    account: str
    tags: Mapping[str, Mapping[str, str]]

    def arn(self, service: str, resource: str) -> str:
        """Return an ARN of this Region and account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def tagged(self, kind: str, name: str) -> tuple[str, dict[str, str]]:
        """Return the ARN of a resource of EC2's, and its tags as condition keys."""
        tags = {f"aws:ResourceTag/{key}": value for key, value in self.tags.get(name, {}).items()}
        return self.arn("ec2", f"{kind}/{name}"), tags


def _bucket(*actions: str) -> Callable[[Parameters, Place], list[Need]]:
    return lambda given, _place: [
        Need(action=f"s3:{action}", resource=f"arn:aws:s3:::{given['Bucket']}") for action in actions
    ]


def _create_bucket(given: Parameters, _place: Place) -> list[Need]:
    """One further permission for each thing that is set at creation."""
    actions = ["CreateBucket"]
    if given.get("ObjectLockEnabledForBucket"):
        actions += ["PutBucketObjectLockConfiguration", "PutBucketVersioning"]
    if given.get("ObjectOwnership"):
        actions.append("PutBucketOwnershipControls")
    if given.get("CreateBucketConfiguration", {}).get("Tags"):
        actions.append("TagResource")
    return _bucket(*actions)(given, _place)


def _put_object(given: Parameters, _place: Place) -> list[Need]:
    """A conditional write reads the key as well (S3 User Guide, "Conditional writes")."""
    actions = ["PutObject", *(["GetObject"] if given.get("IfMatch") else [])]
    return [
        Need(action=f"s3:{action}", resource=f"arn:aws:s3:::{given['Bucket']}/{given['Key']}")
        for action in actions
    ]


def _no_resource(action: str) -> Callable[[Parameters, Place], list[Need]]:
    return lambda _given, _place: [Need(action=action, resource="*")]


def _ec2_create(operation: str, kind: str) -> Callable[[Parameters, Place], list[Need]]:
    def needs(given: Parameters, place: Place) -> list[Need]:
        tags = {
            f"aws:RequestTag/{tag['Key']}": tag["Value"]
            for specification in given["TagSpecifications"]
            for tag in specification["Tags"]
        }
        new = place.arn("ec2", f"{kind}/*")
        others = [("vpc", given["VpcId"])]
        others += [("subnet", name) for name in given.get("SubnetIds", [])]
        others += [("security-group", name) for name in given.get("SecurityGroupIds", [])]
        return [
            Need(action=f"ec2:{operation}", resource=new, context=tags),
            Need(action="ec2:CreateTags", resource=new, context={**tags, "ec2:CreateAction": operation}),
            *(
                Need(action=f"ec2:{operation}", resource=arn, context=own)
                for arn, own in (place.tagged(other, name) for other, name in others)
            ),
        ]

    return needs


def _ec2_on(operation: str, kind: str, parameter: str) -> Callable[[Parameters, Place], list[Need]]:
    def needs(given: Parameters, place: Place) -> list[Need]:
        names = given[parameter] if isinstance(given[parameter], list) else [given[parameter]]
        return [
            Need(action=f"ec2:{operation}", resource=arn, context=tags)
            for arn, tags in (place.tagged(kind, name) for name in names)
        ]

    return needs


def _modify_endpoint(given: Parameters, place: Place) -> list[Need]:
    """The endpoint, and whatever it is moved to or from."""
    on = [("vpc-endpoint", given["VpcEndpointId"])]
    for change in ("Add", "Remove"):
        on += [("subnet", name) for name in given.get(f"{change}SubnetIds", [])]
        on += [("security-group", name) for name in given.get(f"{change}SecurityGroupIds", [])]
    return [
        Need(action="ec2:ModifyVpcEndpoint", resource=arn, context=tags)
        for arn, tags in (place.tagged(kind, name) for kind, name in on)
    ]


def _parameter(action: str) -> Callable[[Parameters, Place], list[Need]]:
    return lambda given, place: [
        Need(action=f"ssm:{action}", resource=place.arn("ssm", f"parameter/{given['Name'].lstrip('/')}"))
    ]


def _item(action: str) -> Callable[[Parameters, Place], list[Need]]:
    return lambda given, place: [
        Need(action=f"dynamodb:{action}", resource=place.arn("dynamodb", f"table/{given['TableName']}"))
    ]


def _events(given: Parameters, place: Place) -> list[Need]:
    buses = {entry.get("EventBusName") or "default" for entry in given["Entries"]}
    return [
        Need(action="events:PutEvents", resource=place.arn("events", f"event-bus/{bus}")) for bus in buses
    ]


NEEDS: Mapping[tuple[str, str], Callable[[Parameters, Place], list[Need]]] = {
    ("dynamodb", "GetItem"): _item("GetItem"),
    ("dynamodb", "Scan"): _item("Scan"),
    ("dynamodb", "UpdateItem"): _item("UpdateItem"),
    ("ec2", "AuthorizeSecurityGroupIngress"): _ec2_on(
        "AuthorizeSecurityGroupIngress", "security-group", "GroupId"
    ),
    ("ec2", "CreateSecurityGroup"): _ec2_create("CreateSecurityGroup", "security-group"),
    ("ec2", "CreateVpcEndpoint"): _ec2_create("CreateVpcEndpoint", "vpc-endpoint"),
    ("ec2", "DeleteSecurityGroup"): _ec2_on("DeleteSecurityGroup", "security-group", "GroupId"),
    ("ec2", "DeleteVpcEndpoints"): _ec2_on("DeleteVpcEndpoints", "vpc-endpoint", "VpcEndpointIds"),
    ("ec2", "DescribeNetworkInterfaces"): _no_resource("ec2:DescribeNetworkInterfaces"),
    ("ec2", "DescribeSecurityGroups"): _no_resource("ec2:DescribeSecurityGroups"),
    ("ec2", "DescribeSubnets"): _no_resource("ec2:DescribeSubnets"),
    ("ec2", "DescribeVpcEndpointServices"): _no_resource("ec2:DescribeVpcEndpointServices"),
    ("ec2", "DescribeVpcEndpoints"): _no_resource("ec2:DescribeVpcEndpoints"),
    ("ec2", "DescribeVpcs"): _no_resource("ec2:DescribeVpcs"),
    ("ec2", "ModifyVpcEndpoint"): _modify_endpoint,
    ("ec2", "RevokeSecurityGroupIngress"): _ec2_on("RevokeSecurityGroupIngress", "security-group", "GroupId"),
    ("events", "PutEvents"): _events,
    ("lambda", "Invoke"): lambda given, place: [
        Need(
            action="lambda:InvokeFunction",
            resource=place.arn("lambda", f"function:{given['FunctionName'].rsplit(':', 1)[-1]}"),
        )
    ],
    ("s3", "CreateBucket"): _create_bucket,
    ("s3", "DeleteBucketPolicy"): _bucket("DeleteBucketPolicy"),
    ("s3", "GetBucketEncryption"): _bucket("GetEncryptionConfiguration"),
    ("s3", "GetBucketLifecycleConfiguration"): _bucket("GetLifecycleConfiguration"),
    ("s3", "GetBucketLocation"): _bucket("GetBucketLocation"),
    ("s3", "GetBucketOwnershipControls"): _bucket("GetBucketOwnershipControls"),
    ("s3", "GetBucketPolicy"): _bucket("GetBucketPolicy"),
    ("s3", "GetBucketReplication"): _bucket("GetReplicationConfiguration"),
    ("s3", "GetBucketTagging"): _bucket("GetBucketTagging"),
    ("s3", "GetBucketVersioning"): _bucket("GetBucketVersioning"),
    ("s3", "GetObjectLockConfiguration"): _bucket("GetBucketObjectLockConfiguration"),
    ("s3", "GetPublicAccessBlock"): _bucket("GetBucketPublicAccessBlock"),
    ("s3", "HeadBucket"): _bucket("ListBucket"),
    ("s3", "ListMultipartUploads"): _bucket("ListBucketMultipartUploads"),
    ("s3", "ListObjectVersions"): _bucket("ListBucketVersions"),
    ("s3", "PutBucketEncryption"): _bucket("PutEncryptionConfiguration"),
    ("s3", "PutBucketOwnershipControls"): _bucket("PutBucketOwnershipControls"),
    ("s3", "PutBucketPolicy"): _bucket("PutBucketPolicy"),
    ("s3", "PutObject"): _put_object,
    ("s3", "PutPublicAccessBlock"): _bucket("PutBucketPublicAccessBlock"),
    ("ssm", "GetParameter"): _parameter("GetParameter"),
    ("ssm", "GetParameters"): lambda given, place: [
        Need(action="ssm:GetParameters", resource=place.arn("ssm", f"parameter/{name.lstrip('/')}"))
        for name in given["Names"]
    ],
    ("ssm", "GetParametersByPath"): lambda given, place: [
        Need(
            action="ssm:GetParametersByPath",
            resource=place.arn("ssm", f"parameter/{given['Path'].strip('/')}"),
        )
    ],
    ("ssm", "PutParameter"): _parameter("PutParameter"),
    ("stepfunctions", "DescribeExecution"): lambda given, _place: [
        Need(action="states:DescribeExecution", resource=given["executionArn"])
    ],
    ("stepfunctions", "StartExecution"): lambda given, _place: [
        Need(action="states:StartExecution", resource=given["stateMachineArn"])
    ],
}

# Actions that no call of a function shows, because a service uses the role by itself.
OF_THE_PLATFORM: Mapping[str, str] = {
    "logs:CreateLogStream": "Lambda writes the function's own log.",
    "logs:PutLogEvents": "Lambda writes the function's own log.",
    "logs:CreateLogDelivery": "Step Functions sets up the machine's log.",
    "logs:DeleteLogDelivery": "Step Functions sets up the machine's log.",
    "logs:DescribeLogGroups": "Step Functions sets up the machine's log.",
    "logs:DescribeResourcePolicies": "Step Functions sets up the machine's log.",
    "logs:GetLogDelivery": "Step Functions sets up the machine's log.",
    "logs:ListLogDeliveries": "Step Functions sets up the machine's log.",
    "logs:PutResourcePolicy": "Step Functions sets up the machine's log.",
    "logs:UpdateLogDelivery": "Step Functions sets up the machine's log.",
    "xray:GetSamplingRules": "X-Ray is switched off in the embedded AWS.",
    "xray:GetSamplingTargets": "X-Ray is switched off in the embedded AWS.",
    "xray:PutTelemetryRecords": "X-Ray is switched off in the embedded AWS.",
    "xray:PutTraceSegments": "X-Ray is switched off in the embedded AWS.",
    "sqs:SendMessage": "Lambda keeps, with the function's role, an event that the function could not take.",
}
# Who assumes a role whose work nothing here can do.
IDLE: Mapping[str, str] = {"ssm.amazonaws.com": "Automation, which runs the runbook, isn't simulated."}
# What a role may and no scenario shows: (the role's function, action, resource) and why.
UNSEEN: Mapping[tuple[str, str, str], str] = {
    (
        "vbr-privatelink-ensure-bucket",
        "s3:PutEncryptionConfiguration",
        "<bucket>",
    ): "Repairs a bucket without default encryption; S3 leaves none without since January 2023.",
    (
        "vbr-privatelink-read-adoption",
        "ssm:GetParametersByPath",
        "parameter/vbr-privatelink/tokyo/*",
    ): "AWS documents the ARN of the path itself, and with an end, and doesn't say which one it asks for.",
    **{
        ("ssm.amazonaws.com", f"states:{action}", resource): "The runbook: what AWS documents for its action."
        for action, resource in (
            ("StartExecution", "stateMachine:vbr-privatelink-reconcile"),
            ("DescribeExecution", "execution:vbr-privatelink-reconcile:*"),
            ("StopExecution", "execution:vbr-privatelink-reconcile:*"),
        )
    },
}

# Why a resource ends in a wildcard, by its part behind the account.
WILDCARDS: Mapping[str, str] = {
    "execution:vbr-privatelink-reconcile:*": "Each run has a name of its own.",
    "security-group/*": "A group's id isn't known before it exists; the product's tag is asked for.",
    "vpc-endpoint/*": "An endpoint's id isn't known before it exists; the product's tag is asked for.",
    "vpc/*": "The site's VPC is found by its tag when the workflow runs.",
    "subnet/*": "The site's subnets are found by their tags when the workflow runs.",
    "parameter/vbr-privatelink/tokyo/*": "Reports are named by their servers.",
    "parameter/vbr-privatelink/tokyo/adoption/*": "Reports are named by their servers.",
    "parameter/vbr-privatelink/tokyo/seen/*": "Reports are named by their servers.",
}
