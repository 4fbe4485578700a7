"""Starting, stopping, starting again; and refusing a moto that the corrections weren't made for."""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto.awslambda.models import LambdaFunction
from moto.core.config import default_user_config
from moto.ec2.models.vpcs import VPCBackend
from moto.events.models import Rule
from moto.s3.models import S3Backend

from sandbox.aws import (
    EmbeddedAws,
    EmbeddedAwsOptions,
    correct_cloudformation,
    correct_endpoints,
    correct_events,
    correct_iam,
    correct_lambda,
    correct_s3,
    correct_ssm,
    correct_stepfunctions,
)
from sandbox.aws.moto_pin import Corrections, MotoChangedError, require_moto_version
from sandbox.aws.testing import embedded_aws, wait_until
from tests.sandbox.aws.processes import living
from tests.sandbox.aws.templates import function, stack

APPLIED: dict[str, tuple[Callable[[Corrections], None], Any, str]] = {
    "endpoints": (
        lambda corrections: correct_endpoints.apply(corrections, pending_seconds=0),
        VPCBackend,
        "create_vpc_endpoint",
    ),
    "events": (lambda corrections: correct_events.apply(corrections, _nothing()), Rule, "send_to_targets"),
    "lambda": (lambda corrections: correct_lambda.apply(corrections, _nothing()), LambdaFunction, "invoke"),
    "s3": (correct_s3.apply, S3Backend, "create_bucket"),
}


SLEEP = "import time\ndef handler(e, c):\n    time.sleep(60)"
WAIT = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
BUSY = f"""
import json, os, pathlib, sys, tempfile, threading, time
from moto.s3.models import S3Backend
from sandbox.aws.testing import embedded_aws, trust, wait_until
from tests.sandbox.aws.processes import living
before = S3Backend.create_bucket
with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder, embedded_aws(pathlib.Path(folder)) as aws:
    template = json.loads({json.dumps(json.dumps(stack(function(SLEEP, Timeout=100))))})
    name = aws.deploy_template("s", template)["Function"]
    aws.client("lambda").invoke(FunctionName=name, InvocationType="Event")
    role = aws.client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps(trust("states.amazonaws.com")))["Role"]["Arn"]
    states = aws.client("stepfunctions")
    machine = states.create_state_machine(
        name="m", definition={json.dumps(json.dumps(WAIT))}, roleArn=role)["stateMachineArn"]
    states.start_execution(stateMachineArn=machine)
    # This process, the one that functions are forked from, and the function.
    wait_until(lambda: len(living(os.getpid())) == 3, what="the function runs")
"""


def _nothing() -> Any:
    """Stand for something that isn't used before a call comes."""
    return SimpleNamespace()


def test_it_starts_twice_in_one_process_and_forgets_in_between(tmp_path: Path) -> None:
    """Each test module has its own AWS."""
    for _ in range(2):
        with embedded_aws(tmp_path) as aws:
            s3 = aws.client("s3")

            assert s3.list_buckets()["Buckets"] == []
            s3.create_bucket(Bucket="b-1", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
            s3.close()


def test_two_at_a_time_are_refused(tmp_path: Path) -> None:
    """moto's state is the process's: two would see each other's buckets."""
    second = EmbeddedAws(EmbeddedAwsOptions(state=tmp_path / "second"))

    with embedded_aws(tmp_path / "first"), pytest.raises(RuntimeError, match="runs in this process already"):
        second.__enter__()


def test_it_leaves_no_process_no_thread_and_no_correction(tmp_path: Path) -> None:
    """In a process of its own, where nothing of other tests is counted; with work going on at the end."""
    script = f"""{BUSY}
assert living(os.getpid()) == {{os.getpid()}}
wait_until(lambda: threading.active_count() == 1, what=str(threading.enumerate()), seconds=5)
assert S3Backend.create_bucket is before
print("clean")
"""
    with _python(script, tmp_path) as process:
        output, errors = process.communicate(timeout=60)

    assert output == "clean\n", errors


def test_it_leaves_no_process_when_it_is_killed(tmp_path: Path) -> None:
    """Nobody is left then to stop a function that is at work."""
    script = f"""{BUSY}
    print("busy", flush=True)
    time.sleep(60)
"""
    with _python(script, tmp_path) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        during = living(process.pid)
        process.kill()
        process.communicate(timeout=60)

    assert said == "busy\n"
    assert len(during) == 3
    wait_until(lambda: not living(process.pid), what="all have ended")


def _python(script: str, folder: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=root,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_corrections_are_taken_back(tmp_path: Path) -> None:
    """A test that uses plain moto afterwards gets plain moto."""
    before = (S3Backend.create_bucket, Rule.send_to_targets, dict(default_user_config["stepfunctions"]))
    with embedded_aws(tmp_path):
        during = S3Backend.create_bucket

    assert during is not before[0]
    assert (
        S3Backend.create_bucket,
        Rule.send_to_targets,
        dict(default_user_config["stepfunctions"]),
    ) == before


def test_another_version_of_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch release may change any of what is replaced."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "5.2.6")

    with pytest.raises(MotoChangedError, match=r"5\.2\.5; 5\.2\.6 is installed"):
        require_moto_version()


@pytest.mark.parametrize("name", APPLIED)
def test_a_correction_fails_loudly_when_moto_lacks_what_it_replaces(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Silently correcting nothing would make every story pass for the wrong reason."""
    apply, owner, attribute = APPLIED[name]
    monkeypatch.delattr(owner, attribute)

    with Corrections() as corrections, pytest.raises(MotoChangedError, match=attribute):
        apply(corrections)


@pytest.mark.parametrize("name", APPLIED)
def test_a_correction_fails_loudly_when_its_signature_has_changed(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A new parameter of moto's would be lost on the way."""
    apply, owner, attribute = APPLIED[name]
    monkeypatch.setattr(owner, attribute, lambda self, other: (self, other))

    with Corrections() as corrections, pytest.raises(MotoChangedError, match=f"{attribute} takes"):
        apply(corrections)


def test_the_other_corrections_apply_and_are_taken_back_too() -> None:
    """So that the two tests above, which try four of them, speak for all."""
    with Corrections() as corrections:
        correct_iam.apply(corrections)
        correct_ssm.apply(corrections, lambda **_fields: None)
        correct_cloudformation.apply(corrections, lambda **_fields: None)
        correct_stepfunctions.apply(
            corrections,
            client_for=lambda *_arguments: None,
            status_changed=lambda *_arguments: None,
            waits=1.0,
        )


def test_moto_account_id_of_the_environment_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would give every caller the same account."""
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "999988887777")
    with embedded_aws(tmp_path) as aws:
        account = aws.client("sts").get_caller_identity()["Account"]

    assert account == "111122223333"
    assert os.environ["MOTO_ACCOUNT_ID"] == "999988887777"
