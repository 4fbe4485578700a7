"""
The typed `settings` block of cdk.json: the only source of settings.

The sites in it are checked by the same code that the workflow runs, so what synthesizes is accepted at
run time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from aws_cdk.aws_logs import RetentionDays

from contract import names
from contract.documents import SCHEMA_VERSION
from contract.errors import ContractError
from contract.reading import Fields
from contract.settings import SiteSettings
from stacks.control_plane_settings import ControlPlaneSettings
from stacks.hub_settings import HubSettings

# Enough to catch a typing error; whether mail arrives, its confirmation shows.
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_LAYER = re.compile(r"arn:aws(?:-[a-z]+)*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]{1,140}:[0-9]{1,9}")
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


# Long enough for a weekend and a maintenance window.
DEFAULT_PENDING_ALARM_DAYS = 7
# IAM allows two access keys for each user.
MAXIMUM_KEYS = 2
LAST_KEY = 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupUserSettings:
    """
    The IAM user that VBR works with at one site.

    `keys` are numbers of access keys, each made and deleted with its number: two while VBR moves from one
    to the next.
    """

    site: names.SiteName
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """
    One account and Region, and the sites in it.

    `alert_emails` get a mail when a run fails; principals of `recovery_accounts` may be granted access for a
    while, beside those of the account itself.

    A bucket that has waited for its servers for `pending_alarm_days` raises an alarm.

    With a hub, the sites are made in every account and Region that it names, and account and Region are
    the hub's own.

    `powertools_layer_arn` None means: the version that Powertools publishes under a public parameter, which
    only the commercial partition is known to have.
    Sites without an entry in `backup_users` have an IAM user of somebody else's making.
    """

    account_id: names.AccountId
    region: names.Region
    log_retention: RetentionDays
    alert_emails: tuple[str, ...]
    start_on_deployment: bool
    pending_alarm_days: int
    recovery_accounts: tuple[names.AccountId, ...]
    powertools_layer_arn: str | None
    sites: tuple[SiteSettings, ...]
    backup_users: tuple[BackupUserSettings, ...]
    private_control_plane: ControlPlaneSettings | None
    hub: HubSettings | None

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
            pending_alarm_days=(
                fields.integer("pending_alarm_days", least=1, most=90)
                if fields.has("pending_alarm_days")
                else DEFAULT_PENDING_ALARM_DAYS
            ),
            recovery_accounts=fields.each("recovery_accounts", names.account_id, most=10),
            powertools_layer_arn=(
                fields.checked("powertools_layer_arn", _layer) if fields.has("powertools_layer_arn") else None
            ),
            sites=fields.each("sites", _site, least=1, most=20),
            backup_users=fields.each("backup_users", _backup_user, most=20),
            private_control_plane=(
                fields.checked("private_control_plane", ControlPlaneSettings.from_value)
                if fields.has("private_control_plane")
                else None
            ),
            # After the sites: what is read on top of them is valid itself.
            hub=fields.checked("hub", _hub_of(value)) if fields.has("hub") else None,
        )
        fields.finish()
        given = [site.site for site in settings.sites]
        if len(set(given)) != len(given):
            raise ContractError("settings.sites", "two sites have the same name; rename one")
        _refuse_what_would_not_run(settings)
        _refuse_an_unknown_layer(settings)
        _refuse_users_of_no_site(settings)
        _refuse_what_servers_could_not_reach(settings)
        return settings

    def backup_keys(self) -> dict[str, tuple[int, ...]]:
        """Return the numbers of the access keys, by site."""
        return {user.site: user.keys for user in self.backup_users}


def _refuse_what_would_not_run(settings: AppSettings) -> None:
    """What each site's own document can't tell: its size, its default bucket, and other sites' buckets."""
    regions = settings.hub.regions if settings.hub else (settings.region,)
    # Regions differ in the length of their names, and a bucket's name has 63 characters.
    longest = max(regions, key=len)
    taken: set[str] = set()
    for number, site in enumerate(settings.sites):
        field = f"settings.sites[{number}]"
        try:
            site.to_json()
        except ContractError as error:
            raise ContractError(field, f"the settings parameter {error.problem}; shorten a list") from error
        for index, bucket in enumerate(site.buckets):
            if settings.hub and bucket.name:
                raise ContractError(
                    f"{field}.buckets[{index}].name",
                    "is one bucket, and the hub makes the site in many accounts; leave the name out",
                )
            name = bucket.name or names.bucket_name(
                f"{site.bucket_prefix}-{site.site}-{settings.account_id}-{longest}",
                field=f"{field}.bucket_prefix",
            )
            if name in taken:
                raise ContractError(
                    f"{field}.buckets[{index}].name", f"{names.shown(name)} is named twice; name it once"
                )
            taken.add(name)


