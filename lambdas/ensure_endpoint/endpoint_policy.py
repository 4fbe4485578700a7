"""What the endpoint itself lets through: the second lock beside the bucket policy."""

from typing import Any

from contract.settings import EndpointPolicy
from lambdas.core.site import Site


def endpoint_policy(site: Site) -> dict[str, Any]:
    """Build the endpoint's policy document; `full` lets everything through."""
    if site.endpoint_policy == EndpointPolicy.FULL:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "Full", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
            ],
        }
    return {"Version": "2012-10-17", "Statement": [_only_these_buckets(site), _bucket_names()]}


def _only_these_buckets(site: Site) -> dict[str, Any]:
    """
    The endpoint reaches the site's buckets and the additional ones, and no other bucket.

    Without it, a stolen key of another account could carry data out of the on-premises network.
    """
    names = sorted({*(bucket.name for bucket in site.buckets), *site.additional_buckets})
    arns = [f"arn:{site.partition}:s3:::{name}" for name in names]
    return {
        "Sid": "OnlyTheseBuckets",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [*arns, *(f"{arn}/*" for arn in arns)],
    }


def _bucket_names() -> dict[str, Any]:
    """Without it, browsing for the bucket in the VBR console finds nothing."""
    return {
        "Sid": "BucketNames",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:ListAllMyBuckets",
        "Resource": "*",
    }
