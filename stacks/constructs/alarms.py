"""
What people are told of without looking: one topic, and alarms that say what to do.

Alarms about sites are one for each site and matter, so that a site that has been in trouble for long hides no
other one. What is missing is decided for each: where no news is good news it is no alarm; where the watcher
itself must be heard of, its silence is told, and a new stack is not.
"""

from collections.abc import Sequence

import jsii
from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.interfaces.aws_events import IRuleRef
from constructs import Construct

from stacks.constructs.product_function import METRICS, ProductFunction, Shared
from stacks.policies import alarms as policies
from stacks.policies import console
from stacks.policies.wildcards import explained

# Of three hours, so that one late look is no alarm.
_WATCHED = Duration.hours(3)


class Alarms(Construct):
    """The topic, the rule that tells of each failed run, the hourly watcher and the alarms."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        emails: Sequence[str],
        sites: Sequence[str],
        sites_table: dynamodb.ITable,
        word_arns: Sequence[str],
        state_machine: sfn.IStateMachine,
        undelivered: sqs.IQueue,
        pending_days: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self._name = shared.name
        self._topic = sns.Topic(self, "Failures", enforce_ssl=True, display_name="VBR PrivateLink")
        for address in emails:
            self._topic.add_subscription(subscriptions.EmailSubscription(address))
        self._topic.add_to_resource_policy(policies.let_alarms_tell(self._topic, Stack.of(self)))
        self._tell_of_each_failed_run(state_machine)
        self._watch(shared, sites, sites_table, word_arns, undelivered)
        self.all = [
            self._runs_failed(state_machine),
            self._requests_undelivered(undelivered),
            *(
                alarm
                for site in sites
                for alarm in (
                    self._drift_found(site),
                    self._servers_not_seen(site),
                    self._enforcement_pending(site, pending_days),
                )
            ),
        ]
        CfnOutput(self, "FailuresTopicArn", value=self._topic.topic_arn)

    def _tell_of_each_failed_run(self, state_machine: sfn.IStateMachine) -> None:
        """By event and not by a state: a run that was stopped or timed out reaches no state any more."""
        rule = events.Rule(
            self,
            "RunFailed",
            description="Tells of every run that failed, timed out or was stopped",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [state_machine.state_machine_arn],
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                },
            ),
            targets=[ToTopic(self._topic.topic_arn)],
        )
        self._topic.add_to_resource_policy(policies.let_the_rule_tell(self._topic, rule.rule_arn))

    def _watch(
        self,
        shared: Shared,
        sites: Sequence[str],
        sites_table: dynamodb.ITable,
        word_arns: Sequence[str],
        undelivered: sqs.IQueue,
    ) -> None:
        watch = ProductFunction(
            self,
            "WatchServers",
            folder="watch_servers",
            name=f"{shared.name}-watch-servers",
            purpose="Counts, every hour, what the alarms are about",
            shared=shared,
            statements=[console.read_sites(sites_table), console.read_words(word_arns)],
            environment={"SITES": ",".join(sites), "SITES_TABLE": sites_table.table_name},
            explained_wildcards=explained(
                Stack.of(self), word_arns, "The servers of one site report under names that grow."
            ),
            dead_letters=undelivered,
        )
        events.Rule(
            self,
            "Watch",
            description="Counts servers that are not heard of, and how long sites wait",
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[
                targets.LambdaFunction(
                    watch.function,
                    event=events.RuleTargetInput.from_object({"purpose": "watch"}),
                    dead_letter_queue=undelivered,
                )
            ],
        )

    def _runs_failed(self, state_machine: sfn.IStateMachine) -> cloudwatch.Alarm:
        hour = Duration.hours(1)
        return self._alarm(
            "RunsFailed",
            "A run failed, timed out or was stopped. The mail about that run names its error; the dashboard "
            "says what is wrong with the site and links to the run. Do what the error says, then press "
            "Provision (or Release) again.",
            cloudwatch.MathExpression(
                expression="failed + timedout + aborted",
                label="runs that failed",
                period=hour,
                using_metrics={
                    "failed": state_machine.metric_failed(period=hour),
                    "timedout": state_machine.metric_timed_out(period=hour),
                    "aborted": state_machine.metric_aborted(period=hour),
                },
            ),
        )

    def _requests_undelivered(self, undelivered: sqs.IQueue) -> cloudwatch.Alarm:
        return self._alarm(
            "RequestsUndelivered",
            "EventBridge could not start a run, or the watcher, for a request, a report or a schedule: it "
            f"waits in the queue {undelivered.queue_name}. Read it there, mend what its ERROR_MESSAGE says, "
            "press Provision for its site, and delete the message.",
            undelivered.metric_approximate_number_of_messages_visible(period=Duration.minutes(5)),
        )

    def _drift_found(self, site: str) -> cloudwatch.Alarm:
        return self._alarm(
            f"DriftFound-{site}",
            f"Something of site {site} was not as it should be. The event Drift Found and the run's output "
            "name it; what the product made is repaired. Find out in CloudTrail who changed it; what is not "
            "the product's is left for you, and the dashboard names it.",
            self._metric("DriftFound", "release_lease", site, statistic="Sum", period=Duration.days(1)),
        )

    def _servers_not_seen(self, site: str) -> cloudwatch.Alarm:
        return self._watched(
            f"ServersNotSeen-{site}",
            f"A backup server of site {site} has not been heard of for a day; the dashboard names it. Look "
            "at the client's scheduled task there, and run `doctor`. If the server is gone for good, take it "
            f"out of expected_servers and delete its parameters below /vbr-privatelink/{site}/adoption and "
            f"/vbr-privatelink/{site}/seen. Insufficient data means: nobody counts any more; look at the "
            f"function {self._name}-watch-servers.",
            self._metric("ServersNotSeen", "watch_servers", site, statistic="Maximum", period=_WATCHED),
            threshold=1,
        )

    def _enforcement_pending(self, site: str, days: int) -> cloudwatch.Alarm:
        return self._watched(
            f"EnforcementPending-{site}",
            f"A bucket of site {site} has not been locked for {days} days, because a backup server has not "
            "said that it uses the endpoint; the dashboard names it. Run the client there (`plan`, then "
            "`apply`), or correct expected_servers. Until then the bucket can be reached from elsewhere.",
            self._metric(
                "EnforcementPendingDays", "watch_servers", site, statistic="Maximum", period=_WATCHED
            ),
            threshold=days,
        )

    def _metric(
        self, name: str, folder: str, site: str, *, statistic: str, period: Duration
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=METRICS,
            metric_name=name,
            dimensions_map={"Site": site, "service": folder},
            statistic=statistic,
            period=period,
        )

    def _alarm(self, what: str, description: str, metric: cloudwatch.IMetric) -> cloudwatch.Alarm:
        """One is too many; where nothing happens nothing is counted, and that is fine."""
        return self._made(
            what, description, metric, threshold=1, missing=cloudwatch.TreatMissingData.NOT_BREACHING
        )

    def _watched(
        self, what: str, description: str, metric: cloudwatch.IMetric, *, threshold: int
    ) -> cloudwatch.Alarm:
        """
        Of what is counted every hour: when the counting ends, the alarm has insufficient data, and tells.

        A new alarm begins in that state, so a new stack tells nothing.
        """
        alarm = self._made(
            what, description, metric, threshold=threshold, missing=cloudwatch.TreatMissingData.MISSING
        )
        alarm.add_insufficient_data_action(actions.SnsAction(self._topic))
        return alarm

    def _made(
        self,
        what: str,
        description: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: int,
        missing: cloudwatch.TreatMissingData,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            what,
            alarm_name=f"{self._name}-{what}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm


@jsii.implements(events.IRuleTarget)
class ToTopic:
    """
    A topic as a rule's target.

    CDK's own lets every rule of every account publish: EventBridge is let in by the topic's policy here,
    for the one rule.
    """

    def __init__(self, topic_arn: str) -> None:
        self._topic_arn = topic_arn

    def bind(
        self,
        rule: IRuleRef,  # noqa: ARG002 - CDK's interface
        id: str | None = None,  # noqa: A002, ARG002 - the same
    ) -> events.RuleTargetConfig:
        """Name the topic."""
        return events.RuleTargetConfig(arn=self._topic_arn)
