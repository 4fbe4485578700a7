"""Read what the servers have reported, and decide what may follow from it."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

import boto3

from contract import names
from lambdas.core.clients import CONFIG
from lambdas.core.memory import Memory
from lambdas.core.site import KnownSite
from lambdas.core.step import Request, parse, step
from lambdas.read_adoption.logic import adoption, reversion
from lambdas.read_adoption.ssm_site_parameters import SsmSiteParameters


class AdoptionRequest(Request):
    """Of a site that is provisioned."""

    about: Literal["adoption"]
    site: str
    expected_servers: tuple[str, ...]
    memory: Memory
    vpc_endpoint_id: str
    others: tuple[str, ...]
    enforced: tuple[str, ...]
    pending: tuple[str, ...]


class ReversionRequest(Request):
    """Of a site that is released; the hourly run is patient with laggards, the daily one is not."""

    about: Literal["reversion"]
    site: KnownSite
    memory: Memory
    purpose: str


@cache
def _parameters() -> SsmSiteParameters:
    return SsmSiteParameters(boto3.client("ssm", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return `Adoption` or `Reversion` as JSON."""
    if event.get("about") == "reversion":
        return _reversion(parse(ReversionRequest, event))
    request = parse(AdoptionRequest, event)
    parameters = _parameters().read(names.site_name(request.site))
    weighed = adoption(
        parameters,
        endpoint_id=request.vpc_endpoint_id,
        expected=request.expected_servers,
        known=request.memory.endpoints,
        others=request.others,
        enforced=request.enforced,
        pending=request.pending,
    )
    return {
        "enforce": list(weighed.enforce),
        "pending": list(weighed.pending),
        "let_in": list(weighed.let_in),
        "retired": list(weighed.retired),
        "retire": bool(weighed.retired),
        "waits_for": list(weighed.waits_for),
        "waiting": weighed.waiting,
        "why": weighed.why,
        "servers": list(parameters.servers(request.expected_servers)),
        "moved": list(parameters.adopted(request.vpc_endpoint_id)),
    }


def _reversion(request: ReversionRequest) -> dict[str, Any]:
    parameters = _parameters().read(names.site_name(request.site.site))
    weighed = reversion(
        parameters,
        expected=request.site.expected_servers,
        forced=request.memory.forced,
        deadline=timedelta(hours=request.site.release_deadline_hours),
        now=datetime.now(UTC),
        patient=request.purpose == "pending",
    )
    return {
        "back": weighed.back,
        "waits_for": list(weighed.waits_for),
        "servers": list(parameters.servers(request.site.expected_servers)),
        "moved": list(parameters.reverted()),
    }
