"""
Tell the cloud what became of a site's document, but only when that is news.

What was last told is remembered; the time, the details of checks and the document's provenance are no news.
So a server that fails in the same way at each poll reports it once.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from contract import names
from contract.documents import AdoptionReport, CheckResult, Outcome
from contract.parameters import adoption_parameter
from onprem_client import __version__
from onprem_client.clock import Clock
from onprem_client.errors import ClientError, CloudError, RepositoryError
from onprem_client.journal import Journal
from onprem_client.parameter_store import ParameterStore

REPOSITORY_FAILS = " repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What there is to tell about one site."""

    site: names.SiteName
    region: names.Region
    vpc_endpoint_id: names.EndpointId
    document_version: int
    document_meaning: str
    adopting: bool
    outcome: Outcome
    error: str | None
    repository_problem: ClientError | None = None
    doubt: ClientError | None = None
    """Why it is `failed` though everything was done: a check that came out badly."""

    def digest(self) -> str:
        """Return a short text that changes when this is news again."""
        error = "" if self.error is None else hashlib.sha256(self.error.encode()).hexdigest()[:16]
        # That VBR doesn't answer just now is no news: the next run looks again.
        repository = REPOSITORY_FAILS if isinstance(self.repository_problem, RepositoryError) else ""
        return f"{self.outcome} {self.vpc_endpoint_id} {self.document_meaning} {error}".strip() + repository


def tell(
    news: Iterable[News],
    journal: Journal,
    *,
    server: names.ServerName,
    checks: Callable[[News], Sequence[CheckResult]],
    vbr_version: str | None,
    clock: Clock,
    store: Callable[[names.Region], ParameterStore],
) -> ClientError | None:
    """Put a report for each site that has news; what can't be told now is told by the next run."""
    problem: ClientError | None = None
    for one in news:
        if journal.memory.reported.get(one.site) == one.digest():
            continue
        try:
            put(
                one,
                server=server,
                checks=checks(one),
                vbr_version=vbr_version,
                at=clock.now(),
                parameters=store(one.region),
            )
        except CloudError as error:
            problem = problem or CloudError(
                f"the server is done ({one.outcome}), but that could not be reported; the next run tries "
                f"again: {error}"
            )
            continue
        if journal.pending is None:
            reported = {**journal.memory.reported, one.site: one.digest()}
            journal.commit(replace(journal.memory, reported=reported))
    return problem


def put(
    news: News,
    *,
    server: names.ServerName,
    checks: Sequence[CheckResult],
    vbr_version: str | None,
    at: str,
    parameters: ParameterStore,
) -> None:
    """Write the report; the version of VBR is known only through its REST API."""
    report = AdoptionReport(
        server=server,
        client_version=__version__,
        vbr_version=None if vbr_version is None else _plain(vbr_version),
        vpc_endpoint_id=news.vpc_endpoint_id,
        document_version=news.document_version,
        outcome=news.outcome,
        checks=tuple(checks),
        error=news.error,
        at=at,
    )
    parameters.put(adoption_parameter(news.site, server), report.to_json())


def _plain(version: str) -> str:
    return "".join(character for character in version if character.isascii() and character.isprintable())[:40]
