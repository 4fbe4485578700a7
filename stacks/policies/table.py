"""Statements about the table `sites`."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam


def take_leases(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Without it, two runs of one site could work against each other; reading tells what waits."""
    return iam.PolicyStatement(
        sid="TakeLeases", actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[table.table_arn]
    )


def give_leases_back(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Without it, each run's lease would have to be taken over by the next."""
    return iam.PolicyStatement(
        sid="GiveLeasesBack", actions=["dynamodb:UpdateItem"], resources=[table.table_arn]
    )


def remember_replaced_policies(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Without it, a run that fails after locking a bucket couldn't put the earlier policy back."""
    return iam.PolicyStatement(
        sid="RememberReplacedPolicies",
        actions=["dynamodb:GetItem", "dynamodb:UpdateItem"],
        resources=[table.table_arn],
    )


def see_whether_runs_have_ended(execution_arns: str) -> iam.PolicyStatement:
    """Without it, the lease of a run that was stopped would be held for ever."""
    return iam.PolicyStatement(
        sid="SeeWhetherRunsHaveEnded", actions=["states:DescribeExecution"], resources=[execution_arns]
    )
