"""
Everything that one side reads was written by the other side, or by whoever got hold of its key.

A refused document changes nothing, and the refusal names the field: a person has to find it.
"""

import json
from typing import Any

import pytest

from contract.documents import AdoptionReport, EndpointDocument
from contract.errors import ContractError, UnknownVersionError
from contract.settings import SiteSettings
from tests.contract.golden_documents import KINDS, Document, changed, golden, without

ENDPOINT = golden("endpoint-document-1-active")
REPORT = golden("adoption-report-1-failed")
SETTINGS = golden("site-settings-1-release-deadline")

# One valid document of each kind.
VALID: list[tuple[type[Document], dict[str, Any]]] = [
    (EndpointDocument, ENDPOINT),
    (AdoptionReport, REPORT),
    (SiteSettings, SETTINGS),
]

each_kind = pytest.mark.parametrize(("kind", "document"), VALID, ids=[kind.__name__ for kind, _ in VALID])

HOST = ENDPOINT["endpoint_host"]
ID = ENDPOINT["vpc_endpoint_id"]
# Looks like an "a" and is Cyrillic.
LOOK_ALIKE = "\u0430"
ARN = "arn:aws:iam::111122223333:role/break-glass"

# The field as messages show it, and what stands in it.
HOSTILE_ENDPOINT: list[tuple[str, object]] = [
    ("site", "Tokyo"),
    ("site", "tokyo\n"),
    ("site", "../osaka"),
    ("site", "-tokyo"),
    ("site", "t" * 33),
    ("site", ""),
    ("site", f"ky{LOOK_ALIKE}to"),
    ("site", None),
    ("site", ["tokyo"]),
    ("region", "ap-northeast-1\n"),
    ("region", "tokyo"),
    ("region", "us-iso-east-1"),
    ("region", "us-isob-east-1"),
    ("region", "eu-isoe-west-1"),
    ("region", f"ap-{'n' * 40}-1"),
    ("region", f"{LOOK_ALIKE}p-northeast-1"),
    ("account_id", 111122223333),
    ("account_id", "11112222333"),
    ("account_id", "1111222233334"),
    ("account_id", "111122223333\n"),
    # Arabic-Indic digits are digits to `\d`.
    ("account_id", "\u0661" * 12),
    ("vpc_endpoint_id", "vpce-0123456789ABCDEF0"),
    ("vpc_endpoint_id", "vpce-"),
    ("vpc_endpoint_id", "vpc-0123456789abcdef0"),
    ("vpc_endpoint_id", f"{ID}\n"),
    ("vpc_endpoint_id", f"vpce-{'0' * 18}"),
    ("endpoint_host", f"{HOST}\n"),
    ("endpoint_host", f"{HOST}."),
    ("endpoint_host", HOST.upper()),
    ("endpoint_host", HOST.replace("bucket.", "*.")),
    ("endpoint_host", HOST.replace("bucket.", "accesspoint.")),
    ("endpoint_host", HOST.replace("bucket.", "")),
    ("endpoint_host", HOST.replace("bucket.", "bucket.evil.")),
    ("endpoint_host", HOST.replace("ap-northeast-1", "ap-northeast-2")),
    ("endpoint_host", HOST.replace("amazonaws.com", "amazonaws.com.cn")),
    ("endpoint_host", HOST.replace("amazonaws.com", "amazonaws.com.evil.example")),
    ("endpoint_host", HOST.replace("amazonaws.com", f"{LOOK_ALIKE}mazonaws.com")),
    ("endpoint_host", HOST.replace("amazonaws", "amazonaws-")),
    ("endpoint_host", HOST.replace(".s3.", ".s3-fips.")),
    ("endpoint_host", HOST.replace(".s3.", "xs3.")),
    ("endpoint_host", HOST.replace(ID, "vpce-0fedcba9876543210")),
    ("endpoint_host", HOST.replace("a1b2c3d4", "a1b2c3d4-ap-northeast-1a")),
    ("endpoint_host", HOST.replace("a1b2c3d4", "a")),
    ("endpoint_host", HOST.replace("a1b2c3d4", "a" * 17)),
    ("endpoint_host", f"{HOST}@evil.example"),
    ("endpoint_host", f"https://{HOST}"),
    ("endpoint_host", None),
    ("endpoint_addresses", "10.0.1.17"),
    ("endpoint_addresses", [f"10.0.0.{number}" for number in range(13)]),
    ("endpoint_addresses[0]", "10.0.1.017"),
    ("endpoint_addresses[0]", "10.0.1.17\n"),
    ("endpoint_addresses[0]", "10.0.1"),
    ("endpoint_addresses[0]", 167772433),
    ("endpoint_addresses[1]", "FE80::1"),
    ("endpoint_addresses[1]", "2001:db8:0::1"),
    # What stands behind the percent sign may be anything to the standard library.
    ("endpoint_addresses[1]", "fe80::1%eth0"),
    ("endpoint_addresses[1]", f"fe80::1%\n{LOOK_ALIKE}"),
    # Python 3.11 and 3.13 write this one differently.
    ("endpoint_addresses[1]", "::ffff:a14:105"),
    ("endpoint_addresses[1]", "::ffff:10.20.1.5"),
    ("buckets", []),
    ("buckets", {}),
    ("buckets", ENDPOINT["buckets"] * 2),
    ("buckets", [{**ENDPOINT["buckets"][0], "name": f"bucket-{number}"} for number in range(11)]),
    ("buckets[0]", "vbr-tokyo"),
    ("buckets[0].name", "Vbr-tokyo"),
    ("buckets[0].name", "vbr-tokyo\n"),
    ("buckets[0].name", f"b{LOOK_ALIKE}ckups"),
    ("buckets[0].folder", "../other"),
    ("buckets[0].folder", "a/b"),
    ("buckets[0].folder", "a\\b"),
    ("buckets[0].folder", " tokyo"),
    ("buckets[0].folder", "tokyo\n"),
    ("buckets[0].folder", ""),
    ("buckets[0].folder", "f" * 65),
    ("buckets[0].folder", f"t{LOOK_ALIKE}"),
    ("buckets[0].immutability_days", -1),
    ("buckets[0].immutability_days", 1000),
    ("buckets[0].immutability_days", 1.0),
    ("buckets[0].immutability_days", True),
    ("buckets[0].immutability_days", "30"),
    ("buckets[0].immutability_days", None),
    ("state", "Active"),
    ("state", "active\n"),
    ("state", 1),
    ("state", None),
    ("published_at", "2026-01-31T22:00:00+09:00"),
    ("published_at", "2026-01-31T22:00:00Z\n"),
    ("published_at", "yesterday"),
    ("published_at", "2026-02-30T22:00:00Z"),
    ("published_at", "2026-01-31T24:00:00Z"),
    ("published_at", "0000-01-31T22:00:00Z"),
    ("published_at", 1767225600),
    ("execution", "e" * 257),
    ("execution", "run\n1"),
    ("execution", "run\x1b[31m"),
    ("execution", LOOK_ALIKE),
    ("execution", None),
]

