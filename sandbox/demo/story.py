"""
The whole story, told on a running sandbox: one start of the workflow, and a backup server that backs up
through the endpoint.

Whoever changes the product must not be able to make this lie.
"""

import json

from sandbox.demo.outside import Answer
from sandbox.demo.teller import Teller

_BACKUPS_TO_SEE = 2


class Story(Teller):
    """From the first start to the undo."""

    def tell(self) -> None:
        """Tell it to the end, or raise UntrueError."""
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
        writes = self._writes(since=seen)
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
