"""All parameters of a site, read in one call (ten at a time)."""

from typing import TYPE_CHECKING

from contract.documents import AdoptionReport, EndpointDocument
from contract.errors import ContractError
from contract.names import SiteName
from contract.parameters import ROOT, endpoint_parameter
from lambdas.core.observability import logger
from lambdas.read_adoption.logic import SiteParameters

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class SsmSiteParameters:
    """Reads; changes nothing."""

    def __init__(self, client: "SSMClient") -> None:
        self._client = client

    def read(self, site: SiteName) -> SiteParameters:
        """Return the document and the reports; what can't be read is None, and why is logged."""
        published: EndpointDocument | None = None
        reports: dict[str, AdoptionReport | None] = {}
        seen: set[str] = set()
        adoption, heartbeat = f"{ROOT}/{site}/adoption/", f"{ROOT}/{site}/seen/"
        pages = self._client.get_paginator("get_parameters_by_path").paginate(
            Path=f"{ROOT}/{site}/", Recursive=True
        )
        for page in pages:
            for parameter in page["Parameters"]:
                name, value = parameter.get("Name", ""), parameter.get("Value", "")
                if name == endpoint_parameter(site):
                    published = _document(value)
                elif name.startswith(adoption):
                    reports[name.removeprefix(adoption)] = _report(name.removeprefix(adoption), value)
                elif name.startswith(heartbeat):
                    seen.add(name.removeprefix(heartbeat))
        return SiteParameters(published=published, reports=reports, seen=frozenset(seen))


def _document(value: str) -> EndpointDocument | None:
    try:
        return EndpointDocument.from_json(value)
    except ContractError as error:
        logger.warning("the published document can't be read", problem=str(error))
        return None


def _report(server: str, value: str) -> AdoptionReport | None:
    try:
        report = AdoptionReport.from_json(value)
    except ContractError as error:
        logger.warning("a server's report can't be read", server=ascii(server), problem=str(error))
        return None
    if report.server != server:
        logger.warning("a server's report is in another one's parameter", server=ascii(server))
        return None
    return report
