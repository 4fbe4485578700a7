"""
EventBridge delivers: rules start state machines, call functions, and put into topics, queues, buses and log
groups.

A delivery happens in the background, as on AWS; one that can't be made goes to the target's dead-letter
queue and is remembered in `failures`. A state machine is started under the target's role and through the
front door, so that a role without `states:StartExecution` fails here.

An event that a rule hands on to a bus of another account or Region keeps its envelope: account and Region
are those of whoever put it first. What came from another account is not handed on to a third.
"""

import datetime as dt
import json
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.events.models import events_backends
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.aws import authorization
from sandbox.aws.event_input import input_of

LOGGER = logging.getLogger(__name__)

SERVICE = "events.amazonaws.com"
WORKERS = 4
CALLS = 3
"""How often Lambda calls a function with an event that nobody waits for."""

ClientFor = Callable[[str, str, str, str], Any]
"""Role ARN, service, region, source → boto3 client."""
Invoke = Callable[[Any, Any], Any]
"""moto's function, event → outcome."""


class DeliveryError(Exception):
    """A target refused an event or can't be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A delivery that didn't happen."""

    rule_arn: str
    target_arn: str
    reason: str


class EventDelivery:
    """Matches events with rules and hands them to targets, on a few threads of its own."""

    def __init__(self, *, client_for: ClientFor, invoke: Invoke) -> None:
        self._client_for = client_for
        self._invoke = invoke
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(WORKERS)]
        self.failures: list[Failure] = []
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Drop what is still waiting and end the threads."""
        while True:
            try:
                self._work.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(5)

    def emit(
        self,
        *,
        account_id: str,
        region: str,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: list[str],
    ) -> None:
        """Put an event of an AWS service on the default bus of an account."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": account_id,
            "time": _iso(dt.datetime.now(dt.UTC)),
            "region": region,
            "resources": resources,
            "detail": dict(detail),
        }
        backend = events_backends[account_id][region]
        for rule in list(backend.event_buses["default"].rules.values()):
            self.offer(rule, event)

    def offer(self, rule: Any, event: Mapping[str, Any]) -> None:
        """Deliver *event* to the targets of *rule* if the rule's pattern matches."""
        # A schedule has no pattern; moto lets it match everything.
        if rule.state != "ENABLED" or not rule.event_pattern.get_pattern():
            return
        tidy = as_event(event)
        if rule.event_pattern.matches_event(tidy):
            self.deliver(rule, tidy)

    def fire(self, rule: Any) -> None:
        """Let a schedule rule fire now."""
        if not rule.scheduled_expression:
            raise DeliveryError(f"{rule.arn} has no schedule")
        if rule.state != "ENABLED":
            raise DeliveryError(f"{rule.arn} is disabled")
        self.deliver(
            rule,
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": rule.account_id,
                "time": _iso(dt.datetime.now(dt.UTC)),
                "region": rule.region_name,
                "resources": [rule.arn],
                "detail": {},
            },
        )

    def deliver(self, rule: Any, event: Mapping[str, Any]) -> None:
        """Hand *event* to every target of *rule*, in the background."""
        for target in list(rule.targets):
            self._work.put(lambda target=target: self._deliver(rule, target, event))  # type: ignore[misc]

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _deliver(self, rule: Any, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        try:
            text = input_of(target, event, rule_arn=rule.arn)
            self._send(rule, target, text, event)
        except Exception as error:  # noqa: BLE001 - the boundary of a thread: a failed delivery is kept, not lost
            LOGGER.warning("%s could not deliver to %s: %s", rule.arn, target["Arn"], error)
            self.failures.append(Failure(rule_arn=rule.arn, target_arn=str(target["Arn"]), reason=str(error)))
            self._to_dead_letters(rule, target, event, str(error))

    def _send(self, rule: Any, target: Mapping[str, Any], text: str, event: Mapping[str, Any]) -> None:
        arn = str(target["Arn"])
        _, _, service, region, account_id, resource = arn.split(":", 5)
        match service:
            case "states":
                if not target.get("RoleArn"):
                    raise DeliveryError(f"the target {arn} has no role")
                client = self._client_for(str(target["RoleArn"]), "stepfunctions", region, rule.arn)
                client.start_execution(stateMachineArn=arn, name=str(uuid.uuid4()), input=text)
            case "lambda":
                function = lambda_backends[account_id][region].get_function(arn)
                document = {"Version": "2012-10-17", "Statement": function.policy.statements}
                self._require(
                    document if function.policy.statements else None, "lambda:InvokeFunction", arn, rule.arn
                )
                self._call(function, json.loads(text))
            case "sns":
                topic = sns_backends[account_id][region].get_topic(arn)
                self._require(json.loads(topic.policy), "sns:Publish", arn, rule.arn)
                sns_backends[account_id][region].publish(message=text, arn=arn)
            case "sqs":
                self._to_queue(rule, arn, text)
            case "logs":
                self._to_log_group(
                    account_id, region, resource.removeprefix("log-group:").removesuffix(":*"), text
                )
            case "events" if resource.startswith("event-bus/"):
                self._to_bus(
                    rule, target, event, account_id=account_id, region=region, name=resource.split("/", 1)[1]
                )
            case _:
                raise DeliveryError(f"the sandbox doesn't deliver to {service} ({arn})")

    def _call(self, function: Any, event: Any) -> None:
        """
        Call a function without waiting for it: Lambda tries a failed call twice more, and puts an event
        that it could not handle into the function's own queue.
        """
        for _ in range(CALLS):
            outcome = self._invoke(function, event)
            if not outcome.failed:
                return
        arn = function.function_arn
        LOGGER.warning("%s could not handle an event: %s", arn, outcome.payload)
        self.failures.append(Failure(rule_arn=arn, target_arn=arn, reason=outcome.payload))
        dead_letters = getattr(function, "dead_letters", None)
        if dead_letters:
            authorization.role_may(
                authorization.session_of(function.role), "sqs:SendMessage", str(dead_letters)
            )
            _, _, _, region, account_id, name = str(dead_letters).split(":", 5)
            sqs_backends[account_id][region].send_message(queue_name=name, message_body=json.dumps(event))

    def _to_queue(self, rule: Any, arn: str, text: str) -> None:
        _, _, _, region, account_id, name = arn.split(":", 5)
        found = sqs_backends[account_id][region].get_queue(name)
        policy = found.policy
        self._require(
            json.loads(policy) if isinstance(policy, str) else policy, "sqs:SendMessage", arn, rule.arn
        )
        sqs_backends[account_id][region].send_message(queue_name=name, message_body=text)

    def _to_bus(
        self,
        rule: Any,
        target: Mapping[str, Any],
        event: Mapping[str, Any],
        *,
        account_id: str,
        region: str,
        name: str,
    ) -> None:
        arn = str(target["Arn"])
        bus = events_backends[account_id][region].event_buses.get(name)
        if bus is None:
            raise DeliveryError(f"there is no event bus {arn}")
        if (account_id, region) != (rule.account_id, rule.region_name):
            if event["account"] != rule.account_id:
                raise DeliveryError(f"the event came from {event['account']} and is not handed on to a third")
            if not target.get("RoleArn"):
                raise DeliveryError(f"the target {arn} has no role")
            authorization.may_forward_events(
                role_arn=str(target["RoleArn"]), bus_arn=bus.arn, rule_arn=rule.arn
            )
        for other in list(bus.rules.values()):
            self.offer(other, event)

    def _to_log_group(self, account_id: str, region: str, group: str, text: str) -> None:
        backend = logs_backends[account_id][region]
        stream = str(uuid.uuid4())
        backend.create_log_stream(group, stream)
        now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        backend.put_log_events(group, stream, [{"timestamp": now, "message": text}])

    def _require(self, document: Mapping[str, Any] | None, action: str, resource: str, rule_arn: str) -> None:
        if not authorization.may_invoke(
            document, SERVICE, action=action, resource=resource, source_arn=rule_arn
        ):
            raise DeniedTargetError(f"no resource-based policy lets {SERVICE} perform {action} on {resource}")

    def _to_dead_letters(
        self, rule: Any, target: Mapping[str, Any], event: Mapping[str, Any], reason: str
    ) -> None:
        dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
        if not dead_letters:
            return
        try:
            self._to_queue(rule, dead_letters, json.dumps(event))
        except Exception as error:  # noqa: BLE001 - as above; the first reason is kept already
            LOGGER.warning(
                "%s could not deliver to its dead-letter queue: %s (after: %s)", rule.arn, error, reason
            )


class DeniedTargetError(DeliveryError):
    """The target's own policy doesn't let EventBridge in."""


def as_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return *event* as AWS shows it: no internal fields, the time as text."""
    tidy = {key: value for key, value in event.items() if key != "ingestion-time"}
    time = tidy.get("time")
    if isinstance(time, int | float):
        tidy["time"] = _iso(dt.datetime.fromtimestamp(time, dt.UTC))
    return tidy


def _iso(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
