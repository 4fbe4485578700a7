"""In the hub: keep what the sites of all accounts say of themselves."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.settings import FunctionSettings
from lambdas.core.step import step
from lambdas.record_site_status.dynamodb_fleet import DynamoDbFleet
from lambdas.record_site_status.logic import record, report_of


class Settings(FunctionSettings):
    """Where the fleet's table is."""

    fleet_table: str


@cache
def _fleet(table: str) -> DynamoDbFleet:
    return DynamoDbFleet(boto3.client("dynamodb", config=CONFIG), table=table)


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return whose site the event told of, and whether that was news."""
    report = report_of(event, now=datetime.now(UTC))
    if report is None:
        return {"changed": False}
    changed = record(_fleet(Settings.from_env().fleet_table), report)
    return {
        "changed": changed,
        "account": report.account_id,
        "region": report.region,
        "site": report.site,
        "at": report.at,
    }