HOSTILE_REPORT: list[tuple[str, object]] = [
    ("server", "VBR01"),
    ("server", "vbr01\n"),
    ("server", "vbr01/../../tokyo"),
    ("server", f"vbr{LOOK_ALIKE}"),
    ("server", "v" * 64),
    ("server", "vbr01."),
    ("client_version", "1" * 41),
    ("client_version", None),
    ("vbr_version", 12),
    ("vbr_version", "1" * 41),
    ("vbr_version", "12\n"),
    ("vpc_endpoint_id", "vpce-x"),
    ("document_version", 0),
    ("document_version", True),
    ("document_version", 1.5),
    ("document_version", "3"),
    ("document_version", 2**53 + 1),
    ("outcome", "succeeded"),
    ("outcome", None),
    ("checks", {}),
    ("checks", [{"id": f"check-{number}", "ok": True, "detail": ""} for number in range(31)]),
    ("checks[0].id", "DNS"),
    ("checks[0].id", "dns\n"),
    ("checks[0].id", "d" * 41),
    ("checks[0].ok", 1),
    ("checks[0].ok", "true"),
    ("checks[0].ok", None),
    ("checks[0].detail", "d" * 501),
    ("checks[0].detail", "two\nlines"),
    ("checks[0].detail", f"d{LOOK_ALIKE}"),
    ("error", "e" * 501),
    ("error", "\x00"),
    ("error", 5),
    ("at", "2026-01-31"),
    ("at", "2026-13-31T22:00:00Z"),
]

