"""
Three judges of one table: iam-simulate and ministack, which aren't ours, and the embedded AWS, which must
agree with both.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.aws import authorization, s3_actions
from sandbox.aws.authorization import Circumstances, DeniedError
from sandbox.aws.calls import AwsCall
from sandbox.aws.identity import ANONYMOUS, Principal, service_principal
from sandbox.aws.policy import Verdict, evaluate
from tests import ministack
from tests.conftest import ROOT
from tests.proofs import policies
from tests.proofs import requests as asked
from tests.proofs.needs import Need
from tests.proofs.policies import ACCOUNT, OTHER, REGION, Caller, World
from tests.proofs.requests import Answer, Row

_HERE = Path(__file__).parent
_OBJECTS = {
    asked.BACKUP: (policies.BUCKET, "Veeam/Backup/tokyo/x", ACCOUNT),
    asked.PROBE: (policies.BUCKET, "vbr-privatelink-probe", ACCOUNT),
    asked.LOCKED_BACKUP: (policies.LOCKED, "Veeam/Backup/locked/x", ACCOUNT),
    asked.OTHER_SITES_BACKUP: (policies.OTHER_SITES, "Veeam/Backup/osaka/x", ACCOUNT),
    asked.FOREIGN_OBJECT: (policies.FOREIGN_BUCKET, "loot", OTHER),
    asked.TAKEN_NAME: (policies.BUCKET, "Veeam/Backup/tokyo/x", OTHER),
    asked.BUCKET: (policies.BUCKET, None, ACCOUNT),
    asked.LOCKED_BUCKET: (policies.LOCKED, None, ACCOUNT),
    asked.OTHER_SITES_BUCKET: (policies.OTHER_SITES, None, ACCOUNT),
    asked.ACCOUNT: (None, None, ACCOUNT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What a judge says of one row; None where it can't judge. `sids` are the denying statements it names."""

    answer: Answer
    sids: tuple[str, ...] | None
    by_endpoint: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A row with everything that a judge has to know."""

    row: Row
    caller: Caller
    bucket: str | None
    key: str | None
    owner: str
    endpoint: str | None
    endpoint_policy: dict[str, Any] | None
    bucket_policy: dict[str, Any] | None
    context: dict[str, str]
    at: datetime

    @property
    def resource(self) -> str:
        """The ARN that is asked for."""
        if self.bucket is None:
            return "*"
        return f"arn:aws:s3:::{self.bucket}" + (f"/{self.key}" if self.key else "")


def question(row: Row, world: World) -> Question:
    """Put a row into the world."""
    caller, endpoint = world.callers[row.who], world.endpoint(row.where)
    bucket, key, owner = _OBJECTS[row.on]
    at = datetime.now(UTC)
    if row.who == asked.LATE_GUEST:
        at += timedelta(hours=policies.GRANT_HOURS + 1)
    # A name that somebody else has taken comes without the policy that was there.
    lost = row.on == asked.TAKEN_NAME
    return Question(
        row=row,
        caller=caller,
        bucket=bucket,
        key=key,
        owner=owner,
        endpoint=endpoint,
        endpoint_policy=world.endpoint_policies[endpoint] if endpoint else None,
        bucket_policy=(
            _open(bucket) if lost else world.bucket_policies[bucket] if bucket is not None else None
        ),
        context=_context(row, caller, endpoint=endpoint, owner=owner, at=at),
        at=at,
    )


def _open(bucket: str | None) -> dict[str, Any]:
    text = json.dumps(policies.EVERYTHING_IN_THE_FOREIGN_BUCKET)
    opened: dict[str, Any] = json.loads(text.replace(policies.FOREIGN_BUCKET, str(bucket)))
    return opened


def _context(row: Row, caller: Caller, *, endpoint: str | None, owner: str, at: datetime) -> dict[str, str]:
    """Return the condition keys that S3 would have for the request (IAM User Guide, "global keys")."""
    http = row.where.endswith("http")
    context = {
        "aws:CurrentTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:SecureTransport": "false" if http else "true",
        "aws:PrincipalType": caller.kind,
        "aws:RequestedRegion": REGION,
        "aws:ResourceAccount": owner,
        "s3:ResourceAccount": owner,
    }
    if not http:
        context["s3:TlsVersion"] = "1.1" if row.where == asked.THIS_TLS11 else "1.3"
    if endpoint:
        context["aws:SourceVpce"] = endpoint
    else:
        context["aws:SourceIp"] = "203.0.113.9"
    if caller.kind == "Anonymous":
        return context
    context["aws:PrincipalIsAWSService"] = "true" if caller.kind == "Service" else "false"
    if caller.kind == "Service":
        context["aws:PrincipalServiceName"] = caller.arn
    else:
        context["aws:PrincipalArn"] = caller.arn
        context["aws:PrincipalAccount"] = caller.account
    return context


def iam_simulate(questions: Sequence[Question]) -> list[Verdicts]:
    """Ask @cloud-copilot/iam-simulate, which validates policies and context keys as well."""
    batch = [
        {
            "simulation": {
                "request": {
                    "principal": one.caller.arn or None,
                    "action": one.row.call.action,
                    "resource": {"resource": one.resource, "accountId": one.owner},
                    "contextVariables": one.context,
                },
                "identityPolicies": [
                    {"name": f"own{number}", "policy": policy}
                    for number, policy in enumerate(one.caller.policies)
                ],
                "serviceControlPolicies": [],
                "resourceControlPolicies": [],
                **({"resourcePolicy": one.bucket_policy} if one.bucket_policy else {}),
                **(
                    {"vpcEndpointPolicies": [{"name": "endpoint", "policy": one.endpoint_policy}]}
                    if one.endpoint_policy
                    else {}
                ),
            },
            # It knows AWS's actions by name; of one that AWS has yet to invent it can only be told so.
            "unknownAction": one.row.call.action == asked.CALLS["an object action of tomorrow"].action,
        }
        for one in questions
    ]
    answers = _batch(["node", str(_HERE / "iam_simulate.mjs")], batch)
    words: dict[str, Answer] = {
        "Allowed": "allowed",
        "ImplicitlyDenied": "implicit deny",
        "ExplicitlyDenied": "explicit deny",
    }
    verdicts = []
    for one, answer in zip(questions, answers, strict=True):
        assert "error" not in answer, (str(one.row), answer)
        # A key that it leaves out of account would make a condition mean nothing.
        assert not answer["ignored"] or one.bucket is None, (str(one.row), answer)
        verdicts.append(
            Verdicts(
                answer=words[answer["answer"]],
                sids=tuple(answer["sids"]),
                by_endpoint=answer["blockedBy"] == ["vpce"],
            )
        )
    return verdicts


def roles_allow(
    asked_for: Sequence[tuple[Sequence[dict[str, Any]], Need]],
) -> list[tuple[bool, bool]]:
    """
    Say whether policies allow what is needed: iam-simulate's opinion, and ministack's.

    Ids of what is about to be made aren't known, and neither evaluator takes a pattern for one.
    """
    role = f"arn:aws:iam::{ACCOUNT}:role/step"
    context = {
        "aws:SecureTransport": "true",
        "aws:PrincipalArn": role,
        "aws:PrincipalAccount": ACCOUNT,
        "aws:RequestedRegion": REGION,
    }
    resources = [need.resource.replace("/*", "/new") for _policies, need in asked_for]
    simulated = _batch(
        ["node", str(_HERE / "iam_simulate.mjs")],
        [
            {
                "simulation": {
                    "request": {
                        "principal": role,
                        "action": need.action,
                        "resource": {"resource": resource, "accountId": ACCOUNT},
                        "contextVariables": {**context, **need.context},
                    },
                    "identityPolicies": [
                        {"name": f"own{number}", "policy": policy} for number, policy in enumerate(own)
                    ],
                    "serviceControlPolicies": [],
                    "resourceControlPolicies": [],
                },
                "unknownAction": False,
            }
            for (own, need), resource in zip(asked_for, resources, strict=True)
        ],
    )
    errors = [
        (need, answer) for (_own, need), answer in zip(asked_for, simulated, strict=True) if "error" in answer
    ]
    assert errors == []
    evaluated = _batch(
        [str(ministack.require_installed()), str(_HERE / "ministack_judge.py")],
        [
            {
                "principal": role,
                "account": ACCOUNT,
                "service": None,
                "own_policies": list(own),
                "action": need.action,
                "resource": resource,
                "owner": ACCOUNT,
                "region": REGION,
                "bucket_policy": None,
                "endpoint_policy": None,
                "context": {**context, **need.context},
            }
            for (own, need), resource in zip(asked_for, resources, strict=True)
        ],
    )
    return [
        (one["answer"] == "Allowed", other["answer"] == "Allow")
        for one, other in zip(simulated, evaluated, strict=True)
    ]


def actions(names: Sequence[str]) -> dict[str, dict[str, bool]]:
    """Look actions up in AWS's list of them: do they exist, and do they accept a resource."""
    answers = _batch(["node", str(_HERE / "iam_actions.mjs")], list(names))
    return dict(zip(names, answers, strict=True))


