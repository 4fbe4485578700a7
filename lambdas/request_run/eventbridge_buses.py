"""Put an event on the default bus of another account, which lets this function's role do so."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from lambdas.core.errors import AccessDeniedError, AwsUnavailableError
from lambdas.request_run.logic import RunRequest

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_SOURCE = "vbr-privatelink"


class EventBridgeBuses:
    """Buses of other accounts; PutEvents reaches those of its own Region, so each has its client."""

    def __init__(self, client_of: "Callable[[str], EventBridgeClient]") -> None:
        self._client_of = client_of

    def put(self, request: RunRequest) -> None:
        """Put one event; what EventBridge didn't take it says in its answer, not as an error."""
        answer = self._client_of(request.region).put_events(
            Entries=[
                {
                    "EventBusName": request.bus_arn,
                    "Source": _SOURCE,
                    "DetailType": request.detail_type,
                    "Detail": request.detail,
                }
            ]
        )
        (entry,) = answer["Entries"]
        code = entry.get("ErrorCode")
        if code is None:
            return
        text = f"PutEvents: {code}: {entry.get('ErrorMessage', '')}"
        if code.startswith(("AccessDenied", "NotAuthorized")):
            raise AccessDeniedError(f"{text}; the account's stack lets the hub's role in")
        raise AwsUnavailableError(text)
