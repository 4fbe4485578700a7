"""
What has to be so in the account before a site can be provisioned, and what to do where it isn't.

Only looks. A finding that is None can't be told, or is not needed yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import ClientError

from contract import names
from contract.settings import SiteSettings
from site_cli import network
from site_cli.account import Account, aws_errors
from site_cli.errors import CloudError, NotDeployedError
from site_cli.sites import all_sites

# What the templates of the CDK need ("requiresBootstrapStackVersion" in its manifest).
BOOTSTRAP_VERSION = 6
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
# The same as in stacks/constructs/site.py; a test keeps them equal.
POWERTOOLS_LAYER = "/aws/service/powertools/python/arm64/python3.13/3.37.0"
# Above this share of the quota an endpoint that is being replaced may not find room.
_ROOM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `remedy` is what to do when `ok` is False."""

    about: str
    ok: bool | None
    detail: str
    remedy: str = ""


def examine(account: Account, *, only: names.SiteName | None) -> Iterator[Finding]:
    """Look at the account, and then at each of its sites, or at the one that is named."""
    yield Finding(about="credentials", ok=True, detail=f"account {account.account_id}, {account.region}")
    yield _guarded("bootstrap", lambda: _bootstrap(account))
    if account.partition == "aws":
        yield _guarded("layer", lambda: _layer(account))
    try:
        with aws_errors():
            sites = {site.name: site.settings for site in all_sites(account)}
        yield Finding(
            about="stack", ok=True, detail=f"is deployed, with sites {', '.join(sites) or '(none)'}"
        )
    except NotDeployedError:
        sites = {}
        yield Finding(about="stack", ok=None, detail="is not deployed yet")
    except CloudError as error:
        sites = {}
        yield Finding(about="stack", ok=None, detail=f"can't be told: {error}")
    for site in sites if only is None else [only]:
        yield from _site(account, site, sites.get(site))


def _guarded(about: str, look: Callable[[], Finding]) -> Finding:
    """A look that isn't allowed must not hide the others."""
    try:
        with aws_errors():
            return look()
    except CloudError as error:
        return Finding(about=about, ok=None, detail=f"can't be told: {error}")


def _parameter(account: Account, name: str) -> str | None:
    try:
        return account.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except account.ssm.exceptions.ParameterNotFound:
        return None


def _bootstrap(account: Account) -> Finding:
    version = _parameter(account, BOOTSTRAP_PARAMETER)
    remedy = f"npx aws-cdk@2 bootstrap aws://{account.account_id}/{account.region}"
    if version is None:
        detail = "the account is not bootstrapped for the AWS CDK in this Region, so nothing can be deployed"
        return Finding(about="bootstrap", ok=False, detail=detail, remedy=remedy)
    fits = version.isdecimal() and int(version) >= BOOTSTRAP_VERSION
    return Finding(
        about="bootstrap",
        ok=fits,
        detail=f"version {version}" + ("" if fits else f", and at least {BOOTSTRAP_VERSION} is needed"),
        remedy="" if fits else remedy,
    )


def _layer(account: Account) -> Finding:
    if _parameter(account, POWERTOOLS_LAYER) is None:
        return Finding(
            about="layer",
            ok=False,
            detail=f"there is no public parameter {POWERTOOLS_LAYER} in this Region",
            remedy="name a version of Powertools' layer in settings.powertools_layer_arn of cdk.json",
        )
    return Finding(about="layer", ok=True, detail="Powertools' layer is published in this Region")


def _site(account: Account, site: names.SiteName, settings: SiteSettings | None) -> Iterator[Finding]:
    named_vpc = settings.vpc_id if settings else None
    try:
        with aws_errors():
            found = network.vpcs(account, site=site, named=named_vpc)
    except CloudError as error:
        yield Finding(about=f"{site}: VPC", ok=None, detail=f"can't be told: {error}")
        return
    if len(found) != 1:
        yield Finding(
            about=f"{site}: VPC",
            ok=False,
            detail=f"{len(found) or 'no'} VPCs carry the tag {network.SITE_TAG}={site}"
            if named_vpc is None
            else f"{named_vpc} does not exist in this account and Region",
            remedy=f"tag exactly one VPC with {network.SITE_TAG}={site}, or name it in vpc_id",
        )
        return
    [vpc_id] = found
    yield Finding(about=f"{site}: VPC", ok=True, detail=vpc_id)
    yield _guarded(f"{site}: quota", lambda: _quota(account, site, vpc_id))
    with aws_errors():
        subnets = network.subnets(
            account, site=site, vpc_id=vpc_id, named=settings.subnet_ids if settings else ()
        )
    if not subnets:
        yield Finding(
            about=f"{site}: subnets",
            ok=False,
            detail=f"no subnet of {vpc_id} carries the tag {network.SITE_TAG}={site}",
            remedy="tag one subnet for each Availability Zone, or name them in subnet_ids",
        )
        return
    zones = ", ".join(f"{subnet.id} in {subnet.zone}" for subnet in subnets)
    yield Finding(
        about=f"{site}: subnets",
        ok=True,
        detail=zones + ("" if len(subnets) > 1 else "; a second zone would survive the loss of one"),
    )
    if settings is not None:
        for subnet in subnets:
            yield _guarded(f"{site}: route", partial(_route, account, site, subnet, settings))


def _quota(account: Account, site: str, vpc_id: str) -> Finding:
    used = network.interface_endpoints(account, vpc_id)
    try:
        most = network.endpoint_quota(account)
    except ClientError as error:
        detail = f"{vpc_id} has {used} interface endpoints; how many it may have can't be told ({error})"
        return Finding(about=f"{site}: quota", ok=None, detail=detail)
    fits = used + _ROOM <= most
    return Finding(
        about=f"{site}: quota",
        ok=fits,
        detail=f"{vpc_id} has {used} of at most {most} interface endpoints"
        + ("" if fits else ", so there is no room for a new one beside the one that it replaces"),
        remedy=""
        if fits
        else "ask for more in Service Quotas (vpc, L-29B6F2EB), or remove endpoints that nobody uses",
    )


def _route(account: Account, site: str, subnet: network.Subnet, settings: SiteSettings) -> Finding:
    missing = network.without_route(account, subnet, settings.onprem_cidrs)
    if missing:
        return Finding(
            about=f"{site}: route",
            ok=False,
            detail=f"{subnet.id} has no route to {', '.join(missing)}: answers never reach the backup server",
            remedy="let the route table take the virtual private gateway's routes (route propagation), or "
            "add a route to the transit gateway",
        )
    return Finding(about=f"{site}: route", ok=True, detail=f"{subnet.id} reaches the on-premises networks")
