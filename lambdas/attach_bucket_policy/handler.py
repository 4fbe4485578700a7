"""
The only function that changes bucket policies; it runs as the policy-administrator role.

`attach` locks the buckets; `restore` takes back what a failed run has done, unless that run has
published its endpoint: then servers rely on it.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import boto3

from contract import names
from lambdas.attach_bucket_policy.dynamodb_replaced_policies import DynamoDbReplacedPolicies
from lambdas.attach_bucket_policy.logic import attach, restore
from lambdas.attach_bucket_policy.s3_bucket_policies import S3BucketPolicies
from lambdas.attach_bucket_policy.statements import Lockdown
from lambdas.core.clients import CONFIG
from lambdas.core.execution import Execution
from lambdas.core.settings import FunctionSettings
from lambdas.core.site import Site
from lambdas.core.ssm_documents import SsmDocuments
from lambdas.core.step import Request, parse, step

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Settings(FunctionSettings):
    """The two roles are named by their exact ARNs: the policy compares strings."""

    sites_table: str
    policy_administrator_role: str
    ensure_bucket_role: str


class AttachRequest(Request):
    """Lock *buckets* of the site to the endpoint."""

    action: Literal["attach"]
    site: Site
    buckets: tuple[str, ...]
    vpc_endpoint_id: str
    execution: str


class RestoreRequest(Request):
    """Take back what this run has changed."""

    action: Literal["restore"]
    site: str
    execution: str


@cache
def _policies(account_id: str) -> S3BucketPolicies:
    return S3BucketPolicies(boto3.client("s3", config=CONFIG), account_id=account_id)


@cache
def _dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=CONFIG)


@cache
def _documents() -> SsmDocuments:
    return SsmDocuments(boto3.client("ssm", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return which buckets' policies were changed."""
    settings = Settings.from_env()
    if event.get("action") == "restore":
        return _restore(parse(RestoreRequest, event), settings)
    request = parse(AttachRequest, event)
    execution = Execution.from_arn(request.execution)
    root = f"arn:{request.site.partition}:iam::{request.site.account_id}:root"
    administrators = (settings.policy_administrator_role, *request.site.policy_administrators, root)
    changed = attach(
        _policies(request.site.account_id),
        _replaced(settings, site=request.site.site, execution=execution),
        buckets=request.buckets,
        partition=request.site.partition,
        lockdown=Lockdown(
            endpoint_ids=(request.vpc_endpoint_id, *request.site.additional_endpoint_ids),
            observers=(settings.ensure_bucket_role, *administrators),
            policy_administrators=administrators,
        ),
    )
    return {"changed": bool(changed), "buckets": changed}


def _restore(request: RestoreRequest, settings: Settings) -> dict[str, Any]:
    execution = Execution.from_arn(request.execution)
    published = _documents().read(names.site_name(request.site))
    if published and published.document and published.document.execution == execution.name:
        return {"changed": False, "buckets": []}
    changed = restore(
        _policies(execution.account_id), _replaced(settings, site=request.site, execution=execution)
    )
    return {"changed": bool(changed), "buckets": changed}


def _replaced(settings: Settings, *, site: str, execution: Execution) -> DynamoDbReplacedPolicies:
    return DynamoDbReplacedPolicies(
        _dynamodb(), table=settings.sites_table, site=site, execution=execution.arn
    )