HOSTILE_SETTINGS: list[tuple[str, object]] = [
    ("site", "Tokyo"),
    ("vpc_id", "vpc-xyz"),
    ("vpc_id", "vpc-0123456789abcdef0\n"),
    # The subnets are then without their VPC.
    ("vpc_id", None),
    ("subnet_ids", [f"subnet-{number:08x}" for number in range(7)]),
    ("subnet_ids[0]", "vpc-0123456789abcdef0"),
    ("onprem_cidrs", []),
    ("onprem_cidrs", [f"10.{number}.0.0/16" for number in range(21)]),
    ("onprem_cidrs[0]", "0.0.0.0/0"),
    ("onprem_cidrs[0]", "10.0.0.1/8"),
    ("onprem_cidrs[0]", "10.0.0.0/33"),
    ("onprem_cidrs[0]", "10.0.0.0/8\n"),
    ("onprem_cidrs[0]", "2001:db8::/32"),
    ("onprem_cidrs[0]", 167772160),
    ("onprem_cidrs[0]", "on-prem"),
    ("onprem_cidrs[0]", "10.0.0.0"),
    ("onprem_cidrs[0]", "10.0.0.0/255.0.0.0"),
    # To the standard library this is 10.0.0.0/8.
    ("onprem_cidrs[0]", "10.0.0.0/0.255.255.255"),
    ("onprem_cidrs[0]", "10.0.0.0/08"),
    ("bucket_prefix", "VBR"),
    ("bucket_prefix", "v" * 21),
    ("bucket_prefix", "vbr-"),
    ("bucket_prefix", ""),
    ("buckets", []),
    ("buckets", [{"folder": "one", "immutability_days": 0}, {"folder": "two", "immutability_days": 0}]),
    ("buckets", [{"name": "backups", "folder": "one", "immutability_days": 0}] * 2),
    ("buckets[0].name", "under_score"),
    ("buckets[0].folder", "a/b"),
    ("buckets[0].immutability_days", True),
    ("endpoint_policy", "open"),
    ("additional_buckets[0]", "*"),
    ("vpc_endpoint_id", "vpce-"),
    ("security_group_id", "sg-default"),
    ("policy_administrators[0]", "*"),
    ("policy_administrators[0]", "arn:aws:iam::111122223333:role/*"),
    ("policy_administrators[0]", "arn:aws:iam::111122223333:role/admin?"),
    ("policy_administrators[0]", "arn:aws:iam::111122223333:root"),
    ("policy_administrators[0]", f"{ARN}\n"),
    ("additional_endpoint_ids[0]", "*"),
    ("expected_servers[0]", "VBR01"),
    ("release_deadline_hours", 0),
    ("release_deadline_hours", 24 * 90 + 1),
    ("release_deadline_hours", "48"),
    ("release_deadline_hours", 48.0),
    ("release_deadline_hours", True),
]

TABLE: list[tuple[type[Document], dict[str, Any], str, object]] = [
    *((EndpointDocument, ENDPOINT, path, value) for path, value in HOSTILE_ENDPOINT),
    *((AdoptionReport, REPORT, path, value) for path, value in HOSTILE_REPORT),
    *((SiteSettings, SETTINGS, path, value) for path, value in HOSTILE_SETTINGS),
]


@each_kind
def test_the_document_that_the_tables_start_from_is_valid(
    kind: type[Document], document: dict[str, Any]
) -> None:
    """Otherwise every refusal below would prove nothing."""
    read = kind.from_json(json.dumps(document))

    assert json.loads(read.to_json()) == document


