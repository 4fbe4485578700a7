"""
The custom widget that shows this account's sites. It reads, and may do nothing else.

CloudWatch calls it at each refresh, with the permissions of whoever looks. However many sites there are, it
makes at most 45 calls: 4 pages of the table, 20 times ten parameters, one look at the endpoints, and one at
each of the 20 runs that may be at work (a test counts them). A site in order costs two.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.dynamodb_sites import DynamoDbSites
from lambdas.core.markup import Markup
from lambdas.core.settings import FunctionSettings
from lambdas.core.site_markup import page
from lambdas.core.ssm_words import SsmWords
from lambdas.core.widget import theme_of, widget
from lambdas.show_sites.ec2_endpoint_states import Ec2EndpointStates
from lambdas.show_sites.logic import look
from lambdas.show_sites.site_sections import sections
from lambdas.show_sites.stepfunctions_runs import StepFunctionsRuns

DOCUMENTATION = """\
### VBR PrivateLink: the sites of this account and Region

Shows, for each site, what it should be, its buckets and endpoint, which backup servers use it, the last run,
and what is wrong. What needs attention comes first.

It has no parameters, and only reads. The buttons call another function, `customWidgetVbrPrivateLinkStart`,
with your own permissions: who may press them, the managed policies of the stack say.
"""


class Settings(FunctionSettings):
    """`sites` are those that the stack has settings for, separated by commas."""

    sites: str
    sites_table: str
    start_function_arn: str


@cache
def _sites(table: str) -> DynamoDbSites:
    return DynamoDbSites(boto3.client("dynamodb", config=CONFIG), table=table)


@cache
def _words() -> SsmWords:
    return SsmWords(boto3.client("ssm", config=CONFIG))


@cache
def _endpoints() -> Ec2EndpointStates:
    return Ec2EndpointStates(boto3.client("ec2", config=CONFIG))


@cache
def _runs() -> StepFunctionsRuns:
    return StepFunctionsRuns(boto3.client("stepfunctions", config=CONFIG))


@widget(DOCUMENTATION)
def lambda_handler(event: dict[str, Any]) -> Markup:
    """Return the page, in the colours of the dashboard."""
    settings = Settings.from_env()
    now = datetime.now(UTC)
    view = look(
        _sites(settings.sites_table),
        _words(),
        _endpoints(),
        _runs(),
        configured=settings.sites.split(","),
        now=now,
    )
    return page(sections(view, now=now, start_function=settings.start_function_arn), theme=theme_of(event))
