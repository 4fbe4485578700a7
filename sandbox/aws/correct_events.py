"""
Rules deliver.

moto: a rule has five kinds of target, none of them a function or a state machine; a schedule matches every
event; anybody may send an event of `aws.ssm`; a bus that is named by the ARN of another account is looked
for in the caller's own; a statement of a bus's policy takes the place of any other with the same principal.
AWS: see `event_delivery.py`; a schedule matches none; sources that begin with `aws.` are AWS's own; an
event for another account's bus goes there, with the caller's account in its envelope (whether it may, the
gateway has asked); statements are told apart by their Sid.
"""

import collections
import datetime as dt
import json
import uuid
from typing import Any

from moto.events.models import EventBus, EventsBackend, Rule, events_backends

from sandbox.aws.event_delivery import EventDelivery
from sandbox.aws.moto_pin import Corrections


def apply(corrections: Corrections, delivery: EventDelivery) -> None:
    """Let *delivery* do what rules do."""

    def send(self: Any, original_event: Any, transform_input: bool = True) -> None:  # noqa: ARG001
        delivery.offer(self, original_event)

    def put_events(self: Any, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refused = {
            index for index, event in enumerate(events) if str(event.get("Source") or "").startswith("aws.")
        }
        foreign = {
            index: event
            for index, event in enumerate(events)
            if index not in refused and _is_foreign(self, str(event.get("EventBusName") or ""))
        }
        own = [event for index, event in enumerate(events) if index not in refused and index not in foreign]
        results = collections.deque(original(self, own))
        denied = {
            "ErrorCode": "NotAuthorizedForSourceException",
            "ErrorMessage": "Not authorized for the source.",
        }
        return [
            denied
            if index in refused
            else put_elsewhere(self, foreign[index])
            if index in foreign
            else results.popleft()
            for index in range(len(events))
        ]

    def put_elsewhere(self: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Put one event on the bus of another account: its rules see the caller's account and Region."""
        if fault := _fault(event):
            return fault
        _, _, _, region, account_id, name = str(event["EventBusName"]).split(":", 5)
        bus = events_backends[account_id][region].event_buses.get(name.removeprefix("event-bus/"))
        if bus is None or region != self.region_name:
            text = f"Event bus {event['EventBusName']} does not exist."
            return {"ErrorCode": "ResourceNotFoundException", "ErrorMessage": text}
        whole = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": event["DetailType"],
            "source": event["Source"],
            "account": self.account_id,
            "time": event.get("Time", dt.datetime.now(dt.UTC).timestamp()),
            "region": self.region_name,
            "resources": event.get("Resources", []),
            "detail": json.loads(event["Detail"]),
        }
        for rule in list(bus.rules.values()):
            delivery.offer(rule, whole)
        return {"EventId": whole["id"]}

    corrections.replace(
        Rule, "send_to_targets", send, parameters=["self", "original_event", "transform_input"]
    )
    original = corrections.replace(EventsBackend, "put_events", put_events, parameters=["self", "events"])
    corrections.replace(
        EventBus, "_remove_principals_statements", lambda *_: None, parameters=["self", "principals"]
    )


def _is_foreign(backend: Any, bus: str) -> bool:
    return bus.startswith("arn:") and bus.split(":")[3:5] != [backend.region_name, backend.account_id]


def _fault(event: dict[str, Any]) -> dict[str, Any] | None:
    """Say what an entry lacks, as PutEvents does."""
    for name in ("Source", "DetailType", "Detail"):
        if not event.get(name):
            text = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": text}
    try:
        json.loads(event["Detail"])
    except ValueError:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None
