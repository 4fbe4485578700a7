"""
What is known of the sites of one account and Region: their settings, what was published, what the servers
have reported, and what the last run has said.

Reports and heartbeats are written by servers: what can't be read is shown as such and believed in nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract import names
from contract.documents import AdoptionReport, EndpointDocument
from contract.errors import ContractError
from contract.parameters import ROOT, settings_parameter
from contract.settings import SiteSettings
from site_cli.account import Account
from site_cli.errors import NoSuchSiteError, NotDeployedError

_FUNCTION = "vbr-privatelink-acquire-lease"


@dataclass(slots=True, kw_only=True)
class Site:
    """
    One site; what is None is not there (yet), or can't be read.

    `deployed` says that there is a settings parameter. `problems` are documents that could not be read.
    `seen` is the time of each server's last heartbeat, as Parameter Store keeps it. `status` is what the
    last run has said (see lambdas/core/status.py).
    """

    name: names.SiteName
    deployed: bool = False
    settings: SiteSettings | None = None
    document: EndpointDocument | None = None
    reports: dict[str, AdoptionReport] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    intent: str | None = None
    status: Mapping[str, Any] | None = None
    execution: str | None = None

    @property
    def state(self) -> str:
        """One word for a table."""
        if self.execution is not None:
            return "a run is at work"
        if self.status is None:
            return "never run"
        return str(self.status.get("state", "unknown"))


def all_sites(account: Account) -> list[Site]:
    """Read every site that the workflow has settings for; raises NotDeployedError when there is none."""
    sites: dict[str, Site] = {}
    for name, value, modified in _parameters(account, ROOT):
        _take(sites, name, value, modified)
    found = sorted((site for site in sites.values() if site.deployed), key=lambda one: one.name)
    table = _table(account)
    for site in found:
        _remember(account, table, site)
    return found


def one_site(account: Account, name: names.SiteName) -> Site:
    """Read one site; raises NoSuchSiteError that names those that there are."""
    require(account, name)
    sites: dict[str, Site] = {}
    for parameter, value, modified in _parameters(account, f"{ROOT}/{name}"):
        _take(sites, parameter, value, modified)
    site = sites[name]
    _remember(account, _table(account), site)
    return site


def require(account: Account, name: names.SiteName) -> None:
    """Make sure that the workflow has settings for a site, before anything is started."""
    try:
        account.ssm.get_parameter(Name=settings_parameter(name))
    except account.ssm.exceptions.ParameterNotFound as error:
        known = tuple(
            parameter.split("/")[2]
            for parameter, _value, _modified in _parameters(account, ROOT)
            if parameter.endswith("/settings")
        )
        if not known:
            raise NotDeployedError(account_id=account.account_id, region=account.region) from error
        raise NoSuchSiteError(site=name, region=account.region, known=known) from error


def _parameters(account: Account, path: str) -> Iterator[tuple[str, str, str]]:
    pages = account.ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
    for page in pages:
        for parameter in page["Parameters"]:
            modified = parameter["LastModifiedDate"].astimezone().isoformat(timespec="seconds")
            yield parameter["Name"], parameter["Value"], modified


def _take(sites: dict[str, Site], parameter: str, value: str, modified: str) -> None:
    """Put one parameter where it belongs; one with a name that the product doesn't know is left out."""
    parts = parameter.removeprefix(f"{ROOT}/").split("/")
    try:
        site = sites.setdefault(parts[0], Site(name=names.site_name(parts[0])))
        match parts[1:]:
            case ["settings"]:
                site.deployed = True
                site.settings = SiteSettings.from_json(value)
            case ["endpoint"]:
                site.document = EndpointDocument.from_json(value)
            case ["adoption", server]:
                site.reports[names.server_name(server)] = AdoptionReport.from_json(value)
            case ["seen", server]:
                site.seen[names.server_name(server)] = modified
    except ContractError as error:
        if parts[0] in sites:
            sites[parts[0]].problems.append(f"{parameter}: {error}")


def _table(account: Account) -> str:
    """The table's name is made by CloudFormation; the first function of the workflow knows it."""
    try:
        answer = account.functions.get_function_configuration(FunctionName=_FUNCTION)
    except account.functions.exceptions.ResourceNotFoundException as error:
        raise NotDeployedError(account_id=account.account_id, region=account.region) from error
    return answer["Environment"]["Variables"]["SITES_TABLE"]


def _remember(account: Account, table: str, site: Site) -> None:
    answer = account.dynamodb.get_item(TableName=table, Key={"site": {"S": site.name}}, ConsistentRead=True)
    item: Mapping[str, Any] = answer.get("Item", {})
    site.intent = item.get("intent", {}).get("S")
    if "status" in item:
        site.status = json.loads(item["status"]["S"])
    site.execution = item.get("lease", {}).get("M", {}).get("execution", {}).get("S")
