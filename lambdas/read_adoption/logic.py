"""
What the servers have made of the published endpoint, and what follows from it.

For a site that is provisioned: a bucket that was in use is locked, and an endpoint that has been replaced
loses its access, only after every expected server has adopted the current endpoint; and the replaced one not
while any other server says that it uses it. For a site that is released: the endpoint is deleted only after
every server that could use it has gone back.

Reports are hostile until they have been read: one that can't be read counts as no answer.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from contract.documents import AdoptionReport, EndpointDocument, EndpointState, Outcome
from contract.errors import ContractError
from contract.names import SiteName, server_name
from lambdas.core.errors import ServersNotBackError

NO_EXPECTED_SERVERS = (
    "expected_servers is empty, so nobody can be waited for; name the servers in the settings"
)

# As many as can be expected; they are told to whoever looks at the site.
MOST_SERVERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteParameters:
    """
    What is in Parameter Store for a site.

    The document, each server's report if it can be read, and the servers that have only been seen.
    """

    published: EndpointDocument | None
    reports: Mapping[str, AdoptionReport | None]
    seen: frozenset[str] = frozenset()

    def servers(self, expected: Collection[str]) -> tuple[str, ...]:
        """
        Name the expected servers, and behind them every other one that has left a word.

        A name that no server can have is left out.
        """
        others = {*self.reports, *self.seen} - {*expected}
        return (*sorted(expected), *sorted(filter(_is_server, others)))[:MOST_SERVERS]

    def adopted(self, endpoint_id: str) -> tuple[str, ...]:
        """Name the servers that use this endpoint."""
        return tuple(one for one in sorted(self.reports) if _has_adopted(self.reports[one], endpoint_id))

    def reverted(self) -> tuple[str, ...]:
        """Name the servers that have gone back to Veeam's own endpoints."""
        return tuple(one for one in sorted(self.reports) if _has_reverted(self.reports[one]))


class Parameters(Protocol):
    """What this step needs from Parameter Store."""

    def read(self, site: SiteName) -> SiteParameters: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """
    What a provisioned site may do now.

    `enforce` are the buckets to lock, `let_in` the endpoints that the policy lets in, `retired` those of
    them that nobody uses any more, `waits_for` the servers that have not answered.
    """

    enforce: tuple[str, ...]
    pending: tuple[str, ...]
    let_in: tuple[str, ...]
    retired: tuple[str, ...]
    waits_for: tuple[str, ...]
    why: str | None

    @property
    def waiting(self) -> bool:
        """Whether anything is held back for a server's answer."""
        return bool(self.pending) or len(self.let_in) > 1


def adoption(
    parameters: SiteParameters,
    *,
    endpoint_id: str,
    expected: Collection[str],
    known: Collection[str],
    others: Collection[str],
    enforced: Collection[str],
    pending: Collection[str],
) -> Adoption:
    """
    Weigh the reports of a provisioned site.

    `known` are the endpoints that servers were told of, `others` those that the product made beside the
    current one. An endpoint that nobody was ever told of is retired at once.
    """
    published = parameters.published
    # A withdrawn document tells nobody to use its endpoint; while servers go back, it is among the known.
    told = {*known}
    if published is not None and published.state is EndpointState.ACTIVE:
        told.add(published.vpc_endpoint_id)
    former = sorted(told - {endpoint_id})
    waits_for = {
        server for server in expected if not _has_adopted(parameters.reports.get(server), endpoint_id)
    }
    moved = bool(expected) and not waits_for
    # A server that nobody expects holds back no lock, which lets it in, but keeps the endpoint that it uses.
    users = {server for one in former for server in parameters.adopted(one)} if moved else set()
    left = moved and not users
    held_back = bool(pending or former) and not left
    return Adoption(
        enforce=(*enforced, *(pending if moved else ())),
        pending=() if moved else tuple(pending),
        let_in=(endpoint_id, *(() if left else former)),
        retired=tuple(sorted({*others, *former} if left else set(others) - set(former))),
        waits_for=tuple(sorted(waits_for | users)) if held_back else (),
        why=NO_EXPECTED_SERVERS if held_back and not expected else None,
    )


def _has_adopted(report: AdoptionReport | None, endpoint_id: str) -> bool:
    return report is not None and report.outcome is Outcome.ADOPTED and report.vpc_endpoint_id == endpoint_id


def _has_reverted(report: AdoptionReport | None) -> bool:
    return report is not None and report.outcome is Outcome.REVERTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversion:
    """Whether a released site's endpoint may be deleted, and for whom it waits."""

    back: bool
    waits_for: tuple[str, ...]


def reversion(
    parameters: SiteParameters,
    *,
    expected: Collection[str],
    forced: bool,
    deadline: timedelta,
    now: datetime,
    patient: bool,
) -> Reversion:
    """
    Weigh the reports of a site that is being released.

    Waited for is every expected server and every other one that has ever reported. Behind the deadline a run
    that isn't `patient` (the hourly one is) raises ServersNotBackError, which names the laggards.
    """
    published = parameters.published
    if published is None:
        return Reversion(back=True, waits_for=())
    laggards = tuple(
        sorted(
            server
            for server in {*expected, *parameters.reports}
            if not _has_reverted(parameters.reports.get(server))
        )
    )
    if not laggards or forced:
        return Reversion(back=True, waits_for=laggards)
    overdue = published.state is EndpointState.WITHDRAWN and now - _time(published) > deadline
    if overdue and not patient:
        raise ServersNotBackError(laggards)
    return Reversion(back=False, waits_for=laggards)


def _is_server(name: str) -> bool:
    try:
        server_name(name)
    except ContractError:
        return False
    return True


def _time(document: EndpointDocument) -> datetime:
    return datetime.fromisoformat(document.published_at)
