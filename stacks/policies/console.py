"""What the console's functions may do, and what the people before it may."""

from collections.abc import Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam


def read_sites(table: dynamodb.ITable) -> iam.PolicyStatement:
    """Every site's item, because what needs attention comes first."""
    return iam.PolicyStatement(sid="ReadSites", actions=["dynamodb:Scan"], resources=[table.table_arn])


def read_words(parameter_arns: Sequence[str]) -> iam.PolicyStatement:
    """What is published, and what the servers have said; not the settings."""
    return iam.PolicyStatement(sid="ReadWords", actions=["ssm:GetParameters"], resources=list(parameter_arns))


def start_the_workflow(state_machine_arn: str) -> iam.PolicyStatement:
    """This one workflow, which checks for itself what it is asked."""
    return iam.PolicyStatement(
        sid="StartTheWorkflow", actions=["states:StartExecution"], resources=[state_machine_arn]
    )


def view_the_dashboard(dashboard_arn: str) -> list[iam.PolicyStatement]:
    """Open it, and see its alarms; the lists, metrics and alarms of CloudWatch accept no resource."""
    return [
        iam.PolicyStatement(
            sid="ViewTheDashboard", actions=["cloudwatch:GetDashboard"], resources=[dashboard_arn]
        ),
        iam.PolicyStatement(
            sid="FindTheDashboard",
            actions=[
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "cloudwatch:ListDashboards",
            ],
            resources=["*"],
        ),
    ]


def follow_the_links(state_machine_arn: str, execution_arns: str) -> list[iam.PolicyStatement]:
    """See the runs that the dashboard links to."""
    return [
        iam.PolicyStatement(
            sid="SeeTheWorkflow", actions=["states:DescribeStateMachine"], resources=[state_machine_arn]
        ),
        iam.PolicyStatement(
            sid="SeeItsRuns",
            actions=["states:DescribeExecution", "states:GetExecutionHistory"],
            resources=[execution_arns],
        ),
    ]


def show_the_sites(function_arn: str) -> iam.PolicyStatement:
    """CloudWatch calls the widget's function with the permissions of whoever looks."""
    return iam.PolicyStatement(
        sid="ShowTheSites", actions=["lambda:InvokeFunction"], resources=[function_arn]
    )


def press_the_buttons(function_arn: str) -> iam.PolicyStatement:
    """Without it, a press is refused: that is all that tells an operator from a reader."""
    return iam.PolicyStatement(
        sid="PressTheButtons", actions=["lambda:InvokeFunction"], resources=[function_arn]
    )
