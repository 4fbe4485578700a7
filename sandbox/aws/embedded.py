"""
The embedded AWS as a whole: what starts it, what stops it, and what a caller can ask of it.
"""

import contextlib
import dataclasses
import datetime as dt
import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader
from moto.cloudformation.utils import get_stack_from_s3_url
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.events.models import events_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.ssm.models import ssm_backends

from sandbox.aws import (
    correct_cloudformation,
    correct_endpoints,
    correct_events,
    correct_iam,
    correct_lambda,
    correct_organizations,
    correct_s3,
    correct_ssm,
    correct_stack_sets,
    correct_stepfunctions,
)
from sandbox.aws.deployment import Deployer
from sandbox.aws.event_delivery import EventDelivery
from sandbox.aws.faults import Faults
from sandbox.aws.gateway import Gateway
from sandbox.aws.identity import Credentials, Identities
from sandbox.aws.lambda_runtime import FunctionSpec, LambdaRuntime
from sandbox.aws.listener import Listener
from sandbox.aws.moto_pin import Corrections
from sandbox.aws.organization import STACK_SETS
from sandbox.aws.request_log import RequestLog
from sandbox.aws.sessions import Sessions
from sandbox.aws.stack_sets import StackSets
from sandbox.certificates import SandboxCa
from sandbox.started import Started

LOGGER = logging.getLogger(__name__)

ADMINISTRATOR = "administrator"
ADMINISTRATOR_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_VERSION = "30"
OTHER_ACCOUNT_ROLE = "OrganizationAccountAccessRole"

_LOADER = create_loader()
_RUNNING = threading.Lock()
"""One embedded AWS at a time: moto's state is the process's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedAwsOptions:
    """How to run it."""

    state: Path
    """Folder for what it writes: `aws/requests.jsonl`, `aws/lambda/`, `ca/ca.pem`."""
    account_id: str = "111122223333"
    region: str = "ap-northeast-1"
    pending_seconds: float = 2.0
    """How long an interface endpoint stays pending."""
    port: int = 0
    """0: any free one."""
    waits: float = 1.0
    """How long retries wait in state machines and functions: 1 is as long as AWS would let them."""
    bootstrapped: bool = True
    """Whether accounts look as if the CDK had been bootstrapped there; False: the CDK's CLI shall do it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A VPC with one subnet in each of two zones."""

    vpc_id: str
    subnet_ids: tuple[str, ...]


class Organization:
    """An organization, and the accounts that join it."""

    def __init__(self, organizations: Any) -> None:
        self._organizations = organizations
        self.id: str = organizations.describe_organization()["Organization"]["Id"]
        self.root_id: str = organizations.list_roots()["Roots"][0]["Id"]

    def add_unit(self, name: str, *, parent_id: str | None = None, unit_id: str | None = None) -> str:
        """Make an organizational unit, in the root unless *parent_id* names another; return its id."""
        with correct_organizations.given(unit=unit_id):
            made = self._organizations.create_organizational_unit(
                ParentId=parent_id or self.root_id, Name=name
            )
        return str(made["OrganizationalUnit"]["Id"])

    def add_account(self, account_id: str, *, unit_id: str | None = None) -> None:
        """Let an account join, in the root and then, as people do it, moved into the unit."""
        with correct_organizations.given(account=account_id):
            self._organizations.create_account(
                AccountName=f"account-{account_id}", Email=f"{account_id}@example.com"
            )
        if unit_id is not None:
            self.move_account(account_id, unit_id=unit_id)

    def move_account(self, account_id: str, *, unit_id: str) -> None:
        """Move an account into another unit, or into the root."""
        [parent] = self._organizations.list_parents(ChildId=account_id)["Parents"]
        self._organizations.move_account(
            AccountId=account_id, SourceParentId=parent["Id"], DestinationParentId=unit_id
        )

    def remove_account(self, account_id: str) -> None:
        """Let an account leave."""
        self._organizations.remove_account_from_organization(AccountId=account_id)


