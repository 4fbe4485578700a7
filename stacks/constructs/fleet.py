"""
What the hub hears from the sites of all accounts, keeps, and watches.

    bus `vbr-privatelink-fleet` ─► record_site_status ─► table ◄─ survey_fleet, every hour ─► alarms

The bus is open to the organization and to nobody else. Whatever a sender claims, its events change its own
rows only: the rows' keys are what EventBridge says of the sender.
"""

from collections.abc import Iterator

from aws_cdk import Acknowledgment, ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contract import names
from stacks.constructs.console import WHOLE_WIDTH, policy_of_people
from stacks.constructs.product_function import METRICS, ProductFunction
from stacks.constructs.site import NAME, shared_by_functions
from stacks.hub_settings import HubSettings
from stacks.policies import console
from stacks.policies import fleet as policies
from stacks.policies.fleet import NEWS, SOURCE
from stacks.policies.wildcards import explained

EVENT_BUS = f"{NAME}-fleet"
# CloudWatch finds functions for its widgets by this beginning.
SHOW_FUNCTION = "customWidgetVbrPrivateLinkFleet"
START_FUNCTION = "customWidgetVbrPrivateLinkFleetStart"


def requesting_role(hub_region: names.Region) -> str:
    """Name the one role whose requests the accounts accept: their buses compare its ARN as a string."""
    return f"{NAME}-request-run-{hub_region}"


