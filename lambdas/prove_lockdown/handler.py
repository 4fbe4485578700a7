"""Prove that the locked buckets refuse a write from outside the endpoint."""

from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.step import Request, parse, step
from lambdas.prove_lockdown.logic import prove
from lambdas.prove_lockdown.s3_probe import S3Probe


class ProveRequest(Request):
    """Whose buckets, and which of them are locked."""

    account_id: str
    buckets: tuple[str, ...]


@cache
def _probe(account_id: str) -> S3Probe:
    return S3Probe(boto3.client("s3", config=CONFIG), account_id=account_id)


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the buckets that were proven locked: all that were given, or an error."""
    request = parse(ProveRequest, event)
    prove(_probe(request.account_id), request.buckets)
    return {"proven": list(request.buckets)}
