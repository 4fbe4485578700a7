"""
Publish the endpoint to the backup servers, if it is not published already.

The commit point of a run: from here on servers may rely on the endpoint, and nothing is undone.
"""

from dataclasses import dataclass
from typing import Protocol

from contract.documents import EndpointDocument
from contract.names import SiteName
from lambdas.core.ssm_documents import StoredDocument


class Documents(Protocol):
    """What this step needs from Parameter Store."""

    def read(self, site: SiteName) -> StoredDocument | None: ...
    def write(self, document: EndpointDocument, *, overwrite: bool) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The parameter after this step."""

    changed: bool
    version: int


def publish(documents: Documents, document: EndpointDocument) -> Publication:
    """Write *document* unless the published one says the same."""
    stored = documents.read(document.site)
    if stored and stored.document and stored.document.says_the_same_as(document):
        return Publication(changed=False, version=stored.version)
    return Publication(changed=True, version=documents.write(document, overwrite=stored is not None))
