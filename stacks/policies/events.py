"""Statements about events."""

from aws_cdk import aws_iam as iam


def tell_the_account(event_bus_arn: str) -> iam.PolicyStatement:
    """Without it, nobody learns what a run has changed, or on whom a site waits."""
    return iam.PolicyStatement(sid="TellTheAccount", actions=["events:PutEvents"], resources=[event_bus_arn])
