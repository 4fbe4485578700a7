"""
A site as the outside world sees it: what is there, told so that two worlds can be compared, and a start
that can be built again in a moment.

Ids, addresses and times differ from run to run. In a `Sight` they have names instead: what was there before
the run is `old`, what a run has made is `new`, and what nobody knows any more is `unknown`.
"""

import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from contract.parameters import endpoint_parameter
from sandbox.running import Sandbox
from tests.stories.workflow import Run

_IDS = re.compile(r"(?:vpce|sg)-[0-9a-f]{8,17}")
_REGIONAL = re.compile(r"\*\.vpce-[0-9a-f]+-[0-9a-z]+\.s3\.[a-z0-9.-]+")
_PATIENCE_SECONDS = 120.0
_LONGEST_SENTENCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """
    The world at one moment.

    `network`, `published` and `policy` are what backup servers and people depend on; `item` is what the
    product remembers, without the lease; `leased` says whether a lease is there.
    """

    endpoints: str
    groups: str
    published: str
    policy: str
    item: Mapping[str, Any]
    leased: bool

    @property
    def outside(self) -> tuple[str, str, str, str]:
        """What others depend on, in the order in which a release takes it away."""
        return (self.policy, self.published, self.endpoints, self.groups)

    @property
    def told(self) -> dict[str, Any]:
        """What the site's status says."""
        status: dict[str, Any] = json.loads(self.item.get("status", {}).get("S") or "{}")
        return status

    @property
    def remembered(self) -> dict[str, Any]:
        """What the next run relies on."""
        return {name: value for name, value in self.item.items() if name != "status"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Everything that a world is rebuilt from; texts still have the ids of the world they were taken from."""

    endpoint: Mapping[str, Any] | None
    group: Mapping[str, Any] | None
    bucket: bool
    policy: str | None
    published: str | None
    item: Mapping[str, Any]


EMPTY = Start(endpoint=None, group=None, bucket=False, policy=None, published=None, item={})


@dataclass(slots=True)
class _Names:
    """Names of ids, in the order in which they were met."""

    old: list[str] = field(default_factory=list)

    def told(self, text: str, living: list[str]) -> str:
        """Put names in the place of ids."""

        def name(match: re.Match[str]) -> str:
            found = match[0]
            if found in self.old:
                return f"{found.split('-')[0]}-old{self.old.index(found)}"
            new = [one for one in living if one not in self.old]
            return f"{found.split('-')[0]}-{f'new{new.index(found)}' if found in new else 'unknown'}"

        return _IDS.sub(name, text)


class World:
    """One site of a running sandbox; whoever asks and changes here is the account's administrator or root."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        aws = sandbox.aws
        self._site = sandbox.settings.site
        self._states = aws.client("stepfunctions")
        self._ssm = aws.client("ssm")
        self._ec2 = aws.client("ec2")
        self._s3 = aws.client("s3", aws.root())
        self._dynamodb = aws.client("dynamodb")
        self._read = 0
        self._names = _Names()

    # Runs and what they asked of AWS

    def run(self, request: object) -> Run:
        """Start the workflow and wait for its end."""
        arn = self._states.start_execution(
            stateMachineArn=self.sandbox.state_machine_arn, input=json.dumps(request)
        )["executionArn"]
        give_up = time.monotonic() + _PATIENCE_SECONDS
        # Each look costs as much as a call of the run itself, and no run is quicker than this.
        time.sleep(0.25)
        while (answer := self._states.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < give_up, f"{arn} does not end"
            time.sleep(0.07)
        return Run(
            arn=arn,
            status=answer["status"],
            error=answer.get("error", ""),
            cause=answer.get("cause", ""),
            output=json.loads(answer.get("output") or "{}"),
        )

    def calls(self) -> list[dict[str, Any]]:
        """Return what AWS was asked since this was last called, as the log tells it."""
        with self.sandbox.aws.requests_log.open("rb") as log:
            log.seek(self._read)
            lines = log.read()
        self._read += len(lines)
        return [json.loads(line) for line in lines.splitlines()]

    # Looking

    def look(self) -> Sight:
        """Look at the world as it is now."""
        endpoints, groups = self._endpoints(), self._own_groups()
        living = [
            *(endpoint["VpcEndpointId"] for endpoint in endpoints),
            *(group["GroupId"] for group in groups),
        ]
        item = dict(self._item())
        leased = "lease" in item
        # What differs from run to run, or belongs to the run that holds the lease.
        for volatile in ("last_run", "lease", "replaced_policies", "successor"):
            item.pop(volatile, None)
        remembered = item.get("remembered", {}).get("M", {})
        if "locked" in remembered:
            # A fingerprint, in which the endpoints' ids are.
            item["remembered"] = {"M": {**remembered, "locked": {"S": "a fingerprint"}}}

        def told(value: Any) -> str:
            return self._names.told(json.dumps(value, sort_keys=True, default=str), living)

        return Sight(
            endpoints=told(
                [
                    {
                        "id": endpoint["VpcEndpointId"],
                        "state": endpoint["State"].lower(),
                        "subnets": sorted(endpoint["SubnetIds"]),
                        "groups": [group["GroupId"] for group in endpoint["Groups"]],
                        "private_dns": endpoint["PrivateDnsEnabled"],
                        "policy": json.loads(endpoint["PolicyDocument"]),
                        "tags": sorted(tag["Key"] for tag in endpoint["Tags"]),
                    }
                    for endpoint in endpoints
                ]
            ),
            groups=told(
                [
                    {
                        "id": group["GroupId"],
                        "rules": [
                            [rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"), rule["IpRanges"]]
                            for rule in group["IpPermissions"]
                        ],
                    }
                    for group in groups
                ]
            ),
            published=told(self._published(endpoints)),
            policy=told(self._policy()),
            item=json.loads(told(item)),
            leased=leased,
        )

    def _endpoints(self) -> list[dict[str, Any]]:
        return [
            endpoint
            for endpoint in self._ec2.describe_vpc_endpoints()["VpcEndpoints"]
            if endpoint["State"].lower() not in ("deleting", "deleted")
        ]

    def _own_groups(self) -> list[dict[str, Any]]:
        answer = self._ec2.describe_security_groups(
            Filters=[{"Name": "tag-key", "Values": ["vbr-privatelink-created-by"]}]
        )
        groups: list[dict[str, Any]] = answer["SecurityGroups"]
        return groups

    def _published(self, endpoints: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The document without its provenance; where it is to be followed, whether it speaks the truth."""
        text = self._published_text()
        if text is None:
            return None
        document: dict[str, Any] = json.loads(text)
        for provenance in ("published_at", "execution"):
            del document[provenance]
        said = {name: document.pop(name) for name in ("endpoint_host", "endpoint_addresses")}
        if document["state"] == "active":
            document["is_true"] = any(
                said == self._reached(endpoint)
                for endpoint in endpoints
                if endpoint["VpcEndpointId"] == document["vpc_endpoint_id"]
            )
        return document

    def _reached(self, endpoint: Mapping[str, Any]) -> dict[str, Any]:
        """How an endpoint is reached, as a document should say it."""
        [name] = [
            entry["DnsName"] for entry in endpoint["DnsEntries"] if _REGIONAL.fullmatch(entry["DnsName"])
        ]
        interfaces = self._ec2.describe_network_interfaces(
            NetworkInterfaceIds=endpoint["NetworkInterfaceIds"]
        )["NetworkInterfaces"]
        return {
            "endpoint_host": name.replace("*.", "bucket.", 1),
            "endpoint_addresses": sorted(interface["PrivateIpAddress"] for interface in interfaces),
        }

    def _published_text(self) -> str | None:
        try:
            answer = self._ssm.get_parameter(Name=endpoint_parameter(self._site))
        except self._ssm.exceptions.ParameterNotFound:
            return None
        return str(answer["Parameter"]["Value"])

    def _policy(self) -> dict[str, Any] | None:
        text = self._policy_text()
        policy: dict[str, Any] | None = json.loads(text) if text else None
        return policy

    def _policy_text(self) -> str | None:
        try:
            return str(self._s3.get_bucket_policy(Bucket=self.sandbox.bucket)["Policy"])
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchBucketPolicy", "NoSuchBucket"):
                raise
            return None

    def _item(self) -> Mapping[str, Any]:
        answer = self._dynamodb.get_item(
            TableName=self.sandbox.sites_table, Key={"site": {"S": self._site}}, ConsistentRead=True
        )
        item: Mapping[str, Any] = answer.get("Item", {})
        return item

    # Building

    def taken(self) -> Start:
        """Take the world as it is, to build it again."""
        endpoints, groups = self._endpoints(), self._own_groups()
        return Start(
            endpoint=endpoints[0] if endpoints else None,
            group=groups[0] if groups else None,
            bucket=True,
            policy=self._policy_text(),
            published=self._published_text(),
            item=self._item(),
        )

    def build(self, start: Start) -> None:
        """Make the world what it was, whatever a run has left of it."""
        self._clear()
        changed: dict[str, str] = {}
        if start.group is not None:
            changed[start.group["GroupId"]] = self._make_group(start.group)
        if start.endpoint is not None:
            changed[start.endpoint["VpcEndpointId"]] = self._make_endpoint(start.endpoint, changed)

        def renamed(text: str) -> str:
            for before, after in changed.items():
                text = text.replace(before, after)
            return text

        if not start.bucket:
            with contextlib.suppress(self._s3.exceptions.NoSuchBucket):
                self._s3.delete_bucket(Bucket=self.sandbox.bucket)
        elif start.policy is not None:
            self._s3.put_bucket_policy(Bucket=self.sandbox.bucket, Policy=renamed(start.policy))
        else:
            self._s3.delete_bucket_policy(Bucket=self.sandbox.bucket)
        if start.published is not None:
            document = json.loads(renamed(start.published))
            if start.endpoint is not None:
                [endpoint] = self._endpoints()
                document |= self._reached(endpoint)
            self._ssm.put_parameter(
                Name=endpoint_parameter(self._site), Value=json.dumps(document), Type="String"
            )
        if start.item:
            item = json.loads(renamed(json.dumps(start.item)))
            self._dynamodb.put_item(TableName=self.sandbox.sites_table, Item=item)
        # Ids that are met now are the old ones, whether or not what they name is still there.
        texts = [renamed(text) for text in (start.policy, start.published) if text]
        self._names = _Names(old=list(dict.fromkeys([*changed.values(), *(_IDS.findall(" ".join(texts)))])))
        self.calls()

    def _clear(self) -> None:
        ids = [endpoint["VpcEndpointId"] for endpoint in self._endpoints()]
        if ids:
            self._ec2.delete_vpc_endpoints(VpcEndpointIds=ids)
        give_up = time.monotonic() + _PATIENCE_SECONDS
        for group in self._own_groups():
            while True:
                try:
                    self._ec2.delete_security_group(GroupId=group["GroupId"])
                    break
                except ClientError as error:
                    in_use = error.response["Error"]["Code"] == "DependencyViolation"
                    if not in_use or time.monotonic() > give_up:
                        raise
                time.sleep(0.02)
        with contextlib.suppress(self._ssm.exceptions.ParameterNotFound):
            self._ssm.delete_parameter(Name=endpoint_parameter(self._site))
        self._dynamodb.delete_item(TableName=self.sandbox.sites_table, Key={"site": {"S": self._site}})

    def _make_group(self, group: Mapping[str, Any]) -> str:
        made = self._ec2.create_security_group(
            GroupName=group["GroupName"],
            Description=group["Description"],
            VpcId=group["VpcId"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": group["Tags"]}],
        )["GroupId"]
        rules = [
            {name: value for name, value in rule.items() if value != []} for rule in group["IpPermissions"]
        ]
        self._ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=rules)
        return str(made)

    def _make_endpoint(self, endpoint: Mapping[str, Any], changed: Mapping[str, str]) -> str:
        made = self._ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            ServiceName=endpoint["ServiceName"],
            VpcId=endpoint["VpcId"],
            SubnetIds=endpoint["SubnetIds"],
            SecurityGroupIds=[changed[group["GroupId"]] for group in endpoint["Groups"]],
            PolicyDocument=endpoint["PolicyDocument"],
            PrivateDnsEnabled=False,
            TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": endpoint["Tags"]}],
        )["VpcEndpoint"]
        return str(made["VpcEndpointId"])


def sentence(run: Run) -> str:
    """Return what a failed run's cause says, without what Lambda puts around it."""
    try:
        details = json.loads(run.cause)
    except ValueError:
        return run.cause
    return str(details.get("errorMessage", "")) if isinstance(details, dict) else run.cause


def is_one_sentence(text: str) -> bool:
    """Say whether an operator can read it: one line, no traceback, no JSON, not endless."""
    return (
        0 < len(text) <= _LONGEST_SENTENCE
        and text.isprintable()
        and "Traceback" not in text
        and not text.startswith(("{", "["))
    )
