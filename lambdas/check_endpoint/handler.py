"""Is the endpoint available? Asked again and again by the state machine."""

from functools import cache
from typing import Any

import boto3

from contract import names
from lambdas.check_endpoint.ec2_endpoint_statuses import Ec2EndpointStatuses
from lambdas.check_endpoint.logic import check
from lambdas.core.clients import CONFIG
from lambdas.core.step import Request, parse, step


class CheckEndpointRequest(Request):
    """Which endpoint, and where."""

    vpc_endpoint_id: str
    region: str


@cache
def _statuses() -> Ec2EndpointStatuses:
    return Ec2EndpointStatuses(boto3.client("ec2", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the host name and the addresses of the endpoint."""
    request = parse(CheckEndpointRequest, event)
    available = check(
        _statuses(),
        endpoint_id=names.endpoint_id(request.vpc_endpoint_id),
        region=names.region(request.region),
    )
    return {"endpoint_host": available.host, "endpoint_addresses": list(available.addresses)}
