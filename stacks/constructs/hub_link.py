"""
A site's way to the hub and back: events out, requests in, and nothing else.

There is no role that the hub could assume. A request is an event on the account's own bus, which lets one
role of the hub's account put three kinds of events; the hub's bus accepts what the sites say of themselves.
"""

from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.policies.fleet import NEWS, REQUESTS, SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAddress:
    """Where the hub is: its account, its bus, and the one role whose requests are accepted."""

    account_id: str
    event_bus_arn: str
    requesting_role_arn: str


class HubLink(Construct):
    """Tells the hub, and listens to it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        hub: HubAddress,
        start: events.IRuleTarget,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "TellTheHub",
            assumed_by=iam.ServicePrincipal("events.amazonaws.com"),
            description="EventBridge passes on to the hub what the sites say of themselves",
        )
        role.add_to_policy(
            iam.PolicyStatement(sid="TellTheHub", actions=["events:PutEvents"], resources=[hub.event_bus_arn])
        )
        events.Rule(
            self,
            "News",
            description="Tells the hub what the sites say of themselves",
            event_pattern=events.EventPattern(
                # Not what somebody else was allowed to put on this bus.
                account=[stack.account],
                source=[SOURCE],
                detail_type=list(NEWS),
            ),
            targets=[
                targets.EventBus(
                    events.EventBus.from_event_bus_arn(self, "Hub", hub.event_bus_arn),
                    role=role.without_policy_updates(),
                    dead_letter_queue=undelivered,
                )
            ],
        )
        events.CfnEventBusPolicy(
            self,
            "HubMayAsk",
            statement_id=f"{SOURCE}-hub-may-ask",
            statement={
                "Effect": "Allow",
                # The account, and its role as a condition: a role's own ARN as the principal would be
                # refused while the role isn't there, and be worth nothing once it was made anew.
                "Principal": {"AWS": f"arn:{stack.partition}:iam::{hub.account_id}:root"},
                "Action": "events:PutEvents",
                "Resource": stack.format_arn(service="events", resource="event-bus", resource_name="default"),
                "Condition": {
                    "ArnEquals": {"aws:PrincipalArn": hub.requesting_role_arn},
                    "ForAllValues:StringEquals": {
                        "events:source": SOURCE,
                        "events:detail-type": list(REQUESTS),
                    },
                },
            },
        )
        events.Rule(
            self,
            "Asked",
            description="The hub wants something of a site",
            event_pattern=events.EventPattern(
                account=[hub.account_id], source=[SOURCE], detail_type=list(REQUESTS)
            ),
            targets=[start],
        )
