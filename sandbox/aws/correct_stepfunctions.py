"""
State machines run, as AWS runs them.

What moto's interpreter gets wrong, and AWS does:

- Machines made by CloudFormation live in another backend than the interpreter's, without definition from S3
  and with no `Arn` attribute. AWS has one kind of machine.
- A start without a name stores the name None, so the second one fails. AWS makes a name up.
- Tasks call other services with the keys "ak" and "sk" of nobody. AWS uses the machine's role.
- Retry counters survive when a state is entered again. AWS starts counting anew each time.
- A retry's wait can't be interrupted, StopExecution shows no effect until the running task ends, and
  forgets error and cause.
- An error of the plain Lambda integration is called "Exception", a lost connection to Lambda
  `States.TaskFailed`. AWS: `Lambda.<code>`, `Lambda.SdkClientException`.
- An exception in the interpreter leaves the execution RUNNING for ever.
- An error of an AWS SDK integration has the service's name in lower case. AWS:
  `Ssm.ParameterNotFoundException`.
- `$$.State.EnteredTime` and `$$.Execution.StartTime` have another format.
- No "Step Functions Execution Status Change" event.
- Every run parses its definition again (`definitions.py`).
"""

import datetime as dt
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.core.config import default_user_config
from moto.core.responses import ActionResult
from moto.s3.models import s3_backends
from moto.stepfunctions import models
from moto.stepfunctions.exceptions import InvalidName
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_dynamodb,
    state_task_service_events,
    state_task_service_sfn,
    state_task_service_sns,
    state_task_service_sqs,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.asl.eval.states import ExecutionData, StateData
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend import execution as execution_module
from moto.stepfunctions.parser.backend import execution_worker
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.responses import StepFunctionResponse

from sandbox.aws import definitions
from sandbox.aws.moto_pin import Corrections

LOGGER = logging.getLogger(__name__)

StatusChange = Callable[[Any, str], None]
ClientFor = Callable[[str, str, str], Any]
"""Role ARN, service, region → boto3 client."""

CALLERS = (
    lambda_eval_utils,
    state_task_service_aws_sdk,
    state_task_service_dynamodb,
    state_task_service_events,
    state_task_service_sfn,
    state_task_service_sns,
    state_task_service_sqs,
)
LONGEST_NAME = 80
_FORBIDDEN_IN_NAME = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")


def apply(
    corrections: Corrections, *, client_for: ClientFor, status_changed: StatusChange, waits: float
) -> None:
    """Correct Step Functions; retries wait *waits* times as long as they say."""
    settings: Any = default_user_config["stepfunctions"]
    before = dict(settings)
    settings["execute_state_machine"] = True
    corrections.on_restore(lambda: (settings.clear(), settings.update(before)))
    # CloudFormation asks for this name in the module when it makes, changes or deletes a machine.
    corrections.replace_value(
        models, "stepfunctions_backends", parser_models.stepfunctions_parser_backends, kind=dict
    )
    # The interpreter reports every failed state as an error of its own; here failing is what machines are
    # tested for.
    interpreter_log = logging.getLogger("moto.stepfunctions")
    level = interpreter_log.level
    interpreter_log.setLevel(logging.CRITICAL)
    corrections.on_restore(lambda: interpreter_log.setLevel(level))
    _made_by_cloudformation(corrections)
    _starts(corrections, status_changed)
    _ends(corrections, status_changed)
    _retries(corrections, waits)
    _task_clients(corrections, client_for)
    _lambda_errors(corrections)
    _sdk_errors(corrections)
    _times(corrections)
    corrections.replace(AmazonStateLanguageParser, "parse", definitions.parse, parameters=["definition"])


def stop_everything() -> None:
    """Stop every execution that still runs; its threads end by themselves."""
    for backend in list(_backends()):
        for machine in list(backend.state_machines):
            for execution in list(machine.executions):
                execution.stop(dt.datetime.now(tz=dt.UTC), None, "the sandbox stops")


def _backends() -> Iterator[Any]:
    for by_region in list(parser_models.stepfunctions_parser_backends.values()):
        yield from list(by_region.values())


# Machines made by CloudFormation


