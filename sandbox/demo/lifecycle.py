"""
The life of a site: a bucket that is in use is locked without a single failed backup, drift is repaired, and
the site is released again.

The stand-in VBR server backs up every second from the first line to the last; at the end each of its
backups must have succeeded and still be readable.
"""

import json
from typing import Any

from sandbox.assembly import settings_of
from sandbox.demo.teller import Teller
from sandbox.running import SERVER, SandboxOptions

EXISTING_BUCKET = "backups-of-example-com"
_DAILY = "Repairs what somebody has changed by hand"


def lifecycle_settings(options: SandboxOptions) -> SandboxOptions:
    """Let the site use a bucket that exists, and wait for one server before it is locked."""
    settings = settings_of(options.root)
    [site] = settings["sites"]
    site |= {
        "buckets": [{"name": EXISTING_BUCKET, "folder": "tokyo", "immutability_days": 0}],
        "expected_servers": [SERVER],
    }
    return SandboxOptions(
        state=options.state,
        root=options.root,
        pending_seconds=options.pending_seconds,
        assembly=options.assembly,
        settings=settings,
        existing=(EXISTING_BUCKET,),
    )


class Lifecycle(Teller):
    """From a bucket in use to a released site."""

    def tell(self) -> None:
        """Tell it to the end, or raise UntrueError."""
        self._listen()
        self._before()
        self._provision()
        self._adopt()
        self._drift()
        self._release()
        self._go_back()
        self._afterwards()

    def _before(self) -> None:
        self._console.chapter("Before: VBR backs up to an existing bucket, over public endpoints")
        with self._console.waiting("the administrator adds the bucket as a repository in VBR"):
            session = self._add_repository()
        self._check("VBR accepted the repository", session["result"]["result"] == "Success", str(session))
        self._more_backups("over public endpoints", through=None)

    def _provision(self) -> None:
        self._console.chapter("Provision: everything is made, and nothing is locked yet")
        self._request("Provision Requested")
        self._document = self._published()
        status = self._status()
        self._console.evidence(self._latest("Site Status"))
        self._check(
            f"enforcement is pending, and waits for {SERVER}",
            status["state"] == "enforcement pending"
            and status["waits_for"] == [SERVER]
            and status["pending"] == [EXISTING_BUCKET],
            json.dumps(status),
        )
        self._check("the bucket has no policy of the product", self._own_sids() == [])
        self._more_backups("still over public endpoints", through=None)

    def _adopt(self) -> None:
        self._console.chapter("Adoption: the server moves, and the policy follows by itself")
        before = self._executions()
        run = self._client("run", expected=0)
        self._console.evidence(run.output)
        with self._console.waiting("the server's report starts a run"):
            self._eventually("the bucket was locked", lambda: len(self._own_sids()) == 5)
        self._settled("enforced")
        self._console.evidence("\n".join(self._own_sids()))
        started_by = {self._started_by(execution) for execution in self._executions() - before}
        self._check(
            "the policy was attached by a run that nobody started but the server's report",
            started_by == {"Parameter Store Change"},
            str(started_by),
        )
        refused = self._outside.put(EXISTING_BUCKET, "upload.txt")
        self._check(
            "an upload from elsewhere is refused by the bucket policy",
            refused.denied_by_bucket_policy,
            refused.words,
        )
        self._more_backups("through the endpoint", through=self._document.vpc_endpoint_id)

    def _drift(self) -> None:
        self._console.chapter("Drift: somebody changes things by hand; the daily run repairs them")
        root = self._sandbox.aws.client("s3", self._sandbox.aws.root())
        policy = json.loads(root.get_bucket_policy(Bucket=EXISTING_BUCKET)["Policy"])
        policy["Statement"] = [
            statement for statement in policy["Statement"] if statement["Sid"] != "DenyListingOutsideEndpoint"
        ]
        root.put_bucket_policy(Bucket=EXISTING_BUCKET, Policy=json.dumps(policy))
        ec2 = self._sandbox.aws.client("ec2")
        [group] = self._endpoint()["Groups"]
        ec2.authorize_security_group_ingress(
            GroupId=group["GroupId"],
            IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            ],
        )
        self._check(
            "the bucket can be listed from elsewhere", self._outside.listing(EXISTING_BUCKET).status == 200
        )
        self._fire(_DAILY)
        self._console.evidence(self._latest("Drift Found"))
        found = {
            (drift["property"], drift["repaired"])
            for drift in json.loads(self._latest("Drift Found"))["drift"]
        }
        self._check(
            "the event says what was found and repaired",
            found == {("bucket policy", True), ("other incoming rules", True)},
            str(found),
        )
        self._check("all five statements are back", len(self._own_sids()) == 5)
        rules = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"][0][
            "IpPermissions"
        ]
        self._check("the group lets in HTTPS and nothing else", [rule["FromPort"] for rule in rules] == [443])
        self._more_backups("through the endpoint", through=self._document.vpc_endpoint_id)

    def _release(self) -> None:
        self._console.chapter("Release: the lock comes off first, then the server is told")
        self._request("Release Requested")
        status = self._status()
        self._check("the bucket has no policy of the product", self._own_sids() == [])
        self._check(
            f"the release is pending, and waits for {SERVER}",
            status["state"] == "release pending" and status["waits_for"] == [SERVER],
            json.dumps(status),
        )
        self._check(
            "the endpoint is still there, for the server uses it", self._endpoint()["State"] == "available"
        )
        self._more_backups("still through the endpoint", through=self._document.vpc_endpoint_id)

    def _go_back(self) -> None:
        self._console.chapter("The server goes back, and the endpoint goes")
        run = self._client("run", expected=0)
        self._console.evidence(run.output)
        self._check(
            "the region file is as it was, byte for byte",
            self._region_file.read_bytes() == self._region_before,
        )
        with self._console.waiting("the server's report starts a run"):
            self._eventually("the endpoint was deleted", lambda: not self._endpoints())
        self._settled("released")
        groups = self._sandbox.aws.client("ec2").describe_security_groups(
            Filters=[{"Name": "tag:vbr-privatelink", "Values": [self._sandbox.settings.site]}]
        )["SecurityGroups"]
        self._check("endpoint and security group are gone", not groups)
        self._more_backups("over public endpoints again", through=None)

    def _afterwards(self) -> None:
        self._console.chapter("Afterwards: nothing brings it back, and nothing was lost")
        self._fire(_DAILY)
        self._check(
            "the daily run leaves a released site alone", not self._endpoints() and self._own_sids() == []
        )
        backups = self._backups()
        failed = [backup for backup in backups if not backup["ok"]]
        self._check(
            f"all {len(backups)} backups succeeded, from the first line to the last",
            not failed,
            str(failed[:1]),
        )
        s3 = self._outside.s3(self._sandbox.repository_keys)
        keys = {backup["key"] for backup in backups}
        read = [key for key in keys if s3.get_object(Bucket=EXISTING_BUCKET, Key=key)["Body"].read()]
        self._check(f"all {len(keys)} of them are readable", len(read) == len(keys))

    # What the outside world says

    def _listen(self) -> None:
        """Subscribe to the product's events, as anybody in the account may."""
        sqs = self._sandbox.aws.client("sqs")
        self._queue = sqs.create_queue(QueueName="listener")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                }
            ],
        }
        sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": json.dumps(policy)})
        events = self._sandbox.aws.client("events")
        pattern = {"source": ["vbr-privatelink"], "detail-type": ["Drift Found", "Site Status"]}
        events.put_rule(Name="listener", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="listener", Targets=[{"Id": "queue", "Arn": arn}])
        self._heard: list[dict[str, Any]] = []

    def _latest(self, detail_type: str) -> str:
        """The newest event of a kind, as JSON."""

        def heard() -> str | None:
            sqs = self._sandbox.aws.client("sqs")
            while messages := sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
                "Messages"
            ):
                for message in messages:
                    self._heard.append(json.loads(message["Body"]))
                    sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
            details = [event["detail"] for event in self._heard if event["detail-type"] == detail_type]
            return json.dumps(details[-1], indent=2) if details else None

        return self._eventually(f"an event {detail_type} was sent", heard)

    def _status(self) -> dict[str, Any]:
        """What the table says of the site."""
        item = self._sandbox.aws.client("dynamodb").get_item(
            TableName=self._sandbox.sites_table, Key={"site": {"S": self._sandbox.settings.site}}
        )["Item"]
        status: dict[str, Any] = json.loads(item.get("status", {"S": "{}"})["S"])
        return status | {"held": "lease" in item}

    def _settled(self, state: str) -> None:
        """Wait until the run that changed something has ended as well."""

        def settled() -> bool:
            status = self._status()
            return status.get("state") == state and not status["held"]

        self._eventually(f"the site is {state}", settled)
        self._check(f"the table says that the site is {state}", self._status()["state"] == state)

    def _request(self, detail_type: str) -> None:
        """Send an event, and follow the execution that it starts."""
        before = self._executions()
        detail = json.dumps({"site": self._sandbox.settings.site})
        entry = {"Source": "vbr-privatelink", "DetailType": detail_type, "Detail": detail}
        self._console.command(f"aws events put-events --entries '{json.dumps([entry])}'")
        self._sandbox.aws.client("events").put_events(Entries=[entry])
        self._follow_new(before)

    def _fire(self, description: str) -> None:
        """Let a schedule's time come, and follow the execution that it starts."""
        before = self._executions()
        rules = self._sandbox.aws.client("events").list_rules()["Rules"]
        [rule] = [rule for rule in rules if rule.get("Description", "").startswith(description)]
        self._console.command(f"(a day passes: {rule['ScheduleExpression']})")
        self._sandbox.aws.fire_schedule(rule["Name"])
        self._follow_new(before)

    def _executions(self) -> set[str]:
        found = self._sandbox.aws.client("stepfunctions").list_executions(
            stateMachineArn=self._sandbox.state_machine_arn
        )["executions"]
        return {execution["executionArn"] for execution in found}

    def _started_by(self, execution: str) -> str:
        """The detail-type of the event that the execution was started with."""
        answer = self._sandbox.aws.client("stepfunctions").describe_execution(executionArn=execution)
        return str(json.loads(answer["input"]).get("detail-type"))

    def _follow_new(self, before: set[str]) -> None:
        new = self._eventually("an execution was started", lambda: self._executions() - before)
        for execution in new:
            self._follow(execution)

    def _own_sids(self) -> list[str]:
        """The Sids of the bucket policy, read by the account's root."""
        s3 = self._sandbox.aws.client("s3", self._sandbox.aws.root())
        try:
            policy = json.loads(s3.get_bucket_policy(Bucket=EXISTING_BUCKET)["Policy"])
        except s3.exceptions.ClientError:
            return []
        return [statement["Sid"] for statement in policy["Statement"]]

    def _endpoints(self) -> list[str]:
        found = self._sandbox.aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        return [
            endpoint["VpcEndpointId"]
            for endpoint in found
            if endpoint["State"].lower() not in ("deleting", "deleted")
        ]

    def _more_backups(self, how: str, *, through: str | None) -> None:
        """See two more backups, and through which endpoint their objects were written."""
        seen = len(self._backups())
        calls = len(self._sandbox.aws.requests())
        with self._console.waiting(f"two backups {how}"):
            self._eventually("VBR backed up", lambda: len(self._backups()) >= seen + 2)
        failed = [backup for backup in self._backups() if not backup["ok"]]
        self._check(f"no backup has failed, of {len(self._backups())}", not failed, str(failed[:1]))
        written = [
            call
            for call in self._sandbox.aws.requests()[calls:]
            if call["action"] == "PutObject"
            and call["status"] == 200
            and call["principal"].endswith("/vbr-repository")
        ]
        self._check(
            f"the last ones went {how}",
            bool(written) and all(call["vpce"] == through for call in written),
            str({call["vpce"] for call in written}),
        )
