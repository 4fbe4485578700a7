"""Who may publish to the topic: a policy without conditions would let in AWS services on anybody's behalf."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns


def let_the_rule_tell(topic: sns.ITopic, rule_arn: str) -> iam.PolicyStatement:
    """The one rule; without the condition, a rule of any account could send its mails through this topic."""
    return iam.PolicyStatement(
        sid="LetTheRuleTell",
        principals=[iam.ServicePrincipal("events.amazonaws.com")],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
    )


def let_alarms_tell(topic: sns.ITopic, stack: Stack) -> iam.PolicyStatement:
    """The account's own alarms (Amazon CloudWatch User Guide, "Notify Amazon SNS")."""
    return iam.PolicyStatement(
        sid="LetAlarmsTell",
        principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {
                "aws:SourceArn": f"arn:{stack.partition}:cloudwatch:{stack.region}:{stack.account}:alarm:*"
            },
        },
    )
