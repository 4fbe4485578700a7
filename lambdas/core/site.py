"""
A site as the steps see it: its settings with everything that had to be looked up.

It travels through the execution as JSON, so each step reads it at its door like any other input.
"""

from pydantic import Field

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


class KnownSite(Request):
    """What is known of a site without looking at its network: enough to release it."""

    site: str
    partition: str
    region: str
    account_id: str
    buckets: tuple[Bucket, ...]
    expected_servers: tuple[str, ...]
    release_deadline_hours: int


class Site(KnownSite):
    """
    Everything the steps need to know to make a site what it should be.

    `subnet_ids` has one subnet for each zone; `subnet_zones` the zone of every subnet that would do, so
    that an endpoint stays where it is when a further subnet is tagged.
    """

    vpc_id: str
    subnet_ids: tuple[str, ...]
    subnet_zones: dict[str, str] = Field(default_factory=dict)
    onprem_cidrs: tuple[str, ...]
    endpoint_policy: str
    additional_buckets: tuple[str, ...]
    vpc_endpoint_id: str | None
    security_group_id: str | None
    policy_administrators: tuple[str, ...]
    additional_endpoint_ids: tuple[str, ...]
