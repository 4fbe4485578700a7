"""
Whether the endpoint is available, and under which name and addresses it is reached.

The state machine asks again, with back-off, for as long as this step says "pending": no SDK waiter
exists for endpoints, and a waiting function would cost money.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from contract import names
from contract.errors import ContractError
from lambdas.core.errors import EndpointFailedError, EndpointPendingError

_PENDING = frozenset({"pending", "pendingacceptance", "partial"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """What EC2 says of the endpoint; the state is in lower case."""

    state: str
    reason: str
    dns_names: tuple[str, ...]
    network_interface_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableEndpoint:
    """How an available endpoint is reached from on-premises."""

    host: names.EndpointHost
    addresses: tuple[str, ...]


class EndpointStatuses(Protocol):
    """What this step needs from EC2."""

    def status(self, endpoint_id: str) -> EndpointStatus | None: ...
    def addresses(self, network_interface_ids: Sequence[str]) -> Sequence[str]: ...


def check(
    statuses: EndpointStatuses, *, endpoint_id: names.EndpointId, region: names.Region
) -> AvailableEndpoint:
    """Return how the endpoint is reached; raises EndpointPendingError until it is available."""
    status = statuses.status(endpoint_id)
    # EC2 may not know an endpoint yet that it has just created.
    if status is None or status.state in _PENDING:
        state = "not known to EC2 yet" if status is None else status.state
        raise EndpointPendingError(f"endpoint {endpoint_id} is {state}")
    if status.state != "available":
        raise EndpointFailedError(
            f"endpoint {endpoint_id} is {status.state}: {status.reason or 'EC2 gives no reason'}; "
            "start again; if it stays so, ask AWS Support"
        )
    return AvailableEndpoint(
        host=_host(status.dns_names, endpoint_id=endpoint_id, region=region),
        addresses=tuple(sorted(statuses.addresses(status.network_interface_ids))),
    )


def _host(
    dns_names: Sequence[str], *, endpoint_id: names.EndpointId, region: names.Region
) -> names.EndpointHost:
    """
    Choose the regional name by its form, never by its place: zonal and public names stand beside it.

    EC2 answers `*.vpce-…`; Veeam needs the name under which the endpoint serves buckets.
    """
    for dns_name in dns_names:
        if dns_name.startswith("*."):
            try:
                return names.endpoint_host(
                    f"bucket.{dns_name.removeprefix('*.')}", region=region, endpoint_id=endpoint_id
                )
            except ContractError:
                continue
    raise EndpointFailedError(
        f"endpoint {endpoint_id} has no regional DNS name among: {', '.join(dns_names) or 'none at all'}"
    )
