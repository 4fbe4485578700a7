"""EventBridge: patterns, inputs, targets, permissions, schedules, and the events of AWS's own services."""

import json
from typing import Any

import pytest

from sandbox.aws import EmbeddedAws
from sandbox.aws.event_input import EventInputError, at_path, input_of
from sandbox.aws.testing import allow, trust, wait_until
from tests.sandbox.aws.templates import function, stack

QUEUE = "arn:aws:sqs:ap-northeast-1:111122223333:"
EVENT = {
    "source": "vbr-privatelink",
    "detail-type": "Provision Requested",
    "resources": ["one", "two"],
    "detail": {"site": 'to"kyo', "list": [1, {"a": "b"}]},
}


class Queues:
    """Queues that EventBridge may put into."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.sqs = aws.client("sqs")
        self._events = aws.client("events")

    def behind_rule(self, name: str, pattern: dict[str, Any], *, bus: str = "default", **target: Any) -> str:
        """Make a queue *name* and a rule that delivers to it; return the queue's URL."""
        url = str(self.sqs.create_queue(QueueName=name)["QueueUrl"])
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": QUEUE + name,
            "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:*:111122223333:rule/*{name}"}},
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        self._events.put_rule(Name=name, EventPattern=json.dumps(pattern), EventBusName=bus)
        self._events.put_targets(
            Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": QUEUE + name, **target}]
        )
        return url

    def messages(self, url: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for *count* messages and return them, parsed."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            found.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
            return len(found) >= count

        wait_until(enough, what=f"{count} messages in {url}")
        return found


@pytest.fixture(name="queues", scope="module")
def _queues(aws: EmbeddedAws) -> Queues:
    return Queues(aws)


def role(aws: EmbeddedAws, name: str, policy: dict[str, Any]) -> str:
    """Make a role for EventBridge."""
    iam = aws.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust("events.amazonaws.com")))[
        "Role"
    ]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    return str(arn)


def machine(aws: EmbeddedAws, name: str) -> str:
    """Make a machine that does nothing."""
    iam = aws.client("iam")
    arn = iam.create_role(
        RoleName=f"{name}-machine", AssumeRolePolicyDocument=json.dumps(trust("states.amazonaws.com"))
    )["Role"]["Arn"]
    definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    made = aws.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=arn
    )
    return str(made["stateMachineArn"])


def test_the_input_is_the_event_unless_the_target_says_otherwise() -> None:
    """Input, InputPath, InputTransformer."""
    path = {"InputPath": "$.detail"}
    transformer = {
        "InputTransformer": {
            "InputPathsMap": {"site": "$.detail.site", "first": "$.resources[0]", "none": "$.detail.none"},
            "InputTemplate": '{"site": <site>, "text": "site <site> of <first>", "none": <none>}',
        }
    }

    assert json.loads(input_of({}, EVENT, rule_arn="")) == EVENT
    assert json.loads(input_of({"Input": '{"a": 1}'}, EVENT, rule_arn="")) == {"a": 1}
    assert json.loads(input_of(path, EVENT, rule_arn="")) == EVENT["detail"]
    assert json.loads(input_of(transformer, EVENT, rule_arn="")) == {
        "site": 'to"kyo',
        "text": 'site to"kyo of one',
        "none": None,
    }


def test_templates_may_be_text_and_use_eventbridges_own_names() -> None:
    """A plain text template arrives as a JSON string."""
    text = {"InputTransformer": {"InputPathsMap": {"site": "$.detail-type"}, "InputTemplate": "got <site>"}}
    own = {
        "InputTransformer": {
            "InputTemplate": '{"rule": <aws.events.rule-name>, "all": <aws.events.event.json>}'
        }
    }

    assert json.loads(input_of(text, EVENT, rule_arn="")) == "got Provision Requested"
    assert json.loads(input_of(own, EVENT, rule_arn="arn:aws:events:r:a:rule/mine")) == {
        "rule": "mine",
        "all": EVENT,
    }


def test_input_errors_are_errors() -> None:
    """A name without a path, a path that EventBridge doesn't know."""
    with pytest.raises(EventInputError):
        input_of({"InputTransformer": {"InputTemplate": "{<unknown>}"}}, EVENT, rule_arn="")
    with pytest.raises(EventInputError):
        at_path(EVENT, "$..site")


