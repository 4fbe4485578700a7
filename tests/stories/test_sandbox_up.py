"""`python -m sandbox up` as a person uses it: in a shell of their own, with boto3 and the client."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.conftest import ROOT

_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """A sandbox in a process of its own, and what its files say."""

    process: subprocess.Popen[str]
    folder: Path
    printed: str

    @property
    def facts(self) -> dict[str, Any]:
        """What sandbox.json says."""
        facts: dict[str, Any] = json.loads((self.folder / "sandbox.json").read_text())
        return facts

    @property
    def exports(self) -> dict[str, str]:
        """What `. env.sh` would set."""
        lines = (self.folder / "env.sh").read_text().splitlines()
        words = [shlex.split(line) for line in lines]
        return dict(assignment.split("=", 1) for export, assignment in words if export == "export")


@pytest.fixture(scope="module", name="up")
def _up(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up") / "state"
    command = ["up", "--state", str(folder), "--assembly", str(assembly), "--pending", "0.5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if line.strip() == "ready":
                break
        else:
            pytest.fail("the sandbox ended before it was ready")
        yield Up(process=process, folder=folder, printed=printed)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        process.stdout.close()


@pytest.fixture(name="session")
def _session(up: Up, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """boto3 as it finds itself after `. env.sh`: nothing else is said."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in up.exports.items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


def succeeded(session: boto3.Session, execution: str) -> bool:
    """Wait for an execution's end."""
    states = session.client("stepfunctions")
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while (answer := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < give_up, "the execution does not end"
        time.sleep(0.1)
    return answer["status"] == "SUCCEEDED"


def test_boto3_finds_the_sandbox_through_env_sh(up: Up, session: boto3.Session) -> None:
    """Whoever tries the product out needs no option and no patch."""
    identity = session.client("sts").get_caller_identity()
    vpcs = session.client("ec2").describe_vpcs(VpcIds=[up.facts["vpc_id"]])["Vpcs"]

    assert identity["Account"] == up.facts["account_id"] == "111122223333"
    assert len(vpcs) == 1


def test_the_page_is_at_the_address_that_is_printed(up: Up) -> None:
    """Whoever tries the product out opens it first."""
    [address] = [word for word in up.printed.split() if word.startswith("http://127.0.0.1:")]
    with urllib.request.urlopen(address, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310 - checked above
        page = answer.read().decode()

    assert '"viewers": ["operator", "reader"]' in page


def test_a_start_an_event_and_the_client(up: Up, session: boto3.Session) -> None:
    """The three things that a first look tries, one after the other."""
    states = session.client("stepfunctions")
    machine = up.facts["state_machine_arn"]
    started = states.start_execution(stateMachineArn=machine, input=json.dumps({"site": up.facts["site"]}))[
        "executionArn"
    ]
    assert succeeded(session, started)

    session.client("events").put_events(
        Entries=[
            {
                "Source": "vbr-privatelink",
                "DetailType": "Provision Requested",
                "Detail": json.dumps({"site": up.facts["site"]}),
            }
        ]
    )
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while len(found := states.list_executions(stateMachineArn=machine)["executions"]) < 2:
        assert time.monotonic() < give_up, "the event started nothing"
        time.sleep(0.1)
    assert all(succeeded(session, execution["executionArn"]) for execution in found)

    done = subprocess.run(
        [sys.executable, "-m", "onprem_client", "run", "--config", str(up.folder / "client.toml")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
    published = session.client("ssm").get_parameter(Name=up.facts["endpoint_parameter"])
    host = json.loads(published["Parameter"]["Value"])["endpoint_host"]
    region_file = (Path(up.facts["install_dir"]) / "AmazonS3Regions.xml").read_bytes()

    assert done.returncode == 0, done.stdout + done.stderr
    assert host.encode() in region_file
    assert (up.folder / "vbr" / "registry.json").exists()


def test_each_aws_call_is_in_the_log(up: Up, session: boto3.Session) -> None:
    """Stories count reads and writes from this log, so that they need not believe the product."""
    session.client("s3").list_buckets()
    calls = [json.loads(line) for line in (up.folder / "aws" / "requests.jsonl").read_text().splitlines()]
    # The server's report has started a run: its functions' calls come in between.
    last = [call for call in calls if call["source"] == "client"][-1]

    assert (last["service"], last["action"], last["status"]) == ("s3", "ListBuckets", 200)
    assert last["principal"] == "arn:aws:iam::111122223333:user/administrator"
    assert {"parameters", "source", "host"} <= set(last)


def test_an_interrupt_ends_every_process(assembly: Path, tmp_path: Path) -> None:
    """A sandbox that leaves functions running would spoil the next one."""
    folder = tmp_path / "state"
    command = ["up", "--state", str(folder), "--assembly", str(assembly)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert any(line.strip() == "ready" for line in output)
        facts = json.loads((folder / "sandbox.json").read_text())
        exports = dict(
            line.removeprefix("export ").split("=", 1)
            for line in (folder / "env.sh").read_text().splitlines()
        )
        session = boto3.Session(
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
            region_name=facts["region"],
        )
        states = session.client("stepfunctions", endpoint_url=facts["aws_url"], verify=facts["aws_ca"])
        states.start_execution(stateMachineArn=facts["state_machine_arn"], input='{"site": "tokyo"}')
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)

    # The functions' processes are in the sandbox's own process group; the last one may take a moment to end.
    give_up = time.monotonic() + 10
    while _any_process_of(process.pid):
        assert time.monotonic() < give_up, "a function's process is left"
        time.sleep(0.05)


def _any_process_of(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
