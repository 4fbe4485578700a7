"""The commit point: written when something changed, and only then."""

import json
from dataclasses import dataclass, field, replace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from contract.documents import EndpointDocument, EndpointState
from contract.names import SiteName
from lambdas.core.errors import ConcurrentChangeError, InvalidRequestError
from lambdas.core.ssm_documents import SsmDocuments, StoredDocument
from lambdas.publish_endpoint.logic import Publication, publish, withdraw
from tests.contract.golden_documents import golden

DOCUMENT = EndpointDocument.from_json(json.dumps(golden("endpoint-document-1-active")))
LATER = replace(DOCUMENT, published_at="2026-02-01T00:00:00Z", execution="a-later-run")
MOVED = replace(LATER, endpoint_addresses=("10.0.9.9",))
WITHDRAWN = replace(DOCUMENT, state=EndpointState.WITHDRAWN)
PARAMETER = "/vbr-privatelink/tokyo/endpoint"


@dataclass
class InMemoryDocuments:
    """One parameter with its versions."""

    stored: StoredDocument | None = None
    overwrites: list[bool] = field(default_factory=list)

    def read(self, site: SiteName) -> StoredDocument | None:
        assert site == DOCUMENT.site
        return self.stored

    def write(self, document: EndpointDocument, *, overwrite: bool) -> int:
        self.overwrites.append(overwrite)
        version = self.stored.version + 1 if self.stored else 1
        self.stored = StoredDocument(version=version, document=document)
        return version


def test_the_first_document_is_written_without_overwriting() -> None:
    """If a parameter is there that we didn't see, SSM refuses instead of replacing it."""
    documents = InMemoryDocuments()

    published = publish(documents, DOCUMENT, repair=True)

    assert published == Publication(changed=True, version=1)
    assert documents.overwrites == [False]


def test_an_unchanged_document_is_not_written() -> None:
    """Every version wakes every server of the site: a later run that found nothing new stays silent."""
    documents = InMemoryDocuments()
    publish(documents, DOCUMENT, repair=True)

    published = publish(documents, LATER, repair=True)

    assert published == Publication(changed=False, version=1)
    assert documents.overwrites == [False]
    assert documents.stored == StoredDocument(version=1, document=DOCUMENT)


def test_a_changed_document_is_written_once() -> None:
    """Servers learn of it; the run after that finds nothing to do."""
    documents = InMemoryDocuments()
    publish(documents, DOCUMENT, repair=True)

    published = [publish(documents, MOVED, repair=True), publish(documents, MOVED, repair=True)]

    assert published == [Publication(changed=True, version=2), Publication(changed=False, version=2)]
    assert documents.overwrites == [False, True]


def test_a_malformed_document_is_replaced() -> None:
    """Somebody edited it by hand: servers refuse it, so it must not stay."""
    documents = InMemoryDocuments(StoredDocument(version=4, document=None))

    assert publish(documents, DOCUMENT, repair=True) == Publication(changed=True, version=5)
    assert publish(documents, DOCUMENT, repair=True) == Publication(changed=False, version=5)


@pytest.mark.parametrize(
    ("stored", "version"),
    [
        (None, None),
        (StoredDocument(version=4, document=None), 4),
        (StoredDocument(version=3, document=MOVED), 3),
        (StoredDocument(version=3, document=WITHDRAWN), 3),
        (StoredDocument(version=3, document=DOCUMENT), 3),
    ],
)
def test_a_run_that_only_checks_publishes_nothing(stored: StoredDocument | None, version: int | None) -> None:
    """Each version wakes every server of the site: a check must not."""
    documents = InMemoryDocuments(stored)

    published = publish(documents, DOCUMENT, repair=False)

    assert published == Publication(changed=False, version=version)
    assert documents.overwrites == []


def withdrawn(documents: InMemoryDocuments) -> Publication:
    return withdraw(
        documents, DOCUMENT.site, published_at="2026-03-01T00:00:00Z", execution="the-releasing-run"
    )


