"""
A run of the workflow, against the same work by a boto3 script, the AWS CLI and Ansible.

All work on the same embedded AWS, whose endpoints are pending for 1.5 seconds. Also counted: the AWS calls
and the state transitions of a run, from the log of the embedded AWS and the execution's history.
"""

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import ROUNDS, Row, interleaved, median, process
from sandbox.assembly import settings_of, synthesize
from sandbox.aws import EmbeddedAws
from sandbox.running import Sandbox, SandboxOptions

ROOT = Path(__file__).resolve().parents[1]
RIVALS = Path(__file__).with_name("rivals")
TOOLS = ROOT / ".bench" / "bin"
PENDING_SECONDS = 1.5
CIDR = "10.0.0.0/8"

# The least that a run needs, call by call. Each look at what is there is one call of its own: AWS has none
# that answers two of these questions.
_TO_WORK_ALONE = {
    "dynamodb:UpdateItem": 2,  # take the lease; give it back with the status
    "ssm:GetParameter": 2,  # the settings; the document that is published
    "ec2:DescribeVpcs": 1,
    "ec2:DescribeSubnets": 1,
    "ec2:DescribeVpcEndpoints": 1,  # whether there is one, and whether it is available
    "ec2:DescribeSecurityGroups": 1,
    "ec2:DescribeNetworkInterfaces": 1,  # the addresses that the client compares with DNS
    "ssm:GetParametersByPath": 1,  # what the servers have reported
    "s3:GetBucketPolicy": 1,
    "s3:GetBucketLocation": 1,  # whether there is a bucket, whose and where
    "s3:PutObject": 1,  # the proof: refused
}
MINIMUM = {
    "fresh": {
        **_TO_WORK_ALONE,
        "dynamodb:UpdateItem": 3,  # and remember the policy that is replaced, so that it can be put back
        "s3:CreateBucket": 1,
        "s3:PutPublicAccessBlock": 1,
        "ec2:DescribeVpcEndpointServices": 1,  # its name differs by partition, its zones by account
        "ec2:CreateSecurityGroup": 1,
        "ec2:AuthorizeSecurityGroupIngress": 1,
        "ec2:CreateVpcEndpoint": 1,
        "ec2:DescribeVpcEndpoints": 2,  # whether there is one; that the new one is available
        "s3:PutBucketPolicy": 1,
        "ssm:PutParameter": 1,
        "events:PutEvents": 1,  # what the site is now
    },
    "converged": {
        **_TO_WORK_ALONE,
        "s3:GetBucketVersioning": 1,
        "s3:GetObjectLockConfiguration": 1,
        "s3:GetBucketTagging": 1,
        "s3:GetBucketLifecycleConfiguration": 1,
        "s3:GetBucketReplication": 1,
        "s3:GetPublicAccessBlock": 1,
        "s3:GetBucketOwnershipControls": 1,
        "s3:GetBucketEncryption": 1,
    },
}
SPARE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one run has asked of AWS."""

    calls: dict[str, int]
    waits: int
    transitions: int


class Cloud:
    """A sandbox with a site for each round and one to warm the functions up."""

    def __init__(self, sandbox: Sandbox, folder: Path, rounds: int) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._rounds = rounds
        self._states = sandbox.aws.client("stepfunctions")
        environment = {
            "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }
        aws = sandbox.aws
        self._environment = environment | {
            "AWS_ENDPOINT_URL": aws.endpoint_url,
            "AWS_CA_BUNDLE": str(aws.ca_file),
            "AWS_REGION": sandbox.assembly.region,
            "AWS_DEFAULT_REGION": sandbox.assembly.region,
            "AWS_ACCESS_KEY_ID": aws.administrator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": aws.administrator.secret_access_key,
        }

    def workflow(self, site: str) -> float:
        """Run the workflow for a site; return the seconds from the start to its end."""
        started = time.perf_counter()
        answer = self._states.start_execution(
            stateMachineArn=self._sandbox.state_machine_arn,
            input=json.dumps({"site": site, "intent": "provisioned"}),
        )
        self.last = str(answer["executionArn"])
        while (run := self._states.describe_execution(executionArn=self.last))["status"] == "RUNNING":
            time.sleep(0.02)
        taken = time.perf_counter() - started
        if run["status"] != "SUCCEEDED":
            raise RuntimeError(f"{site}: {run.get('error')}: {run.get('cause')}")
        return taken

    def script(self, number: int) -> float:
        """Run the boto3 script for its own network and bucket."""
        name = f"rival-boto3-{number}"
        return self._spent(sys.executable, RIVALS / "provision.py", name, name, CIDR)

    def shell(self, number: int) -> float:
        """Run the script of AWS CLI commands."""
        name = f"rival-cli-{number}"
        return self._spent("bash", RIVALS / "provision.sh", name, name, CIDR)

    def playbook(self, number: int) -> float:
        """Run the Ansible playbook."""
        name = f"rival-ansible-{number}"
        variables = {
            "site": name,
            "bucket": name,
            "cidr": CIDR,
            "region": self._sandbox.assembly.region,
            "ansible_python_interpreter": str(TOOLS / "python"),
        }
        return self._spent(TOOLS / "ansible-playbook", "-e", json.dumps(variables), RIVALS / "provision.yml")

    def counted(self, site: str) -> Counted:
        """Run the workflow for a site and count what it asked for; waiting for the endpoint is apart."""
        before = len(self._sandbox.aws.requests())
        self.workflow(site)
        calls = [
            call for call in self._sandbox.aws.requests()[before:] if call["source"].startswith("lambda:")
        ]
        counts = Counter(f"{call['service']}:{call['action']}" for call in calls)
        looks = sum(call["source"] == "lambda:vbr-privatelink-check-endpoint" for call in calls)
        # The first look at the endpoint and the one at its interfaces are work; the others are AWS's minutes.
        waits = looks - 2
        counts["ec2:DescribeVpcEndpoints"] -= waits
        events = self._states.get_execution_history(executionArn=self.last, maxResults=1000)["events"]
        transitions = sum(event["type"].endswith("StateEntered") for event in events)
        return Counted(calls=dict(counts), waits=waits, transitions=transitions)

    def _spent(self, *command: str | Path) -> float:
        return process(command, environment=self._environment, folder=self._folder).wall


@contextlib.contextmanager
def cloud(folder: Path, *, rounds: int) -> Iterator[Cloud]:
    """Start a sandbox with what all candidates need."""
    settings = settings_of(ROOT)
    [site] = settings["sites"]
    settings |= {"sites": [{**site, "site": f"site-{number}"} for number in range(rounds + 2)]}
    synthesize(ROOT, folder / "cdk.out", settings=settings)
    options = SandboxOptions(
        state=folder / "state", root=ROOT, pending_seconds=PENDING_SECONDS, assembly=folder / "cdk.out"
    )
    with Sandbox(options) as sandbox:
        _make_networks(sandbox.aws, rounds)
        yield Cloud(sandbox, folder, rounds)


def _make_networks(aws: EmbeddedAws, rounds: int) -> None:
    ec2 = aws.client("ec2")
    for kind, name in enumerate(("boto3", "cli", "ansible")):
        for number in range(rounds):
            network = aws.create_network(
                f"rival-{name}-{number}", cidr=f"10.{100 + 20 * kind + number}.0.0/16"
            )
            if name != "ansible":
                continue
            # Ansible's module can't switch private DNS off; on, S3 asks for this.
            for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
                ec2.modify_vpc_attribute(VpcId=network.vpc_id, **{attribute: {"Value": True}})
            [table] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [network.vpc_id]}])[
                "RouteTables"
            ]
            ec2.create_vpc_endpoint(
                VpcId=network.vpc_id,
                ServiceName=f"com.amazonaws.{ec2.meta.region_name}.s3",
                RouteTableIds=[table["RouteTableId"]],
            )


def measure(folder: Path, *, rounds: int = ROUNDS) -> tuple[list[Row], dict[str, Counted]]:
    """Measure fresh and converged runs, and count what they ask for."""
    with cloud(folder, rounds=rounds) as the_cloud:
        the_cloud.workflow(f"site-{rounds + 1}")
        fresh = interleaved(
            {
                "ours": lambda number: the_cloud.workflow(f"site-{number}"),
                "script": the_cloud.script,
                "shell": the_cloud.shell,
                "playbook": the_cloud.playbook,
            },
            rounds=rounds,
        )
        converged = interleaved(
            {
                "ours": lambda number: the_cloud.workflow(f"site-{number}"),
                "playbook": the_cloud.playbook,
            },
            rounds=rounds,
        )
        counted = {
            "fresh": the_cloud.counted(f"site-{rounds}"),
            "converged": the_cloud.counted(f"site-{rounds}"),
        }
    ours = median(fresh["ours"])
    rows = [
        Row(
            what="provisioning run, fresh",
            against=rival,
            unit="s",
            ours=ours,
            theirs=median(fresh[name]),
            limit=limit,
            rounds=rounds,
        )
        for name, rival, limit in (
            ("script", "boto3 script", 1.5),
            ("shell", "AWS CLI", 1.0),
            ("playbook", "Ansible", 1.0),
        )
    ]
    rows.append(
        Row(
            what="converged run",
            against="Ansible, second run",
            unit="s",
            ours=median(converged["ours"]),
            theirs=median(converged["playbook"]),
            limit=0.5,
            rounds=rounds,
        )
    )
    rows.extend(
        Row(
            what=f"AWS calls of a run, {kind}",
            against=f"{sum(MINIMUM[kind].values())} that the work needs",
            unit="calls",
            ours=sum(counted[kind].calls.values()),
            theirs=None,
            limit=sum(MINIMUM[kind].values()) + SPARE,
            rounds=1,
        )
        for kind in ("fresh", "converged")
    )
    return rows, counted