@pytest.mark.parametrize(
    ("kind", "document", "path", "value"),
    TABLE,
    ids=[f"{kind.__name__}-{path}-{ascii(value)[:30]}" for kind, _, path, value in TABLE],
)
def test_a_hostile_value_is_refused_naming_the_field(
    kind: type[Document], document: dict[str, Any], path: str, value: object
) -> None:
    """One value that slips through leads backups elsewhere, or lands in a command or a file."""
    with pytest.raises(ContractError) as refusal:
        kind.from_json(json.dumps(changed(document, path, value)))

    assert refusal.value.field == path
    # The message goes to consoles and logs: no control character, no look-alike, no flood.
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400


@each_kind
def test_every_field_is_required_or_has_a_default(kind: type[Document], document: dict[str, Any]) -> None:
    """A missing field is named; it never becomes an empty value by accident."""
    defaults = {
        EndpointDocument: {"endpoint_addresses"},
        AdoptionReport: {"checks"},
        SiteSettings: {
            "additional_buckets",
            "additional_endpoint_ids",
            "bucket_prefix",
            "endpoint_policy",
            "expected_servers",
            "policy_administrators",
            "release_deadline_hours",
            "security_group_id",
            "subnet_ids",
            "vpc_endpoint_id",
        },
    }
    optional = set()
    for field in document:
        try:
            kind.from_json(json.dumps(without(document, field)))
        except ContractError as refusal:
            assert refusal.field == field  # noqa: PT017 (some fields raise and others don't)
        else:
            optional.add(field)

    assert optional == defaults[kind]


@each_kind
@pytest.mark.parametrize("version", [0, 2, -1, 1.0, True, "1", None, [1], 10**30])
def test_an_unknown_version_is_refused_before_anything_else(
    kind: type[Document], document: dict[str, Any], version: object
) -> None:
    """What a newer version means isn't known here, so nothing of it may be guessed."""
    hostile = {**document, "schema_version": version, "site": "also wrong", "server": "ALSO"}

    with pytest.raises(UnknownVersionError) as refusal:
        kind.from_json(json.dumps(hostile))

    assert refusal.value.field == "schema_version"
    assert "upgrade the older side" in str(refusal.value)


@each_kind
def test_a_document_without_a_version_is_refused(kind: type[Document], document: dict[str, Any]) -> None:
    """No version is not version one."""
    with pytest.raises(ContractError) as refusal:
        kind.from_json(json.dumps(without(document, "schema_version")))

    assert refusal.value.field == "schema_version"


@each_kind
def test_an_unknown_field_is_refused(kind: type[Document], document: dict[str, Any]) -> None:
    """A misspelt field would otherwise be a setting that silently does nothing."""
    with pytest.raises(ContractError) as refusal:
        kind.from_json(json.dumps({**document, "immutable": True}))

    assert refusal.value.field == "immutable"
    assert "remove it" in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "document", "path"),
    [
        (EndpointDocument, ENDPOINT, "buckets[0].size"),
        (AdoptionReport, REPORT, "checks[0].secret"),
        (SiteSettings, SETTINGS, "buckets[1].retention"),
    ],
)
def test_an_unknown_field_inside_a_list_is_named_with_its_place(
    kind: type[Document], document: dict[str, Any], path: str
) -> None:
    """Ten buckets, one typing error: the message says which one."""
    with pytest.raises(ContractError) as refusal:
        kind.from_json(json.dumps(changed(document, path, 1)))

    assert refusal.value.field == path


@each_kind
@pytest.mark.parametrize("name", ["", "\u0430", "\n", "x" * 900, "\ud800", "__class__"])
def test_an_unknown_field_with_a_hostile_name_is_shown_harmlessly(
    kind: type[Document], document: dict[str, Any], name: str
) -> None:
    """The name is the attacker's as well."""
    with pytest.raises(ContractError) as refusal:
        kind.from_json(json.dumps({**document, name: 1}))

    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 200


def as_text(document: dict[str, Any], **more: str) -> str:
    """Write a document, and put more fields into it that the json module would not write."""
    extra = "".join(f', "{name}": {value}' for name, value in more.items())
    return f"{json.dumps(document)[:-1]}{extra}}}"


