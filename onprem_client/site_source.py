"""
What is published for a site, after it has been checked.

The parameter's text is hostile until the contract has accepted it *and* it turns out to be for this very
site, region and account: another site's document, put in the wrong place, would move backups to another
bucket's endpoint.
"""

import hashlib
from dataclasses import dataclass, replace

from contract.documents import EndpointDocument
from contract.errors import ContractError
from contract.parameters import endpoint_parameter
from onprem_client.configuration import Site
from onprem_client.errors import DocumentRefusedError, NotPublishedError
from onprem_client.parameter_store import ParameterStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A checked document and the version of the parameter it came in."""

    document: EndpointDocument
    version: int

    def meaning(self) -> str:
        """Return a short text that changes only when the document says something else."""
        plain = replace(self.document, published_at="1970-01-01T00:00:00Z", execution="")
        return hashlib.sha256(plain.to_json().encode()).hexdigest()[:16]


def fetch(site: Site, parameters: ParameterStore) -> Published:
    """Read and check what is published for *site*."""
    name = endpoint_parameter(site.name)
    found = parameters.get(name)
    if found is None:
        raise NotPublishedError(site=site.name, parameter=name)
    try:
        document = EndpointDocument.from_json(found.value)
    except ContractError as error:
        raise DocumentRefusedError(
            f"the document of site {site.name} ({name}) is refused: {error}"
        ) from error
    for field, says, wanted in (
        ("site", document.site, site.name),
        ("region", document.region, site.region),
        ("account_id", document.account_id, site.account_id or document.account_id),
    ):
        if says != wanted:
            raise DocumentRefusedError(
                f"the document of site {site.name} ({name}) is refused: {field}: it says {says}, but "
                f"client.toml says {wanted}"
            )
    return Published(document=document, version=found.version)
