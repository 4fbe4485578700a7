"""
Publish the endpoint to the backup servers, if it is not published already.

The commit point of a run: from here on servers may rely on the endpoint, and nothing is undone.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from contract.documents import EndpointDocument, EndpointState
from contract.names import SiteName
from contract.parameters import endpoint_parameter
from lambdas.core.errors import InvalidRequestError
from lambdas.core.ssm_documents import StoredDocument


class Documents(Protocol):
    """What this step needs from Parameter Store."""

    def read(self, site: SiteName) -> StoredDocument | None: ...
    def write(self, document: EndpointDocument, *, overwrite: bool) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The parameter after this step."""

    changed: bool
    version: int | None


def publish(documents: Documents, document: EndpointDocument, *, repair: bool) -> Publication:
    """Write *document* unless the published one says the same; without `repair` only look."""
    stored = documents.read(document.site)
    if stored and stored.document and stored.document.says_the_same_as(document):
        return Publication(changed=False, version=stored.version)
    if not repair:
        return Publication(changed=False, version=stored.version if stored else None)
    return Publication(changed=True, version=documents.write(document, overwrite=stored is not None))


def withdraw(documents: Documents, site: SiteName, *, published_at: str, execution: str) -> Publication:
    """
    Tell the servers to go back to Veeam's own endpoints; nothing to tell where nothing was published.

    A document that can't be read is refused: servers may follow the endpoint that it once named.
    """
    stored = documents.read(site)
    if stored is None:
        return Publication(changed=False, version=None)
    if stored.document is None:
        raise InvalidRequestError(
            f"{endpoint_parameter(site)}: the published document can't be read; provision the site once "
            "more, then release it"
        )
    if stored.document.state is EndpointState.WITHDRAWN:
        return Publication(changed=False, version=stored.version)
    document = replace(
        stored.document, state=EndpointState.WITHDRAWN, published_at=published_at, execution=execution
    )
    return Publication(changed=True, version=documents.write(document, overwrite=True))