def ministack_judges(question: Question) -> bool:
    """
    Say whether ministack can judge a row.

    Its evaluator takes the time from the clock, and the caller's account for the bucket's.
    """
    return question.row.who != asked.LATE_GUEST and question.row.on != asked.TAKEN_NAME


def ministack_says(questions: Sequence[Question]) -> list[Verdicts]:
    """Ask ministack's evaluator, in its own environment."""
    batch = [
        {
            "principal": "" if one.caller.kind in ("Anonymous", "Service") else one.caller.arn,
            "account": one.caller.account,
            "service": one.caller.arn if one.caller.kind == "Service" else None,
            "own_policies": one.caller.policies,
            "action": one.row.call.action,
            "resource": one.resource,
            "owner": one.owner,
            "region": REGION,
            "bucket_policy": one.bucket_policy,
            "endpoint_policy": one.endpoint_policy,
            "context": one.context,
        }
        for one in questions
    ]
    words: dict[str, Answer] = {
        "Allow": "allowed",
        "ImplicitDeny": "implicit deny",
        "Deny": "explicit deny",
    }
    return [
        Verdicts(
            answer=words[answer["answer"]],
            sids=(answer["sid"],) if answer["answer"] == "Deny" else (),
        )
        for answer in _batch([str(ministack.require_installed()), str(_HERE / "ministack_judge.py")], batch)
    ]


