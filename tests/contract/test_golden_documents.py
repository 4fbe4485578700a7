"""
What was published once must be read for ever: an on-prem client may be a year older than the cloud.

A golden document is never changed and never removed; a new version of a document gets new ones.
"""

import hashlib
import json
from pathlib import Path

import pytest

from contract.documents import EndpointDocument
from contract.parameters import MAXIMUM_BYTES
from contract.settings import SiteSettings
from tests.contract.golden_documents import FOLDER, KINDS, Document, golden, paths

# The beginnings of the files' SHA-256: a line here is only ever added.
DIGESTS = {
    "adoption-report-1-adopted": "032d345afbea9ce7",
    "adoption-report-1-failed": "894e891bc5f64a79",
    "adoption-report-1-reverted": "ec7112a28442507d",
    "endpoint-document-1-active": "c9c219ab128408f6",
    "endpoint-document-1-china": "bf864cc0a0006107",
    "endpoint-document-1-europe": "168ab46998ebf598",
    "endpoint-document-1-largest": "7d55d904f37e2679",
    "endpoint-document-1-withdrawn": "05c3c178ac9a30ee",
    "short-site-settings-1": "3c841db9da2f66c3",
    "site-settings-1-everything": "366fc2bf78a2e654",
    "site-settings-1-release-deadline": "6bd3db2da0549fef",
    "site-settings-1-written-out": "388deb64d0d2f8d5",
}
# Fields that joined a document later, and what their absence in an older one has always meant since.
JOINED: dict[type[Document], dict[str, object]] = {SiteSettings: {"release_deadline_hours": 48}}

GOLDEN = [(kind, path) for beginning, kind in KINDS.items() for path in paths(beginning)]

each_document = pytest.mark.parametrize(("kind", "path"), GOLDEN, ids=[path.stem for _kind, path in GOLDEN])


@pytest.mark.parametrize("beginning", KINDS)
def test_there_is_a_golden_document_of_each_kind(beginning: str) -> None:
    """A glob that finds nothing must not look green."""
    assert paths(beginning)


def test_golden_documents_are_only_ever_added() -> None:
    """Whoever edits one breaks a client that is already out there, without any other test noticing."""
    found = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in FOLDER.iterdir()}

    assert found == DIGESTS


@each_document
def test_a_golden_document_is_read_and_written_back_equal(kind: type[Document], path: Path) -> None:
    """A field that is lost or renamed on the way would be lost for every reader."""
    document = kind.from_json(path.read_text())

    written = document.to_json()
    expected = golden(path.stem)
    expected |= {name: value for name, value in JOINED.get(kind, {}).items() if name not in expected}

    assert json.loads(written) == expected
    # The order is fixed as well, so that a person can compare two versions of a parameter.
    assert list(json.loads(written)) == list(expected)


@each_document
def test_writing_is_stable_and_fits_a_parameter(kind: type[Document], path: Path) -> None:
    """Parameter Store's Standard tier takes 4 KB of it; the largest document must fit as well."""
    written = kind.from_json(path.read_text()).to_json()

    assert kind.from_json(written).to_json() == written
    assert written.isascii()
    assert len(written) <= MAXIMUM_BYTES


def test_the_largest_document_is_as_large_as_the_rules_allow() -> None:
    """Ten buckets with the longest names and twelve addresses: what the limits promise to fit."""
    document = golden("endpoint-document-1-largest")

    assert len(document["buckets"]) == 10
    assert {len(bucket["name"]) for bucket in document["buckets"]} == {63}
    assert {len(bucket["folder"]) for bucket in document["buckets"]} == {64}
    assert len(document["endpoint_addresses"]) == 12
    assert {len(address) for address in document["endpoint_addresses"]} == {39}
    assert (len(document["site"]), len(document["execution"])) == (32, 256)


def test_short_settings_mean_the_written_out_ones() -> None:
    """What people leave out gets the documented default; a default that moves changes every site."""
    short = SiteSettings.from_value(golden("short-site-settings-1"))

    assert short == SiteSettings.from_value(golden("site-settings-1-written-out"))


def test_provenance_changes_nothing() -> None:
    """A run that finds everything as it was must publish nothing."""
    document = golden("endpoint-document-1-active")
    one = EndpointDocument.from_json(json.dumps(document))
    other = EndpointDocument.from_json(
        json.dumps({**document, "published_at": "2027-02-28T00:00:00Z", "execution": "another-run"})
    )

    assert one != other
    assert one.says_the_same_as(other)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("site", "osaka"),
        ("account_id", "444455556666"),
        ("endpoint_host", "bucket.vpce-0123456789abcdef0-zzzz9999.s3.ap-northeast-1.vpce.amazonaws.com"),
        ("endpoint_addresses", ["10.0.1.17"]),
        ("buckets", [{"name": "another-bucket", "folder": "tokyo", "immutability_days": 0}]),
        (
            "buckets",
            [{"name": "vbr-tokyo-111122223333-ap-northeast-1", "folder": "tokyo", "immutability_days": 1}],
        ),
        ("state", "withdrawn"),
    ],
)
def test_everything_else_is_a_change(field: str, value: object) -> None:
    """A change that is taken for provenance would never reach the servers."""
    document = golden("endpoint-document-1-active")
    one = EndpointDocument.from_json(json.dumps(document))
    other = EndpointDocument.from_json(json.dumps({**document, field: value}))

    assert not one.says_the_same_as(other)
