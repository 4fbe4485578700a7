"""
One step of the workflow: a function, its log group, its role and its place in the state machine.

What all steps share is said here once: runtime, architecture, layer, retries. Step Functions matches
error *names*, so the retry lists are generated from the steps' own error classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import Acknowledgment, CfnResource, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct, IConstruct

from lambdas.core.errors import retry_rules
from stacks.policies.fleet import keep_what_failed

# The names that Lambda and Step Functions themselves use (Step Functions Developer Guide, "Handle
# transient Lambda service exceptions"). CDK's own list leaves out throttling and has no jitter.
PLATFORM_ERRORS = (
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "States.Timeout",
)

FUNCTION_TIMEOUT = Duration.seconds(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What every function gets: the one asset, the layer, and how long its logs are kept."""

    code: lambda_.Code
    layer: lambda_.ILayerVersion
    retention: logs.RetentionDays
    name: str


class StepFunctionLambda(Construct):
    """
    A step; `step` is the name of its folder in lambdas/.

    Who calls it without waiting names a queue for what it could not take: `dead_letters`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        step: str,
        shared: Shared,
        statements: Sequence[iam.PolicyStatement],
        environment: Mapping[str, str] | None = None,
        role_name: str | None = None,
        explained_wildcards: Mapping[str, str] | None = None,
        dead_letters: sqs.IQueue | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(
            self, "Logs", retention=shared.retention, removal_policy=RemovalPolicy.DESTROY
        )
        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Step {step} of the workflow {shared.name}-reconcile",
        )
        log_group.grant_write(self.role)
        for statement in statements:
            self.role.add_to_policy(statement)
        if dead_letters is not None:
            self.role.add_to_policy(keep_what_failed(dead_letters))
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=f"{shared.name}-{step.replace('_', '-')}",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            code=shared.code,
            handler=f"lambdas.{step}.handler.lambda_handler",
            layers=[shared.layer],
            role=self.role.without_policy_updates(),
            log_group=log_group,
            timeout=FUNCTION_TIMEOUT,
            memory_size=256,
            tracing=lambda_.Tracing.ACTIVE,
            dead_letter_queue=dead_letters,
            environment={
                "POWERTOOLS_SERVICE_NAME": step,
                "POWERTOOLS_METRICS_NAMESPACE": "VbrPrivateLink",
                **(environment or {}),
            },
        )
        self.role.add_to_policy(send_traces())
        # The role's permissions are written here alone, so the function must wait for them itself.
        self.function.node.add_dependency(self.role.node.find_child("DefaultPolicy"))
        accept_double_dependency(self.function)
        Validations.of(self.function).acknowledge(
            Acknowledgment(
                id="AwsSolutions-L1",
                reason="Python 3.13 is the newest runtime that the pinned Powertools layer was tried with.",
            )
        )
        reasons = {
            "Resource::*": "X-Ray's PutTraceSegments and EC2's Describe calls accept no resource.",
            **(explained_wildcards or {}),
        }
        Validations.of(self.role).acknowledge(
            *(
                Acknowledgment(id=f"AwsSolutions-IAM5[{finding}]", reason=reason)
                for finding, reason in reasons.items()
            )
        )

    def task(
        self,
        state: str,
        *,
        payload: Mapping[str, object],
        result_path: str,
        selector: Mapping[str, object] | None = None,
    ) -> tasks.LambdaInvoke:
        """Make a state that calls the function, with the retries that every step has."""
        task = tasks.LambdaInvoke(
            self,
            state,
            state_name=state,
            lambda_function=self.function,
            payload=sfn.TaskInput.from_object(dict(payload)),
            payload_response_only=True,
            retry_on_service_exceptions=False,
            result_path=result_path,
            result_selector=dict(selector) if selector else None,
            task_timeout=sfn.Timeout.duration(FUNCTION_TIMEOUT.plus(Duration.seconds(30))),
        )
        for rule in retry_rules():
            task.add_retry(
                errors=list(rule.names),
                interval=Duration.seconds(rule.patience.interval_seconds),
                backoff_rate=rule.patience.backoff_rate,
                max_delay=Duration.seconds(rule.patience.max_delay_seconds),
                max_attempts=rule.patience.max_attempts,
                jitter_strategy=sfn.JitterType.FULL,
            )
        task.add_retry(
            errors=list(PLATFORM_ERRORS),
            interval=Duration.seconds(2),
            backoff_rate=2,
            max_delay=Duration.seconds(60),
            max_attempts=6,
            jitter_strategy=sfn.JitterType.FULL,
        )
        return task


def accept_double_dependency(resource: IConstruct) -> None:
    """
    Tell cfn-lint that a resource waits for its role twice, by GetAtt and by DependsOn.

    CDK adds the second one itself, and the role's policy beside it is what the resource really waits for.
    """
    definition = cast("CfnResource", resource.node.default_child)
    definition.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})


def send_traces() -> iam.PolicyStatement:
    """X-Ray accepts no resource in these calls."""
    return iam.PolicyStatement(
        sid="SendTraces",
        actions=[
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        ],
        resources=["*"],
    )
