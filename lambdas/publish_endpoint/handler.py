"""Tell the backup servers which endpoint to use: the commit point."""

from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import boto3

from contract import names
from contract.documents import EndpointDocument, EndpointState, RepositoryBucket
from lambdas.core.clients import CONFIG
from lambdas.core.execution import Execution
from lambdas.core.site import Site
from lambdas.core.ssm_documents import SsmDocuments
from lambdas.core.step import Request, parse, step
from lambdas.publish_endpoint.logic import publish, withdraw


class PublishRequest(Request):
    """The site and how its endpoint is reached."""

    action: Literal["publish"]
    site: Site
    vpc_endpoint_id: str
    endpoint_host: str
    endpoint_addresses: tuple[str, ...]
    execution: str
    repair: bool


class WithdrawRequest(Request):
    """The site whose servers are to go back."""

    action: Literal["withdraw"]
    site: str
    execution: str


@cache
def _documents() -> SsmDocuments:
    return SsmDocuments(boto3.client("ssm", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the parameter's version and whether it was written now."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if event.get("action") == "withdraw":
        withdrawal = parse(WithdrawRequest, event)
        publication = withdraw(
            _documents(),
            names.site_name(withdrawal.site),
            published_at=now,
            execution=Execution.from_arn(withdrawal.execution).name,
        )
        return {"changed": publication.changed, "version": publication.version}
    request = parse(PublishRequest, event)
    site = request.site
    region = names.region(site.region)
    endpoint_id = names.endpoint_id(request.vpc_endpoint_id)
    document = EndpointDocument(
        site=names.site_name(site.site),
        region=region,
        account_id=names.account_id(site.account_id),
        vpc_endpoint_id=endpoint_id,
        endpoint_host=names.endpoint_host(request.endpoint_host, region=region, endpoint_id=endpoint_id),
        endpoint_addresses=request.endpoint_addresses,
        buckets=tuple(
            RepositoryBucket(
                name=names.bucket_name(bucket.name),
                folder=bucket.folder,
                immutability_days=bucket.immutability_days,
            )
            for bucket in site.buckets
        ),
        state=EndpointState.ACTIVE,
        published_at=now,
        execution=Execution.from_arn(request.execution).name,
    )
    publication = publish(_documents(), document, repair=request.repair)
    return {"changed": publication.changed, "version": publication.version}
