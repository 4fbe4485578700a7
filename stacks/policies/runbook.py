"""What the Automation runbook may do, and who may use it."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam


def automation_of(stack: Stack) -> iam.ServicePrincipal:
    """Systems Manager, on behalf of this account's automations alone."""
    return iam.ServicePrincipal(
        "ssm.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {
                "aws:SourceArn": (
                    f"arn:{stack.partition}:ssm:{stack.region}:{stack.account}:automation-execution/*"
                )
            },
        },
    )


def run_the_workflow(state_machine_arn: str, execution_arns: str) -> list[iam.PolicyStatement]:
    """
    Start this one workflow, wait for the run, and stop it when the automation is cancelled.

    All three are what the action needs (AWS Systems Manager User Guide, "aws:executeStateMachine").
    """
    return [
        iam.PolicyStatement(
            sid="StartTheWorkflow", actions=["states:StartExecution"], resources=[state_machine_arn]
        ),
        iam.PolicyStatement(
            sid="WaitForItsRuns",
            actions=["states:DescribeExecution", "states:StopExecution"],
            resources=[execution_arns],
        ),
    ]


def use_the_runbook(definition_arn: str, role_arn: str) -> list[iam.PolicyStatement]:
    """For operators: start the form; its role may be handed to Systems Manager and to nobody else."""
    return [
        iam.PolicyStatement(
            sid="UseTheRunbook", actions=["ssm:StartAutomationExecution"], resources=[definition_arn]
        ),
        iam.PolicyStatement(
            sid="HandItsRoleOver",
            actions=["iam:PassRole"],
            resources=[role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
        ),
    ]
