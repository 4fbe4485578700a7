"""
The hub: one account that brings the sites into many, hears from them, and may start them.

The sites' template is the same `Site` construct as in the plain stack, without account and Region in it.
Each account runs its own workflow; no role of the hub reaches into another account.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from aws_cdk import (
    Acknowledgment,
    CfnCondition,
    CfnOutput,
    CfnParameter,
    DefaultStackSynthesizer,
    Environment,
    Fn,
    Stack,
    Validations,
)
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from cdk_stacksets import (
    Capability,
    DeploymentType,
    StackSet,
    StackSetStack,
    StackSetTarget,
    StackSetTemplate,
)
from constructs import Construct

from contract import names
from contract.settings import SiteSettings
from stacks.asset_stack import asset_bucket_prefix
from stacks.constructs.fleet import EVENT_BUS, Fleet, requesting_role
from stacks.constructs.hub_link import HubAddress
from stacks.constructs.private_control_plane import ClientSite, PrivateControlPlane
from stacks.constructs.product_function import accept_double_dependency
from stacks.constructs.site import NAME, SettingsDocument, Site
from stacks.hub_settings import HubSettings
from stacks.settings import AppSettings

# StackSets' own default names, so that AWS's documents and templates about them hold here.
EXECUTION_ROLE = "AWSCloudFormationStackSetExecutionRole"
ADMINISTRATION_ROLE = "AWSCloudFormationStackSetAdministrationRole"


class HubStack(Stack):
    """The StackSet of the sites, and what hears and shows how they are."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: AppSettings, hub: HubSettings
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=settings.account_id, region=settings.region),
            description="VBR PrivateLink: the hub of many accounts",
        )
        prefix = asset_bucket_prefix(settings.account_id)
        buckets = [f"{prefix}-{region}" for region in hub.regions]
        template = SitesOfEachAccount(
            self,
            "Sites",
            settings=settings,
            asset_bucket_prefix=prefix,
            asset_buckets=[s3.Bucket.from_bucket_name(self, bucket, bucket) for bucket in buckets],
        )
        # `cdk-stacksets` looks for what copies the assets beside the StackSet: both are the stack's own.
        stack_set = StackSet(
            self,
            "StackSet",
            stack_set_name=NAME,
            description="VBR PrivateLink: the sites of each account",
            template=StackSetTemplate.from_stack_set_stack(template),
            capabilities=[Capability.NAMED_IAM],
            managed_execution=True,
            deployment_type=self._deployment_type(hub),
        )
        for target in _targets(hub, private_control_plane=settings.private_control_plane is not None):
            stack_set.add_target(target)
        accept_double_dependency(stack_set)
        fleet = Fleet(
            self,
            "Fleet",
            hub=hub,
            log_retention=settings.log_retention,
            alert_emails=settings.alert_emails,
        )
        # A site tells of itself as soon as it stands: nobody would hear the first news otherwise.
        stack_set.node.add_dependency(fleet)
        _accept_copying(self, buckets)
        CfnOutput(self, "StackSetName", value=NAME)

    def _deployment_type(self, hub: HubSettings) -> DeploymentType:
        if hub.service_managed:
            return DeploymentType.service_managed(
                auto_deploy_enabled=True,
                # An account that leaves keeps its endpoint: its backups go on.
                auto_deploy_retain_stacks=True,
                delegated_admin=True,
            )
        return DeploymentType.self_managed(
            admin_role=self._administration_role(hub), execution_role_name=EXECUTION_ROLE
        )

    def _administration_role(self, hub: HubSettings) -> iam.IRole:
        """As AWS's own template makes it, but for the accounts that are named."""
        role = iam.Role(
            self,
            "AdministrationRole",
            role_name=ADMINISTRATION_ROLE,
            assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"),
            description="StackSets deploys the sites into the accounts of the hub",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="DeployIntoAccounts",
                actions=["sts:AssumeRole"],
                resources=[
                    f"arn:{self.partition}:iam::{account}:role/{EXECUTION_ROLE}" for account in hub.accounts
                ],
            )
        )
        # `cdk-stacksets` would add that role in any account.
        return role.without_policy_updates()