@pytest.mark.parametrize(
    ("number", "condition", "matches"),
    [
        (1, ["tokyo"], True),
        (2, [{"prefix": "tok"}], True),
        (3, [{"wildcard": "t*o"}], True),
        (4, [{"wildcard": "t*x"}], False),
        (5, [{"anything-but": ["osaka"]}], True),
        (6, [{"anything-but": ["tokyo"]}], False),
        (7, [{"anything-but": {"prefix": "tok"}}], False),
        (8, [{"exists": False}], False),
        (9, ["osaka", {"suffix": "kyo"}], True),
    ],
)
def test_patterns_match_as_on_aws(
    aws: EmbeddedAws,
    queues: Queues,
    number: int,
    condition: list[Any],
    matches: bool,
) -> None:
    """A second rule without the condition tells when the event has passed."""
    name = f"pattern-{number}"
    url = queues.behind_rule(name, {"source": [name], "detail": {"site": condition}})
    witness = queues.behind_rule(f"{name}-witness", {"source": [name]})
    aws.client("events").put_events(
        Entries=[{"Source": name, "DetailType": "t", "Detail": '{"site": "tokyo"}'}]
    )
    queues.messages(witness)
    found = queues.sqs.receive_message(QueueUrl=url).get("Messages", [])
    if matches and not found:
        found = queues.messages(url)

    assert bool(found) is matches


def test_an_event_is_shaped_like_awss(aws: EmbeddedAws, queues: Queues) -> None:
    """On a bus of its own, with the time as text."""
    aws.client("events").create_event_bus(Name="own")
    url = queues.behind_rule("shape", {"source": ["shape"]}, bus="own")
    aws.client("events").put_events(
        Entries=[{"Source": "shape", "DetailType": "T", "Detail": "{}", "EventBusName": "own"}]
    )
    event = queues.messages(url)[0]

    assert set(event) == {
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    }
    assert (event["account"], event["region"]) == ("111122223333", "ap-northeast-1")
    assert event["time"].endswith("Z")


def test_parameter_store_tells_of_puts_and_deletes(aws: EmbeddedAws, queues: Queues) -> None:
    """A changed report starts the workflow."""
    pattern = {
        "source": ["aws.ssm"],
        "detail-type": ["Parameter Store Change"],
        "detail": {"name": [{"wildcard": "/vbr-privatelink/*/adoption/*"}]},
    }
    url = queues.behind_rule("reports", pattern)
    ssm = aws.client("ssm")
    name = "/vbr-privatelink/tokyo/adoption/vbr-01"
    ssm.put_parameter(Name="/vbr-privatelink/tokyo/endpoint", Value="v", Type="String")
    ssm.put_parameter(Name=name, Value="1", Type="String")
    ssm.put_parameter(Name=name, Value="2", Type="String", Overwrite=True)
    ssm.delete_parameter(Name=name)
    details = [message["detail"] for message in queues.messages(url, 3)]

    assert sorted(detail["operation"] for detail in details) == ["Create", "Delete", "Update"]
    assert {detail["name"] for detail in details} == {name}
    assert {detail["type"] for detail in details} == {"String"}


def test_a_rule_starts_a_machine_under_its_role(aws: EmbeddedAws) -> None:
    """And is missed when the role may not."""
    arn = machine(aws, "started")
    able = role(aws, "able", allow("states:StartExecution", resource=arn))
    unable = role(aws, "unable", allow("states:DescribeExecution"))
    events, states = aws.client("events"), aws.client("stepfunctions")
    events.put_rule(Name="starts", EventPattern=json.dumps({"source": ["starts"]}))
    events.put_targets(
        Rule="starts",
        Targets=[
            {"Id": "able", "Arn": arn, "RoleArn": able, "InputPath": "$.detail"},
            {"Id": "unable", "Arn": arn, "RoleArn": unable},
        ],
    )
    events.put_events(Entries=[{"Source": "starts", "DetailType": "t", "Detail": '{"site": "tokyo"}'}])
    wait_until(
        lambda: bool(states.list_executions(stateMachineArn=arn)["executions"]),
        what="an execution has started",
    )
    wait_until(
        lambda: any("unable" in failure for failure in aws.delivery_failures), what="the refusal is kept"
    )
    executions = states.list_executions(stateMachineArn=arn)["executions"]
    described = states.describe_execution(executionArn=executions[0]["executionArn"])

    assert len(executions) == 1
    assert json.loads(described["input"]) == {"site": "tokyo"}
    started = [line for line in aws.requests() if line["action"] == "StartExecution"]
    assert [line["source"] for line in started] == ["events", "events"]


def test_machines_tell_of_their_start_and_end(aws: EmbeddedAws, queues: Queues) -> None:
    """The failure topic and the hub listen to these."""
    arn = machine(aws, "telling")
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [arn]}}
    url = queues.behind_rule("telling", pattern)
    aws.client("stepfunctions").start_execution(stateMachineArn=arn, name="one", input='{"a": 1}')
    messages = {message["detail"]["status"]: message for message in queues.messages(url, 2)}
    ended = messages["SUCCEEDED"]

    assert set(messages) == {"RUNNING", "SUCCEEDED"}
    assert ended["detail-type"] == "Step Functions Execution Status Change"
    assert ended["resources"] == [ended["detail"]["executionArn"]]
    assert ended["detail"]["name"] == "one"
    assert json.loads(ended["detail"]["input"]) == json.loads(ended["detail"]["output"]) == {"a": 1}
    assert ended["detail"]["stopDate"] >= ended["detail"]["startDate"]


