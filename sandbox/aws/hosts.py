"""
What a request's host name says: which S3 door was used, and which bucket stands in the name.

A client that uses an interface endpoint names it in the host
(`bucket.vpce-….s3.<region>.vpce.amazonaws.com`, or `my-bucket.bucket.vpce-…` in virtual style). That name,
and nothing else, is where `aws:SourceVpce` comes from.
"""

import re
from dataclasses import dataclass

_SUFFIX = r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu)"
_ENDPOINT = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?bucket\.(?P<name>(?P<id>vpce-[0-9a-f]+)-[0-9a-z]+(?:-[a-z0-9-]+)?)"
    r"\.s3\.(?P<region>[a-z0-9-]+)\.vpce\." + _SUFFIX
)
_PUBLIC_S3 = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?s3(?:[.-](?:dualstack\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\."
    + _SUFFIX
)
_SERVICE = re.compile(r"[a-z0-9.-]+\.(?:" + _SUFFIX + r"|api\.aws)")
_LOOPBACK = ("127.0.0.1", "localhost", "")


class UnknownHostError(Exception):
    """The host is none that the embedded AWS answers for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How a request came in."""

    bucket: str | None = None
    region: str | None = None
    endpoint_id: str | None = None
    endpoint_name: str | None = None
    """The label of the name that belongs to one endpoint: `vpce-<id>-<hash>` or with the zone behind it."""


def door_of(host: str) -> Door:
    """
    Read *host*.

    A name that ends in `.vpce.<suffix>` without `bucket.` before the endpoint's own name leads nowhere, as
    it does on AWS: its certificate is for `*.vpce-…` and S3 answers on `bucket`, `accesspoint` and
    `control` only.
    """
    if host in _LOOPBACK:
        return Door()
    if match := _ENDPOINT.fullmatch(host):
        return Door(
            bucket=match["bucket"],
            region=match["region"],
            endpoint_id=match["id"],
            endpoint_name=match["name"],
        )
    if ".vpce." in host:
        raise UnknownHostError(
            f"{host}: no interface endpoint of S3 answers to this name (it begins with `bucket.`)"
        )
    if match := _PUBLIC_S3.fullmatch(host):
        return Door(bucket=match["bucket"], region=match["region"] or "us-east-1")
    if _SERVICE.fullmatch(host):
        return Door()
    raise UnknownHostError(
        f"{host}: the embedded AWS answers for AWS names only and never goes to the network"
    )