class EmbeddedAws(Started):
    """AWS on 127.0.0.1, in this process; a context manager."""

    def __init__(self, options: EmbeddedAwsOptions, *, authority: SandboxCa | None = None) -> None:
        super().__init__()
        self.options = options
        self._authority = authority or SandboxCa(options.state / "ca")
        self._clients: dict[tuple[str, ...], Any] = {}
        self._clients_lock = threading.Lock()

    # What a caller asks

    @property
    def endpoint_url(self) -> str:
        """
        Where clients go: `https://127.0.0.1:PORT`. The same port is the proxy for AWS's real host names.
        """
        return f"https://127.0.0.1:{self._listener.server_port}"

    @property
    def proxy_url(self) -> str:
        """The same port for `botocore.config.Config(proxies={"https": …})`."""
        return f"http://127.0.0.1:{self._listener.server_port}"

    @property
    def ca_file(self) -> Path:
        """The certificate to trust."""
        return self._authority.file

    @property
    def requests_log(self) -> Path:
        """One JSON line for each call of a client."""
        return self.options.state / "aws" / "requests.jsonl"

    def requests(self) -> list[dict[str, Any]]:
        """Return the log, parsed."""
        return [json.loads(line) for line in self.requests_log.read_text(encoding="utf-8").splitlines()]

    @property
    def administrator(self) -> Credentials:
        """The keys of the IAM user `administrator`."""
        return self._administrator

    def create_user(
        self, name: str, policy: Mapping[str, Any] | None = None, *, managed: str | None = None
    ) -> Credentials:
        """Make an IAM user with one inline policy, or the managed one with this ARN; return its keys."""
        iam = self._internal("iam")
        iam.create_user(UserName=name)
        if policy is not None:
            iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
        if managed is not None:
            iam.attach_user_policy(UserName=name, PolicyArn=managed)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])

    def root(self, account_id: str | None = None) -> Credentials:
        """Return keys of an account's root; its calls are logged like anybody's."""
        return self._identities.root_credentials(account_id or self.options.account_id, internal=False)

    def administrator_of(self, account_id: str) -> Credentials:
        """Return a session of `OrganizationAccountAccessRole` in another account, made at first use."""
        iam = self._internal("iam", account_id=account_id)
        arn = f"arn:aws:iam::{account_id}:role/{OTHER_ACCOUNT_ROLE}"
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{self.options.account_id}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=OTHER_ACCOUNT_ROLE, AssumeRolePolicyDocument=json.dumps(trust))
        # An account that an organization has made has the role already; moto's lacks the policy.
        iam.attach_role_policy(RoleName=OTHER_ACCOUNT_ROLE, PolicyArn=ADMINISTRATOR_POLICY)
        found = self._internal("sts").assume_role(RoleArn=arn, RoleSessionName=ADMINISTRATOR)["Credentials"]
        return Credentials(
            access_key_id=found["AccessKeyId"],
            secret_access_key=found["SecretAccessKey"],
            session_token=found["SessionToken"],
        )

    def create_organization(
        self, management: str, *, delegated_administrator: str, organization_id: str | None = None
    ) -> Organization:
        """
        Make an organization that trusts StackSets, with a delegated administrator for them, who may be this
        AWS's own account.
        """
        organizations = self._internal("organizations", account_id=management, region="us-east-1")
        with correct_organizations.given(organization=organization_id, account=management):
            organizations.create_organization(FeatureSet="ALL")
        organization = Organization(organizations)
        organizations.enable_aws_service_access(ServicePrincipal=STACK_SETS)
        organization.add_account(delegated_administrator)
        organizations.register_delegated_administrator(
            AccountId=delegated_administrator, ServicePrincipal=STACK_SETS
        )
        return organization

    def session(self, credentials: Credentials | None = None, *, region: str | None = None) -> boto3.Session:
        """Return a boto3 session of *credentials* (the administrator's if none are given)."""
        chosen = credentials or self.administrator
        core = botocore.session.Session()
        # Reading a service's model takes longer than most calls: all sessions share what is read already.
        core.register_component("data_loader", _LOADER)
        return boto3.Session(
            botocore_session=core,
            aws_access_key_id=chosen.access_key_id,
            aws_secret_access_key=chosen.secret_access_key,
            aws_session_token=chosen.session_token,
            region_name=region or self.options.region,
        )

    def client(
        self,
        service: str,
        credentials: Credentials | None = None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        config: Config | None = None,
    ) -> Any:
        """
        Return a boto3 client.

        With *endpoint_url* (an interface endpoint's or AWS's own public one) the emulator is used as proxy
        and sees that host.
        """
        proxies = {"https": self.proxy_url, "http": self.proxy_url} if endpoint_url else {}
        own = Config(proxies=proxies)
        # boto3-stubs types each client by its literal name; here the name is a variable.
        session: Any = self.session(credentials, region=region)
        return session.client(
            service,
            endpoint_url=endpoint_url or self.endpoint_url,
            verify=str(self.ca_file),
            config=own.merge(config) if config else own,
        )

    def create_network(
        self,
        site: str,
        *,
        cidr: str = "10.20.0.0/16",
        account_id: str | None = None,
        region: str | None = None,
    ) -> Network:
        """Make a VPC with two subnets in two zones, all tagged `vbr-privatelink=<site>`."""
        ec2 = self._internal("ec2", account_id=account_id, region=region)
        tags = [{"Key": "vbr-privatelink", "Value": site}, {"Key": "Name", "Value": f"sandbox-{site}"}]
        prefix = ".".join(cidr.split(".")[:2])

        def tagged(kind: str) -> list[dict[str, Any]]:
            return [{"ResourceType": kind, "Tags": tags}]

        vpc_id = ec2.create_vpc(CidrBlock=cidr, TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
        zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]][:2]
        subnets = [
            ec2.create_subnet(
                VpcId=vpc_id,
                CidrBlock=f"{prefix}.{number + 1}.0/24",
                AvailabilityZone=zone,
                TagSpecifications=tagged("subnet"),
            )["Subnet"]["SubnetId"]
            for number, zone in enumerate(zones)
        ]
        return Network(vpc_id=vpc_id, subnet_ids=tuple(subnets))

    def deploy(
        self,
        assembly: Path,
        stack_name: str | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        account_id: str | None = None,
        region: str | None = None,
    ) -> dict[str, str]:
        """
        Deploy a synthesized `cdk.out` and return the stack's outputs; raise `DeploymentError` with the
        reason.
        """
        if self.options.bootstrapped:
            self._seed_bootstrap(account_id or self.options.account_id, region or self.options.region)
        return self._deployer(account_id, region).deploy(assembly, stack_name, parameters)

    def deploy_template(
        self,
        stack_name: str,
        template: Mapping[str, Any],
        *,
        parameters: Mapping[str, str] | None = None,
        account_id: str | None = None,
        region: str | None = None,
    ) -> dict[str, str]:
        """Deploy one template without assets."""
        return self._deployer(account_id, region).deploy_template(
            stack_name, json.dumps(template), parameters
        )

    def fire_schedule(self, rule_name: str, *, event_bus: str = "default") -> None:
        """Let a rule with a schedule fire now, as if its time had come."""
        backend = events_backends[self.options.account_id][self.options.region]
        self._delivery.fire(backend.describe_rule(rule_name, event_bus))

    @property
    def delivery_failures(self) -> list[str]:
        """What EventBridge could not deliver, and why."""
        return [f"{failure.target_arn}: {failure.reason}" for failure in self._delivery.failures]

    # Starting

    def _start(self) -> None:
        if not _RUNNING.acquire(blocking=False):
            raise RuntimeError("an embedded AWS runs in this process already")
        self._stack.callback(_RUNNING.release)
        options = self.options
        options.state.mkdir(parents=True, exist_ok=True)
        self._stack.callback(_without_moto_account())
        _reset_moto()
        self._stack.callback(_reset_moto)
        corrections = self._stack.enter_context(Corrections())
        self._identities = Identities()
        self._sessions = Sessions(self._identities, region=options.region)
        self._runtime = LambdaRuntime(
            options.state / "aws" / "lambda",
            addresses=self._addresses,
            credentials=self._function_credentials,
            waits=options.waits,
        )
        self.faults = Faults(self._runtime.out_of_time)
        self._delivery = EventDelivery(client_for=self._rule_client, invoke=self._invoke)
        correct_iam.apply(corrections)
        correct_lambda.apply(corrections, self._runtime)
        correct_stepfunctions.apply(
            corrections,
            client_for=self._machine_client,
            status_changed=self._execution_changed,
            waits=options.waits,
        )
        correct_events.apply(corrections, self._delivery)
        correct_s3.apply(corrections)
        correct_ssm.apply(corrections, self._delivery.emit)
        correct_endpoints.apply(corrections, pending_seconds=options.pending_seconds)
        correct_cloudformation.apply(corrections, self._delivery.emit)
        sets = StackSets(_template_behind)
        correct_stack_sets.apply(corrections, sets)
        correct_organizations.apply(corrections, sets.account_moved)
        log = RequestLog(self.requests_log)
        self._stack.callback(log.close)
        gateway = Gateway(
            DomainDispatcherApplication(create_backend_app),
            identities=self._identities,
            log=log,
            faults=self.faults,
            account_id=options.account_id,
            region=options.region,
        )
        self._listener = Listener(gateway, self._authority, port=options.port)
        self._listener.start()
        # In the order of stopping: no new work, then no running function, then no listener.
        self._stack.callback(self._close_clients)
        self._stack.callback(self._listener.stop)
        self._stack.callback(self._runtime.stop)
        self._stack.callback(self._delivery.stop)
        self._stack.callback(sets.stop)
        self._stack.callback(correct_stepfunctions.stop_everything)
        self._set_up()

    def _seed_bootstrap(self, account_id: str, region: str) -> None:
        ssm_backends[account_id][region].put_parameter(
            name=BOOTSTRAP_PARAMETER,
            description="",
            value=BOOTSTRAP_VERSION,
            parameter_type="String",
            allowed_pattern="",
            keyid="",
            overwrite=True,
            tags=[],
            data_type="text",
            tier=None,
            policies=None,
        )

    def _set_up(self) -> None:
        if self.options.bootstrapped:
            self._seed_bootstrap(self.options.account_id, self.options.region)
        self._administrator = self.create_user(ADMINISTRATOR)
        self._internal("iam").attach_user_policy(UserName=ADMINISTRATOR, PolicyArn=ADMINISTRATOR_POLICY)

    def _addresses(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_CA_BUNDLE": str(self.ca_file)}

    # Clients of the emulator's own

    def _cached(self, key: tuple[str, ...], service: str, region: str, make: Any) -> Any:
        # boto3 isn't safe to make clients with from several threads; the clients themselves are.
        with self._clients_lock:
            if key not in self._clients:
                session: Any = self.session(make(), region=region)
                self._clients[key] = session.client(
                    service,
                    endpoint_url=self.endpoint_url,
                    verify=str(self.ca_file),
                    config=Config(
                        parameter_validation=False,
                        retries={"total_max_attempts": 1},
                        connect_timeout=10,
                        read_timeout=960,
                        max_pool_connections=64,
                    ),
                )
            return self._clients[key]

    def _internal(self, service: str, *, account_id: str | None = None, region: str | None = None) -> Any:
        account, place = account_id or self.options.account_id, region or self.options.region
        return self._cached(
            ("internal", account, service, place),
            service,
            place,
            lambda: self._identities.root_credentials(account, internal=True),
        )

    def _machine_client(self, role_arn: str, service: str, region: str) -> Any:
        def assume() -> Credentials:
            return self._sessions.assume(
                role_arn, service="states.amazonaws.com", session_name="states", source="states"
            )

        return self._cached(("states", role_arn, service, region), service, region, assume)

    def _rule_client(self, role_arn: str, service: str, region: str, rule_arn: str) -> Any:
        def assume() -> Credentials:
            return self._sessions.assume(
                role_arn,
                service="events.amazonaws.com",
                session_name="events",
                source="events",
                source_arn=rule_arn,
            )

        return self._cached(("events", role_arn, service, region, rule_arn), service, region, assume)

    def _function_credentials(self, spec: FunctionSpec) -> Credentials:
        return self._sessions.assume(
            spec.role_arn,
            service="lambda.amazonaws.com",
            session_name=spec.name,
            source=f"lambda:{spec.name}",
        )

    def _close_clients(self) -> None:
        with self._clients_lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _deployer(self, account_id: str | None, region: str | None) -> Deployer:
        account, place = account_id or self.options.account_id, region or self.options.region
        return Deployer(
            s3=self._internal("s3", account_id=account, region=place),
            cloudformation=self._internal("cloudformation", account_id=account, region=place),
            account_id=account,
            region=place,
        )

    # What the corrections call

    def _invoke(self, function: Any, event: Any) -> Any:
        return correct_lambda.run(function, event, self._runtime)

    def _execution_changed(self, execution: Any, status: str) -> None:
        stopped = execution.stop_date
        detail = {
            "executionArn": execution.execution_arn,
            "stateMachineArn": execution.state_machine_arn,
            "name": execution.name,
            "status": status,
            "startDate": _milliseconds(execution.start_date),
            "stopDate": _milliseconds(stopped) if stopped else None,
            "input": execution.execution_input,
            "output": execution.output if status == "SUCCEEDED" else None,
            "inputDetails": {"included": True},
            "outputDetails": {"included": True} if status == "SUCCEEDED" else None,
            "error": execution.error,
            "cause": execution.cause,
        }
        self._delivery.emit(
            account_id=execution.account_id,
            region=execution.region_name,
            source="aws.states",
            detail_type="Step Functions Execution Status Change",
            detail=detail,
            resources=[execution.execution_arn],
        )


def _template_behind(account_id: str, url: str) -> str:
    return str(get_stack_from_s3_url(url, account_id=account_id, partition="aws"))


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _reset_moto() -> None:
    BackendDict.reset()
    reset_model_data()


def _without_moto_account() -> Any:
    """
    Forget MOTO_ACCOUNT_ID while we run (it would override every caller's account); return what brings it
    back.
    """
    before = os.environ.pop("MOTO_ACCOUNT_ID", None)

    def restore() -> None:
        if before is not None:
            os.environ["MOTO_ACCOUNT_ID"] = before

    return restore
