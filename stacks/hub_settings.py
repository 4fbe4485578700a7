"""
The block `hub` of the settings: to which accounts and Regions the sites go, and what differs there.

With it, `settings.account_id` and `settings.region` are the hub's own (the delegated administrator of
CloudFormation StackSets in an organization), and `settings.sites` are made in every account and Region.
What an account needs otherwise is an override: it may say what no role and no name in the template
depends on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from contract import names
from contract.errors import ContractError
from contract.reading import Fields
from contract.settings import SiteSettings

_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
_UNIT = re.compile(r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32}")

DEFAULT_SILENT_AFTER_DAYS = 3
# The policy of a bus has room for 10 KB, and that of a bucket for 20.
_MOST_ACCOUNTS = 100
# Buckets are not among them: the roles of the StackSet's one template name them.
_MAY_DIFFER = (
    "additional_endpoint_ids",
    "expected_servers",
    "onprem_cidrs",
    "policy_administrators",
    "release_deadline_hours",
    "security_group_id",
    "subnet_ids",
    "vpc_endpoint_id",
    "vpc_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What one site is in one account, in one Region or (None) in all: its settings as a whole."""

    account_id: names.AccountId
    region: names.Region | None
    site: SiteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """
    Where the sites go.

    In an organization, `organizational_units` without `excluded_accounts`: StackSets deploys to accounts
    that join later by itself. Otherwise `accounts` names them, each with an execution role; then
    `organization_id` may be None.
    """

    organization_id: str | None
    organizational_units: tuple[str, ...]
    excluded_accounts: tuple[names.AccountId, ...]
    accounts: tuple[names.AccountId, ...]
    regions: tuple[names.Region, ...]
    silent_after_days: int
    overrides: tuple[Override, ...]

    @property
    def service_managed(self) -> bool:
        """Whether StackSets finds the accounts, and its roles there, through the organization."""
        return bool(self.organizational_units)

    @classmethod
    def from_value(cls, value: object, *, where: str, sites: Mapping[str, Mapping[str, Any]]) -> Self:
        """Read the block; *sites* are the common ones, by name, as they were written and are valid."""
        fields = Fields(value, where=where)
        settings = cls(
            organization_id=(
                fields.checked("organization_id", _organization_id) if fields.has("organization_id") else None
            ),
            organizational_units=fields.each("organizational_units", _unit, most=50),
            excluded_accounts=fields.each("excluded_accounts", names.account_id, most=_MOST_ACCOUNTS),
            accounts=fields.each("accounts", names.account_id, most=_MOST_ACCOUNTS),
            regions=fields.each("regions", names.region, least=1, most=30),
            silent_after_days=(
                fields.integer("silent_after_days", least=2, most=60)
                if fields.has("silent_after_days")
                else DEFAULT_SILENT_AFTER_DAYS
            ),
            overrides=fields.each(
                "overrides", lambda each, *, field: _override(each, field=field, sites=sites), most=100
            ),
        )
        fields.finish()
        settings._fits_together(fields)
        return settings

    def _fits_together(self, fields: Fields) -> None:
        if self.service_managed == bool(self.accounts):
            raise ContractError(
                fields.name("organizational_units"),
                "name either organizational_units, for accounts of an organization, or accounts",
            )
        if self.service_managed and self.organization_id is None:
            raise ContractError(
                fields.name("organization_id"), "is missing; give the organization's id such as o-a1b2c3d4e5"
            )
        if self.accounts and self.excluded_accounts:
            raise ContractError(
                fields.name("excluded_accounts"), "is only for organizational_units; leave the account out"
            )
        for name, given in (
            ("organizational_units", self.organizational_units),
            ("excluded_accounts", self.excluded_accounts),
            ("accounts", self.accounts),
            ("regions", self.regions),
        ):
            if len(set(given)) != len(given):
                raise ContractError(fields.name(name), "names one twice; name it once")
        if len({names.partition(region) for region in self.regions}) > 1:
            raise ContractError(fields.name("regions"), "are of several partitions; a StackSet stays in one")
        taken: set[tuple[str, str, str]] = set()
        for number, override in enumerate(self.overrides):
            field = fields.name(f"overrides[{number}]")
            if override.region is not None and override.region not in self.regions:
                raise ContractError(f"{field}.region", "is not one of the hub's regions; add it there")
            if self.accounts and override.account_id not in self.accounts:
                raise ContractError(f"{field}.account_id", "is not one of the hub's accounts; add it there")
            if override.account_id in self.excluded_accounts:
                raise ContractError(f"{field}.account_id", "is one of excluded_accounts; remove it there")
            for region in [override.region] if override.region else self.regions:
                place = (override.account_id, region, override.site.site)
                if place in taken:
                    raise ContractError(
                        field,
                        f"says again what {place[2]} is in {place[0]} {place[1]}; write it once",
                    )
                taken.add(place)


def _override(value: object, *, field: str, sites: Mapping[str, Mapping[str, Any]]) -> Override:
    given = value if isinstance(value, dict) else {}
    changes = {name: given[name] for name in _MAY_DIFFER if name in given}
    fields = Fields(
        {name: kept for name, kept in given.items() if name not in changes} if given else value, where=field
    )
    account_id = fields.checked("account_id", names.account_id)
    region = fields.checked("region", names.region) if fields.has("region") else None
    name = fields.checked("site", names.site_name)
    fields.finish()
    if name not in sites:
        raise ContractError(fields.name("site"), f"{names.shown(name)} is not one of settings.sites")
    if not changes:
        raise ContractError(field, f"changes nothing; name one of: {', '.join(_MAY_DIFFER)}")
    return Override(
        account_id=account_id,
        region=region,
        site=SiteSettings.from_value({**sites[name], **changes}, where=field),
    )


def _organization_id(value: object, *, field: str) -> str:
    return names.matching(_ORGANIZATION, value, field=field, rule="give an id such as o-a1b2c3d4e5")


def _unit(value: object, *, field: str) -> str:
    rule = "give the id of an organizational unit such as ou-ab12-cd34ef56, or of the root such as r-ab12"
    return names.matching(_UNIT, value, field=field, rule=rule)
