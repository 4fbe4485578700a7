"""
The state machine: makes a site what it should be, or releases it, or only looks.

A failure before the publication is undone as far as the run had come; the lease is always released;
the first error is the execution's error. A release is not undone: the next run goes on with it.
JSONPath, because the embedded AWS can't run JSONata.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.product_function import accept_double_dependency, send_traces
from stacks.constructs.step_function_lambda import StepFunctionLambda

_EXECUTION = sfn.JsonPath.string_at("$$.Execution.Id")
_SITE = sfn.JsonPath.object_at("$.site")
_LEASED_SITE = sfn.JsonPath.string_at("$.lease.site")
_INTENT = sfn.JsonPath.string_at("$.lease.intent")
_REPAIR = sfn.JsonPath.object_at("$.lease.repair")
_MEMORY = sfn.JsonPath.object_at("$.lease.memory")
_ENDPOINT = sfn.JsonPath.string_at("$.endpoint.vpc_endpoint_id")
_LOCKED = sfn.JsonPath.object_at("$.adoption.enforce")
_LET_IN = sfn.JsonPath.object_at("$.adoption.let_in")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The functions, by what they do."""

    acquire_lease: StepFunctionLambda
    resolve_request: StepFunctionLambda
    ensure_bucket: StepFunctionLambda
    ensure_endpoint: StepFunctionLambda
    check_endpoint: StepFunctionLambda
    read_adoption: StepFunctionLambda
    attach_bucket_policy: StepFunctionLambda
    prove_lockdown: StepFunctionLambda
    publish_endpoint: StepFunctionLambda
    remove_endpoints: StepFunctionLambda
    undo_provisioning: StepFunctionLambda
    release_lease: StepFunctionLambda


class Reconcile(Construct):
    """The workflow `<name>-reconcile`."""

    def __init__(
        self, scope: Construct, construct_id: str, *, steps: Steps, name: str, log_group: logs.ILogGroup
    ) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description=f"The workflow {name}",
        )
        functions = [getattr(steps, field.name).function.function_arn for field in fields(steps)]
        for statement in (call_the_steps(functions), send_traces(), deliver_logs()):
            role.add_to_policy(statement)
        Validations.of(role).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason="X-Ray and the delivery of logs accept no resource.",
            )
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=name,
            role=role.without_policy_updates(),
            definition_body=sfn.DefinitionBody.from_chainable(_definition(self, steps)),
            # Longer than all patience together: a run that times out skips its Catch.
            timeout=Duration.hours(6),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
        )
        # Step Functions refuses a machine whose role may not deliver its logs yet.
        self.state_machine.node.add_dependency(role.node.find_child("DefaultPolicy"))
        accept_double_dependency(self.state_machine)


def call_the_steps(function_arns: Sequence[str]) -> iam.PolicyStatement:
    """The functions themselves: CDK's own grant would add every version and alias."""
    return iam.PolicyStatement(
        sid="CallTheSteps", actions=["lambda:InvokeFunction"], resources=list(function_arns)
    )


def deliver_logs() -> iam.PolicyStatement:
    """Step Functions sets its log delivery up through these; none accepts a resource."""
    return iam.PolicyStatement(
        sid="DeliverLogs",
        actions=[
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ],
        resources=["*"],
    )


def _definition(scope: Construct, steps: Steps) -> sfn.IChainable:
    release = _release_lease(scope, steps)
    acquire = steps.acquire_lease.task(
        "AcquireLease",
        payload={"request": sfn.JsonPath.object_at("$"), "execution": _EXECUTION},
        # From here on the state holds what was validated, and nothing of what was sent.
        selector={"lease": sfn.JsonPath.object_at("$")},
        result_path="$",
    )
    refused = sfn.Fail(scope, "Refused", error_path="$.Error", cause_path="$.Cause")
    acquire.add_catch(refused, errors=["States.ALL"], result_path="$")
    outcome, intent = "$.lease.outcome", "$.lease.intent"
    return acquire.next(
        sfn.Choice(scope, "WhatShouldBe")
        .when(
            sfn.Condition.string_equals(outcome, "superseded"),
            sfn.Succeed(scope, "Superseded", comment="Another run waits for the lease and will do the same."),
        )
        .when(
            sfn.Condition.string_equals(outcome, "idle"),
            sfn.Succeed(scope, "NothingPending", comment="The hourly run has nothing to do."),
        )
        .when(sfn.Condition.string_equals(intent, "provisioned"), _provision(scope, steps, release))
        .when(
            sfn.Condition.and_(
                sfn.Condition.string_equals(intent, "released"),
                sfn.Condition.boolean_equals("$.lease.repair", False),
            ),
            release,
        )
        .when(sfn.Condition.string_equals(intent, "released"), _release_site(scope, steps, release))
        .otherwise(_unknown_intent(scope, release))
    )


