"""
The console button: a dashboard, the function that it shows, the one that its buttons call, and two policies
that say who may look and who may press.

Two functions, because CloudWatch calls both with the viewer's own permissions: so IAM decides who may start
something, and the function that runs at every refresh can't.
"""

from collections.abc import Mapping, Sequence

from aws_cdk import Acknowledgment, ArnFormat, CfnOutput, Stack, Validations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.product_function import ProductFunction, Shared
from stacks.constructs.runbook import Runbook
from stacks.policies import console, network, table
from stacks.policies import runbook as runbook_policies
from stacks.policies.wildcards import explained

# CloudWatch finds functions for its widgets by this beginning.
SHOW_FUNCTION = "customWidgetVbrPrivateLinkSites"
START_FUNCTION = "customWidgetVbrPrivateLinkStart"
# The dashboard's grid has so many columns.
WHOLE_WIDTH = 24


class Console(Construct):
    """Dashboard `<name>-<Region>` and the managed policies for those who use it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        sites: Sequence[str],
        sites_table: dynamodb.ITable,
        word_arns: Sequence[str],
        state_machine: sfn.IStateMachine,
        execution_arns: str,
        alarms: Sequence[cloudwatch.IAlarm],
        runbook: Runbook,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        environment = {"SITES": ",".join(sites)}
        runs = explained(stack, [execution_arns], "Runs of this one workflow: each has a name of its own.")
        self.start = ProductFunction(
            self,
            "StartRun",
            folder="start_run",
            name=START_FUNCTION,
            purpose="The buttons of the dashboard: starts the workflow, and nothing else",
            shared=shared,
            statements=[console.start_the_workflow(state_machine.state_machine_arn)],
            environment={**environment, "STATE_MACHINE_ARN": state_machine.state_machine_arn},
        )
        self.show = ProductFunction(
            self,
            "ShowSites",
            folder="show_sites",
            name=SHOW_FUNCTION,
            purpose="The dashboard's table of sites: reads, and nothing else",
            shared=shared,
            statements=[
                console.read_sites(sites_table),
                console.read_words(word_arns),
                network.look_at_network("ec2:DescribeVpcEndpoints"),
                table.see_whether_runs_have_ended(execution_arns),
            ],
            environment={
                **environment,
                "SITES_TABLE": sites_table.table_name,
                "START_FUNCTION_ARN": self.start.function.function_arn,
            },
            explained_wildcards={
                **runs,
                **explained(stack, word_arns, "The servers of one site report under names that grow."),
            },
        )
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"{shared.name}-{stack.region}",
            widgets=[
                [
                    cloudwatch.CustomWidget(
                        title="VBR PrivateLink: sites",
                        function_arn=self.show.function.function_arn,
                        width=WHOLE_WIDTH,
                        # About what one site takes; several scroll inside.
                        height=11 if len(sites) == 1 else 18,
                        # Sites don't depend on the time range that somebody looks at.
                        update_on_time_range_change=False,
                    )
                ],
                [
                    cloudwatch.AlarmStatusWidget(
                        title="Alarms", alarms=list(alarms), width=WHOLE_WIDTH, height=4
                    )
                ],
            ],
        )
        dashboard_arn = stack.format_arn(
            service="cloudwatch",
            region="",
            resource="dashboard",
            resource_name=f"{shared.name}-{stack.region}",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        look = [
            *console.view_the_dashboard(dashboard_arn),
            *console.follow_the_links(state_machine.state_machine_arn, execution_arns),
            console.show_the_sites(self.show.function.function_arn),
        ]
        press = console.press_the_buttons(self.start.function.function_arn)
        form = runbook_policies.use_the_runbook(runbook.definition_arn, runbook.role.role_arn)
        readers = policy_of_people(
            self,
            "Readers",
            name=f"{shared.name}-readers-{stack.region}",
            may="may look at the dashboard",
            statements=look,
            explained_wildcards=runs,
        )
        operators = policy_of_people(
            self,
            "Operators",
            name=f"{shared.name}-operators-{stack.region}",
            may="may look at the dashboard, press its buttons and use the runbook",
            statements=[*look, press, *form],
            explained_wildcards={
                **runs,
                **explained(stack, [runbook.definition_arn], "Any version of this one runbook."),
            },
        )
        CfnOutput(self, "DashboardName", value=f"{shared.name}-{stack.region}")
        CfnOutput(self, "ReadersPolicyArn", value=readers.managed_policy_arn)
        CfnOutput(self, "OperatorsPolicyArn", value=operators.managed_policy_arn)


def policy_of_people(
    scope: Construct,
    who: str,
    *,
    name: str,
    may: str,
    statements: Sequence[iam.PolicyStatement],
    explained_wildcards: Mapping[str, str],
) -> iam.ManagedPolicy:
    """By a fixed name, so that permission sets of IAM Identity Center can name it in every account."""
    policy = iam.ManagedPolicy(
        scope,
        who,
        managed_policy_name=name,
        description=f"VBR PrivateLink: {may}",
        statements=[statement.copy() for statement in statements],
    )
    reasons = {
        "Resource::*": "CloudWatch's lists, metrics and alarms accept no resource.",
        **explained_wildcards,
    }
    Validations.of(policy).acknowledge(
        *(
            Acknowledgment(id=f"AwsSolutions-IAM5[{finding}]", reason=reason)
            for finding, reason in reasons.items()
        )
    )
    return policy
