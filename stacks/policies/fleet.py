"""Statements of the hub's functions: its own table, and the buses of other accounts."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs


def keep_what_sites_say(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Without it, nobody at the hub would know of a site; nothing here deletes what was said."""
    return iam.PolicyStatement(
        sid="KeepWhatSitesSay",
        actions=["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"],
        resources=[table.table_arn],
    )


def look_at_the_fleet(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Read the whole table: a site that says nothing can't be asked for by name."""
    return iam.PolicyStatement(sid="LookAtTheFleet", actions=["dynamodb:Scan"], resources=[table.table_arn])


def keep_what_failed(queue: sqs.IQueue) -> iam.PolicyStatement:
    """Without it, an event that a function could not take would be gone after its second retry."""
    return iam.PolicyStatement(sid="KeepWhatFailed", actions=["sqs:SendMessage"], resources=[queue.queue_arn])
