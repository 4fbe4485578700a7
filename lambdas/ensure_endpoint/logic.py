"""
The site's security group and interface endpoint: found, made or repaired.

What carries the creator tag is the product's and is repaired. An endpoint or a group that the settings
name by its id is somebody else's: it is verified and never modified. Endpoints that are deleting,
deleted, failed, rejected or expired count as absent. Private DNS stays off: it would change what every
client in the VPC resolves.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lambdas.core.errors import EndpointRefusedError
from lambdas.core.site import CREATOR_TAG, SITE_TAG, Site
from lambdas.ensure_endpoint.endpoint_policy import endpoint_policy

# Of several endpoints of our own (a run was aborted between create and publish) the first is kept.
_GOING_OR_GONE = frozenset({"deleting", "deleted", "failed", "rejected", "expired"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    """A security group; `sources` are the IPv4 networks that may reach port 443, `other_rules` the rest."""

    id: str
    vpc_id: str
    sources: frozenset[str]
    other_rules: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An interface endpoint as EC2 describes it; states are in lower case."""

    id: str
    state: str
    kind: str
    service_name: str
    vpc_id: str
    subnet_ids: frozenset[str]
    security_group_ids: frozenset[str]
    private_dns: bool
    policy: Mapping[str, Any]
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChange:
    """What to change about an endpoint of ours; an empty field means: leave as it is."""

    add_subnets: frozenset[str]
    remove_subnets: frozenset[str]
    add_groups: frozenset[str]
    remove_groups: frozenset[str]
    policy: str | None
    private_dns_off: bool

    def repairs(self) -> list[str]:
        """Name what is repaired, in words that a person knows from the console."""
        return [
            name
            for name, wanted in (
                ("subnets", self.add_subnets or self.remove_subnets),
                ("security groups", self.add_groups or self.remove_groups),
                ("endpoint policy", self.policy),
                ("private DNS", self.private_dns_off),
            )
            if wanted
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsuredEndpoint:
    """The endpoint after this step, and what this step did; `created` holds ids."""

    endpoint_id: str
    created: tuple[str, ...]
    repaired: tuple[str, ...]


class Endpoints(Protocol):
    """What this step needs from EC2."""

    def service_name(self) -> str: ...
    def group(self, group_id: str) -> SecurityGroup | None: ...
    def groups_tagged(self, tags: Mapping[str, str | None], *, vpc_id: str) -> Sequence[SecurityGroup]: ...
    def create_group(self, name: str, *, vpc_id: str, tags: Mapping[str, str]) -> SecurityGroup: ...
    def change_sources(self, group_id: str, *, add: frozenset[str], remove: frozenset[str]) -> None: ...
    def remove_other_rules(self, group_id: str) -> None: ...
    def endpoint(self, endpoint_id: str) -> Endpoint | None: ...
    def endpoints_tagged(self, tags: Mapping[str, str | None], *, vpc_id: str) -> Sequence[Endpoint]: ...
    def create_endpoint(
        self,
        *,
        service_name: str,
        vpc_id: str,
        subnet_ids: Sequence[str],
        group_ids: Sequence[str],
        policy: str,
        tags: Mapping[str, str],
        client_token: str,
    ) -> str: ...
    def change_endpoint(self, endpoint_id: str, change: EndpointChange) -> None: ...


def ensure_endpoint(endpoints: Endpoints, site: Site, *, run: str) -> EnsuredEndpoint:
    """Make the site's endpoint match; raises EndpointRefusedError when a named one is not fit."""
    if site.vpc_endpoint_id is not None:
        return _verified(endpoints, site, site.vpc_endpoint_id)
    group_id, created, repaired = _ensure_group(endpoints, site, run=run)
    wanted_policy = endpoint_policy(site)
    own = sorted(
        (
            endpoint
            for endpoint in endpoints.endpoints_tagged(_ours(site), vpc_id=site.vpc_id)
            if endpoint.state not in _GOING_OR_GONE
        ),
        key=lambda endpoint: (endpoint.created_at, endpoint.id),
    )
    if not own:
        endpoint_id = _create(endpoints, site, group_id=group_id, policy=wanted_policy, run=run)
        return EnsuredEndpoint(endpoint_id=endpoint_id, created=(*created, endpoint_id), repaired=repaired)
    endpoint = own[0]
    change = EndpointChange(
        add_subnets=frozenset(site.subnet_ids) - endpoint.subnet_ids,
        remove_subnets=endpoint.subnet_ids - frozenset(site.subnet_ids),
        add_groups=frozenset({group_id}) - endpoint.security_group_ids,
        remove_groups=endpoint.security_group_ids - {group_id},
        policy=json.dumps(wanted_policy) if endpoint.policy != wanted_policy else None,
        private_dns_off=endpoint.private_dns,
    )
    repairs = change.repairs()
    # While it is pending, EC2 refuses to change it; the next run looks again.
    if repairs and endpoint.state == "available":
        endpoints.change_endpoint(endpoint.id, change)
        repaired = (*repaired, *(f"{endpoint.id}: {repair}" for repair in repairs))
    return EnsuredEndpoint(endpoint_id=endpoint.id, created=created, repaired=repaired)


def _ours(site: Site) -> dict[str, str | None]:
    """The tags of what the product made for this site; None stands for any value."""
    return {SITE_TAG: site.site, CREATOR_TAG: None}


def _ensure_group(
    endpoints: Endpoints, site: Site, *, run: str
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    if site.security_group_id is not None:
        group = endpoints.group(site.security_group_id)
        if group is None:
            raise EndpointRefusedError(
                f"security_group_id: {site.security_group_id} does not exist; correct the settings"
            )
        if group.vpc_id != site.vpc_id:
            raise EndpointRefusedError(
                f"security_group_id: {group.id} is in {group.vpc_id}, not in {site.vpc_id}; "
                "name a group of the site's VPC"
            )
        return group.id, (), ()
    found = sorted(
        endpoints.groups_tagged(_ours(site), vpc_id=site.vpc_id), key=lambda candidate: candidate.id
    )
    created = not found
    group = (
        found[0]
        if found
        else endpoints.create_group(
            f"vbr-privatelink-{site.site}", vpc_id=site.vpc_id, tags=_tags(site, run=run)
        )
    )
    wanted = frozenset(site.onprem_cidrs)
    repaired = []
    if group.sources != wanted:
        endpoints.change_sources(group.id, add=wanted - group.sources, remove=group.sources - wanted)
        repaired.append(f"{group.id}: on-premises networks")
    if group.other_rules:
        endpoints.remove_other_rules(group.id)
        repaired.append(f"{group.id}: {group.other_rules} foreign rules")
    return group.id, (group.id,) if created else (), () if created else tuple(repaired)


def _create(endpoints: Endpoints, site: Site, *, group_id: str, policy: Mapping[str, Any], run: str) -> str:
    specification: dict[str, Any] = {
        "service_name": endpoints.service_name(),
        "vpc_id": site.vpc_id,
        "subnet_ids": list(site.subnet_ids),
        "group_ids": [group_id],
        "policy": json.dumps(policy),
        "tags": _tags(site, run=run),
    }
    # The same run asks twice for the same endpoint when an answer was lost; another run never gets an
    # endpoint back that has been deleted since.
    token = hashlib.sha256(json.dumps([run, specification], sort_keys=True).encode()).hexdigest()
    return endpoints.create_endpoint(**specification, client_token=token)


def _tags(site: Site, *, run: str) -> dict[str, str]:
    # Name is what people look for in the console.
    return {"Name": f"vbr-privatelink-{site.site}", SITE_TAG: site.site, CREATOR_TAG: run}


def _verified(endpoints: Endpoints, site: Site, endpoint_id: str) -> EnsuredEndpoint:
    endpoint = endpoints.endpoint(endpoint_id)
    if endpoint is None or endpoint.state in _GOING_OR_GONE:
        raise EndpointRefusedError(
            f"vpc_endpoint_id: {endpoint_id} does not exist any more; correct the settings"
        )
    problem = None
    if endpoint.kind != "interface" or not endpoint.service_name.endswith(".s3"):
        problem = (
            f"is a {endpoint.kind} endpoint of {endpoint.service_name}; name an interface endpoint of S3"
        )
    elif endpoint.vpc_id != site.vpc_id:
        problem = f"is in {endpoint.vpc_id}, not in {site.vpc_id}; name an endpoint of the site's VPC"
    if problem is not None:
        raise EndpointRefusedError(f"vpc_endpoint_id: {endpoint_id} {problem}")
    return EnsuredEndpoint(endpoint_id=endpoint_id, created=(), repaired=())


def result(ensured: EnsuredEndpoint) -> dict[str, object]:
    """Say what this step did, for the execution's output."""
    return {
        "changed": bool(ensured.created or ensured.repaired),
        "vpc_endpoint_id": ensured.endpoint_id,
        "created": list(ensured.created),
        "repaired": list(ensured.repaired),
    }
