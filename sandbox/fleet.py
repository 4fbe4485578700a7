"""
The sandbox with many accounts: an organization, a hub, and the accounts that it brings the sites into.

    DIR/env.sh          export lines for the AWS CLI and boto3, as the hub's administrator
    DIR/fleet.json      names, addresses and account ids
    DIR/aws/            the log of every AWS call, and the functions' logs

Accounts are numbered from 100000000001. What is on-prem is not here: `python -m sandbox up` without accounts
has a backup server.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.assembly import settings_of, stacks_of, synthesize
from sandbox.aws import Credentials, EmbeddedAws, EmbeddedAwsOptions, Organization
from sandbox.certificates import SandboxCa
from sandbox.running import environment_file
from sandbox.started import Started

MANAGEMENT = "100000000000"
ORGANIZATION = "o-exampleorg1"
UNIT = "ou-exam-backup01"
OPERATOR = "fleet-operator"
OUTSIDE = "444455556666"
"""An account of somebody else's."""
REGIONS = ("ap-northeast-1", "ap-northeast-3")


def account_number(number: int) -> str:
    """Return the id of the account with this number, counted from 1."""
    return str(int(MANAGEMENT) + number)


def hub_settings(root: Path) -> dict[str, Any]:
    """Return the settings of cdk.json with a hub for the organization, whose sites start by themselves."""
    return settings_of(root) | {
        "start_on_deployment": True,
        "hub": {
            "organization_id": ORGANIZATION,
            "organizational_units": [UNIT],
            "excluded_accounts": [],
            "accounts": [],
            "regions": list(REGIONS),
            "overrides": [],
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """
    `assembly` is a synthesized app with a hub; without one the app of `root` is synthesized into the state
    folder. `without_network` are the accounts, by number, that have no VPC for the site in the first Region.
    """

    state: Path
    root: Path
    accounts: int
    pending_seconds: float
    assembly: Path | None
    without_network: tuple[int, ...] = ()
    settings: Mapping[str, Any] | None = None


class Fleet(Started):
    """A running sandbox of many accounts; a context manager that leaves nothing but files."""

    aws: EmbeddedAws
    organization: Organization
    unit_id: str
    site: str
    outputs: dict[str, str]

    def __init__(self, options: FleetOptions) -> None:
        super().__init__()
        self._options = options
        self._clients: dict[tuple[str, str, str], Any] = {}

    @property
    def state(self) -> Path:
        """The folder that holds everything the sandbox writes."""
        return self._options.state

    @property
    def accounts(self) -> list[str]:
        """The accounts that are there at the start."""
        return [account_number(number) for number in range(1, self._options.accounts + 1)]

    @property
    def hub_account(self) -> str:
        """The delegated administrator, whose administrator looks at everything."""
        return self.aws.options.account_id

    def deploy(self) -> None:
        """Deploy the hub and what it depends on; StackSets brings the sites into the accounts."""
        for stack in stacks_of(self._assembly):
            self.outputs = self.aws.deploy(
                self._assembly, stack.name, account_id=stack.account_id, region=stack.region
            )
        self._write_files()

    def operator(self) -> Credentials:
        """
        Make a user of the hub with the product's own policy for operators and nothing else; return its keys.
        """
        [policy] = [value for key, value in self.outputs.items() if "OperatorsPolicyArn" in key]
        keys = self.aws.create_user(OPERATOR)
        self.client("iam").attach_user_policy(UserName=OPERATOR, PolicyArn=policy)
        return keys

    def add_account(self, number: int) -> str:
        """Let one more account join, with a network, and move it into the unit; return its id."""
        account_id = account_number(number)
        self._prepare(account_id)
        self.organization.add_account(account_id, unit_id=self.unit_id)
        return account_id

    def client(self, service: str, account_id: str | None = None, region: str | None = None) -> Any:
        """Return a client of an account's administrator (the hub's if none is named)."""
        key = (service, account_id or self.hub_account, region or self.aws.options.region)
        if key not in self._clients:
            keys = self.aws.administrator
            if key[1] != self.hub_account:
                keys = self.aws.administrator_of(key[1])
            self._clients[key] = self._stack.enter_context(
                contextlib.closing(self.aws.client(service, keys, region=key[2]))
            )
        return self._clients[key]

    def runs(self, account_id: str, region: str) -> list[dict[str, Any]]:
        """Return the executions of a site's workflow, the newest first; raises StateMachineDoesNotExist."""
        machine = f"arn:aws:states:{region}:{account_id}:stateMachine:vbr-privatelink-reconcile"
        states = self.client("stepfunctions", account_id, region)
        found: list[dict[str, Any]] = states.list_executions(stateMachineArn=machine)["executions"]
        return found

    def make_network(self, account_id: str, region: str) -> None:
        """Make the network that an account lacks."""
        self.aws.create_network(self.site, account_id=account_id, region=region)

    def _start(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        options = self._options
        if options.assembly is None:
            self._assembly = self.state / "cdk.out"
            synthesize(options.root, self._assembly, settings=options.settings or hub_settings(options.root))
        else:
            self._assembly = options.assembly
        hub = stacks_of(self._assembly)[-1]
        self.site = _site_of(self._assembly)
        authority = SandboxCa(self.state / "ca")
        self.aws = self._stack.enter_context(
            EmbeddedAws(
                EmbeddedAwsOptions(
                    state=self.state,
                    account_id=hub.account_id,
                    region=hub.region,
                    pending_seconds=options.pending_seconds,
                ),
                authority=authority,
            )
        )
        self.organization = self.aws.create_organization(
            MANAGEMENT, delegated_administrator=hub.account_id, organization_id=ORGANIZATION
        )
        self.unit_id = self.organization.add_unit("backup", unit_id=UNIT)
        for number, account_id in enumerate(self.accounts, 1):
            self._prepare(account_id, without_network=number in options.without_network)
            self.organization.add_account(account_id, unit_id=self.unit_id)

    def _prepare(self, account_id: str, *, without_network: bool = False) -> None:
        """An account's own network in each Region, before the product comes."""
        for region in REGIONS[1:] if without_network else REGIONS:
            self.aws.create_network(self.site, account_id=account_id, region=region)

    def _write_files(self) -> None:
        (self.state / "env.sh").write_text(environment_file(self.aws))
        (self.state / "fleet.json").write_text(
            json.dumps(
                {
                    "hub_account": self.hub_account,
                    "management_account": MANAGEMENT,
                    "organization": self.organization.id,
                    "unit": self.unit_id,
                    "accounts": self.accounts,
                    "regions": list(REGIONS),
                    "site": self.site,
                    "outputs": self.outputs,
                    "aws_url": self.aws.endpoint_url,
                    "aws_proxy": self.aws.proxy_url,
                    "aws_ca": str(self.aws.ca_file),
                },
                indent=2,
            )
            + "\n"
        )


def _site_of(assembly: Path) -> str:
    """Read the first site's name from the StackSet's template."""
    [template] = assembly.glob("*.stackset.template.json")
    names = [
        str(resource["Properties"]["Name"])
        for resource in json.loads(template.read_text())["Resources"].values()
        if resource["Type"] == "AWS::SSM::Parameter"
    ]
    return names[0].split("/")[2]
