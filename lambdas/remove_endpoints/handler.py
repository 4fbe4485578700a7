"""Delete endpoints and groups of the site that nobody uses any more."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.ec2_own_endpoints import Ec2OwnEndpoints
from lambdas.core.step import Request, parse, step
from lambdas.remove_endpoints.logic import remove

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


class RemoveRequest(Request):
    """Which site, and which endpoints servers still use."""

    site: str
    keep: tuple[str, ...]


@cache
def _ec2() -> "EC2Client":
    return boto3.client("ec2", config=CONFIG)


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the ids of what was removed."""
    request = parse(RemoveRequest, event)
    removed = remove(Ec2OwnEndpoints(_ec2(), site=request.site), keep=request.keep)
    return {"changed": bool(removed), "removed": removed}