class Fleet(Construct):
    """The bus, the table, what writes and reads it, and the alarms."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        hub: HubSettings,
        log_retention: logs.RetentionDays,
        alert_emails: tuple[str, ...],
    ) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared_by_functions(self, retention=log_retention)
        self._hub = hub
        self.table = dynamodb.Table(
            self,
            "Sites",
            partition_key=dynamodb.Attribute(name="account", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="place", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            # Every site tells again within a day.
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.undelivered = sqs.Queue(
            self, "Undelivered", enforce_ssl=True, retention_period=Duration.days(14)
        )
        Validations.of(self.undelivered).acknowledge(
            Acknowledgment(id="AwsSolutions-SQS3", reason="This is the dead-letter queue itself.")
        )
        self._hear()
        self._watch(alert_emails)
        self._show()
        CfnOutput(self, "FleetTable", value=self.table.table_name)

    def _hear(self) -> None:
        bus = events.EventBus(self, "Bus", event_bus_name=EVENT_BUS, description="What sites say")
        let_accounts_tell(self, bus, self._hub)
        record = ProductFunction(
            self,
            "RecordSiteStatus",
            folder="record_site_status",
            name=f"{NAME}-record-site-status",
            purpose="The hub keeps what the sites of all accounts say",
            shared=self._shared,
            statements=[policies.keep_what_sites_say(self.table)],
            environment={"FLEET_TABLE": self.table.table_name},
            dead_letters=self.undelivered,
        )
        events.Rule(
            self,
            "News",
            event_bus=bus,
            description="Keeps what the sites of all accounts say of themselves",
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=["Drift Found", "Site Status"]),
            targets=[targets.LambdaFunction(record.function, dead_letter_queue=self.undelivered)],
        )
        CfnOutput(self, "EventBusArn", value=bus.event_bus_arn)

    def _show(self) -> None:
        """The dashboard, what its buttons call, and the policies of those who use it."""
        stack, name = Stack.of(self), f"{NAME}-fleet-{Stack.of(self).region}"
        buses = list(self._account_buses())
        start = ProductFunction(
            self,
            "RequestRun",
            folder="request_run",
            name=START_FUNCTION,
            purpose="The buttons of the fleet's dashboard: asks an account for a run, and nothing else",
            shared=self._shared,
            statements=[
                policies.know_the_site(self.table),
                policies.ask_accounts(buses, self._hub.organization_id),
            ],
            environment={"FLEET_TABLE": self.table.table_name},
            # The accounts' buses compare its ARN as a string: the name never changes.
            role_name=requesting_role(names.Region(stack.region)),
            explained_wildcards=explained(
                stack, buses, "The default bus of any account of the organization, in the hub's Regions."
            ),
        )
        show = ProductFunction(
            self,
            "ShowFleet",
            folder="show_fleet",
            name=SHOW_FUNCTION,
            purpose="The fleet's dashboard: reads, and nothing else",
            shared=self._shared,
            statements=[policies.look_at_the_fleet(self.table)],
            environment={
                "FLEET_TABLE": self.table.table_name,
                "SILENT_AFTER_DAYS": str(self._hub.silent_after_days),
                "START_FUNCTION_ARN": start.function.function_arn,
                # Its filter calls it again; a reference to itself would be a circle.
                "SHOW_FUNCTION_ARN": stack.format_arn(
                    service="lambda",
                    resource="function",
                    resource_name=SHOW_FUNCTION,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                ),
            },
        )
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=name,
            widgets=[
                [
                    cloudwatch.CustomWidget(
                        title="VBR PrivateLink: sites of all accounts",
                        function_arn=show.function.function_arn,
                        width=WHOLE_WIDTH,
                        height=24,
                        params={"show": "all"},
                        update_on_time_range_change=False,
                    )
                ]
            ],
        )
        dashboard = stack.format_arn(
            service="cloudwatch", region="", resource="dashboard", resource_name=name
        )
        look = [
            *console.view_the_dashboard(dashboard),
            console.show_the_sites(show.function.function_arn),
        ]
        press = console.press_the_buttons(start.function.function_arn)
        for who, may, statements in (
            ("Readers", "may look at the fleet's dashboard", look),
            ("Operators", "may look at the fleet's dashboard and press its buttons", [*look, press]),
        ):
            policy = policy_of_people(
                self,
                who,
                name=f"{NAME}-fleet-{who.lower()}-{stack.region}",
                may=may,
                statements=statements,
                explained_wildcards={},
            )
            CfnOutput(self, f"{who}PolicyArn", value=policy.managed_policy_arn)
        CfnOutput(self, "DashboardName", value=name)

    def _account_buses(self) -> Iterator[str]:
        partition = Stack.of(self).partition
        for region in self._hub.regions:
            for account in ("*",) if self._hub.organization_id else self._hub.accounts:
                yield f"arn:{partition}:events:{region}:{account}:event-bus/default"

    def _watch(self, alert_emails: tuple[str, ...]) -> None:
        survey = ProductFunction(
            self,
            "SurveyFleet",
            folder="survey_fleet",
            name=f"{NAME}-survey-fleet",
            purpose="The hub counts the sites that somebody should look at",
            shared=self._shared,
            statements=[policies.look_at_the_fleet(self.table)],
            environment={
                "FLEET_TABLE": self.table.table_name,
                "SILENT_AFTER_DAYS": str(self._hub.silent_after_days),
            },
            dead_letters=self.undelivered,
        )
        events.Rule(
            self,
            "Hourly",
            description="Counts the sites that somebody should look at",
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[
                targets.LambdaFunction(
                    survey.function,
                    event=events.RuleTargetInput.from_object({"purpose": "survey"}),
                    dead_letter_queue=self.undelivered,
                )
            ],
        )
        topic = sns.Topic(self, "Alarms", enforce_ssl=True, display_name="VBR PrivateLink: the fleet")
        for address in alert_emails:
            topic.add_subscription(subscriptions.EmailSubscription(address))
        counted = {
            "SitesFailed": (
                "The last run of a site has failed; the fleet's dashboard says why.",
                cloudwatch.TreatMissingData.NOT_BREACHING,
            ),
            "SitesNotHeardOf": (
                (
                    f"A site has said nothing for {self._hub.silent_after_days} days: its schedule, its way "
                    "to the hub, or its account is gone. Or nobody counts: so it is until the first survey."
                ),
                cloudwatch.TreatMissingData.BREACHING,
            ),
        }
        alarms = [
            cloudwatch.Alarm(
                self,
                name,
                alarm_name=f"{NAME}-{name}",
                alarm_description=description,
                metric=cloudwatch.Metric(
                    namespace=METRICS,
                    metric_name=name,
                    dimensions_map={"service": "survey_fleet"},
                    statistic="Maximum",
                    period=Duration.hours(1),
                ),
                threshold=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                # Of three hours, so that one late survey is no alarm; none at all is, in one of the two.
                evaluation_periods=3,
                datapoints_to_alarm=2,
                treat_missing_data=missing,
            )
            for name, (description, missing) in counted.items()
        ]
        alarms.append(
            cloudwatch.Alarm(
                self,
                "EventsNotTaken",
                alarm_name=f"{NAME}-EventsNotTaken",
                alarm_description="An event of an account could not be kept; it waits in the queue.",
                metric=self.undelivered.metric_approximate_number_of_messages_visible(
                    period=Duration.minutes(5)
                ),
                threshold=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                evaluation_periods=1,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
        )
        for alarm in alarms:
            alarm.add_alarm_action(actions.SnsAction(topic))
        CfnOutput(self, "AlarmsTopicArn", value=topic.topic_arn)


def let_accounts_tell(scope: Construct, bus: events.EventBus, hub: HubSettings) -> None:
    """
    The bus takes the product's news from the organization's accounts, and nothing from anybody else.

    The conditions on source and kind are EventBridge's own keys; the rule and the function look again.
    """
    conditions: dict[str, dict[str, object]] = {
        "ForAllValues:StringEquals": {"events:source": SOURCE, "events:detail-type": list(NEWS)}
    }
    if hub.organization_id:
        conditions["StringEquals"] = {"aws:PrincipalOrgID": hub.organization_id}
    partition = Stack.of(scope).partition
    events.CfnEventBusPolicy(
        scope,
        "AccountsMayTell",
        event_bus_name=bus.event_bus_name,
        statement_id=f"{NAME}-accounts-may-tell",
        statement={
            "Effect": "Allow",
            "Principal": (
                "*"
                if hub.organization_id
                else {"AWS": [f"arn:{partition}:iam::{account}:root" for account in hub.accounts]}
            ),
            "Action": "events:PutEvents",
            "Resource": bus.event_bus_arn,
            "Condition": conditions,
        },
    )
