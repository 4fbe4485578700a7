"""Event buses of many accounts: who may put, whose event it is, and where a refused one stays."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import Credentials, EmbeddedAws, Organization
from sandbox.aws.testing import allow, trust, wait_until

HUB, MANAGEMENT, OUTSIDE = "111122223333", "999988887777", "444455556666"
SPOKE, OTHER = "100000000001", "100000000002"
HERE, THERE = "ap-northeast-1", "ap-northeast-3"
BUS = f"arn:aws:events:{HERE}:{HUB}:event-bus/hub"
NEWS = {"Source": "site", "DetailType": "Status", "Detail": json.dumps({"account": "999999999999"})}


@pytest.fixture(name="organization", scope="module")
def _organization(aws: EmbeddedAws) -> Organization:
    organization = aws.create_organization(MANAGEMENT, delegated_administrator=HUB)
    organization.add_account(SPOKE)
    organization.add_account(OTHER)
    return organization


@pytest.fixture(name="heard", scope="module")
def _heard(aws: EmbeddedAws, organization: Organization) -> Any:
    """Make the hub's bus for the organization, and a queue behind it; return what reads the queue."""
    events = aws.client("events")
    events.create_event_bus(Name="hub")
    statement = {
        "Sid": "organization",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "events:PutEvents",
        "Resource": BUS,
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization.id}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    events.put_permission(EventBusName="hub", Policy=policy)
    return queue_behind(aws, HUB, HERE, "heard", bus="hub")


def queue_behind(aws: EmbeddedAws, account: str, region: str, name: str, *, bus: str = "default") -> Any:
    """Put a queue behind a rule of its own; return what empties it."""
    sqs = aws.client("sqs", aws.root(account), region=region)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{region}:{account}:{name}"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(_to_queue(arn))})
    events = aws.client("events", aws.root(account), region=region)
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["site"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])

    def read() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    return read


def _to_queue(arn: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def forwarding(
    aws: EmbeddedAws,
    account: str,
    region: str,
    name: str,
    policy: dict[str, Any] | None,
    *,
    target: str = BUS,
) -> Any:
    """Let the account's default bus hand its events on under a role; return its dead letters' reader."""
    iam = aws.client("iam", aws.root(account))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust("events.amazonaws.com")))[
        "Role"
    ]["Arn"]
    if policy is not None:
        iam.put_role_policy(RoleName=name, PolicyName="put", PolicyDocument=json.dumps(policy))
    sqs = aws.client("sqs", aws.root(account), region=region)
    arn = f"arn:aws:sqs:{region}:{account}:dead-{name}"
    url = sqs.create_queue(QueueName=f"dead-{name}", Attributes={"Policy": json.dumps(_to_queue(arn))})[
        "QueueUrl"
    ]
    events = aws.client("events", aws.root(account), region=region)
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["site"]}))
    events.put_targets(
        Rule=name, Targets=[{"Id": "hub", "Arn": target, "RoleArn": role, "DeadLetterConfig": {"Arn": arn}}]
    )
    return lambda: sqs.receive_message(QueueUrl=url).get("Messages", [])


def put(aws: EmbeddedAws, account: str, *, region: str = HERE, **entry: str) -> dict[str, Any]:
    """Put one event as the account's root."""
    events = aws.client("events", aws.root(account), region=region)
    answer: dict[str, Any] = events.put_events(Entries=[{**NEWS, **entry}])
    return answer


def heard_soon(read: Any) -> dict[str, Any]:
    """Wait for one event."""
    found: list[dict[str, Any]] = []

    def came() -> bool:
        found.extend(read())
        return bool(found)

    wait_until(came, what="an event came")
    [event] = found
    return event


@pytest.mark.parametrize("region", [HERE, THERE])
def test_the_envelope_says_whose_event_it_is(aws: EmbeddedAws, heard: Any, region: str) -> None:
    """Whatever the event says of itself."""
    forwarding(aws, SPOKE, region, f"told-{region}", allow("events:PutEvents", resource=BUS))
    put(aws, SPOKE, region=region)
    event = heard_soon(heard)

    assert (event["account"], event["region"]) == (SPOKE, region)
    assert event["detail"] == {"account": "999999999999"}
    aws.client("events", aws.root(SPOKE), region=region).disable_rule(Name=f"told-{region}")


