"""Faults on the way: they strike the calls that were chosen, as AWS would, and no other one."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox.aws import EmbeddedAws, EmbeddedAwsOptions
from sandbox.aws.errors import ErrorAnswer
from sandbox.aws.faults import Dropped, OutOfTime, Refused, Strike
from sandbox.aws.testing import allow, finished, trust
from tests.sandbox.aws.templates import function, stack

ONCE = Config(retries={"total_max_attempts": 1})
THROTTLED = Refused(answer=ErrorAnswer(status=400, code="ThrottlingException", message="Rate exceeded"))
CODE = """
import boto3
from botocore.config import Config

def handler(event, context):
    config = Config(retries={"mode": "standard", "total_max_attempts": event.get("attempts", 1)})
    ssm = boto3.client("ssm", config=config)
    return {"version": ssm.put_parameter(Name="/f", Value="v", Type="String", Overwrite=True)["Version"]}
"""


@pytest.fixture(name="aws", scope="module")
def _aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    options = EmbeddedAwsOptions(state=tmp_path_factory.mktemp("aws"), waits=0.001)
    with EmbeddedAws(options) as aws:
        yield aws


@pytest.fixture(name="writer", scope="module")
def _writer(aws: EmbeddedAws) -> str:
    resources = function(CODE)
    resources["FnRole"]["Properties"]["Policies"] = [
        {"PolicyName": "write", "PolicyDocument": allow("ssm:PutParameter")}
    ]
    return aws.deploy_template("writer", stack(resources))["Function"]


def invoke(aws: EmbeddedAws, name: str, **event: Any) -> Any:
    """Call the function and return its payload."""
    return json.loads(
        aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read()
    )


def version(aws: EmbeddedAws, name: str) -> int:
    """How often a parameter has been written."""
    ssm = aws.client("ssm")
    try:
        return int(ssm.get_parameter(Name=name)["Parameter"]["Version"])
    except ssm.exceptions.ParameterNotFound:
        return 0


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("s3", "s3:ListBuckets", {}),
        ("ec2", "ec2:DescribeVpcs", {}),
        ("ssm", "ssm:DescribeParameters", {}),
        ("sts", "sts:GetCallerIdentity", {}),
        ("lambda", "lambda:ListFunctions", {}),
    ],
)
def test_a_refusal_speaks_the_protocol_of_its_service(
    aws: EmbeddedAws, service: str, call: str, arguments: dict[str, Any]
) -> None:
    """A code that the client can't read would be another fault than the one that was meant."""
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in call.split(":")[1])
    client = aws.client(service, config=ONCE)
    with (
        aws.faults.armed(Strike(source="client", call=call, fault=THROTTLED)) as struck,
        pytest.raises(ClientError) as refusal,
    ):
        getattr(client, method.removeprefix("_"))(**arguments)
    line = aws.requests()[-1]

    assert refusal.value.response["Error"]["Code"] == "ThrottlingException"
    assert refusal.value.response["Error"]["Message"] == "Rate exceeded"
    assert (struck.seen, struck.times) == (1, 1)
    assert (line["status"], line["error_code"]) == (400, "ThrottlingException")
    assert line["fault"] == "refused: ThrottlingException"


def test_what_is_refused_is_not_carried_out_and_what_is_dropped_is(aws: EmbeddedAws) -> None:
    """The difference is what a retry has to cope with."""
    ssm = aws.client("ssm", config=ONCE)
    put = {"Value": "v", "Type": "String"}
    with (
        aws.faults.armed(Strike(source="client", call="ssm:PutParameter", fault=THROTTLED)),
        pytest.raises(ClientError),
    ):
        ssm.put_parameter(Name="/refused", **put)
    with (
        aws.faults.armed(Strike(source="client", call="ssm:PutParameter", fault=Dropped())),
        pytest.raises(ConnectionClosedError),
    ):
        ssm.put_parameter(Name="/dropped", **put)
    line = next(one for one in reversed(aws.requests()) if one["action"] == "PutParameter")

    assert version(aws, "/refused") == 0
    assert version(aws, "/dropped") == 1
    assert (line["status"], line["fault"]) == (200, "dropped")


