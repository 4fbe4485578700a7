"""State machines: made by CloudFormation, run by moto's interpreter, corrected to AWS's rules."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws import EmbeddedAws
from sandbox.aws.testing import allow, finished, trust, wait_until
from tests.sandbox.aws.templates import function, machine, stack

CODE = """
SEEN = {}

class EndpointPendingError(Exception):
    pass

class RefusedError(Exception):
    pass

def handler(event, context):
    key = event.get("key")
    SEEN[key] = SEEN.get(key, 0) + 1
    if event.get("refuse"):
        raise RefusedError("no")
    if SEEN[key] <= event.get("pending", 0):
        raise EndpointPendingError(f"attempt {SEEN[key]}")
    return {"attempts": SEEN[key], "event": event}
"""


@pytest.fixture(name="states", scope="module")
def _states(aws: EmbeddedAws) -> Any:
    return aws.client("stepfunctions", config=Config(max_pool_connections=60))


@pytest.fixture(name="role", scope="module")
def _role(aws: EmbeddedAws) -> str:
    iam = aws.client("iam")
    arn = iam.create_role(
        RoleName="machines", AssumeRolePolicyDocument=json.dumps(trust("states.amazonaws.com"))
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="machines",
        PolicyName="all",
        PolicyDocument=json.dumps(allow("dynamodb:*", "lambda:*", "ssm:*")),
    )
    return str(arn)


@pytest.fixture(name="function_arn", scope="module")
def _function_arn(aws: EmbeddedAws) -> str:
    name = aws.deploy_template("worker", stack(function(CODE)))["Function"]
    return f"arn:aws:lambda:ap-northeast-1:111122223333:function:{name}"


class Runner:
    """Makes machines and runs them to the end."""

    def __init__(self, states: Any, role: str) -> None:
        self.states = states
        self._role = role
        self._number = 0

    def make(self, start: str, **steps: Any) -> str:
        """Make a machine of *steps* that begins at *start*."""
        self._number += 1
        definition = json.dumps({"StartAt": start, "States": steps})
        arn = self.states.create_state_machine(
            name=f"machine-{self._number}", definition=definition, roleArn=self._role
        )["stateMachineArn"]
        return str(arn)

    def run(self, arn: str, **given: Any) -> dict[str, Any]:
        """Run it on *given* and return what DescribeExecution says at the end."""
        execution = self.states.start_execution(stateMachineArn=arn, input=json.dumps(given))
        return finished(self.states, execution["executionArn"])


@pytest.fixture(name="runner", scope="module")
def _runner(states: Any, role: str) -> Runner:
    return Runner(states, role)


def invoke(function_arn: str, **payload: Any) -> dict[str, Any]:
    """Return a task that calls the function through the optimized integration."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function_arn, "Payload": payload},
        "OutputPath": "$.Payload",
    }


def test_a_machine_made_by_cloudformation_runs(aws: EmbeddedAws, states: Any) -> None:
    """moto keeps those where its interpreter doesn't look."""
    definition = {
        "StartAt": "Work",
        "States": {"Work": {"Type": "Task", "Resource": "FN", "Parameters": {"key": "cfn"}, "End": True}},
    }
    outputs = aws.deploy_template("made", stack(function(CODE), machine(definition)))
    execution = states.start_execution(stateMachineArn=outputs["Machine"])
    ended = finished(states, execution["executionArn"])

    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["attempts"] == 1


def test_a_changed_definition_is_what_runs_next(aws: EmbeddedAws, states: Any) -> None:
    """Updating a stack must reach the interpreter, not only the description."""
    arns = []
    outputs = []
    for number in (1, 2):
        definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": number, "End": True}}}
        arn = aws.deploy_template("changed", stack(function(CODE), machine(definition)))["Machine"]
        arns.append(arn)
        outputs.append(
            finished(states, states.start_execution(stateMachineArn=arn)["executionArn"])["output"]
        )

    assert arns[0] == arns[1]
    assert outputs == ["1", "2"]


