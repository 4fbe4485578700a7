"""What happens to a site over the years, judged by the log of AWS calls and by S3's own answers."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

from contract.documents import AdoptionReport, EndpointDocument, Outcome
from contract.names import EndpointId, SiteName, server_name
from contract.parameters import adoption_parameter, endpoint_parameter
from sandbox.demo.outside import Outside
from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.stories.workflow import Workflow

T = TypeVar("T")

SITE, SERVER = SiteName("tokyo"), "vbr01"
BUCKET = "vbr-tokyo-111122223333-ap-northeast-1"
_PATIENCE_SECONDS = 60.0


class Life(Workflow):
    """A site, its one server, and time."""

    def report(self, outcome: Outcome, *, server: str = SERVER, endpoint: str | None = None) -> str:
        """Report as the server's client would; return the execution that the report starts."""
        document = self.document()
        report = AdoptionReport(
            server=server_name(server),
            client_version="1.0",
            vbr_version=None,
            vpc_endpoint_id=EndpointId(endpoint or document.vpc_endpoint_id),
            document_version=1,
            outcome=outcome,
            checks=(),
            error=None,
            at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        before = set(self.executions())
        self.sandbox.aws.client("ssm", self.sandbox.client_keys).put_parameter(
            Name=adoption_parameter(SITE, server_name(server)),
            Value=report.to_json(),
            Type="String",
            Overwrite=True,
        )
        started = eventually(lambda: set(self.executions()) - before)
        return started.pop()

    def document(self) -> EndpointDocument:
        """What is published."""
        published = self.published()
        assert published is not None
        return EndpointDocument.from_json(published["Value"])

    def status(self) -> dict[str, Any]:
        """What the table says."""
        status: dict[str, Any] = json.loads(self.lease()["status"]["S"])
        return status

    def let_in(self) -> list[str]:
        """The endpoints that the bucket policy lets in."""
        policy = self.policy()
        if policy is None:
            return []
        [statement] = [
            one for one in policy["Statement"] if one["Sid"] == "DenyObjectAccessOutsideEndpoint"
        ] or [None]
        ids: list[str] = (
            [] if statement is None else statement["Condition"]["StringNotEquals"]["aws:SourceVpce"]
        )
        return ids

    def fire(self, description: str) -> str:
        """Let a schedule's time come; return the execution that it starts."""
        before = set(self.executions())
        rules = self.sandbox.aws.client("events").list_rules()["Rules"]
        [rule] = [rule for rule in rules if rule.get("Description", "").startswith(description)]
        self.sandbox.aws.fire_schedule(rule["Name"])
        return eventually(lambda: set(self.executions()) - before).pop()

    def put(self, *, through: str | None) -> int:
        """Write with the repository's key, from the internet or through an endpoint; return the status."""
        outside = Outside(self.sandbox.aws)
        return outside.put(BUCKET, "Veeam/x", keys=self.sandbox.repository_keys, host=through).status


def eventually(ask: Callable[[], T]) -> T:
    """Ask until the answer is true."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < give_up, "it does not come"
        time.sleep(0.05)
    return answer


@pytest.fixture(name="life")
def _life(assembly: Path, tmp_path: Path) -> Iterator[Life]:
    """A site whose bucket somebody else has made and that holds a backup already."""
    options = SandboxOptions(
        state=tmp_path, root=ROOT, pending_seconds=0.3, assembly=assembly, existing=(BUCKET,)
    )
    with Sandbox(options) as sandbox:
        sandbox.aws.client("s3").put_object(Bucket=BUCKET, Key="Veeam/old", Body=b"backup")
        life = Life(sandbox)
        with life.settings(expected_servers=[SERVER], release_deadline_hours=1):
            yield life


def test_a_bucket_in_use_is_locked_after_its_server_has_moved(life: Life) -> None:
    """Locking it earlier would break the backups that run."""
    first = life.run({"site": SITE, "intent": "provisioned"})
    pending, before = life.status(), life.let_in()
    failed = life.end_of(life.report(Outcome.FAILED))
    still_pending = life.status()["state"]
    elsewhere = life.end_of(life.report(Outcome.ADOPTED, endpoint="vpce-0fedcba9876543210"))
    still_waiting = life.status()["waits_for"]
    adopted = life.end_of(life.report(Outcome.ADOPTED))

    assert [run.status for run in (first, failed, elsewhere, adopted)] == ["SUCCEEDED"] * 4
    assert (pending["state"], pending["pending"], pending["waits_for"]) == (
        "enforcement pending",
        [BUCKET],
        [SERVER],
    )
    assert before == []
    assert still_pending == "enforcement pending"
    assert still_waiting == [SERVER]
    assert life.status()["state"] == "enforced"
    assert life.let_in() == [life.document().vpc_endpoint_id]
    assert life.put(through=None) == 403
    assert life.put(through=life.document().endpoint_host) == 200


def test_without_expected_servers_nothing_is_locked_and_it_says_so(life: Life) -> None:
    """Nobody can be waited for: a person has to name the servers."""
    with life.settings(expected_servers=[]):
        life.run()
        life.end_of(life.report(Outcome.ADOPTED))

    assert life.status()["state"] == "enforcement pending"
    assert "expected_servers is empty" in life.status()["why"]
    assert life.let_in() == []


def test_a_check_reports_drift_and_changes_nothing(life: Life) -> None:
    """A person wants to know first what the daily run would do."""
    life.run()
    life.end_of(life.report(Outcome.ADOPTED))
    root = life.sandbox.aws.client("s3", life.sandbox.aws.root())
    root.delete_bucket_policy(Bucket=BUCKET)
    [group] = life.groups()
    ec2 = life.sandbox.aws.client("ec2")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    before, since = life.lease(), life.seen()
    check = life.run({"site": SITE, "purpose": "check"})
    writes = life.writes(since=since)
    repaired = life.run()

    assert check.status == "SUCCEEDED", check.cause
    assert {(one["property"], one["repaired"]) for one in check.output["end"]["drift"]} == {
        ("other incoming rules", False),
        ("bucket policy", False),
    }
    assert writes == ["dynamodb:UpdateItem", "events:PutEvents", "dynamodb:UpdateItem"]
    assert before["status"] == life.lease()["status"]
    assert {(one["property"], one["repaired"]) for one in repaired.output["end"]["drift"]} == {
        ("other incoming rules", True),
        ("bucket policy", True),
    }
    assert life.put(through=None) == 403


def test_an_endpoint_that_was_deleted_by_hand_is_replaced(life: Life) -> None:
    """The policy lets both in until every expected server has moved to the new one."""
    life.run()
    life.end_of(life.report(Outcome.ADOPTED))
    old = life.document()
    life.sandbox.aws.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[old.vpc_endpoint_id])
    replaced = life.run()
    new = life.document()
    both, waits = life.let_in(), life.status()["waits_for"]
    life.end_of(life.report(Outcome.ADOPTED))

    assert replaced.status == "SUCCEEDED", replaced.cause
    assert new.vpc_endpoint_id != old.vpc_endpoint_id
    assert both == [new.vpc_endpoint_id, old.vpc_endpoint_id]
    assert waits == [SERVER]
    assert life.let_in() == [new.vpc_endpoint_id]
    assert life.status()["state"] == "enforced"


def test_a_site_moves_to_another_network_without_a_refused_backup(life: Life) -> None:
    """The old endpoint keeps working, and keeps being let in, until the server has left it."""
    life.run()
    life.end_of(life.report(Outcome.ADOPTED))
    old = life.document()
    network = life.sandbox.aws.create_network("moved", cidr="10.99.0.0/16")
    with life.settings(vpc_id=network.vpc_id, subnet_ids=list(network.subnet_ids), expected_servers=[SERVER]):
        moved = life.run()
        new = life.document()
        through_both = [life.put(through=document.endpoint_host) for document in (old, new)]
        there = life.endpoints()
        life.end_of(life.report(Outcome.ADOPTED))

        assert moved.status == "SUCCEEDED", moved.cause
        assert sorted(there) == sorted([old.vpc_endpoint_id, new.vpc_endpoint_id])
        assert through_both == [200, 200]
        assert life.endpoints() == [new.vpc_endpoint_id]
        assert len(life.groups()) == 1
        assert life.let_in() == [new.vpc_endpoint_id]


def test_a_release_waits_for_laggards_names_them_and_can_be_forced(life: Life) -> None:
    """A server that is switched off must not hold a site for ever, and must not be forgotten silently."""
    life.run()
    life.end_of(life.report(Outcome.ADOPTED))
    released = life.run({"site": SITE, "intent": "released"})
    pending = life.status()
    withdrawn = life.document()
    unlocked = life.put(through=None)
    _publish_earlier(life, timedelta(hours=2))
    hourly = life.end_of(life.fire("Looks after what waits"))
    daily = life.end_of(life.fire("Repairs what somebody has changed"))
    overdue = life.status()
    there = life.endpoints()
    forced = life.run({"site": SITE, "intent": "released", "force": True})

    assert released.status == "SUCCEEDED", released.cause
    assert (pending["state"], pending["waits_for"]) == ("release pending", [SERVER])
    assert withdrawn.state == "withdrawn"
    assert unlocked == 200
    assert hourly.status == "SUCCEEDED"
    assert (daily.status, daily.error) == ("FAILED", "ServersNotBackError")
    assert overdue["error"].startswith(f"ServersNotBackError: {SERVER}: ")
    assert there == [withdrawn.vpc_endpoint_id]
    assert forced.status == "SUCCEEDED", forced.cause
    assert life.endpoints() == life.groups() == []
    assert life.status()["state"] == "released"


def _publish_earlier(life: Life, by: timedelta) -> None:
    """Let time pass since the document was published."""
    document = json.loads(life.document().to_json())
    document["published_at"] = (datetime.now(UTC) - by).strftime("%Y-%m-%dT%H:%M:%SZ")
    life.sandbox.aws.client("ssm").put_parameter(
        Name=endpoint_parameter(SITE), Value=json.dumps(document), Overwrite=True
    )


def test_nothing_but_a_request_brings_a_released_site_back(life: Life) -> None:
    """Neither a report nor a schedule nor a start without an intent changes what a site should be."""
    life.run()
    life.end_of(life.report(Outcome.ADOPTED))
    life.run({"site": SITE, "intent": "released"})
    life.end_of(life.report(Outcome.REVERTED))
    gone = life.endpoints()
    since = life.seen()
    for execution in (
        life.report(Outcome.ADOPTED),
        life.fire("Looks after what waits"),
        life.fire("Repairs what somebody has changed"),
        life.start({"site": SITE}),
    ):
        life.end_of(execution)
    made = [write for write in life.writes(since=since) if "Create" in write]
    again = life.run({"site": SITE, "intent": "provisioned"})

    assert gone == []
    assert made == []
    assert again.status == "SUCCEEDED", again.cause
    assert len(life.endpoints()) == 1
    # Its backups run over public endpoints now: they must not be locked out at once.
    assert life.status()["state"] in ("enforcement pending", "enforced")
    assert life.document().state == "active"


def test_a_recovery_site_may_read_for_a_while_and_never_write(life: Life) -> None:
    """The original site is gone: somebody must get at the backups, for a time, and leave a trace."""
    life.run()
    life.end_of(life.report(Outcome.ADOPTED))
    reader = life.sandbox.aws.create_user(
        "recovery",
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
        },
    )
    arn = "arn:aws:iam::111122223333:user/recovery"
    s3 = Outside(life.sandbox.aws).s3(reader)
    before = _status_of(s3.get_object, Bucket=BUCKET, Key="Veeam/old")
    life.put_event(
        "Access Grant Requested",
        {"site": SITE, "principal": arn, "hours": 4, "reason": "the data centre burned down"},
    )
    eventually(lambda: _status_of(s3.get_object, Bucket=BUCKET, Key="Veeam/old") == 200)
    eventually(lambda: "lease" not in life.lease())
    granted = life.status()["grants"]
    listed = _status_of(s3.list_objects_v2, Bucket=BUCKET)
    written = _status_of(s3.put_object, Bucket=BUCKET, Key="Veeam/new", Body=b"")
    deleted = _status_of(s3.delete_object, Bucket=BUCKET, Key="Veeam/old")
    others = life.put(through=None)
    _grant_is_over(life, arn)
    life.end_of(life.fire("Looks after what waits"))
    policy = life.policy()

    assert before == 403
    assert [(one["principal"], one["reason"]) for one in granted] == [(arn, "the data centre burned down")]
    assert (listed, written, deleted, others) == (200, 403, 403, 403)
    assert policy is not None
    assert len(policy["Statement"]) == 5
    assert _status_of(s3.get_object, Bucket=BUCKET, Key="Veeam/old") == 403
    assert life.status()["grants"] == []
    assert life.end_of(life.fire("Looks after what waits")).output["lease"]["outcome"] == "idle"


def _grant_is_over(life: Life, arn: str) -> None:
    """Let the grant's hours pass."""
    life.sandbox.aws.client("dynamodb").update_item(
        TableName=life.sandbox.sites_table,
        Key={"site": {"S": SITE}},
        UpdateExpression="SET #grant.expires_at = :past",
        ExpressionAttributeNames={"#grant": f"grant {arn}"},
        ExpressionAttributeValues={":past": {"S": "2020-01-01T00:00:00Z"}},
    )


def _status_of(call: Callable[..., Any], **arguments: Any) -> int:
    try:
        answer = call(**arguments)
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])
