"""Everything that one account needs, as a plain stack."""

from aws_cdk import Environment, Stack
from constructs import Construct

from stacks.constructs.private_control_plane import ClientSite, PrivateControlPlane
from stacks.constructs.site import Site
from stacks.settings import AppSettings


class SiteStack(Stack):
    """One account and Region, and its sites."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: AppSettings) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=settings.account_id, region=settings.region),
            description="VBR PrivateLink: Veeam backups to Amazon S3 through an interface endpoint",
        )
        Site(
            self,
            "Site",
            sites=settings.sites,
            log_retention=settings.log_retention,
            alert_emails=settings.alert_emails,
            start_on_deployment=settings.start_on_deployment,
            pending_alarm_days=settings.pending_alarm_days,
            recovery_accounts=settings.recovery_accounts,
            powertools_layer_arn=settings.powertools_layer_arn,
            backup_keys=settings.backup_keys(),
        )
        if settings.private_control_plane:
            PrivateControlPlane(
                self,
                "ControlPlane",
                settings=settings.private_control_plane,
                sites=[
                    ClientSite(
                        site=site.site,
                        servers=site.expected_servers,
                        onprem_cidrs=site.onprem_cidrs,
                        vpc_id=site.vpc_id or "",
                        subnet_ids=site.subnet_ids,
                        only_if=None,
                    )
                    for site in settings.sites
                ],
            )
