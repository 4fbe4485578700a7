"""
The typed `settings` block of cdk.json: the only source of settings.

The sites in it are checked by the same code that the workflow runs, so what synthesizes is accepted at
run time.
"""

import re
from dataclasses import dataclass
from typing import Self

from aws_cdk.aws_logs import RetentionDays

from contract import names
from contract.documents import SCHEMA_VERSION
from contract.errors import ContractError
from contract.reading import Fields
from contract.settings import SiteSettings

# Enough to catch a typing error; whether mail arrives, its confirmation shows.
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# CloudWatch Logs accepts more periods; these are what backup logs are kept for.
_RETENTION = {
    7: RetentionDays.ONE_WEEK,
    14: RetentionDays.TWO_WEEKS,
    30: RetentionDays.ONE_MONTH,
    90: RetentionDays.THREE_MONTHS,
    180: RetentionDays.SIX_MONTHS,
    365: RetentionDays.ONE_YEAR,
    731: RetentionDays.TWO_YEARS,
    1827: RetentionDays.FIVE_YEARS,
    3653: RetentionDays.TEN_YEARS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """One account and Region, and the sites in it; `alert_emails` get a mail when a run fails."""

    account_id: names.AccountId
    region: names.Region
    log_retention: RetentionDays
    alert_emails: tuple[str, ...]
    start_on_deployment: bool
    sites: tuple[SiteSettings, ...]

    @classmethod
    def from_context(cls, value: object) -> Self:
        """Read the block; raises ContractError that names the field and the fix."""
        fields = Fields(value, where="settings")
        settings = cls(
            account_id=fields.checked("account_id", names.account_id),
            region=fields.checked("region", names.region),
            log_retention=fields.checked("log_retention_days", _retention),
            alert_emails=fields.each("alert_emails", _email, most=10),
            start_on_deployment=fields.boolean("start_on_deployment"),
            sites=fields.each("sites", _site, least=1, most=20),
        )
        fields.finish()
        given = [site.site for site in settings.sites]
        if len(set(given)) != len(given):
            raise ContractError("settings.sites", "two sites have the same name; rename one")
        _refuse_what_would_not_run(settings)
        return settings


def _refuse_what_would_not_run(settings: AppSettings) -> None:
    """What each site's own document can't tell: its size, its default bucket, and other sites' buckets."""
    taken: set[str] = set()
    for number, site in enumerate(settings.sites):
        field = f"settings.sites[{number}]"
        try:
            site.to_json()
        except ContractError as error:
            raise ContractError(field, f"the settings parameter {error.problem}; shorten a list") from error
        for index, bucket in enumerate(site.buckets):
            name = bucket.name or names.bucket_name(
                f"{site.bucket_prefix}-{site.site}-{settings.account_id}-{settings.region}",
                field=f"{field}.bucket_prefix",
            )
            if name in taken:
                raise ContractError(
                    f"{field}.buckets[{index}].name", f"{names.shown(name)} is named twice; name it once"
                )
            taken.add(name)


def _site(value: object, *, field: str) -> SiteSettings:
    # People don't write the version of a document that they never see.
    versioned = {"schema_version": SCHEMA_VERSION, **value} if isinstance(value, dict) else value
    return SiteSettings.from_value(versioned, where=field)


def _retention(value: object, *, field: str) -> RetentionDays:
    if type(value) is not int or value not in _RETENTION:
        allowed = ", ".join(str(days) for days in _RETENTION)
        raise ContractError(field, f"{names.shown(value)} is not one of: {allowed}")
    return _RETENTION[value]


def _email(value: object, *, field: str) -> str:
    if not isinstance(value, str) or not _EMAIL.fullmatch(value):
        raise ContractError(field, f"{names.shown(value)} is not an e-mail address")
    return value