class SitesOfEachAccount(StackSetStack):
    """The StackSet's template: the sites, in whatever account and Region it is deployed to."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: AppSettings,
        asset_buckets: Sequence[s3.IBucket],
        asset_bucket_prefix: str,
    ) -> None:
        super().__init__(
            scope, construct_id, asset_buckets=list(asset_buckets), asset_bucket_prefix=asset_bucket_prefix
        )
        self.template_options.description = "VBR PrivateLink: the sites of this account, from the hub"
        Site(
            self,
            "Site",
            sites=settings.sites,
            documents={site.site: self._document(site) for site in settings.sites},
            log_retention=settings.log_retention,
            alert_emails=settings.alert_emails,
            start_on_deployment=settings.start_on_deployment,
            pending_alarm_days=settings.pending_alarm_days,
            recovery_accounts=settings.recovery_accounts,
            backup_keys=settings.backup_keys(),
            hub=HubAddress(
                account_id=settings.account_id,
                event_bus_arn=(
                    f"arn:{self.partition}:events:{settings.region}:{settings.account_id}:event-bus/{EVENT_BUS}"
                ),
                requesting_role_arn=(
                    f"arn:{self.partition}:iam::{settings.account_id}:role/{requesting_role(settings.region)}"
                ),
            ),
        )

        if plane := settings.private_control_plane:
            PrivateControlPlane(
                self,
                "ControlPlane",
                settings=plane,
                sites=[self._client_site(site) for site in settings.sites],
            )

    def _document(self, site: SiteSettings) -> SettingsDocument:
        """The settings of a site as parameters of the template, so that an account can differ."""
        return SettingsDocument(
            text=self._parameter(site, "Settings").value_as_string,
            digest=self._parameter(site, "Digest").value_as_string,
        )

    def _client_site(self, site: SiteSettings) -> ClientSite:
        """What differs by account is a parameter; where no VPC is named, there are no endpoints."""
        vpc_id = self._parameter(site, "Vpc").value_as_string
        return ClientSite(
            site=site.site,
            servers=self._parameter(site, "Servers").value_as_list,
            onprem_cidrs=site.onprem_cidrs,
            vpc_id=vpc_id,
            subnet_ids=self._parameter(site, "Subnets").value_as_list,
            only_if=CfnCondition(
                self,
                f"Network{_letters(site.site)}",
                expression=Fn.condition_not(Fn.condition_equals(vpc_id, "")),
            ),
        )

    def _parameter(self, site: SiteSettings, purpose: str) -> CfnParameter:
        """Make a parameter of the template, so that an account can differ."""
        return CfnParameter(
            self,
            f"{purpose}{_letters(site.site)}",
            type="CommaDelimitedList" if purpose in ("Servers", "Subnets") else "String",
            description=f"{purpose} of site {site.site}; change them in the hub's settings",
            default=_values(site, private_control_plane=True)[purpose],
        )


def _values(site: SiteSettings, *, private_control_plane: bool) -> dict[str, str]:
    """Return what the template's parameters of a site hold, by what their names begin with."""
    document = SettingsDocument.of(site)
    values = {"Settings": document.text, "Digest": document.digest}
    if private_control_plane:
        values |= {
            "Servers": ",".join(site.expected_servers),
            "Subnets": ",".join(site.subnet_ids),
            "Vpc": site.vpc_id or "",
        }
    return values


def _letters(site: names.SiteName) -> str:
    """CloudFormation takes letters and digits only; sites have no capitals, so no name is taken twice."""
    return site.replace("-", "X")


def _targets(hub: HubSettings, *, private_control_plane: bool) -> Iterator[StackSetTarget]:
    """
    Yield the accounts that differ, one by one, and before them all others together.

    StackSets refuses a place that is named twice, so what is true of one Region only needs targets of its
    own for the account's other Regions.
    """
    different: dict[names.AccountId, dict[names.Region, dict[str, str]]] = {}
    for override in hub.overrides:
        by_region = different.setdefault(override.account_id, {region: {} for region in hub.regions})
        for region in [override.region] if override.region else hub.regions:
            values = _values(override.site, private_control_plane=private_control_plane)
            by_region[region] |= {
                f"{purpose}{_letters(override.site.site)}": value for purpose, value in values.items()
            }
    yield from _everybody_else(hub, except_for=list(different))
    for account, by_region in different.items():
        alike: dict[str, list[names.Region]] = {}
        for region, parameters in by_region.items():
            alike.setdefault(json.dumps(parameters), []).append(region)
        for regions in alike.values():
            yield _one(hub, account, regions, by_region[regions[0]])


def _everybody_else(hub: HubSettings, *, except_for: Sequence[names.AccountId]) -> Iterator[StackSetTarget]:
    if hub.service_managed:
        yield StackSetTarget.from_organizational_units(
            regions=list(hub.regions),
            organizational_units=list(hub.organizational_units),
            exclude_accounts=[*hub.excluded_accounts, *except_for],
        )
    elif accounts := [account for account in hub.accounts if account not in except_for]:
        yield StackSetTarget.from_accounts(regions=list(hub.regions), accounts=list(accounts))


def _one(
    hub: HubSettings, account: names.AccountId, regions: Sequence[names.Region], parameters: Mapping[str, str]
) -> StackSetTarget:
    overrides = dict(parameters) or None
    if hub.service_managed:
        return StackSetTarget.from_organizational_units(
            regions=list(regions),
            organizational_units=list(hub.organizational_units),
            intersection_accounts=[account],
            parameter_overrides=overrides,
        )
    return StackSetTarget.from_accounts(
        regions=list(regions), accounts=[account], parameter_overrides=overrides
    )


def _accept_copying(stack: Stack, buckets: Sequence[str]) -> None:
    """
    Explain what `cdk-stacksets` brings to copy the assets: the CDK's own function, which runs when the hub
    is deployed, and copies from the CDK's bucket into the buckets of the Regions.
    """
    (copier,) = [
        child for child in stack.node.children if child.node.id.startswith("Custom::CDKBucketDeployment")
    ]
    accept_double_dependency(copier)
    of_the_cdk = "The CDK's own function, by cdk-stacksets: it copies the functions' code at deployments."
    role = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    # Where the CDK's own assets are, the stack's synthesizer knows.
    source = DefaultStackSynthesizer.DEFAULT_FILE_ASSETS_BUCKET_NAME
    for token, value in (
        ("${Qualifier}", DefaultStackSynthesizer.DEFAULT_QUALIFIER),
        ("${AWS::AccountId}", stack.account),
        ("${AWS::Region}", stack.region),
    ):
        source = source.replace(token, value)
    Validations.of(copier).acknowledge(
        Acknowledgment(id="AwsSolutions-L1", reason=of_the_cdk),
        Acknowledgment(id=f"AwsSolutions-IAM4[Policy::{role}]", reason=of_the_cdk),
        *(
            Acknowledgment(id=f"AwsSolutions-IAM5[Action::s3:{action}*]", reason=of_the_cdk)
            for action in ("Abort", "DeleteObject", "GetBucket", "GetObject", "List")
        ),
        *(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::{bucket}/*]", reason=of_the_cdk
            )
            for bucket in (source, *buckets)
        ),
    )
