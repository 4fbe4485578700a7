"""Statements about the table `sites`."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam


def take_and_give_leases(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Without it, two runs of one site could work against each other."""
    return iam.PolicyStatement(
        sid="TakeAndGiveLeases", actions=["dynamodb:UpdateItem"], resources=[table.table_arn]
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
