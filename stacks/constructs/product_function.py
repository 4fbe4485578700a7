"""
One function: its log group, its role and what all functions share, said here once: runtime, architecture,
layer, tracing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import Acknowledgment, CfnResource, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

from stacks.policies.fleet import keep_what_failed

FUNCTION_TIMEOUT = Duration.seconds(60)
# The namespace of all metrics that the functions count.
METRICS = "VbrPrivateLink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What every function gets: the one asset, the layer, and how long its logs are kept."""

    code: lambda_.Code
    layer: lambda_.ILayerVersion
    retention: logs.RetentionDays
    name: str


class ProductFunction(Construct):
    """
    A function; `folder` is its folder in lambdas/, `purpose` what its role is for, in words.

    Who calls it without waiting names a queue for what it could not take: `dead_letters`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        folder: str,
        name: str,
        purpose: str,
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
            description=purpose,
        )
        log_group.grant_write(self.role)
        for statement in statements:
            self.role.add_to_policy(statement)
        if dead_letters is not None:
            self.role.add_to_policy(keep_what_failed(dead_letters))
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            code=shared.code,
            handler=f"lambdas.{folder}.handler.lambda_handler",
            layers=[shared.layer],
            role=self.role.without_policy_updates(),
            log_group=log_group,
            timeout=FUNCTION_TIMEOUT,
            memory_size=256,
            tracing=lambda_.Tracing.ACTIVE,
            dead_letter_queue=dead_letters,
            environment={
                "POWERTOOLS_SERVICE_NAME": folder,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS,
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
