"""
Everything that one account and Region needs for its sites.

One construct, so that it sits unchanged in a plain stack and in the stack of a StackSet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aws_cdk import (
    Acknowledgment,
    ArnFormat,
    CfnOutput,
    Duration,
    IgnoreMode,
    RemovalPolicy,
    Stack,
    Validations,
)
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from contract import names
from contract.parameters import ROOT as PARAMETERS
from contract.parameters import endpoint_parameter, settings_parameter
from contract.settings import BucketSettings, SiteSettings, settings_digest
from stacks.constructs.alarms import Alarms
from stacks.constructs.backup_user import BackupUser
from stacks.constructs.console import Console
from stacks.constructs.hub_link import HubAddress, HubLink
from stacks.constructs.product_function import Shared
from stacks.constructs.reconcile import Reconcile, Steps
from stacks.constructs.runbook import Runbook
from stacks.constructs.step_function_lambda import StepFunctionLambda
from stacks.policies import buckets, network, parameters, table
from stacks.policies import events as events_policies
from stacks.policies.wildcards import explained

ROOT = Path(__file__).resolve().parents[2]
NAME = "vbr-privatelink"
# The same key as in lambdas/prove_lockdown/logic.py; a test keeps them equal.
PROBE_KEY = "vbr-privatelink-probe"
# Powertools publishes each version of its layer under a public parameter; pinned like a package.
POWERTOOLS_LAYER = "/aws/service/powertools/python/arm64/python3.13/3.37.0"


def shared_by_functions(
    scope: Construct, *, retention: logs.RetentionDays, powertools_layer_arn: str | None = None
) -> Shared:
    """Make what every function of a stack gets; *scope* holds the layer's reference."""
    return Shared(
        code=lambda_.Code.from_asset(
            str(ROOT),
            # Like a .gitignore: everything but the two packages that the functions import.
            exclude=["/*", "!/lambdas", "!/contract", "__pycache__", "*.pyc"],
            ignore_mode=IgnoreMode.GIT,
        ),
        layer=lambda_.LayerVersion.from_layer_version_arn(
            scope,
            "Powertools",
            powertools_layer_arn or ssm.StringParameter.value_for_string_parameter(scope, POWERTOOLS_LAYER),
        ),
        retention=retention,
        name=NAME,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsDocument:
    """A settings parameter's value, and its digest: plain texts, or parameters of the template."""

    text: str
    digest: str

    @classmethod
    def of(cls, site: SiteSettings) -> Self:
        """Return the settings as they are when the template is made."""
        return cls(text=site.to_json(), digest=settings_digest(site.to_json()))


class Site(Construct):
    """
    The workflow, what starts it, and the settings of its sites.

    `backup_keys` are the numbers of the access keys of VBR's user, by site; a site without has no user.
    `documents` are the settings parameters by site, where they aren't the same in every account; with a
    `hub`, the sites tell it how they are, and it may start them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        sites: Sequence[SiteSettings],
        log_retention: logs.RetentionDays,
        alert_emails: Sequence[str],
        start_on_deployment: bool,
        recovery_accounts: Sequence[names.AccountId],
        pending_alarm_days: int,
        backup_keys: Mapping[str, Sequence[int]],
        powertools_layer_arn: str | None = None,
        documents: Mapping[str, SettingsDocument] | None = None,
        hub: HubAddress | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = Stack.of(self)
        self._hub = hub
        self._sites = sites
        self._documents = documents or {site.site: SettingsDocument.of(site) for site in sites}
        self._recovery_accounts = recovery_accounts
        self._retention = log_retention
        self._powertools_layer_arn = powertools_layer_arn
        self._table = dynamodb.Table(
            self,
            "Sites",
            partition_key=dynamodb.Attribute(name="site", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            # What the sites should be is not in any template: it stays when the stack goes.
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        for site in sites:
            ssm.StringParameter(
                self,
                f"Settings-{site.site}",
                parameter_name=settings_parameter(site.site),
                description=f"What the workflow makes of site {site.site}; change it in cdk.json",
                string_value=self._documents[site.site].text,
            )
        shared = shared_by_functions(
            self, retention=self._retention, powertools_layer_arn=self._powertools_layer_arn
        )
        reconcile = Reconcile(
            self,
            "Reconcile",
            steps=self._steps(shared),
            name=f"{NAME}-reconcile",
            log_group=logs.LogGroup(
                self,
                "ReconcileLogs",
                # Under this prefix Step Functions needs no entry of its own in the account's resource policy
                # for logs, which is short and full in busy accounts.
                log_group_name=f"/aws/vendedlogs/states/{NAME}-reconcile",
                retention=self._retention,
                removal_policy=RemovalPolicy.DESTROY,
            ),
        )
        self.state_machine = reconcile.state_machine
        undelivered = sqs.Queue(
            self, "UndeliveredRequests", enforce_ssl=True, retention_period=Duration.days(14)
        )
        Validations.of(undelivered).acknowledge(
            Acknowledgment(id="AwsSolutions-SQS3", reason="This is the dead-letter queue of the rules.")
        )
        self._start_by_events(undelivered, on_deployment=start_on_deployment)
        names_of_sites = [site.site for site in sites]
        alarms = Alarms(
            self,
            "Alarms",
            shared=shared,
            emails=alert_emails,
            sites=names_of_sites,
            sites_table=self._table,
            word_arns=self._word_arns(),
            state_machine=self.state_machine,
            undelivered=undelivered,
            pending_days=pending_alarm_days,
        )
        runbook = Runbook(
            self,
            "Runbook",
            state_machine=self.state_machine,
            execution_arns=self._execution_arns(),
        )
        for site in sites:
            BackupUser(
                self,
                f"BackupUser-{site.site}",
                site=site.site,
                bucket_arns=self._bucket_arns(site.buckets, site),
                immutable_bucket_arns=self._bucket_arns(
                    [bucket for bucket in site.buckets if bucket.immutability_days], site
                ),
                keys=backup_keys.get(site.site, ()),
            )
        Console(
            self,
            "Console",
            shared=shared,
            sites=names_of_sites,
            sites_table=self._table,
            word_arns=self._word_arns(),
            state_machine=self.state_machine,
            execution_arns=self._execution_arns(),
            alarms=alarms.all,
            runbook=runbook,
        )
        CfnOutput(self, "StateMachineArn", value=self.state_machine.state_machine_arn)
        CfnOutput(self, "SitesTable", value=self._table.table_name)

    def _steps(self, shared: Shared) -> Steps:
        bucket_arns = [arn for site in self._sites for arn in self._bucket_arns(site.buckets, site)]
        settings_arns = [self._parameter_arn(settings_parameter(site.site)) for site in self._sites]
        endpoint_arns = [self._parameter_arn(endpoint_parameter(site.site)) for site in self._sites]
        sites_table = {"SITES_TABLE": self._table.table_name}
        execution_arns = self._execution_arns()
        acquire_lease = StepFunctionLambda(
            self,
            "AcquireLease",
            step="acquire_lease",
            shared=shared,
            statements=[
                table.take_leases(self._table),
                table.see_whether_runs_have_ended(execution_arns),
            ],
            environment={
                **sites_table,
                "SITES": ",".join(site.site for site in self._sites),
                "RECOVERY_ACCOUNTS": ",".join(self._recovery_accounts),
            },
            explained_wildcards=explained(
                self._stack, [execution_arns], "Runs of this one workflow: each has a name of its own."
            ),
        )
        ensure_bucket = StepFunctionLambda(
            self,
            "EnsureBucket",
            step="ensure_bucket",
            shared=shared,
            statements=[
                buckets.create_buckets(bucket_arns),
                buckets.look_at_buckets(bucket_arns),
                buckets.repair_buckets(bucket_arns),
            ],
            # Bucket policies name this role by its ARN, and compare strings: the name never changes.
            role_name=self._role_name("ensure-bucket"),
        )
        attach_bucket_policy = StepFunctionLambda(
            self,
            "AttachBucketPolicy",
            step="attach_bucket_policy",
            shared=shared,
            statements=[
                buckets.administer_bucket_policies(bucket_arns),
                table.remember_replaced_policies(self._table),
                parameters.read_published_endpoint(endpoint_arns),
            ],
            environment={
                **sites_table,
                "POLICY_ADMINISTRATOR_ROLE": self._role_arn("policy-administrator"),
                "ENSURE_BUCKET_ROLE": self._role_arn("ensure-bucket"),
            },
            role_name=self._role_name("policy-administrator"),
        )
        return Steps(
            acquire_lease=acquire_lease,
            resolve_request=StepFunctionLambda(
                self,
                "ResolveRequest",
                step="resolve_request",
                shared=shared,
                statements=[
                    parameters.read_settings(settings_arns),
                    network.look_at_network("ec2:DescribeSubnets", "ec2:DescribeVpcs"),
                ],
                # Without it, whoever may write the parameter could let anybody in.
                environment={
                    "SETTINGS_DIGESTS": ",".join(
                        f"{site}={document.digest}" for site, document in self._documents.items()
                    )
                },
            ),
            ensure_bucket=ensure_bucket,
            ensure_endpoint=StepFunctionLambda(
                self,
                "EnsureEndpoint",
                step="ensure_endpoint",
                shared=shared,
                statements=[
                    network.look_at_network(
                        "ec2:DescribeSecurityGroups",
                        "ec2:DescribeVpcEndpointServices",
                        "ec2:DescribeVpcEndpoints",
                    ),
                    *network.create_tagged(self._stack),
                    *network.repair_own(self._stack),
                ],
                explained_wildcards=network.explained_wildcards(
                    self._stack, "security-group", "vpc-endpoint", "vpc", "subnet"
                ),
            ),
            check_endpoint=StepFunctionLambda(
                self,
                "CheckEndpoint",
                step="check_endpoint",
                shared=shared,
                statements=[
                    network.look_at_network("ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcEndpoints")
                ],
            ),
            read_adoption=StepFunctionLambda(
                self,
                "ReadAdoption",
                step="read_adoption",
                shared=shared,
                statements=[parameters.read_reports(self._site_parameter_arns())],
                explained_wildcards=explained(
                    self._stack,
                    self._site_parameter_arns(),
                    "All parameters of one site: its document, and its servers' reports, whose names grow.",
                ),
            ),
            attach_bucket_policy=attach_bucket_policy,
            prove_lockdown=StepFunctionLambda(
                self,
                "ProveLockdown",
                step="prove_lockdown",
                shared=shared,
                statements=[buckets.put_the_probe([f"{arn}/{PROBE_KEY}" for arn in bucket_arns])],
            ),
            publish_endpoint=StepFunctionLambda(
                self,
                "PublishEndpoint",
                step="publish_endpoint",
                shared=shared,
                statements=[parameters.publish_endpoint(endpoint_arns)],
            ),
            remove_endpoints=StepFunctionLambda(
                self,
                "RemoveEndpoints",
                step="remove_endpoints",
                shared=shared,
                statements=[
                    network.look_at_network("ec2:DescribeSecurityGroups", "ec2:DescribeVpcEndpoints"),
                    *network.delete_own(self._stack),
                ],
                explained_wildcards=network.explained_wildcards(
                    self._stack, "security-group", "vpc-endpoint"
                ),
            ),
            undo_provisioning=StepFunctionLambda(
                self,
                "UndoProvisioning",
                step="undo_provisioning",
                shared=shared,
                statements=[
                    network.look_at_network("ec2:DescribeSecurityGroups", "ec2:DescribeVpcEndpoints"),
                    *network.delete_own(self._stack),
                    parameters.read_published_endpoint(endpoint_arns),
                ],
                explained_wildcards=network.explained_wildcards(
                    self._stack, "security-group", "vpc-endpoint"
                ),
            ),
            release_lease=StepFunctionLambda(
                self,
                "ReleaseLease",
                step="release_lease",
                shared=shared,
                statements=[
                    table.give_leases_back(self._table),
                    events_policies.tell_the_account(self._event_bus_arn()),
                ],
                environment={**sites_table, "TELL_UNCHANGED": "true" if self._hub else "false"},
            ),
        )

    def _bucket_arns(self, buckets: Sequence[BucketSettings], site: SiteSettings) -> list[str]:
        default = f"{site.bucket_prefix}-{site.site}-{self._stack.account}-{self._stack.region}"
        return [f"arn:{self._stack.partition}:s3:::{bucket.name or default}" for bucket in buckets]

    def _site_parameter_arns(self) -> list[str]:
        """Of GetParametersByPath, the path itself is authorised, with or without its end."""
        return [
            self._parameter_arn(f"{PARAMETERS}/{site.site}{end}")
            for site in self._sites
            for end in ("", "/*")
        ]

    def _word_arns(self) -> list[str]:
        """What is published for the sites, and what their servers have said."""
        return [
            self._parameter_arn(name)
            for site in self._sites
            for name in (
                endpoint_parameter(site.site),
                f"{PARAMETERS}/{site.site}/adoption/*",
                f"{PARAMETERS}/{site.site}/seen/*",
            )
        ]

    def _execution_arns(self) -> str:
        return self._stack.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{NAME}-reconcile:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def _event_bus_arn(self) -> str:
        return self._stack.format_arn(service="events", resource="event-bus", resource_name="default")

    def _parameter_arn(self, name: str) -> str:
        return self._stack.format_arn(
            service="ssm", resource="parameter", resource_name=name.removeprefix("/")
        )

    def _role_name(self, purpose: str) -> str:
        return f"{NAME}-{purpose}-{self._stack.region}"

    def _role_arn(self, purpose: str) -> str:
        return self._stack.format_arn(
            service="iam", region="", resource="role", resource_name=self._role_name(purpose)
        )

    def _start_by_events(self, undelivered: sqs.IQueue, *, on_deployment: bool) -> None:
        """
        Whole events are passed on: the first step reads and checks them.

        None but a request changes what a site should be. Reports of servers are best effort in EventBridge,
        so the hourly run looks as well.
        """
        requests = (
            "Access Grant Requested",
            "Check Requested",
            "Provision Requested",
            "Release Requested",
        )
        whole = targets.SfnStateMachine(self.state_machine, dead_letter_queue=undelivered)
        events.Rule(
            self,
            "Requested",
            description="Somebody wants something of a site",
            event_pattern=events.EventPattern(
                # What another account was allowed to put on this bus asks for nothing.
                account=[self._stack.account],
                source=[NAME],
                detail_type=list(requests),
            ),
            targets=[whole],
        )
        if self._hub:
            HubLink(self, "HubLink", hub=self._hub, start=whole, undelivered=undelivered)
        events.Rule(
            self,
            "Reported",
            description="A server has reported what it made of the endpoint",
            event_pattern=events.EventPattern(
                source=["aws.ssm"],
                detail_type=["Parameter Store Change"],
                detail={
                    "name": [{"wildcard": f"{PARAMETERS}/{site.site}/adoption/*"} for site in self._sites],
                    "operation": ["Create", "Update"],
                },
            ),
            targets=[whole],
        )
        # A rule has room for five targets, so every fifth site begins a new one.
        for number, first in enumerate(range(0, len(self._sites), 5)):
            sites = [site.site for site in self._sites[first : first + 5]]
            events.Rule(
                self,
                f"Hourly{number}",
                description="Looks after what waits for a server, or for a time",
                schedule=events.Schedule.rate(Duration.hours(1)),
                targets=self._each(sites, purpose="pending", undelivered=undelivered),
            )
            events.Rule(
                self,
                f"Daily{number}",
                description="Repairs what somebody has changed by hand",
                schedule=events.Schedule.rate(Duration.days(1)),
                targets=self._each(sites, purpose="reconcile", undelivered=undelivered),
            )
            if on_deployment:
                events.Rule(
                    self,
                    f"Deployed{number}",
                    description="Makes the sites follow new settings",
                    event_pattern=events.EventPattern(
                        source=["aws.cloudformation"],
                        detail_type=["CloudFormation Stack Status Change"],
                        detail={
                            "stack-id": [self._stack.stack_id],
                            "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]},
                        },
                    ),
                    targets=self._each(sites, purpose="reconcile", undelivered=undelivered),
                )

    def _each(
        self, sites: Sequence[str], *, purpose: str, undelivered: sqs.IQueue
    ) -> list[events.IRuleTarget]:
        return [
            targets.SfnStateMachine(
                self.state_machine,
                dead_letter_queue=undelivered,
                input=events.RuleTargetInput.from_object({"site": site, "purpose": purpose}),
            )
            for site in sites
        ]