def test_names_are_made_up_and_kept_apart(runner: Runner) -> None:
    """Same name and input while running: the same execution; other input: an error."""
    arn = runner.make("W", W={"Type": "Wait", "Seconds": 2, "End": True})
    start = runner.states.start_execution
    unnamed = {start(stateMachineArn=arn)["executionArn"] for _ in range(2)}
    named = [start(stateMachineArn=arn, name="one", input='{"a":1}')["executionArn"] for _ in range(2)]

    assert len(unnamed) == 2
    assert named[0] == named[1]
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(stateMachineArn=arn, name="one", input='{"a":2}')
    with pytest.raises(ClientError, match="InvalidName"):
        start(stateMachineArn=arn, name="no blanks")
    assert len(runner.states.list_executions(stateMachineArn=arn)["executions"]) == 3


@pytest.mark.parametrize("plain", [True, False])
def test_an_error_is_retried_by_the_name_of_its_class(
    runner: Runner,
    function_arn: str,
    plain: bool,
) -> None:
    """Both ways of calling a function, as the retry lists assume."""
    key = f"retried-{plain}"
    task = (
        {"Type": "Task", "Resource": function_arn, "Parameters": {"key": key, "pending": 2}}
        if plain
        else invoke(function_arn, key=key, pending=2)
    )
    retry = {
        "ErrorEquals": ["EndpointPendingError"],
        "IntervalSeconds": 1,
        "MaxAttempts": 5,
        "BackoffRate": 1.0,
    }
    arn = runner.make("T", T={**task, "Retry": [retry], "End": True})
    started = time.monotonic()
    ended = runner.run(arn)

    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["attempts"] == 3
    assert 1.9 < time.monotonic() - started < 5


def test_back_off_grows_up_to_the_maximum_delay(runner: Runner, function_arn: str) -> None:
    """1 s, then 4 s cut to 2 s: 3 s in all."""
    retry = {
        "ErrorEquals": ["EndpointPendingError"],
        "IntervalSeconds": 1,
        "BackoffRate": 4.0,
        "MaxDelaySeconds": 2,
        "MaxAttempts": 2,
    }
    arn = runner.make(
        "T", T={**invoke(function_arn, key="backoff", pending=2), "Retry": [retry], "End": True}
    )
    started = time.monotonic()
    ended = runner.run(arn)

    assert ended["status"] == "SUCCEEDED", ended
    assert 2.9 < time.monotonic() - started < 4.5