def test_a_withdrawal_says_the_same_but_for_its_state() -> None:
    """Servers must know which host they leave; the deadline counts from when they were told."""
    documents = InMemoryDocuments(StoredDocument(version=7, document=DOCUMENT))

    published = [withdrawn(documents), withdrawn(documents)]

    assert published == [Publication(changed=True, version=8), Publication(changed=False, version=8)]
    assert documents.overwrites == [True]
    assert documents.stored is not None
    assert documents.stored.document == replace(
        DOCUMENT,
        state=EndpointState.WITHDRAWN,
        published_at="2026-03-01T00:00:00Z",
        execution="the-releasing-run",
    )


def test_a_later_run_does_not_move_the_deadline() -> None:
    """The hourly run withdraws again each time: if that counted, servers would have for ever."""
    before = StoredDocument(version=3, document=WITHDRAWN)
    documents = InMemoryDocuments(before)

    assert withdrawn(documents) == Publication(changed=False, version=3)
    assert documents.stored == before


def test_nothing_is_withdrawn_where_nothing_was_published() -> None:
    """A site that never got so far can be released; a document would only confuse."""
    documents = InMemoryDocuments()

    assert withdrawn(documents) == Publication(changed=False, version=None)
    assert documents.overwrites == []


def test_a_document_that_cannot_be_read_is_not_withdrawn() -> None:
    """Servers may follow the endpoint that it once named; as "nothing published" it would be deleted."""
    documents = InMemoryDocuments(StoredDocument(version=3, document=None))

    with pytest.raises(InvalidRequestError, match=f"^{PARAMETER}: .* provision the site once more, then"):
        withdrawn(documents)

    assert documents.overwrites == []


def test_a_withdrawn_document_is_published_again() -> None:
    """The site is wanted again: servers hear of it, even if nothing else is new."""
    documents = InMemoryDocuments(StoredDocument(version=3, document=WITHDRAWN))

    assert publish(documents, DOCUMENT, repair=True) == Publication(changed=True, version=4)


def test_the_parameter_is_written_and_read_back() -> None:
    """The adapter, against an emulated Parameter Store: versions count, text is the contract's."""
    with mock_aws():
        ssm = boto3.client("ssm")
        documents = SsmDocuments(ssm)

        assert documents.read(DOCUMENT.site) is None
        assert documents.write(DOCUMENT, overwrite=False) == 1
        assert documents.write(MOVED, overwrite=True) == 2
        assert documents.read(DOCUMENT.site) == StoredDocument(version=2, document=MOVED)
        assert ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"] == MOVED.to_json()


def test_a_parameter_that_appeared_meanwhile_is_not_overwritten() -> None:
    """
    An answer was lost on the way and the call repeated, or somebody was quicker: the step looks again, and
    replaces nothing that it has not seen.
    """
    with mock_aws():
        documents = SsmDocuments(boto3.client("ssm"))
        documents.write(DOCUMENT, overwrite=False)

        with pytest.raises(ConcurrentChangeError, match="written meanwhile"):
            documents.write(MOVED, overwrite=False)
        assert documents.read(DOCUMENT.site) == StoredDocument(version=1, document=DOCUMENT)


@pytest.mark.parametrize("text", ["not JSON", "{}", '{"schema_version":2}', "\u0430"])
def test_what_cannot_be_read_has_a_version_and_no_document(text: str) -> None:
    """An unreadable parameter is something else than none: it must be overwritten."""
    with mock_aws():
        ssm = boto3.client("ssm")
        ssm.put_parameter(Name=PARAMETER, Value=text, Type="String")

        assert SsmDocuments(ssm).read(DOCUMENT.site) == StoredDocument(version=1, document=None)


def test_an_error_is_not_taken_for_an_unpublished_site() -> None:
    """An undo that took "throttled" for "nothing published" would delete a live endpoint."""
    client = boto3.client("ssm")
    with Stubber(client) as stub:
        stub.add_client_error("get_parameter", "ThrottlingException")

        with pytest.raises(ClientError, match="ThrottlingException"):
            SsmDocuments(client).read(DOCUMENT.site)
