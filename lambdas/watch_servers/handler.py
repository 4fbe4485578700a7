"""
Every hour: count what the alarms are about. It reads, and may do nothing else.

Not a step of the workflow: whether the servers of a site are heard of must be told just then when no run
works any more.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.dynamodb_sites import DynamoDbSites
from lambdas.core.observability import count_of_site
from lambdas.core.settings import FunctionSettings
from lambdas.core.ssm_words import SsmWords
from lambdas.core.step import Request, parse, step
from lambdas.watch_servers.logic import watch


class Settings(FunctionSettings):
    """`sites` are those that the stack has settings for, separated by commas."""

    sites: str
    sites_table: str


class WatchRequest(Request):
    """What the schedule sends."""

    purpose: Literal["watch"]


@cache
def _sites(table: str) -> DynamoDbSites:
    return DynamoDbSites(boto3.client("dynamodb", config=CONFIG), table=table)


@cache
def _words() -> SsmWords:
    return SsmWords(boto3.client("ssm", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return, for each site, which servers were not seen for a day, and for how many days it waits."""
    parse(WatchRequest, event)
    settings = Settings.from_env()
    watched = watch(
        _sites(settings.sites_table),
        _words(),
        configured=settings.sites.split(","),
        now=datetime.now(UTC),
    )
    for one in watched:
        count_of_site(one.site, ServersNotSeen=len(one.not_seen), EnforcementPendingDays=one.pending_days)
    return {one.site: {"not_seen": list(one.not_seen), "pending_days": one.pending_days} for one in watched}
