"""What a button of the console may ask for, and what the workflow is told then."""

from typing import Any, Literal, Protocol

from pydantic import Field

from lambdas.core.errors import InvalidRequestError
from lambdas.core.step import Request, parse

# What CloudWatch adds to every call; it says where the button is, and decides nothing.
_CONTEXT = "widgetContext"


class Press(Request):
    """
    What was pressed: one of three requests, for one site of this account.

    The pattern is the contract's rule for a site's name.
    """

    request: Literal["provision", "check", "release"]
    site: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")


class Executions(Protocol):
    """What this step needs from Step Functions."""

    def start(self, request: dict[str, str]) -> str: ...


def pressed(event: dict[str, Any], *, sites: list[str]) -> Press:
    """Read a call; raises InvalidRequestError for anything but a button of the widget."""
    if not set(event) - {_CONTEXT}:
        raise InvalidRequestError("request: this function only starts what a button asks for; press one")
    press = parse(Press, {name: value for name, value in event.items() if name != _CONTEXT})
    if press.site not in sites:
        raise InvalidRequestError(
            f"site: there are no settings for {press.site}; name one of: {', '.join(sites)}"
        )
    return press


def start(executions: Executions, press: Press) -> str:
    """Start the workflow once, and return the execution's ARN."""
    match press.request:
        case "provision":
            return executions.start({"site": press.site, "intent": "provisioned"})
        case "check":
            return executions.start({"site": press.site, "purpose": "check"})
        case "release":
            return executions.start({"site": press.site, "intent": "released"})