def _provision(scope: Construct, steps: Steps, release: sfn.IChainable) -> sfn.IChainable:
    undo = steps.undo_provisioning.task(
        "UndoProvisioning",
        payload={"site": _LEASED_SITE, "execution": _EXECUTION},
        result_path="$.undone",
    )
    # A failed undo must not hide why the run failed; what it left carries the run's tag.
    undo.add_catch(release, errors=["States.ALL"], result_path="$.undo_error")
    undo.next(release)

    restore = steps.attach_bucket_policy.task(
        "RestoreBucketPolicy",
        payload={"action": "restore", "site": _LEASED_SITE, "execution": _EXECUTION},
        result_path="$.restored",
    )
    restore.add_catch(undo, errors=["States.ALL"], result_path="$.undo_error")
    restore.next(undo)

    resolve = steps.resolve_request.task(
        "ResolveRequest",
        payload={"site": _LEASED_SITE, "execution": _EXECUTION, "intent": _INTENT},
        result_path="$.site",
    )
    bucket = steps.ensure_bucket.task(
        "EnsureBucket",
        payload={
            "site": _SITE,
            "execution": _EXECUTION,
            "repair": _REPAIR,
            "enforced_before": sfn.JsonPath.object_at("$.lease.memory.enforced"),
        },
        result_path="$.bucket",
    )
    endpoint = steps.ensure_endpoint.task(
        "EnsureEndpoint",
        payload={
            "site": _SITE,
            "execution": _EXECUTION,
            "repair": _REPAIR,
            "known": sfn.JsonPath.object_at("$.lease.memory.endpoints"),
        },
        result_path="$.endpoint",
    )
    check = steps.check_endpoint.task(
        "CheckEndpoint",
        payload={"vpc_endpoint_id": _ENDPOINT, "region": sfn.JsonPath.string_at("$.site.region")},
        result_path="$.reach",
    )
    adoption = steps.read_adoption.task(
        "ReadAdoption",
        payload={
            "about": "adoption",
            "site": _LEASED_SITE,
            "expected_servers": sfn.JsonPath.object_at("$.site.expected_servers"),
            "memory": _MEMORY,
            "vpc_endpoint_id": _ENDPOINT,
            "others": sfn.JsonPath.object_at("$.endpoint.others"),
            "enforced": sfn.JsonPath.object_at("$.bucket.enforced"),
            "pending": sfn.JsonPath.object_at("$.bucket.pending"),
        },
        result_path="$.adoption",
    )
    attach = steps.attach_bucket_policy.task(
        "AttachBucketPolicy",
        payload={
            "action": "attach",
            "site": _SITE,
            "buckets": _LOCKED,
            "let_in": _LET_IN,
            "memory": _MEMORY,
            "repair": _REPAIR,
            "execution": _EXECUTION,
        },
        result_path="$.policy",
    )
    prove = steps.prove_lockdown.task(
        "ProveLockdown",
        payload={"account_id": sfn.JsonPath.string_at("$.site.account_id"), "buckets": _LOCKED},
        result_path="$.proof",
    )
    publish = steps.publish_endpoint.task(
        "PublishEndpoint",
        payload={
            "action": "publish",
            "site": _SITE,
            "vpc_endpoint_id": _ENDPOINT,
            "endpoint_host": sfn.JsonPath.string_at("$.reach.endpoint_host"),
            "endpoint_addresses": sfn.JsonPath.object_at("$.reach.endpoint_addresses"),
            "execution": _EXECUTION,
            "repair": _REPAIR,
        },
        result_path="$.publication",
    )
    retire = steps.remove_endpoints.task(
        "RetireEndpoints", payload={"site": _LEASED_SITE, "keep": _LET_IN}, result_path="$.retirement"
    )
    # Each failure is undone as far as the run had come: nothing, the endpoint, or the policy as well.
    for task in (resolve, bucket, retire):
        task.add_catch(release, errors=["States.ALL"], result_path="$.error")
    for task in (endpoint, check, adoption):
        task.add_catch(undo, errors=["States.ALL"], result_path="$.error")
    # Whoever has lost the lease must not undo what the new holder relies on.
    attach.add_catch(release, errors=["LeaseLostError"], result_path="$.error")
    for task in (attach, prove, publish):
        task.add_catch(restore, errors=["States.ALL"], result_path="$.error")

    retire.next(release)
    publish.next(
        sfn.Choice(scope, "AnythingToRetire")
        .when(
            sfn.Condition.and_(
                sfn.Condition.boolean_equals("$.adoption.retire", True),
                sfn.Condition.boolean_equals("$.lease.repair", True),
            ),
            retire,
        )
        .otherwise(release)
    )
    prove.next(publish)
    attach.next(
        sfn.Choice(scope, "AnythingToProve")
        # A run that only checks has said already that the policy is not what it should be.
        .when(
            sfn.Condition.and_(
                sfn.Condition.boolean_equals("$.lease.repair", False),
                sfn.Condition.is_present("$.policy.buckets[0]"),
            ),
            publish,
        )
        .otherwise(prove)
    )
    check.next(adoption).next(attach)
    endpoint.next(
        sfn.Choice(scope, "IsThereAnEndpoint")
        # Only a run that checks goes on without one.
        .when(sfn.Condition.is_null("$.endpoint.vpc_endpoint_id"), release)
        .otherwise(check)
    )
    return resolve.next(bucket).next(endpoint)


