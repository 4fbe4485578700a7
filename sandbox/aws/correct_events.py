"""
Rules deliver.

moto: a rule has five kinds of target, none of them a function or a state machine; a schedule matches every
event; anybody may send an event of `aws.ssm`.
AWS: see `event_delivery.py`; a schedule matches none; sources that begin with `aws.` are AWS's own.
"""

from typing import Any

from moto.events.models import EventsBackend, Rule

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
        results = iter(original(self, [event for index, event in enumerate(events) if index not in refused]))
        denied = {
            "ErrorCode": "NotAuthorizedForSourceException",
            "ErrorMessage": "Not authorized for the source.",
        }
        return [denied if index in refused else next(results) for index in range(len(events))]

    corrections.replace(
        Rule, "send_to_targets", send, parameters=["self", "original_event", "transform_input"]
    )
    original = corrections.replace(EventsBackend, "put_events", put_events, parameters=["self", "events"])
