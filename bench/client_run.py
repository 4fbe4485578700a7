"""
The client's `run` when nothing changed, against a bare script that imports boto3 and gets one parameter; and
how long the Veeam service is down during `apply`, against its own stop and start.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import ROUNDS, Row, Spent, interleaved, median, process
from contract.parameters import endpoint_parameter
from sandbox.aws.testing import finished
from sandbox.running import Sandbox, SandboxOptions

ROOT = Path(__file__).resolve().parents[1]
BARE = """
import sys
import boto3
print(boto3.client("ssm").get_parameter(Name=sys.argv[1])["Parameter"]["Version"])
"""
SERVICE = "VeeamBackupSvc"
_LOOK_EVERY_SECONDS = 0.002
_PATIENCE_SECONDS = 60.0


class Server:
    """A provisioned site and its backup server."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
        self._services = sandbox.state / "vbr" / "services"

    def client(self, *command: str) -> Spent:
        """Run a command of the client."""
        arguments = [*command, "--config", str(self._sandbox.client_configuration)]
        return process(
            [sys.executable, "-m", "onprem_client", *arguments],
            environment=self._environment | {"PYTHONPATH": str(ROOT)},
            folder=self._folder,
        )

    def bare(self) -> Spent:
        """Run the script that only asks."""
        keys, aws = self._sandbox.client_keys, self._sandbox.aws
        return process(
            [sys.executable, "-c", BARE, endpoint_parameter(self._sandbox.settings.site)],
            environment=self._environment
            | {
                "AWS_ENDPOINT_URL": aws.endpoint_url,
                "AWS_CA_BUNDLE": str(aws.ca_file),
                "AWS_DEFAULT_REGION": self._sandbox.assembly.region,
                "AWS_ACCESS_KEY_ID": keys.access_key_id,
                "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            },
            folder=self._folder,
        )

    def down_while(self, action: Callable[[], object]) -> float:
        """Do something that restarts the service; return the seconds that it was not running."""
        seen: list[tuple[float, str]] = []
        ended = threading.Event()

        def watch() -> None:
            while not ended.is_set():
                seen.append((time.perf_counter(), self._state()))
                time.sleep(_LOOK_EVERY_SECONDS)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            action()
        finally:
            ended.set()
            watcher.join()
        down = [at for at, state in seen if state != "running"]
        if not down:
            raise RuntimeError(f"{SERVICE} was not restarted")
        return down[-1] - down[0]

    def restart(self) -> None:
        """Stop and start the service and nothing else."""
        for command, state in (("stop", "stopped"), ("start", "running")):
            (self._services / f"{SERVICE}.command").write_text(command)
            give_up = time.monotonic() + _PATIENCE_SECONDS
            while self._state() != state:
                if time.monotonic() > give_up:
                    raise RuntimeError(f"{SERVICE} does not {command}")
                time.sleep(_LOOK_EVERY_SECONDS)

    def _state(self) -> str:
        return str(json.loads((self._services / f"{SERVICE}.json").read_text())["state"])


def measure(folder: Path, *, rounds: int = ROUNDS) -> list[Row]:
    """Measure on one sandbox whose site is provisioned and adopted."""
    with Sandbox(
        SandboxOptions(state=folder / "state", root=ROOT, pending_seconds=0.1, assembly=None)
    ) as sandbox:
        _provision(sandbox)
        server = Server(sandbox, folder)
        server.client("run")
        spent: dict[str, list[Spent]] = {"ours": [], "bare": []}
        interleaved(
            {
                "ours": lambda _number: _keep(spent["ours"], server.client("run")),
                "bare": lambda _number: _keep(spent["bare"], server.bare()),
            },
            rounds=rounds,
        )
        downs: dict[str, list[float]] = {"ours": [], "own": []}
        for _number in range(rounds):
            server.client("undo", "--yes")
            downs["ours"].append(server.down_while(lambda: server.client("apply", "--yes")))
            downs["own"].append(server.down_while(server.restart))
    rows = [
        Row(
            what=f"client's run, nothing changed: {name}",
            against="a bare boto3 script",
            unit=unit,
            ours=median([getattr(one, part) for one in spent["ours"]]),
            theirs=median([getattr(one, part) for one in spent["bare"]]),
            limit=1.25,
            rounds=rounds,
        )
        for name, part, unit in (("wall", "wall", "s"), ("CPU", "cpu", "s"), ("peak memory", "memory", "MiB"))
    ]
    rows.append(
        Row(
            what="Veeam service down during apply",
            against="its own stop and start",
            unit="s",
            ours=median(downs["ours"]),
            theirs=median(downs["own"]),
            limit=0.3,
            rounds=rounds,
            more=True,
        )
    )
    return rows


def _keep(spent: list[Spent], one: Spent) -> float:
    spent.append(one)
    return one.wall


def _provision(sandbox: Sandbox) -> None:
    states = sandbox.aws.client("stepfunctions")
    arn = states.start_execution(
        stateMachineArn=sandbox.state_machine_arn,
        input=json.dumps({"site": sandbox.settings.site, "intent": "provisioned"}),
    )["executionArn"]
    run = finished(states, arn, seconds=_PATIENCE_SECONDS)
    if run["status"] != "SUCCEEDED":
        raise RuntimeError(f"the run ended as {run['status']}: {run.get('cause')}")
