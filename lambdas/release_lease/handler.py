"""Always the last step: say what is news, keep what the next run must know, and give the lease back."""

from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.observability import count_of_site
from lambdas.core.settings import FunctionSettings
from lambdas.core.step import Request, parse, step
from lambdas.release_lease.dynamodb_leases import DynamoDbLeases
from lambdas.release_lease.eventbridge_events import EventBridgeEvents
from lambdas.release_lease.logic import RunState, events, legacy


class Settings(FunctionSettings):
    """Where the leases are; `tell_unchanged`: somebody far away keeps the last word of each site."""

    sites_table: str
    tell_unchanged: bool


class ReleaseRequest(Request):
    """The whole state of the execution."""

    run: RunState


@cache
def _leases(table: str) -> DynamoDbLeases:
    return DynamoDbLeases(boto3.client("dynamodb", config=CONFIG), table=table)


@cache
def _events() -> EventBridgeEvents:
    return EventBridgeEvents(boto3.client("events", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the site's status, the drift, and whether the lease was still this run's."""
    run = parse(ReleaseRequest, event).run
    settings = Settings.from_env()
    left = legacy(run)
    # Events first: if this step is tried again, an event may come twice, but none is lost.
    _events().put(events(run, left, tell_unchanged=settings.tell_unchanged))
    released = _leases(settings.sites_table).release(
        run.lease.site, execution=run.lease.execution, legacy=left
    )
    count_of_site(run.lease.site, DriftFound=len(run.drift))
    return {
        "released": released,
        "status": left.status.model_dump(mode="json") if left.status else None,
        "drift": [drift.model_dump() for drift in run.drift],
    }
