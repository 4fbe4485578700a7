"""
Statements about endpoints and security groups.

EC2's Describe calls know no resources. Whatever changes or deletes something is bound to the tag that
only the product sets when it creates.
"""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from stacks.policies.wildcards import explained

# The same keys as in lambdas/core/site.py; a test keeps them equal.
SITE_TAG = "vbr-privatelink"
CREATOR_TAG = "vbr-privatelink-created-by"

_MADE_BY_THE_PRODUCT = {"Null": {f"aws:ResourceTag/{CREATOR_TAG}": "false"}}
_TAGGED_AT_CREATION = {"Null": {f"aws:RequestTag/{CREATOR_TAG}": "false"}}


def look_at_network(*actions: str) -> iam.PolicyStatement:
    """See what is there; these calls accept no resource."""
    return iam.PolicyStatement(sid="LookAtNetwork", actions=list(actions), resources=["*"])


def create_tagged(stack: Stack) -> list[iam.PolicyStatement]:
    """Create endpoints and groups, but none without the product's tag: what has none can't be repaired."""
    return [
        iam.PolicyStatement(
            sid="CreateTaggedGroup",
            actions=["ec2:CreateSecurityGroup"],
            resources=_arns(stack, "security-group"),
            conditions=_TAGGED_AT_CREATION,
        ),
        iam.PolicyStatement(
            sid="CreateTaggedEndpoint",
            actions=["ec2:CreateVpcEndpoint"],
            resources=_arns(stack, "vpc-endpoint"),
            conditions=_TAGGED_AT_CREATION,
        ),
        iam.PolicyStatement(
            sid="CreateInVpc",
            actions=["ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint"],
            resources=_arns(stack, "vpc"),
        ),
        iam.PolicyStatement(
            sid="PutEndpointIntoSubnetsAndGroup",
            actions=["ec2:CreateVpcEndpoint"],
            resources=_arns(stack, "subnet", "security-group"),
        ),
        iam.PolicyStatement(
            sid="TagAtCreation",
            actions=["ec2:CreateTags"],
            resources=_arns(stack, "security-group", "vpc-endpoint"),
            conditions={
                "StringEquals": {"ec2:CreateAction": ["CreateSecurityGroup", "CreateVpcEndpoint"]},
            },
        ),
    ]


def repair_own(stack: Stack) -> list[iam.PolicyStatement]:
    """Repair what the product made; somebody else's endpoint or group is out of reach."""
    return [
        iam.PolicyStatement(
            sid="RepairOwnGroup",
            actions=["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"],
            resources=_arns(stack, "security-group"),
            conditions=_MADE_BY_THE_PRODUCT,
        ),
        iam.PolicyStatement(
            sid="RepairOwnEndpoint",
            actions=["ec2:ModifyVpcEndpoint"],
            resources=_arns(stack, "vpc-endpoint"),
            conditions=_MADE_BY_THE_PRODUCT,
        ),
        iam.PolicyStatement(
            sid="MoveOwnEndpoint",
            actions=["ec2:ModifyVpcEndpoint"],
            resources=_arns(stack, "subnet", "security-group"),
        ),
    ]


def delete_own(stack: Stack) -> list[iam.PolicyStatement]:
    """Take back what a failed run made."""
    return [
        iam.PolicyStatement(
            sid="DeleteOwnGroup",
            actions=["ec2:DeleteSecurityGroup"],
            resources=_arns(stack, "security-group"),
            conditions=_MADE_BY_THE_PRODUCT,
        ),
        iam.PolicyStatement(
            sid="DeleteOwnEndpoint",
            actions=["ec2:DeleteVpcEndpoints"],
            resources=_arns(stack, "vpc-endpoint"),
            conditions=_MADE_BY_THE_PRODUCT,
        ),
    ]


def explained_wildcards(stack: Stack, *kinds: str) -> dict[str, str]:
    """Say why each of these resources ends in a wildcard."""
    reasons = {
        "security-group": "The group's id isn't known before it exists; the tag of the product is required.",
        "vpc-endpoint": "The endpoint's id isn't known before it exists; the tag of the product is required.",
        "vpc": "Any VPC may be the site's: it is found by its tag when the workflow runs.",
        "subnet": "Any subnet may be the site's: it is found by its tag when the workflow runs.",
    }
    return {
        finding: reasons[kind]
        for kind, arn in zip(kinds, _arns(stack, *kinds), strict=True)
        for finding in explained(stack, [arn], reasons[kind])
    }


def _arns(stack: Stack, *kinds: str) -> list[str]:
    return [f"arn:{stack.partition}:ec2:{stack.region}:{stack.account}:{kind}/*" for kind in kinds]
