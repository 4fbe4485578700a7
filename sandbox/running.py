"""
The sandbox as a whole: embedded AWS, network, the product's stack, the stand-in VBR server, and the
files that tell how to reach them.

    DIR/env.sh           export lines for the AWS CLI and boto3, as an administrator
    DIR/sandbox.json     names and addresses
    DIR/client.toml      a ready configuration of the on-prem client
    DIR/credentials      keys of the client and of the repository, with the least they need
    DIR/client/secrets   VBR's password, as the client keeps it
    DIR/vbr/             the stand-in's install folder, registry, services and requests
    DIR/aws/             the log of every AWS call, and the functions' logs
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import names
from contract.parameters import (
    ROOT,
    endpoint_parameter,
    settings_parameter,
)
from contract.permissions import client_policy
from contract.settings import SiteSettings
from sandbox.assembly import Assembly, settings_of, synthesize
from sandbox.aws import Credentials, EmbeddedAws, EmbeddedAwsOptions
from sandbox.certificates import SandboxCa
from sandbox.started import Started
from sandbox.vbr.s3 import BotoS3Connector
from sandbox.vbr.stand_in import StandInVbr, VbrOptions

SERVER = "vbr01"
REPOSITORY_USER = "vbr-repository"
CLIENT_USER = "vbr-client"
READER_USER = "dashboard-reader"
OPERATOR_USER = "dashboard-operator"


def settings_with_server(root: Path) -> dict[str, Any]:
    """
    Return the settings of cdk.json, in which each site waits for the backup server that is there: so that a
    release, too, can be followed to its end.
    """
    settings = settings_of(root)
    for site in settings["sites"]:
        site["expected_servers"] = [SERVER]
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """
    `assembly` is a synthesized app; without one the app of `root` is synthesized into the state folder, with
    `settings` in place of those of cdk.json if there are any. Buckets in `existing` are there before the
    stack is deployed: somebody else has made them. `waits` shortens the waits before retries.
    """

    state: Path
    root: Path
    pending_seconds: float
    assembly: Path | None
    settings: Mapping[str, Any] | None = None
    existing: tuple[str, ...] = ()
    waits: float = 1.0


class Sandbox(Started):
    """
    A running sandbox; a context manager that leaves nothing but files.

    With several sites in the settings, files and attributes speak of the first.
    """

    aws: EmbeddedAws
    vbr: StandInVbr
    assembly: Assembly
    settings: SiteSettings
    bucket: names.BucketName
    vpc_id: str
    outputs: dict[str, str]
    repository_keys: Credentials
    client_keys: Credentials
    reader_keys: Credentials
    operator_keys: Credentials

    def __init__(self, options: SandboxOptions) -> None:
        super().__init__()
        self._options = options

    @property
    def state(self) -> Path:
        """The folder that holds everything the sandbox writes."""
        return self._options.state

    @property
    def client_configuration(self) -> Path:
        """The file for the client's --config."""
        return self.state / "client.toml"

    @property
    def state_machine_arn(self) -> str:
        """The workflow that the product's stack made."""
        return self._output("StateMachineArn")

    @property
    def sites_table(self) -> str:
        """The table in which the workflow keeps its leases."""
        return self._output("SitesTable")

    def _start(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        folder = self._options.assembly
        if folder is None:
            folder = self.state / "cdk.out"
            synthesize(self._options.root, folder, settings=self._options.settings)
        self.assembly = Assembly.read(folder)
        authority = SandboxCa(self.state / "ca")
        self.aws = self._stack.enter_context(
            EmbeddedAws(
                EmbeddedAwsOptions(
                    state=self.state,
                    account_id=self.assembly.account_id,
                    region=self.assembly.region,
                    pending_seconds=self._options.pending_seconds,
                    waits=self._options.waits,
                ),
                authority=authority,
            )
        )
        sites = self._sites()
        site = sites[0]
        networks = [
            self.aws.create_network(each, cidr=f"10.{20 + number}.0.0/16")
            for number, each in enumerate(sites)
        ]
        self.vpc_id = networks[0].vpc_id
        self._make_existing_buckets()
        self.outputs = dict(self.aws.deploy(folder))
        self.settings = self._deployed_settings(site)
        self.bucket = self.settings.buckets[0].name or names.default_bucket_name(
            prefix=self.settings.bucket_prefix,
            site=self.settings.site,
            account_id=names.account_id(self.assembly.account_id),
            region=names.region(self.assembly.region),
        )
        self.repository_keys = self.aws.create_user(REPOSITORY_USER, self._repository_policy())
        self.client_keys = self.aws.create_user(CLIENT_USER, self._client_policy())
        # People before the dashboard, with what the stack says that they may.
        self.reader_keys = self.aws.create_user(READER_USER, managed=self._output("ReadersPolicyArn"))
        self.operator_keys = self.aws.create_user(OPERATOR_USER, managed=self._output("OperatorsPolicyArn"))
        self.vbr = self._stack.enter_context(
            StandInVbr(
                VbrOptions(
                    folder=self.state / "vbr",
                    tls=authority.server_context("localhost"),
                    connector=BotoS3Connector(proxy_url=self.aws.proxy_url, ca_file=str(self.aws.ca_file)),
                )
            )
        )
        self._write_files()

    def _sites(self) -> list[str]:
        """Read the sites' names from the template: each needs its network before the stack is there."""
        file = self.assembly.folder / f"{self.assembly.stack_name}.template.json"
        return [
            str(resource["Properties"]["Name"]).removeprefix(f"{ROOT}/").removesuffix("/settings")
            for resource in json.loads(file.read_text())["Resources"].values()
            if resource["Type"] == "AWS::SSM::Parameter"
        ]

    def _make_existing_buckets(self) -> None:
        for name in self._options.existing:
            self.aws.client("s3").create_bucket(
                Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.assembly.region}
            )

    def _deployed_settings(self, site: str) -> SiteSettings:
        parameter = settings_parameter(names.site_name(site))
        answer = self.aws.client("ssm").get_parameter(Name=parameter)
        return SiteSettings.from_json(answer["Parameter"]["Value"])

    def _client_policy(self) -> dict[str, Any]:
        """The document of one site, and the reports of one server."""
        site, server = self.settings.site, names.server_name(SERVER)
        arn = f"arn:aws:ssm:{self.assembly.region}:{self.assembly.account_id}:parameter"
        return client_policy(arn, site=site, server=server)

    def _repository_policy(self) -> dict[str, Any]:
        """What the product says that VBR's user needs at this site."""
        policy: dict[str, Any] = json.loads(
            self._output(f"BackupUser{self.settings.site.replace('-', '')}Policy")
        )
        return policy

    def _output(self, name: str) -> str:
        # CDK puts the construct's path before the name and a hash behind it.
        [value] = [value for key, value in self.outputs.items() if name in key]
        return value

    def _write_files(self) -> None:
        (self.state / "env.sh").write_text(environment_file(self.aws))
        credentials = self.state / "credentials"
        credentials.write_text(
            _profile(CLIENT_USER, self.client_keys) + _profile(REPOSITORY_USER, self.repository_keys)
        )
        credentials.chmod(0o600)
        self.client_configuration.write_text(
            "# A ready configuration of the on-prem client for this sandbox.\n"
            'strategy = "regions-file"\n'
            "auto_apply = true\n"
            f"server = {json.dumps(SERVER)}\n"
            f"state_folder = {json.dumps(str(self.state / 'client'))}\n"
            "\n[vbr]\n"
            f"url = {json.dumps(self.vbr.url)}\n"
            f"user = {json.dumps(self.vbr.user)}\n"
            f"ca_file = {json.dumps(str(self.aws.ca_file))}\n"
            "drain_timeout = 60\n"
            # VBR 12's lists leave work out; nobody else works here.
            'unseen_work = "accept"\n'
            "\n[aws]\n"
            f"profile = {json.dumps(CLIENT_USER)}\n"
            f"credentials_file = {json.dumps(str(credentials))}\n"
            f"endpoint_url = {json.dumps(self.aws.endpoint_url)}\n"
            f"ca_bundle = {json.dumps(str(self.aws.ca_file))}\n"
            f"s3_proxy = {json.dumps(self.aws.proxy_url)}\n"
            "\n[[site]]\n"
            f"name = {json.dumps(self.settings.site)}\n"
            f"region = {json.dumps(self.assembly.region)}\n"
            f"account_id = {json.dumps(self.assembly.account_id)}\n"
            "\n[stand_in]\n"
            f"registry_file = {json.dumps(str(self.vbr.folder / 'registry.json'))}\n"
            f"services_folder = {json.dumps(str(self.vbr.folder / 'services'))}\n"
        )
        # As `secret set vbr-password` would keep it.
        secrets = self.state / "client" / "secrets"
        secrets.mkdir(parents=True, exist_ok=True)
        for folder in (secrets.parent, secrets):
            folder.chmod(0o700)
        password = secrets / "vbr-password"
        password.write_text(self.vbr.password)
        password.chmod(0o600)
        # Last: whoever waits for this file finds all the others.
        (self.state / "sandbox.json").write_text(
            json.dumps(
                {
                    "state_machine_arn": self.state_machine_arn,
                    "site": self.settings.site,
                    "region": self.assembly.region,
                    "account_id": self.assembly.account_id,
                    "bucket": self.bucket,
                    "vpc_id": self.vpc_id,
                    "settings_parameter": settings_parameter(self.settings.site),
                    "endpoint_parameter": endpoint_parameter(self.settings.site),
                    "aws_url": self.aws.endpoint_url,
                    "aws_proxy": self.aws.proxy_url,
                    "aws_ca": str(self.aws.ca_file),
                    "vbr_url": self.vbr.url,
                    "vbr_ca": str(self.aws.ca_file),
                    "vbr_user": self.vbr.user,
                    "vbr_password": self.vbr.password,
                    "install_dir": str(self.vbr.install_dir),
                },
                indent=2,
            )
            + "\n"
        )


def environment_file(aws: EmbeddedAws) -> str:
    """Return export lines for the AWS CLI and boto3, as an administrator of the AWS's own account."""
    exports = {
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_CA_BUNDLE": str(aws.ca_file),
        "AWS_REGION": aws.options.region,
        "AWS_DEFAULT_REGION": aws.options.region,
        "AWS_ACCESS_KEY_ID": aws.administrator.access_key_id,
        "AWS_SECRET_ACCESS_KEY": aws.administrator.secret_access_key,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def _profile(name: str, keys: Credentials) -> str:
    return (
        f"[{name}]\naws_access_key_id = {keys.access_key_id}\n"
        f"aws_secret_access_key = {keys.secret_access_key}\n\n"
    )
