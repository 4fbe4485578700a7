"""Statements about the parameters of the sites."""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam


def read_settings(parameter_arns: Sequence[str]) -> iam.PolicyStatement:
    """Settings of the stack's own sites, and no other parameter."""
    return iam.PolicyStatement(
        sid="ReadSettings", actions=["ssm:GetParameter"], resources=list(parameter_arns)
    )


def read_published_endpoint(parameter_arns: Sequence[str]) -> iam.PolicyStatement:
    """Without it, an undo couldn't tell whether servers rely on what it is about to remove."""
    return iam.PolicyStatement(
        sid="ReadPublishedEndpoint", actions=["ssm:GetParameter"], resources=list(parameter_arns)
    )


def read_reports(parameter_arns: Sequence[str]) -> iam.PolicyStatement:
    """Everything about the sites in one call; without it, nobody would know who has moved."""
    return iam.PolicyStatement(
        sid="ReadReports", actions=["ssm:GetParametersByPath"], resources=list(parameter_arns)
    )


def publish_endpoint(parameter_arns: Sequence[str]) -> iam.PolicyStatement:
    """Only the document that servers read; not the settings, and not what servers report."""
    return iam.PolicyStatement(
        sid="PublishEndpoint",
        actions=["ssm:GetParameter", "ssm:PutParameter"],
        resources=list(parameter_arns),
    )
