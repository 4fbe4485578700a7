"""After a failed run: remove what it created and nobody relies on."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from contract import names
from lambdas.core.clients import CONFIG
from lambdas.core.ec2_own_endpoints import Ec2OwnEndpoints
from lambdas.core.execution import Execution
from lambdas.core.ssm_documents import SsmDocuments
from lambdas.core.step import Request, parse, step
from lambdas.undo_provisioning.logic import undo

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


class UndoRequest(Request):
    """Which run's leftovers."""

    site: str
    execution: str


@cache
def _ec2() -> "EC2Client":
    return boto3.client("ec2", config=CONFIG)


@cache
def _documents() -> SsmDocuments:
    return SsmDocuments(boto3.client("ssm", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the ids of what was removed."""
    request = parse(UndoRequest, event)
    published = _documents().read(names.site_name(request.site))
    removed = undo(
        Ec2OwnEndpoints(_ec2(), site=request.site),
        run=Execution.from_arn(request.execution).name,
        published_endpoint=(published.document.vpc_endpoint_id if published and published.document else None),
    )
    return {"changed": bool(removed), "removed": removed}
