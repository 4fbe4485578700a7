"""A site and runs of the workflow, as tests need them."""

from typing import Any

from lambdas.core.memory import Access
from lambdas.core.site import Bucket, KnownSite, Site

ACCOUNT = "111122223333"
REGION = "ap-northeast-1"
VPC = "vpc-0123456789abcdef0"
SUBNETS = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
ENDPOINT_ID = "vpce-0123456789abcdef0"
HOST = f"bucket.{ENDPOINT_ID}-a1b2c3d4.s3.{REGION}.vpce.amazonaws.com"


def execution(name: str) -> str:
    """Return the ARN of a run."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:vbr-privatelink-reconcile:{name}"


def a_bucket(name: str = "backups", *, immutability_days: int = 0) -> Bucket:
    """Return one bucket of a site."""
    return Bucket(name=name, folder="tokyo", immutability_days=immutability_days)


def a_known_site(**changes: Any) -> KnownSite:
    """Return site tokyo as a release sees it: without its network."""
    fields = a_site(**changes).model_dump()
    return KnownSite.model_validate({name: fields[name] for name in KnownSite.model_fields})


def a_grant(name: str = "recovery", *, expires_at: str = "2026-01-31T22:00:00Z") -> Access:
    """Return an exception for a role of another account."""
    return Access(
        principal=f"arn:aws:iam::444455556666:role/{name}",
        expires_at=expires_at,
        reason="the site burned down",
    )


def a_site(**changes: Any) -> Site:
    """Return site tokyo, changed as asked."""
    return Site.model_validate(
        {
            "site": "tokyo",
            "partition": "aws",
            "region": REGION,
            "account_id": ACCOUNT,
            "vpc_id": VPC,
            "subnet_ids": SUBNETS,
            "onprem_cidrs": ("192.168.0.0/16",),
            "buckets": (a_bucket(),),
            "endpoint_policy": "restricted",
            "additional_buckets": (),
            "vpc_endpoint_id": None,
            "security_group_id": None,
            "policy_administrators": (),
            "additional_endpoint_ids": (),
            "expected_servers": (),
            "release_deadline_hours": 48,
            **changes,
        }
    )
