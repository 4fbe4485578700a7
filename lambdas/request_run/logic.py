"""What a button of the fleet's dashboard may ask for, and the event that asks the account for it."""

import json
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import Field

from contract import names
from lambdas.core.errors import InvalidRequestError
from lambdas.core.step import Request, parse

# What CloudWatch adds to every call; it says where the button is, and decides nothing.
_CONTEXT = "widgetContext"
_DETAIL_TYPES = {
    "provision": "Provision Requested",
    "check": "Check Requested",
    "release": "Release Requested",
}


class Press(Request):
    """What was pressed: one of three requests, for one site of one account."""

    request: Literal["provision", "check", "release"]
    account: str = Field(pattern=r"^[0-9]{12}$")
    region: str
    site: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One event for the default bus of one account and Region; `detail` is JSON."""

    bus_arn: str
    region: names.Region
    detail_type: str
    detail: str


class Fleet(Protocol):
    """What this function needs from the fleet's table."""

    def knows(self, *, account_id: str, region: str, site: str) -> bool: ...


class Buses(Protocol):
    """What this function needs from EventBridge, in any Region."""

    def put(self, request: RunRequest) -> None: ...


def pressed(event: dict[str, Any]) -> Press:
    """Read a call; raises InvalidRequestError for anything but a button of the widget."""
    if not set(event) - {_CONTEXT}:
        raise InvalidRequestError("request: this function only asks for what a button says; press one")
    return parse(Press, {name: value for name, value in event.items() if name != _CONTEXT})


def ask(fleet: Fleet, buses: Buses, press: Press) -> None:
    """Ask the site's account, once; it decides itself what comes of it."""
    region = names.region(press.region, field="region")
    if not fleet.knows(account_id=press.account, region=region, site=press.site):
        raise InvalidRequestError(
            f"site: the hub has heard of no site {press.site} in {press.account}, {region}"
        )
    bus = f"arn:{names.partition(region)}:events:{region}:{press.account}:event-bus/default"
    buses.put(
        RunRequest(
            bus_arn=bus,
            region=region,
            detail_type=_DETAIL_TYPES[press.request],
            detail=json.dumps({"site": press.site}),
        )
    )