def test_a_strike_hits_its_calls_and_no_other(aws: EmbeddedAws) -> None:
    """The second and the third call of one client for one thing; after its context none."""
    ssm, s3 = aws.client("ssm", config=ONCE), aws.client("s3", config=ONCE)
    user = aws.client("ssm", aws.root(), config=ONCE)
    strike = Strike(
        source="client",
        call="ssm:GetParameter",
        fault=THROTTLED,
        parameters={"Name": "/chosen"},
        first=2,
        times=2,
    )
    for name in ("/chosen", "/other"):
        ssm.put_parameter(Name=name, Value="v", Type="String")

    def outcomes(name: str) -> list[bool]:
        answers = []
        for _ in range(4):
            try:
                ssm.get_parameter(Name=name)
            except ClientError:
                answers.append(False)
            else:
                answers.append(True)
        return answers

    with aws.faults.armed(strike) as struck:
        chosen = outcomes("/chosen")
        other = outcomes("/other")
        s3.list_buckets()
    afterwards = outcomes("/chosen")
    with aws.faults.armed(Strike(source="lambda:f", call="ssm:GetParameter", fault=THROTTLED)) as not_me:
        user.get_parameter(Name="/chosen")

    assert chosen == [True, False, False, True]
    assert all(other)
    assert all(afterwards)
    assert (struck.seen, struck.times) == (4, 2)
    assert not_me.seen == 0


def test_a_function_that_is_out_of_time_has_done_what_it_asked_for(aws: EmbeddedAws, writer: str) -> None:
    """The platform ends it in the middle: no handler runs, and the next invocation begins anew."""
    before = version(aws, "/f")
    strike = Strike(source=f"lambda:{writer}", call="ssm:PutParameter", fault=OutOfTime())
    with aws.faults.armed(strike) as struck:
        ended = invoke(aws, writer, attempts=4)
    again = invoke(aws, writer)

    assert struck.times == 1
    assert ended["errorType"] == "Sandbox.Timedout"
    assert again == {"version": before + 2}


def test_only_a_function_can_be_out_of_time(aws: EmbeddedAws) -> None:
    """A fault that can't happen must not look as if it had been tried."""
    with (
        pytest.raises(ValueError, match="only a function"),
        aws.faults.armed(Strike(source="client", call="ssm:PutParameter", fault=OutOfTime())),
    ):
        pass


def test_waits_are_shortened_in_functions(aws: EmbeddedAws, writer: str) -> None:
    """boto3 would sleep for some seconds between twelve attempts."""
    strike = Strike(source=f"lambda:{writer}", call="ssm:PutParameter", fault=THROTTLED, times=11)
    started = time.monotonic()
    with aws.faults.armed(strike) as struck:
        answer = invoke(aws, writer, attempts=12)

    assert "version" in answer, answer
    assert struck.times == 11
    # Unshortened it is a minute and a half on average.
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (
            Refused(answer=ErrorAnswer(status=429, code="TooManyRequestsException", message="Rate")),
            "Lambda.TooManyRequestsException",
        ),
        (Dropped(), "Lambda.SdkClientException"),
    ],
    ids=str,
)
def test_a_state_machine_names_what_keeps_it_from_a_function(
    aws: EmbeddedAws, writer: str, fault: Refused | Dropped, name: str
) -> None:
    """Step Functions matches names; ten minutes' wait before the retry is shortened as well."""
    iam, states = aws.client("iam"), aws.client("stepfunctions")
    role = f"machine-{name}"
    document = json.dumps(trust("states.amazonaws.com"))
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=role,
        PolicyName="call",
        PolicyDocument=json.dumps(allow("lambda:InvokeFunction")),
    )
    function_arn = f"arn:aws:lambda:{aws.options.region}:{aws.options.account_id}:function:{writer}"
    task = {
        "Type": "Task",
        "Resource": function_arn,
        "Parameters": {},
        "End": True,
        "Retry": [{"ErrorEquals": [name], "IntervalSeconds": 600, "MaxAttempts": 1}],
    }
    machine = states.create_state_machine(
        name=role.replace(".", "-"),
        definition=json.dumps({"StartAt": "Write", "States": {"Write": task}}),
        roleArn=arn,
    )["stateMachineArn"]

    def run() -> dict[str, Any]:
        execution = states.start_execution(stateMachineArn=machine)["executionArn"]
        return finished(states, execution, seconds=60)

    strike = Strike(source="states", call="lambda:Invoke", fault=fault)
    with aws.faults.armed(strike) as struck:
        retried = run()
    with aws.faults.armed(Strike(source="states", call="lambda:Invoke", fault=fault, times=None)):
        given_up = run()

    assert struck.times == 1
    assert retried["status"] == "SUCCEEDED", retried
    assert (given_up["status"], given_up["error"]) == ("FAILED", name)