def test_attempts_run_out_and_full_jitter_only_shortens(runner: Runner, function_arn: str) -> None:
    """After MaxAttempts the error goes to Catch, with its name and Lambda's JSON as cause."""
    retry = {
        "ErrorEquals": ["RefusedError"],
        "IntervalSeconds": 1,
        "MaxAttempts": 2,
        "BackoffRate": 1.0,
        "JitterStrategy": "FULL",
    }
    catch = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Fail"}
    arn = runner.make(
        "T",
        T={
            **invoke(function_arn, key="jitter", refuse=True),
            "Retry": [retry],
            "Catch": [catch],
            "End": True,
        },
        Fail={"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    )
    started = time.monotonic()
    ended = runner.run(arn, kept=True)
    history = runner.states.get_execution_history(executionArn=ended["executionArn"], maxResults=100)[
        "events"
    ]

    assert (ended["status"], ended["error"]) == ("FAILED", "RefusedError")
    assert json.loads(ended["cause"])["errorMessage"] == "no"
    assert [event["type"] for event in history].count("TaskFailed") == 3
    assert time.monotonic() - started < 3.5
    entered = [event for event in history if event["type"] == "FailStateEntered"]
    assert json.loads(entered[0]["stateEnteredEventDetails"]["input"])["kept"] is True


def test_retries_start_anew_when_a_state_is_entered_again(runner: Runner, function_arn: str) -> None:
    """A loop that waits its turn must not run out of attempts over the hours."""
    retry = {
        "ErrorEquals": ["EndpointPendingError"],
        "IntervalSeconds": 1,
        "MaxAttempts": 1,
        "BackoffRate": 1.0,
    }
    task = {
        "Type": "Task",
        "Resource": function_arn,
        "Parameters": {"key.$": "States.Format('again-{}', $.round)", "pending": 1},
        "ResultPath": "$.result",
        "Retry": [retry],
        "Next": "Count",
    }
    count = {
        "Type": "Pass",
        "Parameters": {"round.$": "States.MathAdd($.round, 1)"},
        "Next": "More",
    }
    more = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.round", "NumericLessThan": 2, "Next": "T"}],
        "Default": "Done",
    }
    arn = runner.make("T", T=task, Count=count, More=more, Done={"Type": "Succeed"})

    assert runner.run(arn, round=0)["status"] == "SUCCEEDED"


def test_unmatched_errors_fail_the_execution(runner: Runner, function_arn: str) -> None:
    """Neither Retry nor Catch names it."""
    task = {
        **invoke(function_arn, key="unmatched", refuse=True),
        "Retry": [{"ErrorEquals": ["EndpointPendingError"]}],
        "Catch": [{"ErrorEquals": ["OtherError"], "Next": "Done"}],
        "End": True,
    }
    ended = runner.run(runner.make("T", T=task, Done={"Type": "Succeed"}))

    assert (ended["status"], ended["error"]) == ("FAILED", "RefusedError")


def test_choice_pass_wait_and_intrinsic_functions(runner: Runner) -> None:
    """What the workflow is written with, each once."""
    prepare = {
        "Type": "Pass",
        "Parameters": {
            "text.$": "States.Format('{}/{}', $.site, $.count)",
            "parsed.$": "States.StringToJson($.document)",
            "written.$": "States.JsonToString($.object)",
            "merged.$": "States.JsonMerge($.object, $.other, false)",
            "array.$": "States.Array($.site, $.count)",
            "id.$": "$$.Execution.Id",
            "name.$": "$$.Execution.Name",
            "started.$": "$$.Execution.StartTime",
            "entered.$": "$$.State.EnteredTime",
            "state.$": "$$.State.Name",
            "machine.$": "$$.StateMachine.Id",
        },
        "ResultPath": "$.prepared",
        "Next": "Decide",
    }
    decide = {
        "Type": "Choice",
        "Choices": [
            {
                "And": [
                    {"Variable": "$.count", "NumericGreaterThan": 1},
                    {"Not": {"Variable": "$.absent", "IsPresent": True}},
                    {"Variable": "$.site", "StringMatches": "tok*"},
                ],
                "Next": "Wait",
            }
        ],
        "Default": "Fail",
    }
    arn = runner.make(
        "Prepare",
        Prepare=prepare,
        Decide=decide,
        Wait={"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Done"},
        Done={"Type": "Succeed"},
        Fail={"Type": "Fail", "Error": "WrongSiteError", "Cause": "not Tokyo"},
    )
    given = {
        "site": "tokyo",
        "count": 2,
        "seconds": 1,
        "document": '{"a": [1]}',
        "object": {"b": 1},
        "other": {"c": 2},
    }
    ended = runner.run(arn, **given)
    prepared = json.loads(ended["output"])["prepared"]
    failed = runner.run(arn, **{**given, "site": "osaka"})

    assert prepared["text"] == "tokyo/2"
    assert prepared["parsed"] == {"a": [1]}
    assert json.loads(prepared["written"]) == {"b": 1}
    assert prepared["merged"] == {"b": 1, "c": 2}
    assert prepared["array"] == ["tokyo", 2]
    assert (prepared["id"], prepared["name"]) == (ended["executionArn"], ended["name"])
    assert (prepared["state"], prepared["machine"]) == ("Prepare", arn)
    assert prepared["started"].endswith("Z")
    assert prepared["entered"].endswith("Z")
    assert (failed["status"], failed["error"], failed["cause"]) == ("FAILED", "WrongSiteError", "not Tokyo")


def test_a_missing_path_is_a_runtime_error(runner: Runner) -> None:
    """It can't be caught on AWS either; it must not hang here."""
    ended = runner.run(runner.make("P", P={"Type": "Pass", "Parameters": {"a.$": "$.none"}, "End": True}))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_sdk_integrations_have_awss_error_names(runner: Runner) -> None:
    """`Ssm.ParameterNotFoundException`, not `ssm.`: Catch compares names."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ssm:getParameter",
        "Parameters": {"Name": "/none"},
        "Catch": [{"ErrorEquals": ["Ssm.ParameterNotFoundException"], "ResultPath": None, "Next": "Done"}],
        "End": True,
    }

    assert runner.run(runner.make("T", T=task, Done={"Type": "Succeed"}))["status"] == "SUCCEEDED"


def test_tasks_act_as_the_machines_role(aws: EmbeddedAws, runner: Runner, function_arn: str) -> None:
    """A permission that the role lacks fails the task with Lambda's own name for it."""
    iam = aws.client("iam")
    powerless = iam.create_role(
        RoleName="powerless", AssumeRolePolicyDocument=json.dumps(trust("states.amazonaws.com"))
    )["Role"]["Arn"]
    weak = Runner(runner.states, powerless)
    weak._number = 1000
    plain = {"Type": "Task", "Resource": function_arn, "End": True}
    ended = weak.run(weak.make("T", T=plain))

    assert (ended["status"], ended["error"]) == ("FAILED", "Lambda.AccessDeniedException")
    assert "lambda:InvokeFunction" in ended["cause"]


def test_stopping_is_seen_at_once(runner: Runner, function_arn: str) -> None:
    """With its error and cause; also while a retry waits."""
    retry = {"ErrorEquals": ["RefusedError"], "IntervalSeconds": 60, "MaxAttempts": 5}
    task = {**invoke(function_arn, key="stopped", refuse=True), "Retry": [retry], "End": True}
    arn = runner.make("T", T=task)
    execution = runner.states.start_execution(stateMachineArn=arn)["executionArn"]
    threads = threading.active_count()
    runner.states.stop_execution(executionArn=execution, error="Stopped", cause="by hand")
    described = runner.states.describe_execution(executionArn=execution)

    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Stopped", "by hand")
    assert described["stopDate"]
    wait_until(lambda: threading.active_count() <= threads, what="the interpreter's thread has ended")


def test_fifty_executions_at_once(runner: Runner, function_arn: str) -> None:
    """Nothing is lost or mixed up."""
    arn = runner.make(
        "T",
        T={
            "Type": "Task",
            "Resource": function_arn,
            "Parameters": {"key.$": "$$.Execution.Name", "number.$": "$.number"},
            "End": True,
        },
    )
    with ThreadPoolExecutor(16) as pool:
        started = list(
            pool.map(
                lambda number: runner.states.start_execution(
                    stateMachineArn=arn, input=json.dumps({"number": number})
                )["executionArn"],
                range(50),
            )
        )
    ended = [finished(runner.states, execution) for execution in started]

    assert {one["status"] for one in ended} == {"SUCCEEDED"}
    assert [json.loads(one["output"])["event"]["number"] for one in ended] == list(range(50))


def test_conditional_writes_are_not_overtaken(aws: EmbeddedAws) -> None:
    """The lease stands on it: of many writers with the same condition exactly one wins."""
    table = aws.client("dynamodb", config=Config(max_pool_connections=20))
    table.create_table(
        TableName="leases",
        KeySchema=[{"AttributeName": "site", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "site", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def take(number: int) -> bool:
        try:
            table.put_item(
                TableName="leases",
                Item={"site": {"S": "tokyo"}, "holder": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(site)",
            )
        except table.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(take, range(32))) == 1