@each_kind
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("null", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ('"text"', "is not a JSON object"),
        ("1", "is not a JSON object"),
        ("{} {}", "is not JSON"),
        ("\ufeff{}", "outside ASCII"),
        ('{"site": "\u0430"}', "outside ASCII"),
        ("[" * 2000 + "]" * 2000, "nested too deeply"),
        ('{"a":' * 600 + "1" + "}" * 600, "nested too deeply|is missing"),
        ("9" * 4000, "is not a JSON object"),
        ("1e999", "is not a JSON object"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_is_not_a_document_is_refused(
    kind: type[Document], document: dict[str, Any], text: str, problem: str
) -> None:
    """A parser's own exception would be a traceback on the server and an unknown error in the cloud."""
    assert document

    with pytest.raises(ContractError, match=problem):
        kind.from_json(text)


@each_kind
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_a_number_is_refused(kind: type[Document], document: dict[str, Any], number: str) -> None:
    """Python's reader takes NaN, and NaN compares false with every limit."""
    with pytest.raises(ContractError, match=number):
        kind.from_json(as_text(document, extra=number))


@each_kind
def test_a_repeated_field_is_refused(kind: type[Document], document: dict[str, Any]) -> None:
    """Two readers that take different ones of the two would see two documents."""
    with pytest.raises(ContractError, match="twice"):
        kind.from_json(as_text(document, schema_version="1"))


def test_a_repeated_field_inside_a_bucket_is_refused() -> None:
    """The same, one level down."""
    text = json.dumps(ENDPOINT).replace('"folder"', '"folder": "other", "folder"')

    with pytest.raises(ContractError, match="twice"):
        EndpointDocument.from_json(text)


@each_kind
def test_a_text_over_four_kilobytes_is_refused_unread(kind: type[Document], document: dict[str, Any]) -> None:
    """Parameter Store's limit is the product's: what is longer didn't come from there."""
    text = json.dumps(document)

    assert kind.from_json(text + " " * (4096 - len(text))) == kind.from_json(text)
    with pytest.raises(ContractError, match="4097 bytes"):
        kind.from_json(text + " " * (4097 - len(text)))


@each_kind
def test_nesting_is_refused_at_every_depth(kind: type[Document], document: dict[str, Any]) -> None:
    """Between what the parser takes and what the interpreter can print lies a depth that breaks either."""
    assert document
    for depth in range(1, 2000, 7):
        with pytest.raises(ContractError):
            kind.from_json(f'{{"schema_version":{"[" * depth}{"]" * depth}}}')


def test_the_largest_settings_that_do_not_fit_are_refused_when_written() -> None:
    """Each limit alone allows it; the parameter doesn't, and synth has to say so, not CloudFormation."""
    settings = SiteSettings.from_value(
        {**SETTINGS, "policy_administrators": [f"{ARN}{'x' * 490}{number}" for number in range(10)]}
    )

    with pytest.raises(ContractError, match=r"site settings: is \d+ bytes long; at most 4096"):
        settings.to_json()


def test_a_document_that_would_be_refused_cannot_be_written() -> None:
    """The writer runs the reader's checks: a mistake stops at the cloud, not on every server."""
    document = EndpointDocument.from_json(json.dumps(ENDPOINT))
    report = AdoptionReport.from_json(json.dumps(REPORT))
    object.__setattr__(document, "execution", "e" * 300)
    object.__setattr__(report, "client_version", "1" * 50)

    with pytest.raises(ContractError, match="execution"):
        document.to_json()
    with pytest.raises(ContractError, match="client_version"):
        report.to_json()


def test_the_tables_cover_every_field() -> None:
    """A field that joins a document joins its table, or this fails."""
    covered = {
        EndpointDocument: {path.split("[")[0] for path, _ in HOSTILE_ENDPOINT},
        AdoptionReport: {path.split("[")[0] for path, _ in HOSTILE_REPORT},
        SiteSettings: {path.split("[")[0] for path, _ in HOSTILE_SETTINGS},
    }

    assert set(covered) == set(KINDS.values())
    for kind, document in VALID:
        assert covered[kind] == set(document) - {"schema_version"}
