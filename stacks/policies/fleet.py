"""Statements of the hub's functions: its own table, and the buses of other accounts."""

from collections.abc import Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs

SOURCE = "vbr-privatelink"
# What a site says of itself; the hub's bus accepts these and no other.
NEWS = ("Access Ended", "Access Granted", "Drift Found", "Site Status")
# Who may read the backups from elsewhere is decided in the account itself: no "Access Grant Requested".
REQUESTS = ("Check Requested", "Provision Requested", "Release Requested")


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


def ask_accounts(bus_arns: Sequence[str], organization_id: str | None) -> iam.PolicyStatement:
    """
    Put requests on the accounts' buses, and nothing else on them.

    Each bus has a policy of its own that lets this role in; without an organization the buses are named.
    """
    conditions: dict[str, dict[str, object]] = {
        "ForAllValues:StringEquals": {"events:source": SOURCE, "events:detail-type": list(REQUESTS)}
    }
    if organization_id:
        conditions["StringEquals"] = {"aws:ResourceOrgID": organization_id}
    return iam.PolicyStatement(
        sid="AskAccounts", actions=["events:PutEvents"], resources=list(bus_arns), conditions=conditions
    )


def know_the_site(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Without it, a press could ask an account that the hub has never heard of."""
    return iam.PolicyStatement(sid="KnowTheSite", actions=["dynamodb:GetItem"], resources=[table.table_arn])


def keep_what_failed(queue: sqs.IQueue) -> iam.PolicyStatement:
    """Without it, an event that a function could not take would be gone after its second retry."""
    return iam.PolicyStatement(sid="KeepWhatFailed", actions=["sqs:SendMessage"], resources=[queue.queue_arn])
