"""The site's interface endpoint and its security group."""

from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.execution import Execution
from lambdas.core.site import Site
from lambdas.core.step import Request, parse, step
from lambdas.ensure_endpoint.ec2_endpoints import Ec2Endpoints
from lambdas.ensure_endpoint.logic import ensure_endpoint, result


class EnsureEndpointRequest(Request):
    """The site, the run that new things are tagged with, and the endpoints that servers were told of."""

    site: Site
    execution: str
    repair: bool
    known: tuple[str, ...]


@cache
def _endpoints() -> Ec2Endpoints:
    return Ec2Endpoints(boto3.client("ec2", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the endpoint's id, and what was created and repaired."""
    request = parse(EnsureEndpointRequest, event)
    run = Execution.from_arn(request.execution).name
    return result(
        ensure_endpoint(_endpoints(), request.site, run=run, repair=request.repair, known=request.known)
    )
