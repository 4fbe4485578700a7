"""
A bucket for the functions' code in one Region, that the accounts of the hub may read.

Lambda takes code from buckets of its own Region only, so there is one of these stacks in each Region, and
they are deployed before the hub copies anything.
"""

from aws_cdk import Acknowledgment, Duration, Environment, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract import names
from stacks.hub_settings import HubSettings
from stacks.settings import AppSettings


def asset_bucket_prefix(hub_account: names.AccountId) -> str:
    """Return what the names of the buckets begin with; the Region follows after a hyphen."""
    return f"vbr-privatelink-assets-{hub_account}"


class AssetStack(Stack):
    """One Region's bucket."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: AppSettings,
        hub: HubSettings,
        region: names.Region,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=settings.account_id, region=region),
            description=f"VBR PrivateLink: code for the accounts of the hub, in {region}",
        )
        bucket = s3.Bucket(
            self,
            "Assets",
            bucket_name=f"{asset_bucket_prefix(settings.account_id)}-{region}",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            # A key of KMS would have to be shared as well; what is here is public on the Internet anyway.
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=Duration.days(30),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            # A stack instance that is rolled back takes its old code from here.
            removal_policy=RemovalPolicy.RETAIN,
        )
        bucket.add_to_resource_policy(let_accounts_read(bucket.arn_for_objects("*"), hub))
        Validations.of(bucket).acknowledge(
            Acknowledgment(
                id="AwsSolutions-S1",
                reason="Public code of this product, read at deployments only; CloudTrail can log it.",
            )
        )


def let_accounts_read(objects: str, hub: HubSettings) -> iam.PolicyStatement:
    """Without it, Lambda in another account could not take the code: whoever creates a function reads it."""
    return iam.PolicyStatement(
        sid="LetAccountsRead",
        actions=["s3:GetObject"],
        resources=[objects],
        principals=(
            [iam.AnyPrincipal()]
            if hub.organization_id
            else [iam.AccountPrincipal(account) for account in hub.accounts]
        ),
        conditions=(
            {"StringEquals": {"aws:PrincipalOrgID": hub.organization_id}} if hub.organization_id else None
        ),
    )
