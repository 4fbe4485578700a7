"""What every role of the stack may do, and what it was seen doing."""

import fnmatch
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.ec2.models import ec2_backends

from sandbox.aws import EmbeddedAws
from tests.proofs.needs import NEEDS, Need, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One action on one resource that a role's statement allows."""

    role: str
    action: str
    resource: str

    @property
    def kind(self) -> str:
        """The resource without what differs between sites; the buckets of a site are all treated alike."""
        if self.resource.startswith("arn:aws:s3:::"):
            return "<bucket>" + "".join(self.resource.partition("/")[1:])
        return self.resource.split(":", 5)[-1]

    def covers(self, need: Need) -> bool:
        """Say whether the grant is what the need needs."""
        # What is about to be made is asked for as a pattern.
        return self.action == need.action and (
            self.resource == need.resource or fnmatch.fnmatchcase(need.resource, self.resource)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The roles that a stack has made: names for people, and policies as IAM holds them."""

    label: Mapping[str, str]
    """By the role's name: the function's name, or the service that assumes it."""
    policies: Mapping[str, Sequence[dict[str, Any]]]

    def grants(self) -> list[Grant]:
        """Return everything that is allowed, one by one."""
        return [
            Grant(role=role, action=action, resource=resource)
            for role, documents in self.policies.items()
            for document in documents
            for statement in document["Statement"]
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        ]


def listed(value: str | list[str]) -> list[str]:
    """Read what is one or a list."""
    return value if isinstance(value, list) else [value]


def roles_of(aws: EmbeddedAws, stack: str) -> Roles:
    """Read the roles of a stack."""
    iam, functions = aws.client("iam"), aws.client("lambda")
    resources = aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    names = [
        resource["PhysicalResourceId"]
        for resource in resources
        if resource["ResourceType"] == "AWS::IAM::Role"
    ]
    by_role = {
        function["Role"].rsplit("/", 1)[-1]: function["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for function in page["Functions"]
    }
    label = {}
    policies = {}
    for name in names:
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        [statement] = trust["Statement"]
        label[name] = by_role.get(name, statement["Principal"]["Service"])
        policies[name] = [
            iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]
            for one in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    return Roles(label=label, policies=policies)


def needs_of(aws: EmbeddedAws, roles: Roles) -> dict[str, list[Need]]:
    """Return what each role's recorded calls need, every need once."""
    tags = _recorded_tags(aws)
    place = Place(region=aws.options.region, account=aws.options.account_id, tags=tags)
    found: dict[str, dict[str, Need]] = {role: {} for role in roles.label}
    for call in aws.requests():
        role = _role_of(call["principal"])
        if role not in found or call["service"] == "sts":
            continue
        name = (call["service"], call["action"])
        assert name in NEEDS, f"tests/proofs/needs.py says nothing of {name}, which {roles.label[role]} calls"
        for need in NEEDS[name](call["parameters"], place):
            found[role][json.dumps([need.action, need.resource, dict(need.context)])] = need
    return {role: list(needs.values()) for role, needs in found.items()}


def _role_of(principal: str) -> str | None:
    return principal.split("/")[1] if ":assumed-role/" in principal else None


def _recorded_tags(aws: EmbeddedAws) -> Mapping[str, Mapping[str, str]]:
    """Return the tags of EC2's resources by id; moto keeps those of what was deleted."""
    return dict(ec2_backends[aws.options.account_id][aws.options.region].tags)


def without(documents: Sequence[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    """Return the policies as they would be without an action."""
    left = []
    for document in documents:
        statements = [
            {**statement, "Action": [one for one in listed(statement["Action"]) if one != action]}
            for statement in document["Statement"]
        ]
        left.append({**document, "Statement": [one for one in statements if one["Action"]]})
    return left


def has_condition(documents: Sequence[dict[str, Any]], need: Need) -> bool:
    """Say whether what the need needs is allowed under a condition, and nowhere without one."""
    covering = [
        "Condition" in statement
        for document in documents
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if Grant(role="", action=action, resource=resource).covers(need)
    ]
    return bool(covering) and all(covering)


def spare(grants: Sequence[Grant], needs: Mapping[str, Sequence[Need]]) -> Iterator[Grant]:
    """Yield the grants that no call has needed, on no bucket."""
    needed = {
        (grant.role, grant.action, grant.kind)
        for grant in grants
        if any(grant.covers(need) for need in needs[grant.role])
    }
    for grant in grants:
        if (grant.role, grant.action, grant.kind) not in needed:
            yield grant