def _batch(command: list[str], batch: Sequence[Any]) -> list[dict[str, Any]]:
    done = subprocess.run(
        command,
        input=json.dumps(batch),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(answers) == len(batch)
    return answers


def embedded_aws_says(one: Question) -> Verdicts:
    """Ask the embedded AWS: the very code that decides over each call of the product in the sandbox."""
    row = one.row
    parameters = dict(row.call.parameters)
    if one.bucket:
        parameters["Bucket"] = one.bucket
    if one.key:
        parameters["Key"] = one.key
    needed = s3_actions.required(row.call.operation, parameters)
    assert needed == [(row.call.action, one.resource)], f"{row}: the embedded AWS asks for {needed}"
    call = AwsCall(
        service="s3",
        operation=row.call.operation,
        region=REGION,
        access_key_id=None if row.who == asked.ANONYMOUS else "AKIAIOSFODNN7EXAMPLE",
        parameters=parameters,
    )
    http = one.context["aws:SecureTransport"] == "false"
    circumstances = Circumstances(
        secure=not http,
        tls_version=None if http else f"TLSv{one.context['s3:TlsVersion']}",
        endpoint_id=one.endpoint,
        endpoint_policy=one.endpoint_policy,
        bucket_owner=one.owner if one.bucket else None,
        bucket_policy=one.bucket_policy,
        now=one.at,
    )
    principal = _principal(one.caller)
    try:
        authorization.authorize(call, principal, circumstances)
    except DeniedError:
        # What S3 tells the caller may name the missing permission although the bucket policy denies, too.
        request = authorization._request(
            call, principal, circumstances, action=row.call.action, resource=one.resource
        )
        denied = one.bucket_policy and evaluate(one.bucket_policy, request) is Verdict.DENIED
        return Verdicts(answer="explicit deny" if denied else "implicit deny", sids=None)
    return Verdicts(answer="allowed", sids=None)


def _principal(caller: Caller) -> Principal:
    match caller.kind:
        case "Anonymous":
            return ANONYMOUS
        case "Service":
            return service_principal(caller.arn)
        case "Account":
            kind: Any = "root"
        case "User":
            kind = "user"
        case _:
            kind = "session"
    session = f"arn:aws:sts::{caller.account}:assumed-role/{caller.arn.rsplit('/', 1)[-1]}/s"
    return Principal(
        kind=kind,
        account_id=caller.account,
        arn=session if kind == "session" else caller.arn,
        principal_arn=caller.arn,
        user_id="AIDAEXAMPLE",
    )
