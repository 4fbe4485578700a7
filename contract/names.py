"""
Names that cross the border between AWS and the backup server, and the rules they keep.

Everything here may come from somebody hostile: each rule is a whole-string match on ASCII, and each
refusal names the field and says what would be right. Values are shown shortened and escaped.
"""

import ipaddress
import re
from typing import NewType

from contract.errors import ContractError

AccountId = NewType("AccountId", str)
BucketName = NewType("BucketName", str)
EndpointHost = NewType("EndpointHost", str)
EndpointId = NewType("EndpointId", str)
Region = NewType("Region", str)
ServerName = NewType("ServerName", str)
SiteName = NewType("SiteName", str)

# AWS General Reference, "Partitions": a Region's name tells its partition, and the partition the DNS
# suffix of interface endpoints. The isolated partitions are left out: their suffixes are not public.
_PARTITIONS = (
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
    ("us-iso", None, None),
    ("eu-iso", None, None),
)

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_SITE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_SERVER = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_ENDPOINT_ID = re.compile(r"vpce-[0-9a-f]{8,17}")
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
# Amazon S3 User Guide, "General purpose bucket naming rules".
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")
_FOLDER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,62}[A-Za-z0-9])?")


def shown(value: object) -> str:
    """Return *value* as it may appear in a message: ASCII, escaped, at most 60 characters."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def matching(pattern: re.Pattern[str], value: object, *, field: str, rule: str) -> str:
    """Check that the whole of *value* matches; *rule* ends the message and says what would be right."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ContractError(field, f"{shown(value)} is not valid; {rule}", pattern=pattern.pattern)
    return value


def region(value: object, *, field: str = "region") -> Region:
    """Check an AWS Region name of a public partition, e.g. ap-northeast-1."""
    name = matching(_REGION, value, field=field, rule="give an AWS Region such as ap-northeast-1")
    partition(Region(name), field=field)
    return Region(name)


def partition(of: Region, *, field: str = "region") -> str:
    """Name the partition of a Region: aws, aws-cn, aws-us-gov or aws-eusc."""
    return _partition(of, field=field)[0]


def dns_suffix(of: Region, *, field: str = "region") -> str:
    """Name the DNS suffix of interface endpoints in a Region, e.g. amazonaws.com."""
    return _partition(of, field=field)[1]


def _partition(of: Region, *, field: str) -> tuple[str, str]:
    for prefix, name, suffix in _PARTITIONS:
        if of.startswith(prefix):
            if name is None or suffix is None:
                raise ContractError(field, f"{shown(of)} is in an isolated partition, which is not supported")
            return name, suffix
    return "aws", "amazonaws.com"


def account_id(value: object, *, field: str = "account_id") -> AccountId:
    """Check an AWS account id: twelve digits."""
    return AccountId(matching(_ACCOUNT, value, field=field, rule="an account id has twelve digits"))


def site_name(value: object, *, field: str = "site") -> SiteName:
    """Check a site's name: it becomes a part of parameter, bucket and role names."""
    rule = "use 1 to 32 lower-case letters, digits and hyphens, with a letter or digit at both ends"
    return SiteName(matching(_SITE, value, field=field, rule=rule))


def server_name(value: object, *, field: str = "server") -> ServerName:
    """Check a backup server's name; Windows names have no case, so only lower case is accepted."""
    rule = "use the host name in lower case: 1 to 63 letters, digits, dots, hyphens and underscores"
    return ServerName(matching(_SERVER, value, field=field, rule=rule))


def endpoint_id(value: object, *, field: str = "vpc_endpoint_id") -> EndpointId:
    """Check the id of a VPC endpoint, e.g. vpce-0123456789abcdef0."""
    return EndpointId(
        matching(_ENDPOINT_ID, value, field=field, rule="give an id such as vpce-0123456789abcdef0")
    )


def bucket_name(value: object, *, field: str = "bucket") -> BucketName:
    """
    Check a bucket name.

    Dots are legal in S3 and refused here: the endpoint's TLS certificate has a one-level wildcard.
    """
    rule = "use 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends, no dots"
    name = matching(_BUCKET, value, field=field, rule=rule)
    if name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES):
        raise ContractError(
            field, f"{shown(name)} begins or ends with a part that Amazon S3 reserves; choose another"
        )
    return BucketName(name)


def folder_name(value: object, *, field: str = "folder") -> str:
    """Check the name of a repository's folder below Veeam/Backup/ in the bucket."""
    rule = "use 1 to 64 letters, digits, spaces, hyphens and underscores, with a letter or digit at both ends"
    return matching(_FOLDER, value, field=field, rule=rule)


def endpoint_host(
    value: object, *, region: Region, endpoint_id: EndpointId, field: str = "endpoint_host"
) -> EndpointHost:
    """
    Check the host name under which an interface endpoint serves buckets.

    It must be the endpoint's own regional name, `bucket.<id>-<hash>.s3.<region>.vpce.<suffix>`: anything
    else could lead backups to somebody else's server.
    """
    tail = f"s3.{region}.vpce.{dns_suffix(region)}"
    pattern = re.compile(rf"bucket\.{re.escape(endpoint_id)}-[0-9a-z]{{4,16}}\.{re.escape(tail)}")
    rule = f"the endpoint's own name has the form bucket.{endpoint_id}-<hash>.{tail}"
    return EndpointHost(matching(pattern, value, field=field, rule=rule))


def private_address(value: object, *, field: str) -> str:
    """Check an IP address of an endpoint's network interface, IPv4 or IPv6, in its canonical form."""
    # Behind a percent sign the standard library takes any text as an IPv6 zone.
    zone = isinstance(value, str) and "%" in value
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    # Those that begin with 80 zero bits stand for an IPv4 address or for the machine itself; how they are
    # written depends on the version of Python, and both sides must say the same.
    special = isinstance(address, ipaddress.IPv6Address) and int(address) >> 48 == 0
    if address is None or zone or special or str(address) != value:
        raise ContractError(field, f"{shown(value)} is not an IP address")
    return str(address)


def default_bucket_name(*, prefix: str, site: SiteName, account_id: AccountId, region: Region) -> BucketName:
    """Build the name of the bucket that a site gets when its settings name none."""
    return bucket_name(f"{prefix}-{site}-{account_id}-{region}", field="bucket_prefix")
