"""What may start the workflow: a plain request, or an EventBridge event that carries one."""

from typing import Any, Literal

from pydantic import Field

from lambdas.core.errors import InvalidRequestError
from lambdas.core.step import Request, parse

EVENT_SOURCE = "vbr-privatelink"

# Only an explicit request changes what a site should be.
_INTENT_OF_EVENT = {"Provision Requested": "provisioned"}


class ReconcileRequest(Request):
    """
    A request names a site and, at most, the new intent.

    Everything else is in the site's settings, so that whoever may start a run can't widen what it does.
    """

    site: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")
    intent: Literal["provisioned"] | None = None


class _EventDetail(Request):
    site: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")


def reconcile_request(event: Any) -> ReconcileRequest:
    """Read a StartExecution input, or a whole EventBridge event; raises InvalidRequestError."""
    if not isinstance(event, dict) or "detail-type" not in event:
        return parse(ReconcileRequest, event)
    intent = _INTENT_OF_EVENT.get(str(event["detail-type"]))
    if event.get("source") != EVENT_SOURCE or intent is None:
        known = ", ".join(sorted(_INTENT_OF_EVENT))
        raise InvalidRequestError(
            f"detail-type: this event starts nothing; send source {EVENT_SOURCE} and one of: {known}"
        )
    detail = parse(_EventDetail, event.get("detail"))
    return parse(ReconcileRequest, {"site": detail.site, "intent": intent})
