"""
A site as the steps see it: its settings with everything that had to be looked up.

It travels through the execution as JSON, so each step reads it at its door like any other input.
"""

from lambdas.core.step import Request

# The tag that says which site a thing belongs to. People put it on the VPC and the subnets; the product
# puts it on what it creates.
SITE_TAG = "vbr-privatelink"
# The tag that only the product sets: the name of the run that created the thing. What lacks it is
# somebody else's and is never modified or deleted.
CREATOR_TAG = "vbr-privatelink-created-by"


class Bucket(Request):
    """One bucket of the site; `immutability_days` 0 means that immutability is off."""

    name: str
    folder: str
    immutability_days: int


class Site(Request):
    """Everything the steps need to know about a site."""

    site: str
    partition: str
    region: str
    account_id: str
    vpc_id: str
    subnet_ids: tuple[str, ...]
    onprem_cidrs: tuple[str, ...]
    buckets: tuple[Bucket, ...]
    endpoint_policy: str
    additional_buckets: tuple[str, ...]
    vpc_endpoint_id: str | None
    security_group_id: str | None
    policy_administrators: tuple[str, ...]
    additional_endpoint_ids: tuple[str, ...]
