"""
The region list: which hosts the backup server may use for Amazon S3 in each region.

The file is awkward on purpose (a byte order mark, CRLF, comments between endpoints, other endpoint
types, both spellings of the type): whoever edits it must touch nothing else. Its root element and the
types other than S3 are our invention, because the real ones are not published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from xml.etree import ElementTree as ET

FILE_NAME = "AmazonS3Regions.xml"


class RegionListError(Exception):
    """The region list can't be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region of the list, with its S3 endpoints in the order of the file."""

    id: str
    name: str
    type: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegionList:
    """What the backup service has loaded; it doesn't change until the service starts again."""

    regions: tuple[Region, ...]

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read the file with a real XML parser; names are matched without their namespace."""
        try:
            root = ET.fromstring(content)  # noqa: S314 - a file in our own install folder
        except (ET.ParseError, ValueError, LookupError) as error:
            raise RegionListError(f"{FILE_NAME} is not well-formed XML: {error}") from error
        regions = tuple(_region(element) for element in root.iter() if _local_name(element) == "Region")
        if not regions:
            raise RegionListError(f"{FILE_NAME} names no region")
        ids = [region.id for region in regions]
        repeated = sorted({each for each in ids if ids.count(each) > 1})
        if repeated:
            raise RegionListError(f"{FILE_NAME} names a region twice: {', '.join(repeated)}")
        return cls(regions)

    def find(self, region_id: str) -> Region | None:
        return next((region for region in self.regions if region.id == region_id), None)


def _region(element: ET.Element) -> Region:
    region_id = element.get("Id", "")
    if not region_id:
        raise RegionListError(f"{FILE_NAME} holds a region without an Id")
    endpoints = tuple(
        (child.text or "").strip()
        for child in element
        if _local_name(child) == "Endpoint" and child.get("Type", "").lower() == "s3"
    )
    if "" in endpoints:
        raise RegionListError(f"{FILE_NAME} holds an empty endpoint in region {region_id}")
    return Region(
        id=region_id, name=element.get("Name", ""), type=element.get("Type", ""), endpoints=endpoints
    )


def _local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


@dataclass(frozen=True, slots=True)
class _Default:
    id: str
    name: str
    type: str = "Global"
    suffix: str = "amazonaws.com"
    spelling: str = "S3"


_DEFAULTS = (
    _Default("us-east-1", "US East (N. Virginia)"),
    _Default("us-west-2", "US West (Oregon)"),
    _Default("eu-west-1", "Europe (Ireland)", spelling="s3"),
    _Default("eu-central-1", "Europe (Frankfurt)"),
    _Default("ap-northeast-1", "Asia Pacific (Tokyo)"),
    _Default("ap-southeast-2", "Asia Pacific (Sydney)"),
    _Default("cn-north-1", "China (Beijing)", "China", "amazonaws.com.cn"),
    _Default("us-gov-west-1", "AWS GovCloud (US-West)", "Government"),
)
_OF_AN_UPGRADE = (_Default("ap-northeast-3", "Asia Pacific (Osaka)"),)


def default_file(*, upgraded: bool = False) -> bytes:
    """Return the region list as the product installs it; an upgrade brings one region more."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<!-- Region list of the stand-in server. -->",
        "<AmazonRegions>",
    ]
    for default in (*_DEFAULTS, *(_OF_AN_UPGRADE if upgraded else ())):
        lines += _region_lines(default)
    lines += ["</AmazonRegions>", ""]
    return b"\xef\xbb\xbf" + "\r\n".join(lines).encode()


def _region_lines(default: _Default) -> Sequence[str]:
    region, suffix, kind = default.id, default.suffix, default.spelling
    return (
        f'  <Region Id="{region}" Name="{default.name}" Type="{default.type}">',
        f'    <Endpoint Type="{kind}">s3.dualstack.{region}.{suffix}</Endpoint>',
        "    <!-- The next two hosts answer on IPv4 only. -->",
        f'    <Endpoint Type="{kind}">s3.{region}.{suffix}</Endpoint>',
        f"    <Endpoint Type='EC2'>ec2.{region}.{suffix}</Endpoint>",
        f'    <Endpoint Type="{kind}">s3-{region}.{suffix}</Endpoint>',
        f'    <Endpoint Type="SQS">sqs.{region}.{suffix}</Endpoint>',
        "  </Region>",
    )
