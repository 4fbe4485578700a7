"""
The whole story, told on a running sandbox: one start of the workflow, and a backup server that backs up
through the endpoint.

Whoever changes the product must not be able to make this lie: each statement is checked against the
outside world (the log of AWS calls, the files of the backup server, S3's own answers), never against what
the product says of itself.
"""

import difflib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from contract.documents import EndpointDocument, EndpointState
from contract.errors import ContractError
from contract.names import server_name
from contract.parameters import adoption_parameter, endpoint_parameter
from sandbox.demo.backup_administrator import BackupAdministrator, RefusedError
from sandbox.demo.console import Console
from sandbox.demo.outside import Answer, Outside
from sandbox.running import SERVER, Sandbox
from sandbox.vbr.revisions import DEFAULT_REVISION

_PATIENCE_SECONDS = 120.0
_BACKUPS_TO_SEE = 2
T = TypeVar("T")

# Reads cost nothing and change nothing; these change something.
_WRITING = ("Create", "Put", "Delete", "Modify", "Update", "Authorize", "Revoke", "Tag")


class UntrueError(Exception):
    """A statement of the story is not true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The client's process, after it has ended."""

    code: int
    output: str


class Story:
    """Told once per sandbox; raises UntrueError at the first statement that isn't true."""

    def __init__(self, sandbox: Sandbox, console: Console, *, client: Path) -> None:
        self._sandbox = sandbox
        self._console = console
        self._client_root = client
        self._outside = Outside(sandbox.aws)
        self._region_file = sandbox.vbr.install_dir / "AmazonS3Regions.xml"
        self._registry_file = sandbox.vbr.folder / "registry.json"
        self._service_file = sandbox.vbr.folder / "services" / "VeeamBackupSvc.json"
        self._region_before = self._region_file.read_bytes()
        self._registry_before = self._registry_file.read_bytes()

    def tell(self) -> None:
        """Tell it from the first start to the undo."""
        self._provision()
        self._adopt()
        self._back_up()
        self._keep_others_out()
        self._do_it_all_again()
        self._take_it_back()

    def _provision(self) -> None:
        self._console.chapter("AWS: one event starts the workflow")
        detail = json.dumps({"site": self._sandbox.settings.site})
        entry = {"Source": "vbr-privatelink", "DetailType": "Provision Requested", "Detail": detail}
        self._console.command(f"aws events put-events --entries '{json.dumps([entry])}'")
        self._sandbox.aws.client("events").put_events(Entries=[entry])
        output = self._follow(self._eventually("an execution was started", self._newest_execution))
        self._document = self._published()
        self._console.evidence(json.dumps(json.loads(self._document.to_json()), indent=2))
        bucket = self._sandbox.bucket
        endpoint = self._endpoint()
        self._check(f"the bucket {bucket} is there", bucket in self._bucket_names())
        self._check(
            f"the interface endpoint {endpoint['VpcEndpointId']} is available, private DNS off",
            endpoint["State"] == "available"
            and endpoint["VpcId"] == self._sandbox.vpc_id
            and endpoint["PrivateDnsEnabled"] is False,
        )
        self._check(
            "what Parameter Store says is that endpoint's regional name, with `bucket` for `*`",
            self._document.endpoint_host.replace("bucket.", "*.", 1)
            in {entry["DnsName"] for entry in endpoint["DnsEntries"]},
        )
        self._check(
            "the workflow named what it created",
            bucket in output["bucket"]["created"]
            and endpoint["VpcEndpointId"] in output["endpoint"]["created"],
        )

    def _adopt(self) -> None:
        self._console.chapter("Backup server: the client says what it would do, then does it")
        plan = self._client("plan")
        self._console.evidence(plan.output)
        self._check("the plan changed nothing", self._as_before())
        starts = self._starts()
        run = self._client("run", expected=0)
        self._console.evidence(run.output)
        self._console.evidence(self._region_diff())
        self._check(
            f"AmazonS3Regions.xml names {self._document.endpoint_host} and differs in nothing else",
            self._only_the_region_changed(),
        )
        self._check("CloudRegionsDisableUpdate is DWORD 1", self._override_is_on())
        self._check(
            "the Veeam Backup Service was restarted once and runs",
            self._starts() == starts + 1 and self._service()["state"] == "running",
        )
        report = self._report()
        self._check(
            f"the server reported that it adopted {self._document.vpc_endpoint_id}",
            report["outcome"] == "adopted" and report["vpc_endpoint_id"] == self._document.vpc_endpoint_id,
        )

    def _back_up(self) -> None:
        self._console.chapter("Backup server: the first backup goes through the endpoint")
        with self._console.waiting("the administrator adds the bucket as a repository in VBR"):
            session = self._add_repository()
        self._check(
            f"VBR accepted the repository ({session['result']['message'] or session['result']['result']})",
            session["result"]["result"] == "Success",
        )
        with self._console.waiting(f"{_BACKUPS_TO_SEE} backups"):
            self._eventually("VBR backed up", lambda: len(self._backups()) >= _BACKUPS_TO_SEE)
        failed = [backup for backup in self._backups() if not backup["ok"]]
        self._check(
            f"no backup failed ({failed[0]['error'] if failed else len(self._backups())})", not failed
        )
        keys = self._objects_through_endpoint()
        self._console.evidence("\n".join(f"s3://{self._sandbox.bucket}/{key}" for key in keys[:5]))
        self._check(
            "the bucket has a Veeam/ folder", bool(keys) and all(key.startswith("Veeam/") for key in keys)
        )
        written = [
            call
            for call in self._sandbox.aws.requests()
            if call["action"] == "PutObject" and call["status"] == 200
        ]
        self._check(
            f"all {len(written)} objects were written through {self._document.endpoint_host}",
            bool(written)
            and all(
                call["vpce"] == self._document.vpc_endpoint_id
                and call["host"] == self._document.endpoint_host
                for call in written
            ),
        )

    def _keep_others_out(self) -> None:
        self._console.chapter("AWS: nobody else gets in, and nobody is locked out")
        bucket, host, keys = self._sandbox.bucket, self._document.endpoint_host, self._sandbox.repository_keys
        refused: list[tuple[str, Answer]] = [
            (
                "an upload by the account's administrator, from the console",
                self._outside.put(bucket, "upload.txt"),
            ),
            (
                "an upload with the repository's own key, from the internet",
                self._outside.put(bucket, "upload.txt", keys=keys),
            ),
            ("a listing by the account's administrator", self._outside.listing(bucket)),
            (
                "an upload through the endpoint over plain HTTP",
                self._outside.put_unencrypted(bucket, "Veeam/x", keys=keys, host=host),
            ),
            (
                "an upload through the endpoint with TLS 1.1",
                self._outside.put_with_tls_1_1(bucket, "Veeam/x", keys=keys, host=host),
            ),
            ("a new bucket policy by the account's administrator", self._outside.replace_policy(bucket)),
        ]
        self._console.evidence(f"put-object upload.txt: {refused[0][1].words}")
        for what, answer in refused:
            self._check(
                f"{what} is refused by the bucket policy", answer.denied_by_bucket_policy, answer.words
            )
        allowed = self._outside.put(bucket, "Veeam/probe", keys=keys, host=host)
        self._check("the same upload through the endpoint is accepted", allowed.status == 200, allowed.words)
        self._check("the administrator still manages the bucket", self._manageable(bucket))

    def _do_it_all_again(self) -> None:
        self._console.chapter("Everything a second time: nothing changes")
        version = self._parameter()["Version"]
        policy = self._outside.s3().get_bucket_policy(Bucket=self._sandbox.bucket)["Policy"]
        region_file = self._region_file.stat()
        starts = self._starts()
        seen = len(self._sandbox.aws.requests())
        states = self._sandbox.aws.client("stepfunctions")
        started = states.start_execution(
            stateMachineArn=self._sandbox.state_machine_arn,
            input=json.dumps({"site": self._sandbox.settings.site}),
        )
        self._follow(started["executionArn"])
        writes = self._writes(since=seen, but_sources=("client",))
        self._console.evidence("\n".join(f"{call['service']}:{call['action']}" for call in writes))
        self._check(
            "the second run wrote nothing but its lease, which it took and gave back",
            [(call["service"], call["action"]) for call in writes] == [("dynamodb", "UpdateItem")] * 2,
        )
        self._check(
            "parameter version and bucket policy are the same",
            self._parameter()["Version"] == version
            and self._outside.s3().get_bucket_policy(Bucket=self._sandbox.bucket)["Policy"] == policy,
        )
        seen = len(self._sandbox.aws.requests())
        again = self._client("run", expected=0)
        self._console.evidence(again.output)
        now = self._region_file.stat()
        self._check(
            "the client wrote nothing and restarted nothing",
            (now.st_mtime_ns, now.st_ino) == (region_file.st_mtime_ns, region_file.st_ino)
            and self._starts() == starts
            and not [
                call for call in self._sandbox.aws.requests()[seen:] if call["action"] == "PutParameter"
            ],
        )

    def _take_it_back(self) -> None:
        self._console.chapter("Backup server: undo")
        undo = self._client("undo", "--yes", expected=0)
        self._console.evidence(undo.output)
        self._check("AmazonS3Regions.xml and the registry are as they were, byte for byte", self._as_before())
        self._check("the Veeam Backup Service runs", self._service()["state"] == "running")
        self._check("the server reported that it reverted", self._report()["outcome"] == "reverted")
        undone = len(self._backups())
        with self._console.waiting("one more backup, over the public endpoints again"):
            self._eventually("VBR backed up", lambda: len(self._backups()) > undone)
        last = self._backups()[-1]
        self._check(
            "which the bucket policy now refuses: the bucket belongs to the endpoint",
            not last["ok"] and "explicit deny in a resource-based policy" in last["error"],
            last["error"] or "the backup was let through",
        )

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
                folder=self._document.buckets[0].folder,
                region=self._document.region,
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
                entered = [
                    event["stateEnteredEventDetails"]["name"]
                    for event in states.get_execution_history(executionArn=execution, maxResults=1000)[
                        "events"
                    ]
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

    def _writes(self, *, since: int, but_sources: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            call
            for call in self._sandbox.aws.requests()[since:]
            if call["source"] not in but_sources
            and call["source"].startswith("lambda:")
            and call["status"] < 300
            and call["action"].startswith(_WRITING)
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
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with self._console.waiting("the client"):
            done = subprocess.run(
                [sys.executable, "-m", "onprem_client", *words],
                cwd=self._client_root,
                env={**environment, "PYTHONPATH": str(self._client_root)},
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE_SECONDS,
            )
        output = (done.stdout + done.stderr).strip()
        if expected is not None:
            self._check(f"`{arguments[0]}` exits with {expected}", done.returncode == expected, output)
        return Ended(code=done.returncode, output=output)

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
