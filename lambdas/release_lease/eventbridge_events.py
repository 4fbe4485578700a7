"""Tell the account's default event bus."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lambdas.core.errors import AwsUnavailableError
from lambdas.release_lease.logic import Event

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_SOURCE = "vbr-privatelink"
# PutEvents takes so many at once.
_MOST = 10


class EventBridgeEvents:
    """Events of the product."""

    def __init__(self, client: "EventBridgeClient") -> None:
        self._client = client

    def put(self, events: Sequence[Event]) -> None:
        """Send all; what EventBridge could not take it says in its answer, not as an error."""
        for first in range(0, len(events), _MOST):
            answer = self._client.put_events(
                Entries=[
                    {"Source": _SOURCE, "DetailType": event.kind, "Detail": json.dumps(event.detail)}
                    for event in events[first : first + _MOST]
                ]
            )
            if answer["FailedEntryCount"]:
                raise AwsUnavailableError(f"PutEvents: {answer['FailedEntryCount']} events were not taken")
