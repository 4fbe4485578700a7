"""
What the buttons of the custom widget call: starts the workflow, and may do nothing else.

CloudWatch calls it with the permissions of whoever presses. It acts on its explicit parameters alone, so that
neither a refresh nor a look at its documentation ever starts anything.
"""

from functools import cache
from typing import Any

import boto3

from lambdas.core.clients import CONFIG
from lambdas.core.console_links import execution_link
from lambdas.core.markup import Markup, element
from lambdas.core.observability import logger
from lambdas.core.settings import FunctionSettings
from lambdas.core.site_markup import external_link, page
from lambdas.core.widget import theme_of, widget
from lambdas.start_run.logic import pressed, start
from lambdas.start_run.stepfunctions_executions import StepFunctionsExecutions

DOCUMENTATION = """\
### VBR PrivateLink: start a run

The buttons of the widget with the sites call this; as a widget of its own it shows nothing.

| parameter | |
|---|---|
| `request` | `provision`, `check` or `release` |
| `site` | a site that the stack has settings for |

It starts one run of the workflow and answers with a link to it.
"""

_BEGUN = {
    "provision": "Provisioning site {} has begun.",
    "check": "Checking site {} has begun; nothing will be changed.",
    "release": "Releasing site {} has begun. It waits for the backup servers, and deletes the endpoint last.",
}


class Settings(FunctionSettings):
    """`sites` are those that the stack has settings for, separated by commas."""

    sites: str
    state_machine_arn: str


@cache
def _executions(state_machine_arn: str) -> StepFunctionsExecutions:
    return StepFunctionsExecutions(
        boto3.client("stepfunctions", config=CONFIG), state_machine_arn=state_machine_arn
    )


@widget(DOCUMENTATION)
def lambda_handler(event: dict[str, Any]) -> Markup:
    """Return what has begun, for the pop-up."""
    settings = Settings.from_env()
    press = pressed(event, sites=settings.sites.split(","))
    execution = start(_executions(settings.state_machine_arn), press)
    logger.info("a run was started from the console", site=press.site, request=press.request, run=execution)
    link = execution_link(execution)
    return page(
        element("p", element("strong", _BEGUN[press.request].format(press.site))),
        element("p", "The table shows how it goes at its next refresh."),
        element("p", external_link(link, "Open the run")) if link else "",
        theme=theme_of(event),
    )