def _made_by_cloudformation(corrections: Corrections) -> None:
    def create(
        _cls: Any,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **_kwargs: Any,
    ) -> Any:
        properties = cloudformation_json["Properties"]
        backend = parser_models.stepfunctions_parser_backends[account_id][region_name]
        machine = backend.create_state_machine(
            name=properties.get("StateMachineName", resource_name),
            definition=definition_of(properties, account_id),
            roleArn=properties["RoleArn"],
            tags=_tags(properties),
            loggingConfiguration=_camel(properties.get("LoggingConfiguration")),
            tracingConfiguration=_camel(properties.get("TracingConfiguration")),
            sm_type=properties.get("StateMachineType"),
        )
        machine.sm_type = properties.get("StateMachineType", "STANDARD")
        return machine

    def update(
        cls: Any,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        properties = cloudformation_json["Properties"]
        name = properties.get("StateMachineName", original_resource.name)
        backend = parser_models.stepfunctions_parser_backends[account_id][region_name]
        if name != original_resource.name:
            new = create(cls, name, cloudformation_json, account_id, region_name)
            backend.delete_state_machine(original_resource.arn)
            return new
        del new_resource_name
        return backend.update_state_machine(
            original_resource.arn,
            definition=definition_of(properties, account_id),
            role_arn=properties["RoleArn"],
            logging_configuration=_camel(properties.get("LoggingConfiguration")),
            tracing_configuration=_camel(properties.get("TracingConfiguration")),
        )

    machine = models.StateMachine
    corrections.replace(
        machine,
        "create_from_cloudformation_json",
        create,
        parameters=["cls", "resource_name", "cloudformation_json", "account_id", "region_name", "kwargs"],
    )
    corrections.replace(
        machine,
        "update_from_cloudformation_json",
        update,
        parameters=[
            "cls",
            "original_resource",
            "new_resource_name",
            "cloudformation_json",
            "account_id",
            "region_name",
        ],
    )

    def has_attribute(cls: Any, attr: str) -> bool:
        return attr == "Arn" or bool(original_has(cls, attr))

    def get_attribute(self: Any, attribute_name: str) -> Any:
        return self.arn if attribute_name == "Arn" else original_get(self, attribute_name)

    original_has = corrections.replace(machine, "has_cfn_attr", has_attribute, parameters=["cls", "attr"])
    original_get = corrections.replace(
        machine, "get_cfn_attribute", get_attribute, parameters=["self", "attribute_name"]
    )


def definition_of(properties: Mapping[str, Any], account_id: str) -> str:
    """Return the definition that CloudFormation's properties give, in whichever of three ways."""
    if "DefinitionString" in properties:
        text = str(properties["DefinitionString"])
    elif "Definition" in properties:
        text = json.dumps(properties["Definition"])
    else:
        place = properties["DefinitionS3Location"]
        found = s3_backends[account_id]["aws"].get_object(place["Bucket"], place["Key"])
        if found is None:
            raise ValueError(f"there is no s3://{place['Bucket']}/{place['Key']}")
        text = found.value.decode()
    for name, value in (properties.get("DefinitionSubstitutions") or {}).items():
        text = text.replace(f"${{{name}}}", str(value))
    return text


def _tags(properties: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": tag["Key"], "value": tag["Value"]} for tag in properties.get("Tags", [])]


def _camel(value: Any) -> Any:
    """Turn CloudFormation's `LogGroupArn` into the API's `logGroupArn`, at every depth."""
    if isinstance(value, Mapping):
        return {f"{key[0].lower()}{key[1:]}": _camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_camel(item) for item in value]
    return value


# Starting


def _starts(corrections: Corrections, status_changed: StatusChange) -> None:
    lock = threading.Lock()

    def start_execution(
        self: Any,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: str | None = None,
        trace_header: Any = None,
    ) -> Any:
        if name is not None and (not 0 < len(name) <= LONGEST_NAME or _FORBIDDEN_IN_NAME.search(name)):
            raise InvalidName(f"Invalid Name: '{name}'")
        machine = self.describe_state_machine(state_machine_arn)
        with lock:
            # Under the lock, so that of two starts with one name the second finds the first.
            known = {execution.execution_arn for execution in machine.executions}
            execution = original(
                self, state_machine_arn, name or str(uuid.uuid4()), execution_input or "{}", trace_header
            )
        if execution.execution_arn not in known:
            status_changed(execution, "RUNNING")
        return execution

    original = corrections.replace(
        parser_models.StepFunctionsParserBackend,
        "start_execution",
        start_execution,
        parameters=["self", "state_machine_arn", "name", "execution_input", "trace_header"],
    )


# Ending


def _ends(corrections: Corrections, status_changed: StatusChange) -> None:
    def reflect(self: Any) -> None:
        execution = self.execution
        if execution.exec_status is ExecutionStatus.RUNNING:
            original_reflect(self)
            if execution.output is not None:
                # As text, whatever it is: moto would hand a JSON string on without its quotes.
                execution.output = to_json_str(execution.output, separators=(",", ":"))
            status_changed(execution, execution.exec_status.value)

    def stop(self: Any, stop_date: dt.datetime, error: str | None, cause: str | None) -> None:
        worker = self.exec_worker
        if self.exec_status is not ExecutionStatus.RUNNING:
            return
        self.exec_status = ExecutionStatus.ABORTED
        self.stop_date = dt.datetime.now(tz=dt.UTC)
        self.error, self.cause = error or None, cause or None
        if worker is not None and worker.env is not None:
            worker.env.set_stop(stop_date=stop_date, cause=cause, error=error)
        status_changed(self, "ABORTED")

    def run(self: Any) -> None:
        try:
            original_run(self)
        except Exception as error:  # the boundary of a thread: without it nobody would ever hear of the error
            LOGGER.exception("the interpreter failed")
            execution = self._execution_communication.execution
            execution.exec_status = ExecutionStatus.FAILED
            execution.stop_date = dt.datetime.now(tz=dt.UTC)
            execution.error, execution.cause = "States.Runtime", f"the interpreter failed: {error!r}"
            status_changed(execution, "FAILED")

    def stop_execution(self: Any) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        execution.stop(dt.datetime.now(tz=dt.UTC), self._get_param("error"), self._get_param("cause"))
        return ActionResult({"stopDate": execution.stop_date})

    original_reflect = corrections.replace(
        execution_module.BaseExecutionWorkerCommunication,
        "_reflect_execution_status",
        reflect,
        parameters=["self"],
    )
    corrections.replace(
        execution_module.Execution, "stop", stop, parameters=["self", "stop_date", "error", "cause"]
    )
    original_run = corrections.replace(ExecutionWorker, "_execution_logic", run, parameters=["self"])
    corrections.replace(StepFunctionResponse, "stop_execution", stop_execution, parameters=["self"])


# Retrying


def _retries(corrections: Corrections, waits: float) -> None:
    def evaluate(self: Any, env: Any) -> None:
        """As the original, with a wait that StopExecution ends."""
        self.error_equals.eval(env)
        if not env.stack.pop():
            env.stack.append(RetrierOutcome.Skipped)
            return
        self.max_attempts.eval(env=env)
        if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
            env.stack.append(RetrierOutcome.Failed)
            return
        for part in (self.interval_seconds, self.backoff_rate, self.max_delay_seconds, self.jitter_strategy):
            part.eval(env=env)
        until = time.monotonic() + float(env.stack.pop()) * waits
        while env.is_running() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        env.stack.append(RetrierOutcome.Executed)

    def enter(self: Any, env: Any) -> None:
        if self.retry is not None:
            for retrier in self.retry.retriers:
                env.heap.pop(retrier.max_attempts._attempt_number_key(), None)
                env.heap.pop(retrier.backoff_rate._next_multiplier_key(), None)
        original_enter(self, env)

    corrections.replace(retrier_decl.RetrierDecl, "_eval_body", evaluate, parameters=["self", "env"])
    original_enter = corrections.replace(
        execute_state.ExecutionState, "_eval_state", enter, parameters=["self", "env"]
    )


# Calling other services


def _task_clients(corrections: Corrections, client_for: ClientFor) -> None:
    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        if state_credentials is None:
            raise RuntimeError(f"a task calls {service} without a role")
        return client_for(state_credentials.role_arn, service, region)

    for module in CALLERS:
        corrections.replace(
            module, "boto_client_for", boto_client_for, parameters=["region", "service", "state_credentials"]
        )


def _lambda_errors(corrections: Corrections) -> None:
    def from_error(self: Any, env: Any, ex: Exception) -> Any:
        failure = original(self, env, ex)
        if isinstance(ex, ClientError | BotoCoreError):
            name = (
                f"Lambda.{ex.response['Error']['Code']}"
                if isinstance(ex, ClientError)
                else "Lambda.SdkClientException"
            )
            failure.error_name = CustomErrorName(name)
            failure.event_details["lambdaFunctionFailedEventDetails"]["error"] = name
        return failure

    original = corrections.replace(
        StateTaskLambda, "_from_error", from_error, parameters=["self", "env", "ex"]
    )


SDK_ERROR_PREFIX = {
    "cloudformation": "CloudFormation",
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
}


def _sdk_errors(corrections: Corrections) -> None:
    corrections.replace(
        state_task_service_aws_sdk.StateTaskServiceAwsSdk,
        "_normalise_service_error_name",
        lambda service_name: SDK_ERROR_PREFIX.get(service_name.lower(), service_name.capitalize()),
        parameters=["service_name"],
    )


# Times


def _times(corrections: Corrections) -> None:
    data = StateData

    def state_data(**fields: Any) -> Any:
        if "EnteredTime" in fields:
            fields["EnteredTime"] = as_aws(dt.datetime.fromisoformat(fields["EnteredTime"]))
        return data(**fields)

    def execution_data(**fields: Any) -> Any:
        if isinstance(fields.get("StartTime"), dt.datetime):
            fields["StartTime"] = as_aws(fields["StartTime"])
        return execution(**fields)

    execution = ExecutionData
    corrections.replace_value(state_module, "StateData", state_data, kind=type)
    corrections.replace_value(execution_worker, "ExecutionData", execution_data, kind=type)


def as_aws(moment: dt.datetime) -> str:
    """Format a time as Step Functions does: `2026-03-26T20:14:13.192Z`."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
