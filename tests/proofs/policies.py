"""
The policies that the product really makes: read back from an embedded AWS on which its workflow has run.

Nothing is rebuilt here. What the two foreign evaluators judge is what S3, EC2 and IAM hold afterwards.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sandbox.aws import EmbeddedAws
from sandbox.running import Sandbox, SandboxOptions
from tests.conftest import ROOT
from tests.proofs import requests as asked
from tests.proofs import scenarios
from tests.stories.workflow import Workflow

ACCOUNT, OTHER, REGION = "111122223333", "444455556666", "ap-northeast-1"
BUCKET = f"vbr-tokyo-{ACCOUNT}-{REGION}"
LOCKED = scenarios.LOCKED
OTHER_SITES = f"vbr-osaka-{ACCOUNT}-{REGION}"
FOREIGN_BUCKET = "somebody-elses-backups"
SECOND_ENDPOINT, FOREIGN_ENDPOINT = "vpce-0d15a57e20000000a", "vpce-0f0e19000000000bb"
GRANT_HOURS = 4
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
}
_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who asks: `kind` as `aws:PrincipalType` tells it, and the policies of their own."""

    kind: str
    arn: str
    account: str
    policies: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that a request can meet."""

    aws: EmbeddedAws
    workflow: Workflow
    callers: Mapping[str, Caller]
    bucket_policies: Mapping[str, dict[str, Any] | None]
    endpoint_policies: Mapping[str, dict[str, Any]]
    """By endpoint id."""
    this_endpoint: str
    secret_arn: str

    def endpoint(self, where: str) -> str | None:
        """Return the id of the endpoint through which a request comes."""
        if where.startswith(asked.THIS):
            return self.this_endpoint
        return {asked.SECOND: SECOND_ENDPOINT, asked.FOREIGN: FOREIGN_ENDPOINT}.get(where)


def people_s_own_policy() -> dict[str, Any]:
    """
    What somebody allowed on the bucket before: each of these would let somebody in.

    Without them, many requests would be denied because nothing allows them, and prove nothing.
    """
    arn = f"arn:aws:s3:::{BUCKET}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AuditorsMayRead",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
                "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutBucketPolicy"],
                "Resource": [arn, f"{arn}/*"],
            },
            {
                "Sid": "LogsMayCome",
                "Effect": "Allow",
                "Principal": {"Service": "logging.s3.amazonaws.com"},
                "Action": "s3:PutObject",
                "Resource": f"{arn}/*",
            },
        ],
    }


@contextmanager
def world(assembly_settings: Path) -> Iterator[World]:
    """Run the workflow on an embedded AWS in the folder, and read what it has made."""
    options = SandboxOptions(
        state=assembly_settings,
        root=ROOT,
        pending_seconds=0.2,
        assembly=None,
        settings=_settings(),
        existing=(BUCKET, OTHER_SITES),
    )
    with Sandbox(options) as sandbox:
        aws = sandbox.aws
        aws.client("s3").put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(people_s_own_policy()))
        _make_people(aws)
        workflow = Workflow(sandbox)
        scenarios.failed_and_undone(workflow)
        grant = {
            "detail-type": "Access Grant Requested",
            "source": "vbr-privatelink",
            "detail": {
                "site": "tokyo",
                "principal": f"arn:aws:iam::{ACCOUNT}:role/recovery",
                "hours": GRANT_HOURS,
                "reason": "the data centre burned down",
            },
        }
        for request in ({"site": "tokyo"}, grant):
            run = workflow.run(request)
            assert run.status == "SUCCEEDED", run.cause
        yield _read(workflow)


def _settings() -> dict[str, Any]:
    given = json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
    settings: dict[str, Any] = copy.deepcopy(given)
    settings["sites"][0] |= {
        "buckets": [
            {"folder": "tokyo", "immutability_days": 0},
            {"name": LOCKED, "folder": "locked", "immutability_days": 14},
        ],
        "policy_administrators": [f"arn:aws:iam::{ACCOUNT}:role/break-glass"],
        "additional_endpoint_ids": [SECOND_ENDPOINT],
        "expected_servers": ["vbr01"],
    }
    settings["backup_users"] = [{"site": "tokyo", "keys": [1]}]
    return settings


def _make_people(aws: EmbeddedAws) -> None:
    """Make the principals that aren't the product's."""
    iam = aws.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    for name in ("break-glass", "recovery", f"{_policy_administrator()}-2"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.attach_role_policy(RoleName=name, PolicyArn=_ADMINISTRATOR)
    allowed = {
        "Effect": "Allow",
        "Action": ["s3:Get*", "s3:List*", "events:PutEvents"],
        "Resource": "*",
    }
    aws.create_user("operator", {"Version": "2012-10-17", "Statement": [allowed]})
    # The same name in another account: a policy that compared names alone would let it in.
    other = aws.client("iam", aws.administrator_of(OTHER))
    other.create_role(RoleName=_policy_administrator(), AssumeRolePolicyDocument=json.dumps(trust))
    other.attach_role_policy(RoleName=_policy_administrator(), PolicyArn=_ADMINISTRATOR)


def _policy_administrator() -> str:
    return f"vbr-privatelink-policy-administrator-{REGION}"


def _read(workflow: Workflow) -> World:
    sandbox, aws = workflow.sandbox, workflow.sandbox.aws
    root = aws.client("s3", aws.root())
    policies = {name: json.loads(root.get_bucket_policy(Bucket=name)["Policy"]) for name in (BUCKET, LOCKED)}
    [endpoint] = aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    outputs = sandbox.outputs
    [user] = [value for name, value in outputs.items() if "BackupUsertokyoUserName" in name]
    [secret] = [value for name, value in outputs.items() if "BackupUsertokyoSecretArn1" in name]
    mine, theirs = aws.client("iam"), aws.client("iam", aws.administrator_of(OTHER))

    def step(name: str) -> Caller:
        function = aws.client("lambda").get_function(FunctionName=f"vbr-privatelink-{name}")
        return _role(mine, function["Configuration"]["Role"].rsplit("/", 1)[-1], ACCOUNT)

    recovery = _role(mine, "recovery", ACCOUNT)
    callers = {
        asked.ANONYMOUS: Caller(kind="Anonymous", arn="", account=""),
        asked.ROOT: Caller(
            kind="Account",
            arn=f"arn:aws:iam::{ACCOUNT}:root",
            account=ACCOUNT,
            # The root user needs no policy; an evaluator has to be told so.
            policies=({"Version": "2012-10-17", "Statement": [_allow_all()]},),
        ),
        asked.ADMINISTRATOR: _user(mine, "administrator"),
        asked.OPERATOR: _user(mine, "operator"),
        asked.POLICY_ADMINISTRATOR: step("attach-bucket-policy"),
        asked.ENSURE_BUCKET: step("ensure-bucket"),
        asked.PROVE_LOCKDOWN: step("prove-lockdown"),
        asked.PUBLISH_ENDPOINT: step("publish-endpoint"),
        asked.BREAK_GLASS: _role(mine, "break-glass", ACCOUNT),
        asked.LOOKALIKE: _role(mine, f"{_policy_administrator()}-2", ACCOUNT),
        asked.NAMESAKE: _role(theirs, _policy_administrator(), OTHER),
        asked.OTHER_ACCOUNT: _role(theirs, "OrganizationAccountAccessRole", OTHER),
        asked.LOG_DELIVERY: Caller(kind="Service", arn="logging.s3.amazonaws.com", account=""),
        asked.BACKUP_USER: _user(mine, user),
        asked.GUEST: recovery,
        asked.LATE_GUEST: recovery,
    }
    return World(
        aws=aws,
        workflow=workflow,
        callers=callers,
        bucket_policies={**policies, OTHER_SITES: None, FOREIGN_BUCKET: EVERYTHING_IN_THE_FOREIGN_BUCKET},
        endpoint_policies={
            endpoint["VpcEndpointId"]: json.loads(endpoint["PolicyDocument"]),
            SECOND_ENDPOINT: EVERYTHING,
            FOREIGN_ENDPOINT: EVERYTHING,
        },
        this_endpoint=endpoint["VpcEndpointId"],
        secret_arn=secret,
    )


EVERYTHING_IN_THE_FOREIGN_BUCKET = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{FOREIGN_BUCKET}", f"arn:aws:s3:::{FOREIGN_BUCKET}/*"],
        }
    ],
}
"""Somebody else's bucket, open to everybody: where a thief would carry the backups."""


def _allow_all() -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "*", "Resource": "*"}


def _user(iam: Any, name: str) -> Caller:
    attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    inline = iam.list_user_policies(UserName=name)["PolicyNames"]
    return Caller(
        kind="User",
        arn=iam.get_user(UserName=name)["User"]["Arn"],
        account=ACCOUNT,
        policies=(
            *_managed(iam, attached),
            *(
                _document(iam.get_user_policy(UserName=name, PolicyName=one)["PolicyDocument"])
                for one in inline
            ),
        ),
    )


def _role(iam: Any, name: str, account: str) -> Caller:
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return Caller(
        kind="AssumedRole",
        arn=iam.get_role(RoleName=name)["Role"]["Arn"],
        account=account,
        policies=(
            *_managed(iam, attached),
            *(
                _document(iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"])
                for one in inline
            ),
        ),
    )


def _managed(iam: Any, attached: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    for one in attached:
        version = iam.get_policy(PolicyArn=one["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=one["PolicyArn"], VersionId=version)
        yield _document(found["PolicyVersion"]["Document"])


def _document(found: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(unquote(found)) if isinstance(found, str) else found
    return loaded
