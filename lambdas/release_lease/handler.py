"""Always the last step: let the next run of the site work."""

from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.settings import FunctionSettings
from lambdas.core.step import Request, parse, step
from lambdas.release_lease.dynamodb_leases import DynamoDbLeases


class Settings(FunctionSettings):
    """Where the leases are."""

    sites_table: str


class ReleaseRequest(Request):
    """Whose lease ends."""

    site: str
    execution: str


@cache
def _leases(table: str) -> DynamoDbLeases:
    return DynamoDbLeases(boto3.client("dynamodb", config=CONFIG), table=table)


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return whether the lease was still this run's; when it wasn't, nothing is left to release."""
    request = parse(ReleaseRequest, event)
    released = _leases(Settings.from_env().sites_table).release(request.site, execution=request.execution)
    return {"released": released}
