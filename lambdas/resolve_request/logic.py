"""
Turn a site's name into everything the steps need: its settings, its VPC and its subnets.

Nothing is created before this step has accepted all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from contract import names
from contract.settings import SiteSettings, settings_digest
from lambdas.core.errors import InvalidRequestError, NetworkNotFoundError, SettingsNotDeployedError
from lambdas.core.execution import Execution
from lambdas.core.site import SITE_TAG, Bucket, KnownSite, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet and the two facts by which one is chosen."""

    id: str
    vpc_id: str
    availability_zone: str


class StoredSettings(Protocol):
    """What this step needs from Parameter Store."""

    def read(self, site: names.SiteName) -> str: ...


class Network(Protocol):
    """What this step needs from EC2."""

    def vpc_exists(self, vpc_id: str) -> bool: ...
    def vpcs_tagged(self, key: str, value: str) -> Sequence[str]: ...
    def subnets(self, subnet_ids: Sequence[str]) -> Sequence[Subnet]: ...
    def subnets_tagged(self, key: str, value: str, *, vpc_id: str) -> Sequence[Subnet]: ...


def resolve(
    stored: StoredSettings,
    network: Network,
    *,
    site: names.SiteName,
    execution: Execution,
    digests: Mapping[str, str],
) -> Site:
    """Read and check the settings of *site*, and find its network; `digests` say what was deployed."""
    settings = _settings(stored, site, digests)
    vpc_id = _vpc(network, settings)
    subnets = _subnets(network, settings, vpc_id)
    return Site(
        **_known(settings, execution).model_dump(),
        vpc_id=vpc_id,
        subnet_ids=_one_per_zone(subnets, named=bool(settings.subnet_ids)),
        subnet_zones={subnet.id: subnet.availability_zone for subnet in subnets},
        onprem_cidrs=settings.onprem_cidrs,
        endpoint_policy=settings.endpoint_policy,
        additional_buckets=settings.additional_buckets,
        vpc_endpoint_id=settings.vpc_endpoint_id,
        security_group_id=settings.security_group_id,
        policy_administrators=settings.policy_administrators,
        additional_endpoint_ids=settings.additional_endpoint_ids,
    )


def resolve_for_release(
    stored: StoredSettings, *, site: names.SiteName, execution: Execution, digests: Mapping[str, str]
) -> KnownSite:
    """Read the settings of a site that is to be released: its network may be gone already."""
    return _known(_settings(stored, site, digests), execution)


def _settings(stored: StoredSettings, site: names.SiteName, digests: Mapping[str, str]) -> SiteSettings:
    text = stored.read(site)
    if settings_digest(text) != digests.get(site):
        raise SettingsNotDeployedError(
            f"site: the settings parameter of {site} is not what the stack wrote; settings are changed in "
            "cdk.json and deployed, so deploy the stack again, and look who wrote the parameter"
        )
    settings = SiteSettings.from_json(text)
    if settings.site != site:
        raise InvalidRequestError(
            f"site: the settings of {site} speak of {settings.site}; deploy the stack again"
        )
    return settings


def _known(settings: SiteSettings, execution: Execution) -> KnownSite:
    return KnownSite(
        site=settings.site,
        partition=execution.partition,
        region=execution.region,
        account_id=execution.account_id,
        buckets=_buckets(settings, execution),
        expected_servers=settings.expected_servers,
        release_deadline_hours=settings.release_deadline_hours,
    )


def _buckets(settings: SiteSettings, execution: Execution) -> tuple[Bucket, ...]:
    buckets = tuple(
        Bucket(
            name=bucket.name
            or names.default_bucket_name(
                prefix=settings.bucket_prefix,
                site=settings.site,
                account_id=execution.account_id,
                region=execution.region,
            ),
            folder=bucket.folder,
            immutability_days=bucket.immutability_days,
        )
        for bucket in settings.buckets
    )
    # The settings alone don't tell: one bucket may be named like the default of another.
    if len({bucket.name for bucket in buckets}) != len(buckets):
        raise InvalidRequestError("buckets: the settings name the same bucket twice; name each one once")
    return buckets


def _vpc(network: Network, settings: SiteSettings) -> str:
    if settings.vpc_id is not None:
        if not network.vpc_exists(settings.vpc_id):
            raise NetworkNotFoundError(
                f"vpc_id: {settings.vpc_id} does not exist in this account and Region; correct the settings"
            )
        return settings.vpc_id
    found = network.vpcs_tagged(SITE_TAG, settings.site)
    if len(found) != 1:
        raise NetworkNotFoundError(
            f"vpc_id: {len(found) or 'no'} VPCs carry the tag {SITE_TAG}={settings.site}; "
            "tag exactly one, or name it in vpc_id"
        )
    return found[0]


def _subnets(network: Network, settings: SiteSettings, vpc_id: str) -> Sequence[Subnet]:
    if not settings.subnet_ids:
        found = network.subnets_tagged(SITE_TAG, settings.site, vpc_id=vpc_id)
        if not found:
            raise NetworkNotFoundError(
                f"subnet_ids: no subnet of {vpc_id} carries the tag {SITE_TAG}={settings.site}; "
                "tag one per Availability Zone, or name them in subnet_ids"
            )
        return found
    named = network.subnets(settings.subnet_ids)
    missing = sorted(set(settings.subnet_ids) - {subnet.id for subnet in named})
    if missing:
        raise NetworkNotFoundError(f"subnet_ids: {', '.join(missing)} does not exist; correct the settings")
    foreign = sorted(subnet.id for subnet in named if subnet.vpc_id != vpc_id)
    if foreign:
        raise NetworkNotFoundError(
            f"subnet_ids: {', '.join(foreign)} is not in {vpc_id}; correct the settings"
        )
    return named


def _one_per_zone(subnets: Sequence[Subnet], *, named: bool) -> tuple[str, ...]:
    """An endpoint has one subnet per zone: two named ones are a mistake, of tagged ones the first is used."""
    by_zone: dict[str, str] = {}
    for subnet in sorted(subnets, key=lambda one: one.id):
        first = by_zone.setdefault(subnet.availability_zone, subnet.id)
        if named and first != subnet.id:
            raise InvalidRequestError(
                f"subnet_ids: {first} and {subnet.id} are both in {subnet.availability_zone}; "
                "name one per zone"
            )
    return tuple(sorted(by_zone.values()))