def _release_site(scope: Construct, steps: Steps, release: sfn.IChainable) -> sfn.IChainable:
    """
    In this order: servers go back to public endpoints, so the denial must be gone before they are told;
    and they use the endpoint until they have gone back, so it is deleted last.
    """
    resolve = steps.resolve_request.task(
        "ResolveRelease",
        payload={"site": _LEASED_SITE, "execution": _EXECUTION, "intent": _INTENT},
        result_path="$.site",
    )
    detach = steps.attach_bucket_policy.task(
        "DetachBucketPolicy", payload={"action": "detach", "site": _SITE}, result_path="$.detachment"
    )
    withdraw = steps.publish_endpoint.task(
        "WithdrawEndpoint",
        payload={"action": "withdraw", "site": _LEASED_SITE, "execution": _EXECUTION},
        result_path="$.publication",
    )
    reversion = steps.read_adoption.task(
        "ReadReversion",
        payload={
            "about": "reversion",
            "site": _SITE,
            "memory": _MEMORY,
            "purpose": sfn.JsonPath.string_at("$.lease.purpose"),
        },
        result_path="$.reversion",
    )
    remove = steps.remove_endpoints.task(
        "RemoveEndpoints",
        payload={"site": _LEASED_SITE, "keep": []},
        result_path="$.removal",
    )
    for task in (resolve, detach, withdraw, reversion, remove):
        task.add_catch(release, errors=["States.ALL"], result_path="$.error")
    remove.next(release)
    reversion.next(
        sfn.Choice(scope, "AreAllBack")
        .when(sfn.Condition.boolean_equals("$.reversion.back", True), remove)
        # Each report starts a run, and the hourly one looks as well.
        .otherwise(release)
    )
    return resolve.next(detach).next(withdraw).next(reversion)


def _unknown_intent(scope: Construct, release: sfn.IChainable) -> sfn.IChainable:
    """A newer version of the product stored an intent that this one doesn't know: leave the site alone."""
    error = sfn.Pass(
        scope,
        "UnknownIntent",
        parameters={
            "Error": "UnknownIntent",
            "Cause": sfn.JsonPath.format(
                "intent: this version does not know the stored intent {} of site {}; upgrade the stack",
                sfn.JsonPath.string_at("$.lease.intent"),
                _LEASED_SITE,
            ),
        },
        result_path="$.error",
    )
    return error.next(release)


def _release_lease(scope: Construct, steps: Steps) -> sfn.TaskStateBase:
    release = steps.release_lease.task(
        "ReleaseLease", payload={"run": sfn.JsonPath.object_at("$")}, result_path="$.end"
    )
    outcome = (
        sfn.Choice(scope, "Outcome")
        .when(
            sfn.Condition.is_present("$.error"),
            sfn.Fail(scope, "Failed", error_path="$.error.Error", cause_path="$.error.Cause"),
        )
        .otherwise(sfn.Succeed(scope, "Done"))
    )
    # A lease that could not be given back is taken over once this execution has ended.
    release.add_catch(outcome, errors=["States.ALL"], result_path="$.release_error")
    release.next(outcome)
    return release
