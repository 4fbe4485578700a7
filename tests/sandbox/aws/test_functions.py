"""Functions run for real: their own code, role, environment and errors."""

import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import EmbeddedAws
from sandbox.aws.identity import Credentials
from sandbox.aws.lambda_runtime import FunctionSpec, LambdaRuntime
from tests.sandbox.aws.templates import function, stack

CODE = """
import json, os, sys, time
import boto3

CALLS = 0

class OutOfLuckError(Exception):
    pass

def handler(event, context):
    global CALLS
    CALLS += 1
    print("event", json.dumps(event))
    match event.get("do"):
        case "raise":
            raise OutOfLuckError("no luck today")
        case "sleep":
            time.sleep(30)
        case "exit":
            os._exit(3)
        case "unserializable":
            return {1, 2}
        case "repository":
            import sandbox
        case "denied":
            boto3.client("ssm").get_parameter(Name="/secret")
    return {
        "calls": CALLS,
        "pid": os.getpid(),
        "who": boto3.client("sts").get_caller_identity()["Arn"],
        "environment": dict(os.environ),
        "name": context.function_name,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "left": context.get_remaining_time_in_millis(),
        "request": context.aws_request_id,
    }
"""


@pytest.fixture(name="name", scope="module")
def _name(aws: EmbeddedAws) -> str:
    resources = function(
        CODE,
        Timeout=2,
        MemorySize=256,
        Environment={"Variables": {"SITE": "tokyo"}},
        Layers=[
            "arn:aws:lambda:ap-northeast-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:30"
        ],
        LoggingConfig={"LogGroup": "/vbr-privatelink/fn"},
    )
    group = {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/vbr-privatelink/fn"}}}
    return aws.deploy_template("functions", stack(resources, group))["Function"]


def invoke(aws: EmbeddedAws, name: str, **event: Any) -> tuple[str | None, Any]:
    """Call the function; return the kind of its error, if any, and the payload."""
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_it_is_warm_at_the_second_call(aws: EmbeddedAws, name: str) -> None:
    """What a function keeps between calls is part of what it does."""
    _, first = invoke(aws, name)
    _, second = invoke(aws, name)

    assert second["pid"] == first["pid"]
    assert second["calls"] == first["calls"] + 1


def test_it_runs_under_its_role_and_with_lambdas_environment(
    aws: EmbeddedAws, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission that the role lacks must be missed here, and nothing of this process may help."""
    monkeypatch.setenv("LEAK", "leak")
    _, answer = invoke(aws, name)
    environment = answer["environment"]

    assert answer["who"].startswith("arn:aws:sts::111122223333:assumed-role/functions-FnRole-")
    assert answer["name"] == name
    assert answer["arn"] == f"arn:aws:lambda:ap-northeast-1:111122223333:function:{name}"
    assert answer["memory"] == "256"
    assert 0 < answer["left"] <= 2000
    assert environment["SITE"] == "tokyo"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert environment["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "ap-northeast-1"
    assert environment["PYTHONPATH"] == environment["LAMBDA_TASK_ROOT"]
    assert "LEAK" not in environment
    assert "HOME" not in environment


def test_its_calls_are_its_own_in_the_log(aws: EmbeddedAws, name: str) -> None:
    """Tests count by source."""
    invoke(aws, name)
    line = next(one for one in reversed(aws.requests()) if one["action"] == "GetCallerIdentity")

    assert line["source"] == f"lambda:{name}"


def test_an_exception_has_the_name_of_its_class(aws: EmbeddedAws, name: str) -> None:
    """Step Functions compares names: they decide what is retried."""
    kind, error = invoke(aws, name, do="raise")

    assert kind == "Unhandled"
    assert error["errorType"] == "OutOfLuckError"
    assert error["errorMessage"] == "no luck today"
    assert "in handler" in error["stackTrace"][-1]


def test_a_refused_call_is_the_clients_exception(aws: EmbeddedAws, name: str) -> None:
    """The role of this function may do nothing."""
    _, error = invoke(aws, name, do="denied")

    assert error["errorType"] == "AccessDeniedException"
    assert "is not authorized to perform: ssm:GetParameter" in error["errorMessage"]


def test_the_time_out_is_enforced(aws: EmbeddedAws, name: str) -> None:
    """The process is killed and the next call gets a new one."""
    _, before = invoke(aws, name)
    started = time.monotonic()
    kind, error = invoke(aws, name, do="sleep")
    took = time.monotonic() - started
    _, after = invoke(aws, name)

    assert kind == "Unhandled"
    assert error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 2.00 seconds" in error["errorMessage"]
    assert took < 4
    assert after["pid"] != before["pid"]


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        ("exit", "Runtime.ExitError"),
        ("unserializable", "Runtime.MarshalError"),
        ("repository", "ModuleNotFoundError"),
    ],
)
def test_other_ends_have_lambdas_names(aws: EmbeddedAws, name: str, do: str, kind: str) -> None:
    """Among them: the repository isn't importable, so a file that the asset lacks is missed."""
    _, error = invoke(aws, name, do=do)

    assert error["errorType"] == kind


def test_an_import_that_fails_is_reported_with_every_call(aws: EmbeddedAws) -> None:
    """A missing module in the asset, and a handler that isn't there."""
    missing = aws.deploy_template("missing", stack(function("import not_in_the_asset")))["Function"]
    absent = aws.deploy_template("absent", stack(function("other = 1")))["Function"]

    for _ in range(2):
        assert invoke(aws, missing)[1]["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'not_in_the_asset'" in invoke(aws, missing)[1]["errorMessage"]
    assert invoke(aws, absent)[1]["errorType"] == "Runtime.HandlerNotFound"


def test_what_it_prints_is_in_its_log_group_and_in_a_file(aws: EmbeddedAws, name: str) -> None:
    """Both are where a person looks first."""
    invoke(aws, name, mark="find-me")
    events = aws.client("logs").filter_log_events(logGroupName="/vbr-privatelink/fn")["events"]
    file = Path(aws.options.state) / "aws" / "lambda" / f"{name}.log"

    assert any("find-me" in event["message"] for event in events)
    assert any(event["message"].startswith("REPORT RequestId") for event in events)
    assert "find-me" in file.read_text()


def test_new_code_gets_a_new_process(aws: EmbeddedAws) -> None:
    """An update that the old process answers would be no update."""
    name = aws.deploy_template("changing", stack(function("def handler(e, c): return 1")))["Function"]
    before = invoke(aws, name)[1]
    aws.deploy_template("changing", stack(function("def handler(e, c): return 2")))

    assert (before, invoke(aws, name)[1]) == (1, 2)


def test_a_role_that_does_not_trust_lambda_is_of_no_use(aws: EmbeddedAws) -> None:
    """The trust policy is asked, too."""
    resources = function("def handler(e, c): return 1")
    statement = resources["FnRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    statement["Principal"] = {"Service": "states.amazonaws.com"}
    name = aws.deploy_template("untrusted", stack(resources))["Function"]

    with pytest.raises(
        ClientError, match=r"lambda\.amazonaws\.com is not authorized to perform: sts:AssumeRole"
    ):
        aws.client("lambda").invoke(FunctionName=name)


def test_an_event_invocation_returns_at_once(aws: EmbeddedAws) -> None:
    """As a rule's target is called."""
    code = "import time\ndef handler(e, c):\n    time.sleep(5)\n    print('done-in-background')"
    name = aws.deploy_template("background", stack(function(code)))["Function"]
    started = time.monotonic()
    answer = aws.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")

    assert answer["StatusCode"] == 202
    assert time.monotonic() - started < 2.5


def test_an_invocation_that_is_stopped_with_everything_ends_as_an_exit(tmp_path: Path) -> None:
    """Its pipes are closed by whoever reads them, never under a reader."""
    spec = FunctionSpec(
        arn="arn:aws:lambda:us-east-1:111122223333:function:sleeper",
        name="sleeper",
        version="$LATEST",
        region="us-east-1",
        handler="index.handler",
        runtime="python3.13",
        role_arn="arn:aws:iam::111122223333:role/sleeper",
        timeout=60.0,
        memory=128,
        log_group="/aws/lambda/sleeper",
        environment=(),
        code_digest="0",
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr(
            "index.py", "import time\ndef handler(e, c):\n    open(e, 'w').close()\n    time.sleep(50)"
        )
    marks = [tmp_path / f"asleep-{number}" for number in range(2)]
    runtime = LambdaRuntime(
        tmp_path / "functions",
        addresses=dict,
        credentials=lambda _: Credentials(access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="secret"),
        waits=1.0,
    )
    with ThreadPoolExecutor(max_workers=2) as threads:
        running = [
            threads.submit(runtime.invoke, spec, archive.getvalue(), str(mark), lambda _: None)
            for mark in marks
        ]
        while not all(mark.exists() for mark in marks) and not any(each.done() for each in running):
            time.sleep(0.02)
        runtime.stop()
        outcomes = [each.result(timeout=30) for each in running]

    assert [json.loads(outcome.payload)["errorType"] for outcome in outcomes] == ["Runtime.ExitError"] * 2
