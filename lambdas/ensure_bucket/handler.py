"""The site's buckets: there, ours to use, and fit for backups."""

from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.execution import Execution
from lambdas.core.site import Site
from lambdas.core.step import Request, parse, step
from lambdas.ensure_bucket.logic import ensure_buckets, result
from lambdas.ensure_bucket.s3_buckets import S3Buckets


class EnsureBucketRequest(Request):
    """The site, the run that new buckets are tagged with, and which buckets were locked before."""

    site: Site
    execution: str
    repair: bool
    enforced_before: tuple[str, ...]


@cache
def _buckets(account_id: str, region: str) -> S3Buckets:
    return S3Buckets(
        boto3.client("s3", region_name=region, config=CONFIG), account_id=account_id, region=region
    )


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return what was created and repaired, and which buckets may be locked (see logic.result)."""
    request = parse(EnsureBucketRequest, event)
    ensured = ensure_buckets(
        _buckets(request.site.account_id, request.site.region),
        request.site,
        run=Execution.from_arn(request.execution).name,
        repair=request.repair,
        enforced_before=request.enforced_before,
    )
    return result(ensured)
