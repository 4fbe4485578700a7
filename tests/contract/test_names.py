"""The rules of names, each from AWS's own pages; a name that passes here must be accepted there."""

import pytest

from contract import names
from contract.errors import ContractError
from contract.names import AccountId, EndpointId, Region, ServerName, SiteName
from contract.parameters import (
    adoption_parameter,
    endpoint_parameter,
    seen_parameter,
    settings_parameter,
)

ENDPOINT_ID = EndpointId("vpce-0123456789abcdef0")
# A Region of each partition, and what its endpoints' names end in.
SUFFIXES = [
    ("ap-northeast-1", "aws", "amazonaws.com"),
    ("us-east-1", "aws", "amazonaws.com"),
    ("ap-southeast-7", "aws", "amazonaws.com"),
    ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    ("cn-northwest-1", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-east-1", "aws-us-gov", "amazonaws.com"),
    ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
    ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
]


def host(region: str, suffix: str) -> str:
    """Return the name that EC2 gives the endpoint, as Veeam needs it."""
    return f"bucket.{ENDPOINT_ID}-a1b2c3d4.s3.{region}.vpce.{suffix}"


@pytest.mark.parametrize(("region", "partition", "suffix"), SUFFIXES)
def test_each_partition_has_its_own_host_names(region: str, partition: str, suffix: str) -> None:
    """A site in China with a name of the commercial partition would send backups nowhere."""
    checked = names.region(region)

    assert names.partition(checked) == partition
    assert names.dns_suffix(checked) == suffix
    assert names.endpoint_host(host(region, suffix), region=checked, endpoint_id=ENDPOINT_ID)


@pytest.mark.parametrize(("region", "_partition", "suffix"), SUFFIXES)
def test_a_host_name_of_another_partition_is_refused(region: str, _partition: str, suffix: str) -> None:
    """Whoever registers a look-alike suffix would receive the backups."""
    others = {other for _, _, other in SUFFIXES} - {suffix}

    assert others
    for other in others:
        with pytest.raises(ContractError, match="endpoint_host"):
            names.endpoint_host(host(region, other), region=Region(region), endpoint_id=ENDPOINT_ID)


@pytest.mark.parametrize("region", ["us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1"])
def test_isolated_partitions_are_refused(region: str) -> None:
    """Their suffixes aren't public: a guess could be somebody's domain."""
    with pytest.raises(ContractError, match="isolated partition"):
        names.region(region)
    with pytest.raises(ContractError, match="isolated partition"):
        names.endpoint_host(host(region, "amazonaws.com"), region=Region(region), endpoint_id=ENDPOINT_ID)


@pytest.mark.parametrize(
    "name",
    [
        "abc",
        "a-b",
        "0ab",
        "b" * 63,
        "vbr-tokyo-111122223333-ap-northeast-1",
        "double--hyphen",
        "123456789012",
    ],
)
def test_a_legal_bucket_name_is_taken(name: str) -> None:
    """A rule that is stricter than S3 would lock existing buckets out; dots are the one exception."""
    assert names.bucket_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "b" * 64,
        "-ab",
        "ab-",
        "Abc",
        "a_b",
        "a b",
        "a.b",
        "192.168.5.4",
        "abc\n",
        "\nabc",
        "a/b",
        "*",
        "xn--abc",
        "sthree-abc",
        "amzn-s3-demo-abc",
        "abc-s3alias",
        "abc--ol-s3",
        "abc--x-s3",
        "abc--table-s3",
        "b\u0430ckups",
        None,
        3,
    ],
)
def test_an_illegal_bucket_name_is_refused(name: object) -> None:
    """CreateBucket would refuse it minutes later, or TLS would fail on the server."""
    with pytest.raises(ContractError, match=r"^buckets\[0\]\.name: "):
        names.bucket_name(name, field="buckets[0].name")


def test_the_default_bucket_name_is_checked_like_any_other() -> None:
    """A long site name in a Region with a long name is over 63 characters."""
    account, region = AccountId("111122223333"), Region("ap-northeast-1")

    assert (
        names.default_bucket_name(prefix="vbr", site=SiteName("tokyo"), account_id=account, region=region)
        == "vbr-tokyo-111122223333-ap-northeast-1"
    )
    with pytest.raises(ContractError, match="bucket_prefix"):
        names.default_bucket_name(prefix="p" * 20, site=SiteName("s" * 32), account_id=account, region=region)


@pytest.mark.parametrize("name", ["tokyo", "t", "0", "tokyo-2", "t" * 32])
def test_a_site_name_is_taken(name: str) -> None:
    """It becomes part of parameter, bucket and group names."""
    assert names.site_name(name) == name


@pytest.mark.parametrize("name", ["vbr01", "vbr01.example.local", "vbr_01", "v" * 63])
def test_a_server_name_is_taken(name: str) -> None:
    """Windows names may hold underscores; a full name has dots."""
    assert names.server_name(name) == name


def test_an_address_may_be_of_either_family() -> None:
    """Endpoints can be dual-stack."""
    assert names.private_address("10.0.1.17", field="address") == "10.0.1.17"
    assert names.private_address("2001:db8::17", field="address") == "2001:db8::17"


def test_a_value_in_a_message_is_short_and_harmless() -> None:
    """Messages reach consoles, event logs and mails."""
    shown = names.shown("\x1b[31m\u0430\n" * 100)

    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) == 60


def test_parameters_of_a_site_are_below_one_path() -> None:
    """Roles and event rules are written for these paths."""
    site, server = SiteName("tokyo"), ServerName("vbr01")

    assert settings_parameter(site) == "/vbr-privatelink/tokyo/settings"
    assert endpoint_parameter(site) == "/vbr-privatelink/tokyo/endpoint"
    assert adoption_parameter(site, server) == "/vbr-privatelink/tokyo/adoption/vbr01"
    assert seen_parameter(site, server) == "/vbr-privatelink/tokyo/seen/vbr01"
