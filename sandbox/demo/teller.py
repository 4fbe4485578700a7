"""
What the stories share: asking the outside world, and refusing to go on when something said isn't true.

Each statement is checked against the outside world (the log of AWS calls, the files of the backup server,
S3's own answers), never against what the product says of itself.
"""

import difflib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from contract.documents import EndpointDocument, EndpointState
from contract.errors import ContractError
from contract.names import server_name
from contract.parameters import adoption_parameter, endpoint_parameter
from sandbox.client_process import Ended, run_client
from sandbox.demo.backup_administrator import BackupAdministrator, RefusedError
from sandbox.demo.console import Console
from sandbox.demo.outside import Outside
from sandbox.running import SERVER, Sandbox
from sandbox.vbr.revisions import DEFAULT_REVISION

_PATIENCE_SECONDS = 120.0
T = TypeVar("T")


class UntrueError(Exception):
    """A statement of the story is not true."""


class Statements:
    """What every story is made of; raises UntrueError at the first statement that isn't true."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def _eventually(self, what: str, ask: Callable[[], T | None]) -> T:
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while not (answer := ask()):
            if time.monotonic() > give_up:
                raise UntrueError(f"{what} within {_PATIENCE_SECONDS:.0f} s")
            time.sleep(0.1)
        return answer

    def _check(self, statement: str, holds: bool, otherwise: str = "") -> None:
        if not holds:
            raise UntrueError(f"{statement}{f' ({otherwise})' if otherwise else ''}")
        self._console.true(statement)


class Teller(Statements):
    """Told once per sandbox, about one account and its backup server."""

    _document: EndpointDocument

    def __init__(self, sandbox: Sandbox, console: Console, *, client: Path) -> None:
        super().__init__(console)
        self._sandbox = sandbox
        self._client_root = client
        self._outside = Outside(sandbox.aws)
        self._region_file = sandbox.vbr.install_dir / "AmazonS3Regions.xml"
        self._registry_file = sandbox.vbr.folder / "registry.json"
        self._service_file = sandbox.vbr.folder / "services" / "VeeamBackupSvc.json"
        self._region_before = self._region_file.read_bytes()
        self._registry_before = self._registry_file.read_bytes()

    def _add_repository(self) -> dict[str, Any]:
        try:
            administrator = BackupAdministrator(
                url=self._sandbox.vbr.url,
                ca_file=str(self._sandbox.aws.ca_file),
                user=self._sandbox.vbr.user,
                password=self._sandbox.vbr.password,
                revision=DEFAULT_REVISION,
            )
            return administrator.add_repository(
                "Tokyo S3",
                bucket=self._sandbox.bucket,
                folder=self._sandbox.settings.buckets[0].folder,
                region=self._sandbox.assembly.region,
                keys=self._sandbox.repository_keys,
            )
        except RefusedError as error:
            raise UntrueError(f"VBR accepts the repository ({error})") from error

    # What the outside world says

    def _newest_execution(self) -> str | None:
        found = self._sandbox.aws.client("stepfunctions").list_executions(
            stateMachineArn=self._sandbox.state_machine_arn
        )["executions"]
        return str(found[0]["executionArn"]) if found else None

    def _follow(self, execution: str) -> dict[str, Any]:
        """Wait for the execution, saying which state it is in; return its output."""
        states = self._sandbox.aws.client("stepfunctions")
        shown = 0
        with self._console.waiting("the execution"):
            give_up = time.monotonic() + _PATIENCE_SECONDS
            while True:
                status = states.describe_execution(executionArn=execution)
                history = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
                self._check_proof(history)
                entered = [
                    event["stateEnteredEventDetails"]["name"]
                    for event in history
                    if event["type"] == "TaskStateEntered"
                ]
                for name in entered[shown:]:
                    self._console.evidence(f"→ {name}")
                shown = len(entered)
                if status["status"] != "RUNNING":
                    break
                if time.monotonic() > give_up:
                    raise UntrueError(f"the execution ends within {_PATIENCE_SECONDS:.0f} s")
                time.sleep(0.2)
        self._check(
            "the execution succeeded",
            status["status"] == "SUCCEEDED",
            f"{status.get('error')}: {status.get('cause', '')}",
        )
        output: dict[str, Any] = json.loads(status["output"])
        return output

    def _check_proof(self, history: list[dict[str, Any]]) -> None:
        """A policy is effective at once here, so a proof that has to be tried again will never hold."""
        for event in history:
            failure = (
                event.get("lambdaFunctionFailedEventDetails") or event.get("taskFailedEventDetails") or {}
            )
            if failure.get("error") == "LockdownNotEffectiveError":
                raise UntrueError(f"the lock-down is proven ({failure.get('cause', '')})")

    def _parameter(self) -> dict[str, Any]:
        ssm = self._sandbox.aws.client("ssm")
        name = endpoint_parameter(self._sandbox.settings.site)
        try:
            parameter: dict[str, Any] = ssm.get_parameter(Name=name)["Parameter"]
        except ssm.exceptions.ParameterNotFound as error:
            raise UntrueError(f"the endpoint is published in {name}") from error
        return parameter

    def _published(self) -> EndpointDocument:
        try:
            document = EndpointDocument.from_json(self._parameter()["Value"])
        except ContractError as error:
            raise UntrueError(f"the published document can be read: {error}") from error
        self._check(
            f"Parameter Store says which endpoint serves {self._sandbox.bucket}",
            document.state is EndpointState.ACTIVE
            and [bucket.name for bucket in document.buckets] == [self._sandbox.bucket],
        )
        return document

    def _endpoint(self) -> dict[str, Any]:
        found = self._sandbox.aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        self._check("there is exactly one endpoint", len(found) == 1)
        endpoint: dict[str, Any] = found[0]
        return endpoint

    def _bucket_names(self) -> list[str]:
        return [bucket["Name"] for bucket in self._sandbox.aws.client("s3").list_buckets()["Buckets"]]

    def _objects_through_endpoint(self) -> list[str]:
        s3 = self._outside.s3(self._sandbox.repository_keys, host=self._document.endpoint_host)
        return [item["Key"] for item in s3.list_objects_v2(Bucket=self._sandbox.bucket).get("Contents", [])]

    def _manageable(self, bucket: str) -> bool:
        s3 = self._outside.s3()
        s3.get_bucket_policy(Bucket=bucket)
        s3.get_bucket_location(Bucket=bucket)
        s3.put_bucket_tagging(
            Bucket=bucket, Tagging={"TagSet": s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
        )
        return True

    def _writes(self, *, since: int) -> list[dict[str, Any]]:
        return [
            call
            for call in self._sandbox.aws.requests()[since:]
            if call["source"].startswith("lambda:") and call["status"] < 300 and not call["readonly"]
        ]

    def _service(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._service_file.read_text())
        return state

    def _starts(self) -> int:
        return int(self._service()["starts"])

    def _override_is_on(self) -> bool:
        key = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Veeam\\Veeam Backup and Replication"
        values = json.loads(self._registry_file.read_text())[key]
        return bool(values.get("CloudRegionsDisableUpdate") == {"type": "REG_DWORD", "value": 1})

    def _as_before(self) -> bool:
        return (
            self._region_file.read_bytes() == self._region_before
            and self._registry_file.read_bytes() == self._registry_before
        )

    def _region_diff(self) -> str:
        before = self._region_before.decode("utf-8-sig").splitlines()
        after = self._region_file.read_bytes().decode("utf-8-sig").splitlines()
        return "\n".join(
            difflib.unified_diff(
                before, after, "AmazonS3Regions.xml before", "AmazonS3Regions.xml after", "", "", 1, ""
            )
        )

    def _only_the_region_changed(self) -> bool:
        """Compare without the client's own editor: outside the region's element, bytes are equal."""
        region = self._document.region
        start, end = f'<Region Id="{region}"'.encode(), b"</Region>"

        def parts(content: bytes) -> tuple[bytes, bytes, bytes]:
            head, _, rest = content.partition(start)
            inside, _, tail = rest.partition(end)
            return head, inside, tail

        before, after = parts(self._region_before), parts(self._region_file.read_bytes())
        hosts = after[1].decode().lower().split('type="s3">')[1:]
        return (
            before[0] == after[0]
            and before[2] == after[2]
            and [host.split("<")[0] for host in hosts] == [self._document.endpoint_host]
        )

    def _report(self) -> dict[str, Any]:
        ssm = self._sandbox.aws.client("ssm")
        name = adoption_parameter(self._sandbox.settings.site, server_name(SERVER))
        try:
            report: dict[str, Any] = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
        except ssm.exceptions.ParameterNotFound as error:
            raise UntrueError(f"the server's report is in {name}") from error
        return report

    def _backups(self) -> list[dict[str, Any]]:
        log = self._sandbox.vbr.folder / "backups.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    def _client(self, *arguments: str, expected: int | None = None) -> Ended:
        """Run the client as the scheduled task would: its configuration is all that it gets."""
        words = [*arguments, "--config", str(self._sandbox.client_configuration)]
        self._console.command(f"python -m onprem_client {' '.join(words)}")
        with self._console.waiting("the client"):
            ended = run_client(words, packages=self._client_root, patience_seconds=_PATIENCE_SECONDS)
        if expected is not None:
            self._check(f"`{arguments[0]}` exits with {expected}", ended.code == expected, ended.output)
        return ended
