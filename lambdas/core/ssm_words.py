"""Documents, reports and heartbeats of several sites, ten parameters a call."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from contract.documents import AdoptionReport, EndpointDocument
from contract.errors import ContractError
from contract.names import SiteName, server_name, site_name
from contract.parameters import adoption_parameter, endpoint_parameter, seen_parameter
from lambdas.core.known_sites import Published, Word

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import ParameterTypeDef

# GetParameters takes so many names at once.
_AT_ONCE = 10


class SsmWords:
    """Reads by name: what is asked for is known, and so is the number of calls."""

    def __init__(self, client: "SSMClient") -> None:
        self._client = client

    def read(
        self, servers: Mapping[str, Sequence[str]]
    ) -> Mapping[str, tuple[Published | None, Mapping[str, Word]]]:
        """Return, for each site, what is published, and what each of the named servers has said."""
        found = self._parameters(servers)
        return {
            site: (
                _published(found.get(document)) if document else None,
                {
                    server: _word(server, found.get(report), found.get(heartbeat))
                    for server, report, heartbeat in words
                },
            )
            for site, document, words in _names(servers)
        }

    def _parameters(self, servers: Mapping[str, Sequence[str]]) -> dict[str, "ParameterTypeDef"]:
        wanted = [
            name
            for _, document, words in _names(servers)
            if document
            for name in (document, *(one for _, *both in words for one in both))
        ]
        found: dict[str, ParameterTypeDef] = {}
        for first in range(0, len(wanted), _AT_ONCE):
            answer = self._client.get_parameters(Names=wanted[first : first + _AT_ONCE])
            found |= {parameter.get("Name", ""): parameter for parameter in answer["Parameters"]}
        return found


def _names(
    servers: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, str | None, list[tuple[str, str, str]]]]:
    """Name the parameters; an item of the table that can't be a site's, or a server's, has none."""
    for name, reported in servers.items():
        try:
            site = site_name(name)
        except ContractError:
            yield name, None, []
            continue
        yield name, endpoint_parameter(site), [words for one in reported if (words := _server(site, one))]


def _server(site: SiteName, name: str) -> tuple[str, str, str] | None:
    try:
        server = server_name(name)
    except ContractError:
        return None
    return name, adoption_parameter(site, server), seen_parameter(site, server)


def _published(parameter: "ParameterTypeDef | None") -> Published | None:
    if parameter is None:
        return None
    try:
        document = EndpointDocument.from_json(parameter.get("Value", ""))
    except ContractError:
        return Published(document=None, version=parameter.get("Version", 0))
    return Published(document=document, version=parameter.get("Version", 0))


def _word(server: str, report: "ParameterTypeDef | None", heartbeat: "ParameterTypeDef | None") -> Word:
    """When a parameter was written, AWS's clock says: a server's own may be wrong, or lie."""
    times = [one["LastModifiedDate"] for one in (report, heartbeat) if one and "LastModifiedDate" in one]
    seen_at, beats = max(times, default=None), heartbeat is not None
    if report is None:
        return Word(server=server, seen_at=seen_at, beats=beats)
    try:
        read = AdoptionReport.from_json(report.get("Value", ""))
    except ContractError:
        return Word(server=server, unreadable=True, seen_at=seen_at, beats=beats)
    if read.server != server:
        return Word(server=server, unreadable=True, seen_at=seen_at, beats=beats)
    return Word(server=server, report=read, seen_at=seen_at, beats=beats)