REFUSED = {
    "outside": (OUTSIDE, allow("events:PutEvents", resource=BUS), "no resource-based policy"),
    "not-allowed": (OTHER, None, "no identity-based policy"),
    "another-bus": (OTHER, allow("events:PutEvents", resource=f"{BUS}-other"), "no identity-based policy"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_stays_with_its_sender(aws: EmbeddedAws, heard: Any, case: str) -> None:
    """Outside the organization the bus refuses; inside it the sender's role has to be allowed."""
    account, policy, reason = REFUSED[case]
    dead = forwarding(aws, account, HERE, case, policy)
    put(aws, account)
    wait_until(lambda: bool(dead()), what="the event is in the dead-letter queue")

    assert heard() == []
    assert reason in aws.delivery_failures[-1]
    aws.client("events", aws.root(account)).disable_rule(Name=case)


def test_an_event_may_be_put_on_another_accounts_bus(aws: EmbeddedAws, heard: Any) -> None:
    """The whole call is refused where the bus doesn't let the caller in."""
    assert put(aws, OTHER, EventBusName=BUS)["FailedEntryCount"] == 0
    assert heard_soon(heard)["account"] == OTHER
    with pytest.raises(ClientError, match="no resource-based policy allows the events:PutEvents action"):
        put(aws, OUTSIDE, EventBusName=BUS)

    assert heard() == []


def test_a_bus_lets_in_one_role_with_some_events(aws: EmbeddedAws, organization: Organization) -> None:
    """From the hub a site is started by an event to its account's own bus."""
    del organization
    target = f"arn:aws:events:{THERE}:{SPOKE}:event-bus/default"
    asked = queue_behind(aws, SPOKE, THERE, "asked")
    sts, iam = aws.client("sts"), aws.client("iam")
    trusted = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    clients: dict[str, Any] = {}
    for name in ("requesting", "unknown"):
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        iam.put_role_policy(
            RoleName=name, PolicyName="put", PolicyDocument=json.dumps(allow("events:PutEvents"))
        )
        keys = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
        session = aws.session(_credentials(keys), region=THERE)
        clients[name] = session.client("events", endpoint_url=aws.endpoint_url, verify=str(aws.ca_file))
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": "events:PutEvents",
        "Resource": target,
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{HUB}:role/requesting"},
            "ForAllValues:StringEquals": {"events:source": "site", "events:detail-type": ["Status"]},
        },
    }
    properties = {"StatementId": "hub", "Statement": statement}
    template = {"Resources": {"Policy": {"Type": "AWS::Events::EventBusPolicy", "Properties": properties}}}
    aws.deploy_template("asked", template, account_id=SPOKE, region=THERE)
    entry: Any = {**NEWS, "EventBusName": target}

    assert clients["requesting"].put_events(Entries=[entry])["FailedEntryCount"] == 0
    assert heard_soon(asked)["account"] == HUB
    for name, kind in (("unknown", "Status"), ("requesting", "Other")):
        with pytest.raises(ClientError, match="not authorized to perform: events:PutEvents"):
            clients[name].put_events(Entries=[{**entry, "DetailType": kind}])
    assert asked() == []
    for client in clients.values():
        client.close()


def _credentials(keys: dict[str, Any]) -> Credentials:
    return Credentials(
        access_key_id=keys["AccessKeyId"],
        secret_access_key=keys["SecretAccessKey"],
        session_token=keys["SessionToken"],
    )


def test_nothing_is_handed_on_to_a_third_account(aws: EmbeddedAws, heard: Any) -> None:
    """EventBridge hands an event of another account on no further."""
    third = f"arn:aws:events:{HERE}:{MANAGEMENT}:event-bus/default"
    statement = {
        "Sid": "all",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": "events:PutEvents",
        "Resource": third,
    }
    management = aws.client("events", aws.root(MANAGEMENT))
    management.put_permission(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    read = queue_behind(aws, MANAGEMENT, HERE, "third")
    iam = aws.client("iam")
    role = iam.create_role(
        RoleName="third", AssumeRolePolicyDocument=json.dumps(trust("events.amazonaws.com"))
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="third", PolicyName="put", PolicyDocument=json.dumps(allow("events:PutEvents"))
    )
    events = aws.client("events")
    events.put_rule(Name="third", EventBusName="hub", EventPattern=json.dumps({"source": ["site"]}))
    events.put_targets(
        Rule="third", EventBusName="hub", Targets=[{"Id": "third", "Arn": third, "RoleArn": role}]
    )
    put(aws, OTHER, EventBusName=BUS)
    wait_until(lambda: "not handed on to a third" in aws.delivery_failures[-1], what="it was held back")
    assert heard_soon(heard)["account"] == OTHER
    assert read() == []
    put(aws, HUB, EventBusName="hub")

    assert heard_soon(read)["account"] == HUB