def test_a_function_is_called_only_with_its_permission(aws: EmbeddedAws) -> None:
    """AWS::Lambda::Permission is what lets EventBridge in."""
    code = "def handler(event, context):\n    print('called-for', event['detail']['who'])"
    permission = {
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Fn::GetAtt": ["Fn", "Arn"]},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
            },
        }
    }
    rule = {
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {"source": ["calls"]},
                "State": "ENABLED",
                "Targets": [{"Id": "fn", "Arn": {"Fn::GetAtt": ["Fn", "Arn"]}}],
            },
        }
    }
    permitted = aws.deploy_template("permitted", stack(function(code), rule, permission))["Function"]
    refused = aws.deploy_template("refused", stack(function(code), rule))["Function"]
    aws.client("events").put_events(
        Entries=[{"Source": "calls", "DetailType": "t", "Detail": '{"who": "everybody"}'}]
    )
    logs = aws.options.state / "aws" / "lambda"
    wait_until(lambda: (logs / f"{permitted}.log").exists(), what="the permitted function ran")
    wait_until(
        lambda: any(refused in failure for failure in aws.delivery_failures), what="the refusal is kept"
    )

    assert "called-for everybody" in (logs / f"{permitted}.log").read_text()
    assert not (logs / f"{refused}.log").exists()


def test_what_can_not_be_delivered_goes_to_the_dead_letters(aws: EmbeddedAws, queues: Queues) -> None:
    """A topic whose policy doesn't let EventBridge in."""
    topic = aws.client("sns").create_topic(Name="closed")["TopicArn"]
    url = queues.behind_rule("dead", {"source": ["never"]})
    aws.client("events").put_rule(Name="fails-dead", EventPattern=json.dumps({"source": ["fails"]}))
    aws.client("events").put_targets(
        Rule="fails-dead",
        Targets=[{"Id": "topic", "Arn": topic, "DeadLetterConfig": {"Arn": f"{QUEUE}dead"}}],
    )
    aws.client("events").put_events(Entries=[{"Source": "fails", "DetailType": "t", "Detail": "{}"}])

    assert queues.messages(url)[0]["source"] == "fails"


def test_a_topic_hands_on_to_its_subscribers(aws: EmbeddedAws, queues: Queues) -> None:
    """The failure topic of the stack."""
    url = str(queues.sqs.create_queue(QueueName="subscriber")["QueueUrl"])
    resources = {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {}},
        "TopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [{"Ref": "Topic"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sns:Publish",
                            "Resource": {"Ref": "Topic"},
                        }
                    ],
                },
            },
        },
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "sqs", "Endpoint": f"{QUEUE}subscriber"},
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {"source": ["topical"]},
                "Targets": [{"Id": "topic", "Arn": {"Ref": "Topic"}}],
            },
        },
    }
    aws.deploy_template("topic", {"Resources": resources})
    aws.client("events").put_events(Entries=[{"Source": "topical", "DetailType": "t", "Detail": "{}"}])

    assert json.loads(queues.messages(url)[0]["Message"])["source"] == "topical"


def test_a_schedule_fires_when_told_and_matches_no_event(aws: EmbeddedAws) -> None:
    """A test moves the clock; and moto lets a rule without pattern match everything."""
    arn = machine(aws, "scheduled")
    may = role(aws, "may-schedule", allow("states:StartExecution", resource=arn))
    events, states = aws.client("events"), aws.client("stepfunctions")
    events.put_rule(Name="hourly", ScheduleExpression="rate(1 hour)")
    events.put_targets(
        Rule="hourly", Targets=[{"Id": "m", "Arn": arn, "RoleArn": may, "Input": '{"tick": 1}'}]
    )
    events.put_events(Entries=[{"Source": "any", "DetailType": "t", "Detail": "{}"}])
    aws.fire_schedule("hourly")
    wait_until(
        lambda: bool(states.list_executions(stateMachineArn=arn)["executions"]),
        what="an execution has started",
    )
    executions = states.list_executions(stateMachineArn=arn)["executions"]

    assert [states.describe_execution(executionArn=one["executionArn"])["input"] for one in executions] == [
        '{"tick": 1}'
    ]


def test_nobody_sends_events_of_aws(aws: EmbeddedAws) -> None:
    """Otherwise anyone could pretend that a report had changed."""
    entries = [
        {"Source": "aws.ssm", "DetailType": "t", "Detail": "{}"},
        {"Source": "mine", "DetailType": "t", "Detail": "{}"},
    ]
    results = aws.client("events").put_events(Entries=entries)["Entries"]

    assert results[0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert results[1]["EventId"]
