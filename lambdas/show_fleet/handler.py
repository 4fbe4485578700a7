"""
The custom widget of the hub: every site of every account. It reads one table, and may do nothing else.

One call for each megabyte of the table; a site is some hundred bytes.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.dynamodb_fleet_table import DynamoDbFleetTable
from lambdas.core.markup import Markup
from lambdas.core.settings import FunctionSettings
from lambdas.core.site_markup import page
from lambdas.core.widget import theme_of, widget
from lambdas.show_fleet.fleet_sections import fleet
from lambdas.show_fleet.logic import rows

DOCUMENTATION = """\
### VBR PrivateLink: the sites of all accounts

Shows what each site has last said of itself, by account and Region; what needs attention comes first.

| parameter | |
|---|---|
| `show` | `attention`: only what needs somebody; `all` (default) |

It only reads. The buttons call another function, `customWidgetVbrPrivateLinkFleetStart`, with your own
permissions: who may press them, the managed policies of the hub's stack say.
"""


class Settings(FunctionSettings):
    """Where the fleet's table is, when a site counts as silent, and what the buttons call."""

    fleet_table: str
    silent_after_days: int
    start_function_arn: str
    show_function_arn: str


@cache
def _fleet(table: str) -> DynamoDbFleetTable:
    return DynamoDbFleetTable(boto3.client("dynamodb", config=CONFIG), table=table)


@widget(DOCUMENTATION)
def lambda_handler(event: dict[str, Any]) -> Markup:
    """Return the page, in the colours of the dashboard."""
    settings = Settings.from_env()
    now = datetime.now(UTC)
    found = rows(_fleet(settings.fleet_table).sites(), now=now, silent_after_days=settings.silent_after_days)
    return page(
        fleet(
            found,
            now=now,
            only_attention=event.get("show") == "attention",
            show_function=settings.show_function_arn,
            start_function=settings.start_function_arn,
        ),
        theme=theme_of(event),
    )
