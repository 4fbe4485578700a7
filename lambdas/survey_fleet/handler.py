"""In the hub, every hour: count what somebody should look at. The alarms are about these numbers."""

from collections import Counter
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import boto3
from aws_lambda_powertools.metrics import MetricUnit

from lambdas.core.clients import CONFIG
from lambdas.core.dynamodb_fleet_table import DynamoDbFleetTable
from lambdas.core.fleet import Concern, concern
from lambdas.core.observability import metrics
from lambdas.core.settings import FunctionSettings
from lambdas.core.step import Request, parse, step


class Settings(FunctionSettings):
    """Where the fleet's table is, and after how many days a site counts as not heard of."""

    fleet_table: str
    silent_after_days: int


class SurveyRequest(Request):
    """What the schedule sends."""

    purpose: Literal["survey"]


# The metrics' names; the stack's alarms have the same, and a test keeps them equal.
METRICS = {
    Concern.FAILED: "SitesFailed",
    Concern.SILENT: "SitesNotHeardOf",
    Concern.WAITING: "SitesWaiting",
    Concern.DRIFTED: "SitesDrifted",
}


@cache
def _fleet(table: str) -> DynamoDbFleetTable:
    return DynamoDbFleetTable(boto3.client("dynamodb", config=CONFIG), table=table)


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return how many sites there are, and how many of them each concern has."""
    parse(SurveyRequest, event)
    settings = Settings.from_env()
    now = datetime.now(UTC)
    concerns = [
        concern(site, now=now, silent_after_days=settings.silent_after_days)
        for site in _fleet(settings.fleet_table).sites()
    ]
    found = Counter(one for one in concerns if one is not None)
    for each, name in METRICS.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=found[each])
    return {"sites": len(concerns), **{str(each): found[each] for each in METRICS}}
