"""
The only function that changes bucket policies; it runs as the policy-administrator role.

`attach` locks the buckets; `restore` takes back what a failed run has done, unless that run has
published its endpoint: then servers rely on it. `detach` takes the lock off a site that is released.
"""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import boto3

from contract import names
from lambdas.attach_bucket_policy.dynamodb_replaced_policies import DynamoDbReplacedPolicies
from lambdas.attach_bucket_policy.logic import attach, detach, restore
from lambdas.attach_bucket_policy.s3_bucket_policies import S3BucketPolicies
from lambdas.attach_bucket_policy.statements import Guest, Lockdown
from lambdas.core.clients import CONFIG
from lambdas.core.execution import Execution
from lambdas.core.memory import Memory
from lambdas.core.settings import FunctionSettings
from lambdas.core.site import KnownSite, Site
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
    """Lock *buckets* of the site to the endpoints in *let_in*; those with a grant may read until it ends."""

    action: Literal["attach"]
    site: Site
    buckets: tuple[str, ...]
    let_in: tuple[str, ...]
    memory: Memory
    repair: bool
    execution: str


class DetachRequest(Request):
    """Take the lock off all buckets of the site."""

    action: Literal["detach"]
    site: KnownSite


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
    match event.get("action"):
        case "restore":
            return _restore(parse(RestoreRequest, event), settings)
        case "detach":
            return _detach(parse(DetachRequest, event))
        case _:
            return _attach(parse(AttachRequest, event), settings)


def _attach(request: AttachRequest, settings: Settings) -> dict[str, Any]:
    site, memory = request.site, request.memory
    execution = Execution.from_arn(request.execution)
    root = f"arn:{site.partition}:iam::{site.account_id}:root"
    administrators = (settings.policy_administrator_role, *site.policy_administrators, root)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lockdown = Lockdown(
        endpoint_ids=(*request.let_in, *site.additional_endpoint_ids),
        observers=(settings.ensure_bucket_role, *administrators),
        policy_administrators=administrators,
        guests=tuple(
            Guest(principal=grant.principal, expires_at=grant.expires_at)
            for grant in memory.grants
            if grant.expires_at > now
        ),
    )
    changes = attach(
        _policies(site.account_id),
        _replaced(settings, site=site.site, execution=execution),
        buckets=request.buckets,
        partition=site.partition,
        lockdown=lockdown,
        repair=request.repair,
    )
    wanted = lockdown.fingerprint()
    return {
        "changed": bool(changes) and request.repair,
        "buckets": [change.bucket for change in changes],
        "locked": wanted,
        # What differs because something else is wanted than last time is no drift.
        "drift": [
            change.drift(repair=request.repair).model_dump()
            for change in changes
            if change.bucket in memory.enforced and wanted == memory.locked
        ],
    }


def _detach(request: DetachRequest) -> dict[str, Any]:
    changed = detach(_policies(request.site.account_id), [bucket.name for bucket in request.site.buckets])
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
