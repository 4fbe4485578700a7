"""
What the buttons of the fleet's dashboard call: asks an account to start a run, and may do nothing else.

CloudWatch calls it with the permissions of whoever presses. It acts on its explicit parameters alone, and
starts nothing itself: the account takes this role's requests, and its own workflow decides what follows.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.markup import Markup, element
from lambdas.core.observability import logger
from lambdas.core.settings import FunctionSettings
from lambdas.core.site_markup import page
from lambdas.core.widget import theme_of, widget
from lambdas.request_run.dynamodb_known_sites import DynamoDbKnownSites
from lambdas.request_run.eventbridge_buses import EventBridgeBuses
from lambdas.request_run.logic import ask, pressed

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

DOCUMENTATION = """\
### VBR PrivateLink: ask an account for a run

The buttons of the fleet's widget call this; as a widget of its own it shows nothing.

| parameter | |
|---|---|
| `request` | `provision`, `check` or `release` |
| `account`, `region`, `site` | a site that the hub has heard of |

It puts one event on the account's event bus. The account's own workflow does the work.
"""


class Settings(FunctionSettings):
    """Where the fleet's table is."""

    fleet_table: str


@cache
def _known(table: str) -> DynamoDbKnownSites:
    return DynamoDbKnownSites(boto3.client("dynamodb", config=CONFIG), table=table)


@cache
def _client(region: str) -> "EventBridgeClient":
    return boto3.client("events", region_name=region, config=CONFIG)


@widget(DOCUMENTATION)
def lambda_handler(event: dict[str, Any]) -> Markup:
    """Return what was asked for, for the pop-up."""
    press = pressed(event)
    ask(_known(Settings.from_env().fleet_table), EventBridgeBuses(_client), press)
    logger.info(
        "an account was asked for a run",
        request=press.request,
        target_account=press.account,
        region=press.region,
        site=press.site,
    )
    asked = f"Account {press.account} was asked to {press.request} site {press.site} in {press.region}."
    return page(
        element("p", element("strong", asked)),
        element("p", "The table shows what came of it as soon as the account tells."),
        theme=theme_of(event),
    )
