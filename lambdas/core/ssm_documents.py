"""The EndpointDocument of a site in Parameter Store."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.documents import EndpointDocument
from contract.errors import ContractError
from contract.names import SiteName
from contract.parameters import endpoint_parameter
from lambdas.core.errors import ConcurrentChangeError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A parameter that exists: its version, and the document if it can be read."""

    version: int
    document: EndpointDocument | None


class SsmDocuments:
    """Reads and writes one parameter per site."""

    def __init__(self, client: "SSMClient") -> None:
        self._client = client

    def read(self, site: SiteName) -> StoredDocument | None:
        """Return what is published; None when nothing ever was."""
        try:
            parameter = self._client.get_parameter(Name=endpoint_parameter(site))["Parameter"]
        except self._client.exceptions.ParameterNotFound:
            return None
        try:
            document = EndpointDocument.from_json(parameter.get("Value", ""))
        except ContractError:
            # Edited by hand, or written by another version of the product: whoever publishes replaces it.
            document = None
        return StoredDocument(version=parameter.get("Version", 0), document=document)

    def write(self, document: EndpointDocument, *, overwrite: bool) -> int:
        """Put the document and return the parameter's new version."""
        try:
            answer = self._client.put_parameter(
                Name=endpoint_parameter(document.site),
                Description=f"Which S3 interface endpoint the backup servers of site {document.site} use",
                Value=document.to_json(),
                Type="String",
                Tier="Standard",
                Overwrite=overwrite,
            )
        except self._client.exceptions.ParameterAlreadyExists as error:
            # The answer to an earlier attempt of this call was lost, or somebody was quicker: look again.
            raise ConcurrentChangeError(
                f"{endpoint_parameter(document.site)} has been written meanwhile"
            ) from error
        return answer["Version"]
