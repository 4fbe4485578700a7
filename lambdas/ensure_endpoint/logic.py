"""
The site's security group and interface endpoint: found, made or repaired.

What carries the creator tag is the product's and is repaired. An endpoint or a group that the settings
name by its id is somebody else's: it is verified and never modified. Endpoints that are deleting,
deleted, failed, rejected or expired count as absent. Private DNS stays off: it would change what every
client in the VPC resolves.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lambdas.core.drift import ONLY_CHECKED, Drift
from lambdas.core.errors import EndpointRefusedError
from lambdas.core.policy_documents import canonical
from lambdas.core.site import CREATOR_TAG, SITE_TAG, Site
from lambdas.ensure_endpoint.endpoint_policy import endpoint_policy

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


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsuredEndpoint:
    """
    The endpoint after this step, and what this step did; `created` holds ids.

    There is no `endpoint_id` only where a run that only checks found none. `others` are endpoints that the
    product made for this site and that are not the one: of an earlier network, or left by a stopped run.
    """

    endpoint_id: str | None
    created: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()
    others: tuple[str, ...] = ()


class Endpoints(Protocol):
    """What this step needs from EC2."""

    def service_name(self) -> str: ...
    def group(self, group_id: str) -> SecurityGroup | None: ...
    def groups_tagged(self, tags: Mapping[str, str | None], *, vpc_id: str) -> Sequence[SecurityGroup]: ...
    def create_group(self, name: str, *, vpc_id: str, tags: Mapping[str, str]) -> SecurityGroup: ...
    def change_sources(self, group_id: str, *, add: frozenset[str], remove: frozenset[str]) -> None: ...
    def remove_other_rules(self, group_id: str) -> None: ...
    def endpoint(self, endpoint_id: str) -> Endpoint | None: ...
    def endpoints_tagged(self, tags: Mapping[str, str | None]) -> Sequence[Endpoint]: ...
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


def ensure_endpoint(
    endpoints: Endpoints, site: Site, *, run: str, repair: bool, known: Collection[str]
) -> EnsuredEndpoint:
    """
    Make the site's endpoint match; raises EndpointRefusedError when a named one is not fit.

    `known` are the endpoints that servers were told of: that one of them is gone is drift, and that a new
    site has none is not. Without `repair` nothing is created or changed.
    """
    own = sorted(
        (
            endpoint
            for endpoint in endpoints.endpoints_tagged(_ours(site))
            # Anyone who may tag can put the product's tags on something else.
            if endpoint.state not in _GOING_OR_GONE and _is_for_s3(endpoint)
        ),
        key=lambda endpoint: (endpoint.created_at, endpoint.id),
    )
    if site.vpc_endpoint_id is not None:
        _verify(endpoints, site, site.vpc_endpoint_id)
        return EnsuredEndpoint(
            endpoint_id=site.vpc_endpoint_id,
            others=tuple(endpoint.id for endpoint in own if endpoint.id != site.vpc_endpoint_id),
        )
    candidates = [endpoint for endpoint in own if endpoint.vpc_id == site.vpc_id]
    # Servers rely on the one that they were told of, whatever a stopped run has left beside it.
    current = next((endpoint for endpoint in candidates if endpoint.id in known), None) or next(
        iter(candidates), None
    )
    others = tuple(endpoint.id for endpoint in own if endpoint is not current)
    group_id, created, drift = _ensure_group(endpoints, site, run=run, repair=repair)
    if current is None:
        # One that is still there in another VPC isn't gone: the settings have moved the site.
        vanished = known and not {endpoint.id for endpoint in own} & set(known)
        gone = (_gone("interface endpoint", repair=repair),) if vanished or not repair else ()
        if not repair:
            return EnsuredEndpoint(endpoint_id=None, drift=(*drift, *gone), others=others)
        assert group_id is not None, "a run that repairs has made the group"  # noqa: S101
        endpoint_id = _create(endpoints, site, group_id=group_id, run=run)
        return EnsuredEndpoint(
            endpoint_id=endpoint_id, created=(*created, endpoint_id), drift=(*drift, *gone), others=others
        )
    return EnsuredEndpoint(
        endpoint_id=current.id,
        created=created,
        drift=(*drift, *_repair(endpoints, site, current, group_id=group_id, repair=repair)),
        others=others,
    )


def _ours(site: Site) -> dict[str, str | None]:
    """The tags of what the product made for this site; None stands for any value."""
    return {SITE_TAG: site.site, CREATOR_TAG: None}


def _gone(resource: str, *, repair: bool) -> Drift:
    return Drift(
        resource=resource,
        property="existence",
        found="absent",
        wanted="there",
        repaired=repair,
        why=None if repair else ONLY_CHECKED,
    )


def _repair(
    endpoints: Endpoints, site: Site, endpoint: Endpoint, *, group_id: str | None, repair: bool
) -> list[Drift]:
    wanted_subnets, wanted_policy = _wanted_subnets(site, endpoint), endpoint_policy(site)
    wanted_groups = frozenset({group_id}) if group_id else endpoint.security_group_ids
    change = EndpointChange(
        add_subnets=wanted_subnets - endpoint.subnet_ids,
        remove_subnets=endpoint.subnet_ids - wanted_subnets,
        add_groups=wanted_groups - endpoint.security_group_ids,
        remove_groups=endpoint.security_group_ids - wanted_groups,
        policy=None if canonical(endpoint.policy) == canonical(wanted_policy) else json.dumps(wanted_policy),
        private_dns_off=endpoint.private_dns,
    )
    differences = [
        (name, found, wanted)
        for name, found, wanted, differs in (
            (
                "subnets",
                _listed(endpoint.subnet_ids),
                _listed(wanted_subnets),
                endpoint.subnet_ids != wanted_subnets,
            ),
            (
                "security groups",
                _listed(endpoint.security_group_ids),
                _listed(wanted_groups),
                endpoint.security_group_ids != wanted_groups,
            ),
            ("endpoint policy", _sids(endpoint.policy), _sids(wanted_policy), change.policy is not None),
            ("private DNS", "on", "off", change.private_dns_off),
        )
        if differs
    ]
    # While it is pending, EC2 refuses to change it; the next run looks again.
    changeable = endpoint.state == "available"
    if differences and repair and changeable:
        endpoints.change_endpoint(endpoint.id, change)
    return [
        Drift(
            resource=endpoint.id,
            property=name,
            found=found,
            wanted=wanted,
            repaired=repair and changeable,
            why=None if repair and changeable else ONLY_CHECKED if not repair else f"it is {endpoint.state}",
        )
        for name, found, wanted in differences
    ]


def _wanted_subnets(site: Site, endpoint: Endpoint) -> frozenset[str]:
    """One subnet for each zone, and of several in a zone the one where the endpoint is: addresses stay."""
    present = {
        site.subnet_zones[subnet]: subnet for subnet in endpoint.subnet_ids if subnet in site.subnet_zones
    }
    return frozenset(present.get(site.subnet_zones.get(subnet, ""), subnet) for subnet in site.subnet_ids)


def _listed(items: Collection[str]) -> str:
    return ", ".join(sorted(items)) or "none"


def _sids(policy: Mapping[str, Any]) -> str:
    """Name a policy by its statements: the whole would not fit a message."""
    statements = policy.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return _listed([str(statement.get("Sid", "unnamed")) for statement in listed])


def _ensure_group(
    endpoints: Endpoints, site: Site, *, run: str, repair: bool
) -> tuple[str | None, tuple[str, ...], tuple[Drift, ...]]:
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
    if not found and not repair:
        return None, (), (_gone("security group", repair=repair),)
    created = not found
    group = (
        found[0]
        if found
        else endpoints.create_group(
            f"vbr-privatelink-{site.site}", vpc_id=site.vpc_id, tags=_tags(site, run=run)
        )
    )
    wanted = frozenset(site.onprem_cidrs)
    drift = []
    if group.sources != wanted:
        if repair:
            endpoints.change_sources(group.id, add=wanted - group.sources, remove=group.sources - wanted)
        drift.append(("sources of HTTPS", _listed(group.sources), _listed(wanted)))
    if group.other_rules:
        if repair:
            endpoints.remove_other_rules(group.id)
        drift.append(("other incoming rules", str(group.other_rules), "none"))
    if created:
        return group.id, (group.id,), ()
    return (
        group.id,
        (),
        tuple(
            Drift(
                resource=group.id,
                property=name,
                found=before,
                wanted=after,
                repaired=repair,
                why=None if repair else ONLY_CHECKED,
            )
            for name, before, after in drift
        ),
    )


def _create(endpoints: Endpoints, site: Site, *, group_id: str, run: str) -> str:
    specification: dict[str, Any] = {
        "service_name": endpoints.service_name(),
        "vpc_id": site.vpc_id,
        "subnet_ids": list(site.subnet_ids),
        "group_ids": [group_id],
        "policy": json.dumps(endpoint_policy(site)),
        "tags": _tags(site, run=run),
    }
    # The same run asks twice for the same endpoint when an answer was lost; another run never gets an
    # endpoint back that has been deleted since.
    token = hashlib.sha256(json.dumps([run, specification], sort_keys=True).encode()).hexdigest()
    return endpoints.create_endpoint(**specification, client_token=token)


def _tags(site: Site, *, run: str) -> dict[str, str]:
    # Name is what people look for in the console.
    return {"Name": f"vbr-privatelink-{site.site}", SITE_TAG: site.site, CREATOR_TAG: run}


def _verify(endpoints: Endpoints, site: Site, endpoint_id: str) -> None:
    endpoint = endpoints.endpoint(endpoint_id)
    if endpoint is None or endpoint.state in _GOING_OR_GONE:
        raise EndpointRefusedError(
            f"vpc_endpoint_id: {endpoint_id} does not exist any more; correct the settings"
        )
    problem = None
    if not _is_for_s3(endpoint):
        problem = (
            f"is a {endpoint.kind} endpoint of {endpoint.service_name}; name an interface endpoint of S3"
        )
    elif endpoint.vpc_id != site.vpc_id:
        problem = f"is in {endpoint.vpc_id}, not in {site.vpc_id}; name an endpoint of the site's VPC"
    if problem is not None:
        raise EndpointRefusedError(f"vpc_endpoint_id: {endpoint_id} {problem}")


def _is_for_s3(endpoint: Endpoint) -> bool:
    return endpoint.kind == "interface" and endpoint.service_name.endswith(".s3")


def result(ensured: EnsuredEndpoint) -> dict[str, object]:
    """Say what this step did, for the execution's output."""
    return {
        "changed": bool(ensured.created) or any(one.repaired for one in ensured.drift),
        "vpc_endpoint_id": ensured.endpoint_id,
        "created": list(ensured.created),
        "others": list(ensured.others),
        "drift": [one.model_dump() for one in ensured.drift],
    }
