"""
What a site should be: the settings parameter, written by the stack and read by the workflow.

A document like the others, so that the stack refuses at synth exactly what the workflow would refuse
at run time, in the same words.
"""

import hashlib
import ipaddress
import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

from contract import names
from contract.documents import MAXIMUM_BUCKETS, MAXIMUM_IMMUTABILITY_DAYS, SCHEMA_VERSION
from contract.errors import ContractError
from contract.parameters import MAXIMUM_BYTES
from contract.reading import Fields, json_object

_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_GROUP = re.compile(r"sg-[0-9a-f]{8,17}")
_CIDR = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}/(?:0|[1-9][0-9]?)")
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?")
# Exact principals only: a pattern can be minted by anyone who may create roles.
_PRINCIPAL = re.compile(r"arn:aws(?:-[a-z]+)*:iam::[0-9]{12}:(?:role|user)/[A-Za-z0-9+=,.@_/-]{1,512}")

DEFAULT_BUCKET_PREFIX = "vbr"
DEFAULT_RELEASE_DEADLINE_HOURS = 48


class EndpointPolicy(StrEnum):
    """Which buckets the endpoint reaches: the site's and the additional ones, or every bucket."""

    RESTRICTED = "restricted"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings:
    """One bucket of a site; without a name the site's default name is used."""

    name: names.BucketName | None
    folder: str
    immutability_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """
    One site.

    `vpc_id` None and `subnet_ids` () mean: find them by the tag vbr-privatelink=<site>, so that a
    StackSet needs no ids of each account. `vpc_endpoint_id` and `security_group_id` name somebody
    else's endpoint and group, which are verified and never modified. `expected_servers` are waited for
    before a bucket in use is locked, and before a released endpoint is deleted, the latter for at most
    `release_deadline_hours`.
    """

    site: names.SiteName
    vpc_id: str | None
    subnet_ids: tuple[str, ...]
    onprem_cidrs: tuple[str, ...]
    bucket_prefix: str
    buckets: tuple[BucketSettings, ...]
    endpoint_policy: EndpointPolicy
    additional_buckets: tuple[names.BucketName, ...]
    vpc_endpoint_id: names.EndpointId | None
    security_group_id: str | None
    policy_administrators: tuple[str, ...]
    additional_endpoint_ids: tuple[names.EndpointId, ...]
    expected_servers: tuple[names.ServerName, ...]
    release_deadline_hours: int

    def to_json(self) -> str:
        """Return the parameter's value; what `from_json` would refuse raises."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, separators=(",", ":"))
        self.from_json(text)
        return text

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the settings parameter; raises ContractError that names the field and the fix."""
        return cls.from_value(json_object(text, document="site settings", maximum_bytes=MAXIMUM_BYTES))

    @classmethod
    def from_value(cls, value: object, *, where: str = "") -> Self:
        """Read settings that are parsed already; *where* is put before each field in messages."""
        fields = Fields(value, where=where)
        fields.version(SCHEMA_VERSION)
        settings = cls(
            site=fields.checked("site", names.site_name),
            vpc_id=fields.checked("vpc_id", _vpc_id) if fields.has("vpc_id") else None,
            subnet_ids=fields.each("subnet_ids", _subnet_id, most=6),
            onprem_cidrs=fields.each("onprem_cidrs", _cidr, least=1, most=20),
            bucket_prefix=(
                fields.checked("bucket_prefix", _bucket_prefix)
                if fields.has("bucket_prefix")
                else DEFAULT_BUCKET_PREFIX
            ),
            buckets=fields.each("buckets", _bucket, least=1, most=MAXIMUM_BUCKETS),
            endpoint_policy=(
                EndpointPolicy(fields.one_of("endpoint_policy", list(EndpointPolicy)))
                if fields.has("endpoint_policy")
                else EndpointPolicy.RESTRICTED
            ),
            additional_buckets=fields.each("additional_buckets", names.bucket_name, most=10),
            vpc_endpoint_id=(
                fields.checked("vpc_endpoint_id", names.endpoint_id)
                if fields.has("vpc_endpoint_id")
                else None
            ),
            security_group_id=(
                fields.checked("security_group_id", _group_id) if fields.has("security_group_id") else None
            ),
            policy_administrators=fields.each("policy_administrators", _principal, most=10),
            additional_endpoint_ids=fields.each("additional_endpoint_ids", names.endpoint_id, most=10),
            expected_servers=fields.each("expected_servers", names.server_name, most=20),
            release_deadline_hours=(
                fields.integer("release_deadline_hours", least=1, most=24 * 90)
                if fields.has("release_deadline_hours")
                else DEFAULT_RELEASE_DEADLINE_HOURS
            ),
        )
        fields.finish()
        if sum(bucket.name is None for bucket in settings.buckets) > 1:
            raise ContractError(
                fields.name("buckets"), "only one bucket can have the default name; name the others"
            )
        given = [bucket.name for bucket in settings.buckets if bucket.name is not None]
        if len(set(given)) != len(given):
            raise ContractError(fields.name("buckets"), "names the same bucket twice")
        if settings.subnet_ids and settings.vpc_id is None:
            raise ContractError(
                fields.name("vpc_id"), "is missing; subnet_ids are only read together with it"
            )
        return settings


def settings_digest(text: str) -> str:
    """
    Return the SHA-256 of the settings parameter's value, in hexadecimal digits.

    The settings decide who is let in, and the parameter may be written by more people than the stack. The
    stack tells the function that reads it this digest, so that only settings that were deployed count.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def _bucket(value: object, *, field: str) -> BucketSettings:
    fields = Fields(value, where=field)
    bucket = BucketSettings(
        name=fields.checked("name", names.bucket_name) if fields.has("name") else None,
        folder=fields.checked("folder", names.folder_name),
        immutability_days=fields.integer("immutability_days", least=0, most=MAXIMUM_IMMUTABILITY_DAYS),
    )
    fields.finish()
    return bucket


def _cidr(value: object, *, field: str) -> str:
    # The standard library also takes an address alone, and masks, some of which mean the opposite.
    if not isinstance(value, str) or not _CIDR.fullmatch(value):
        raise ContractError(
            field, f"{names.shown(value)} is not an IPv4 network; give one such as 10.0.0.0/8"
        )
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ContractError(
            field,
            f"{names.shown(value)} is not an IPv4 network ({error}); give one such as 10.0.0.0/8",
        ) from error
    if network.prefixlen == 0:
        raise ContractError(field, "0.0.0.0/0 would let everybody in; name the on-premises networks")
    return str(network)


def _vpc_id(value: object, *, field: str) -> str:
    return names.matching(_VPC, value, field=field, rule="give an id such as vpc-0123456789abcdef0")


def _subnet_id(value: object, *, field: str) -> str:
    return names.matching(_SUBNET, value, field=field, rule="give an id such as subnet-0123456789abcdef0")


def _group_id(value: object, *, field: str) -> str:
    return names.matching(_GROUP, value, field=field, rule="give an id such as sg-0123456789abcdef0")


def _bucket_prefix(value: object, *, field: str) -> str:
    rule = "use 1 to 20 lower-case letters, digits and hyphens, with a letter or digit at both ends"
    return names.matching(_PREFIX, value, field=field, rule=rule)


def _principal(value: object, *, field: str) -> str:
    rule = "give the exact ARN of a role or user, without wildcards"
    return names.matching(_PRINCIPAL, value, field=field, rule=rule)
