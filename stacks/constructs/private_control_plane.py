"""
How the backup servers of sites without internet get to Systems Manager.

    certificate ─► IAM Roles Anywhere: trust anchor, profile, the client's role ─► Parameter Store
                   both over interface endpoints in the site's VPC, reached from the on-premises networks

A template can't look for tags, so the endpoints need the ids of VPC and subnets; a StackSet takes them as
parameters, and makes no endpoints where an account has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import CfnCondition, CfnOutput, CfnTag, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rolesanywhere as rolesanywhere
from constructs import Construct

from contract import names
from contract.permissions import client_policy
from stacks.control_plane_settings import ControlPlaneSettings

# What IAM Roles Anywhere makes of the certificate's subject: the server's name, as its parameters have it.
COMMON_NAME = "aws:PrincipalTag/x509Subject/CN"
SERVICES = ("ssm", "rolesanywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSite:
    """
    One site, as its servers reach it; ids and servers may be references to a template's parameters.

    `only_if` is the condition under which there is a network.
    """

    site: names.SiteName
    servers: Sequence[str]
    onprem_cidrs: Sequence[str]
    vpc_id: str
    subnet_ids: Sequence[str]
    only_if: CfnCondition | None


class PrivateControlPlane(Construct):
    """The trust in the customer's certificates, and for each site a role and two endpoints."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: ControlPlaneSettings,
        sites: Sequence[ClientSite],
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = Stack.of(self)
        anchor = rolesanywhere.CfnTrustAnchor(
            self,
            "TrustAnchor",
            name="vbr-privatelink",
            enabled=True,
            source=rolesanywhere.CfnTrustAnchor.SourceProperty(
                source_type="CERTIFICATE_BUNDLE",
                source_data=rolesanywhere.CfnTrustAnchor.SourceDataProperty(
                    x509_certificate_data=settings.certificate_authority
                ),
            ),
        )
        roles = [self._client_role(site, anchor) for site in sites]
        profile = rolesanywhere.CfnProfile(
            self,
            "Profile",
            name="vbr-privatelink",
            enabled=True,
            duration_seconds=settings.session_minutes * 60,
            role_arns=[role.role_arn for role in roles],
        )
        CfnOutput(self, "TrustAnchorArn", value=anchor.attr_trust_anchor_arn)
        CfnOutput(self, "ProfileArn", value=profile.attr_profile_arn)
        for site, role in zip(sites, roles, strict=True):
            CfnOutput(self, f"ClientRoleArn-{site.site}", value=role.role_arn)
            if settings.interface_endpoints:
                self._endpoints(site)

    def _client_role(self, site: ClientSite, anchor: rolesanywhere.CfnTrustAnchor) -> iam.Role:
        """Its servers, by the names in their certificates; each reaches its own parameters alone."""
        principal = iam.PrincipalWithConditions(
            iam.ServicePrincipal("rolesanywhere.amazonaws.com"),
            {
                "ArnEquals": {"aws:SourceArn": anchor.attr_trust_anchor_arn},
                # Without the names, any certificate of the authority could speak for a server of the site.
                "StringEquals": {COMMON_NAME: list(site.servers)},
            },
        )
        role = iam.Role(
            self,
            f"Client-{site.site}",
            assumed_by=principal,
            description=f"The client on the backup servers of site {site.site}",
        )
        if role.assume_role_policy is None:
            raise TypeError("a new role has a trust policy")
        role.assume_role_policy.add_statements(
            iam.PolicyStatement(actions=["sts:SetSourceIdentity", "sts:TagSession"], principals=[principal])
        )
        arn = self._stack.format_arn(service="ssm", resource="parameter", resource_name="").removesuffix("/")
        policy = client_policy(arn, site=site.site, server=f"${{{COMMON_NAME}}}")
        role.attach_inline_policy(
            iam.Policy(self, f"ClientPolicy-{site.site}", document=iam.PolicyDocument.from_json(policy))
        )
        return role

    def _endpoints(self, site: ClientSite) -> None:
        group = ec2.CfnSecurityGroup(
            self,
            f"Group-{site.site}",
            group_description=f"Interface endpoints of the control plane of site {site.site}",
            vpc_id=site.vpc_id,
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_ip=cidr,
                    description="The backup servers",
                )
                for cidr in site.onprem_cidrs
            ],
            # An endpoint answers and asks for nothing: nowhere, instead of CloudFormation's everywhere.
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="-1", cidr_ip="127.0.0.1/32", description="Nowhere"
                )
            ],
            tags=[CfnTag(key="Name", value=f"vbr-privatelink-{site.site}-control-plane")],
        )
        group.cfn_options.condition = site.only_if
        for service in SERVICES:
            endpoint = ec2.CfnVPCEndpoint(
                self,
                f"Endpoint-{service}-{site.site}",
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{self._stack.region}.{service}",
                vpc_id=site.vpc_id,
                subnet_ids=list(site.subnet_ids),
                security_group_ids=[group.attr_group_id],
                # The VPC's other users would be led here too.
                private_dns_enabled=False,
                policy_document=self._endpoint_policy(service, site),
                tags=[CfnTag(key="Name", value=f"vbr-privatelink-{site.site}-{service}")],
            )
            endpoint.cfn_options.condition = site.only_if
            # `hosted zone:name`, the regional name first.
            name = Fn.select(1, Fn.split(":", Fn.select(0, endpoint.attr_dns_entries)))
            output = CfnOutput(self, f"EndpointUrl-{service}-{site.site}", value=f"https://{name}")
            output.condition = site.only_if

    def _endpoint_policy(self, service: str, site: ClientSite) -> dict[str, object]:
        """
        The endpoint carries the client's calls and no others.

        Without it, whoever reaches the endpoint could carry data to parameters of any account.
        """
        if service == "rolesanywhere":
            # Credentials are asked for with a certificate, by nobody that IAM knows yet.
            return {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": "rolesanywhere:CreateSession",
                        "Resource": "*",
                    }
                ],
            }
        below = self._stack.format_arn(
            service="ssm", resource="parameter", resource_name=f"vbr-privatelink/{site.site}"
        )
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": action,
                    "Resource": resources,
                    "Condition": {"StringEquals": {"aws:PrincipalAccount": self._stack.account}},
                }
                for action, resources in (
                    ("ssm:GetParameter", [f"{below}/endpoint"]),
                    ("ssm:PutParameter", [f"{below}/adoption/*", f"{below}/seen/*"]),
                )
            ],
        }