def _refuse_an_unknown_layer(settings: AppSettings) -> None:
    """Powertools' documentation has no public parameters for the other partitions, only ARNs."""
    partition, arn = names.partition(settings.region), settings.powertools_layer_arn
    field = "settings.powertools_layer_arn"
    if settings.hub is not None and (arn is not None or partition != "aws"):
        raise ContractError(
            "settings.hub",
            "is only supported in the commercial partition and without powertools_layer_arn: elsewhere each "
            "Region needs a layer of its own; write settings for each account and Region instead",
        )
    if arn is None:
        if partition != "aws":
            raise ContractError(
                field,
                f"is missing; in the partition {partition} name a version of the layer "
                "AWSLambdaPowertoolsPythonV3-python313-arm64: Powertools' installation page lists its ARN",
            )
        return
    if arn.split(":")[1] != partition or arn.split(":")[3] != settings.region:
        raise ContractError(field, f"is not a layer of {settings.region}; a function takes only its Region's")


def _layer(value: object, *, field: str) -> str:
    return names.matching(_LAYER, value, field=field, rule="give the ARN of one version of the layer")


def _refuse_users_of_no_site(settings: AppSettings) -> None:
    sites, taken = {site.site for site in settings.sites}, set[str]()
    for number, user in enumerate(settings.backup_users):
        field = f"settings.backup_users[{number}].site"
        if user.site not in sites:
            raise ContractError(field, f"there is no site {names.shown(user.site)}; name one of the sites")
        if user.site in taken:
            raise ContractError(field, f"{names.shown(user.site)} is named twice; give its keys in one entry")
        taken.add(user.site)


def _backup_user(value: object, *, field: str) -> BackupUserSettings:
    fields = Fields(value, where=field)
    user = BackupUserSettings(
        site=fields.checked("site", names.site_name),
        keys=fields.each("keys", _key_number, least=1, most=MAXIMUM_KEYS),
    )
    fields.finish()
    if len(set(user.keys)) != len(user.keys):
        raise ContractError(f"{field}.keys", "holds the same number twice; give a new key a new number")
    return user


def _key_number(value: object, *, field: str) -> int:
    if type(value) is not int or not 1 <= value <= LAST_KEY:
        raise ContractError(field, f"{names.shown(value)} is not a whole number from 1 to {LAST_KEY}")
    return value


def _refuse_what_servers_could_not_reach(settings: AppSettings) -> None:
    """What the private control plane needs of the sites: their servers by name, and their network by ids."""
    plane, hub = settings.private_control_plane, settings.hub
    if plane is None:
        return
    if hub is None:
        for number, site in enumerate(settings.sites):
            field = f"settings.sites[{number}]"
            if not site.expected_servers:
                raise ContractError(
                    f"{field}.expected_servers",
                    "is empty; private_control_plane lets in servers by the names in their certificates",
                )
            if plane.interface_endpoints and not (site.vpc_id and site.subnet_ids):
                raise ContractError(
                    f"{field}.subnet_ids" if site.vpc_id else f"{field}.vpc_id",
                    "is missing; a template can't look for tags, and private_control_plane makes endpoints",
                )
        return
    common = {site.site: site for site in settings.sites}
    for number, override in enumerate(hub.overrides):
        if override.site.onprem_cidrs != common[override.site.site].onprem_cidrs:
            raise ContractError(
                f"settings.hub.overrides[{number}].onprem_cidrs",
                "can't differ where private_control_plane is set; name all networks in settings.sites",
            )


def _site(value: object, *, field: str) -> SiteSettings:
    # People don't write the version of a document that they never see.
    versioned = {"schema_version": SCHEMA_VERSION, **value} if isinstance(value, dict) else value
    return SiteSettings.from_value(versioned, where=field)


def _hub_of(settings: object) -> Callable[..., HubSettings]:
    """The hub's overrides are read on top of the sites as they were written."""
    written = settings["sites"] if isinstance(settings, dict) else []

    def read(value: object, *, field: str) -> HubSettings:
        sites = {site["site"]: {"schema_version": SCHEMA_VERSION, **site} for site in written}
        hub = HubSettings.from_value(value, where=field, sites=sites)
        for number, override in enumerate(hub.overrides):
            try:
                override.site.to_json()
            except ContractError as error:
                problem = f"the settings parameter {error.problem}; shorten a list"
                raise ContractError(f"{field}.overrides[{number}]", problem) from error
        return hub

    return read


def _retention(value: object, *, field: str) -> RetentionDays:
    if type(value) is not int or value not in _RETENTION:
        allowed = ", ".join(str(days) for days in _RETENTION)
        raise ContractError(field, f"{names.shown(value)} is not one of: {allowed}")
    return _RETENTION[value]


def _email(value: object, *, field: str) -> str:
    if not isinstance(value, str) or not _EMAIL.fullmatch(value):
        raise ContractError(field, f"{names.shown(value)} is not an e-mail address")
    return value
