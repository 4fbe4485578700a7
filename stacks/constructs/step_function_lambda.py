"""
One step of the workflow: a function and its place in the state machine.

Step Functions matches error *names*, so the retry lists are generated from the steps' own error classes.
"""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from lambdas.core.errors import retry_rules
from stacks.constructs.product_function import FUNCTION_TIMEOUT, ProductFunction, Shared

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


class StepFunctionLambda(ProductFunction):
    """A step; `step` is the name of its folder in lambdas/."""

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
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            folder=step,
            name=f"{shared.name}-{step.replace('_', '-')}",
            purpose=f"Step {step} of the workflow {shared.name}-reconcile",
            shared=shared,
            statements=statements,
            environment=environment,
            role_name=role_name,
            explained_wildcards=explained_wildcards,
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
