"""Reasons for wildcards in resources, as cdk-nag wants them."""

from collections.abc import Sequence

from aws_cdk import Stack, Token


def explained(stack: Stack, resources: Sequence[str], reason: str) -> dict[str, str]:
    """
    Say why these resources end in a wildcard, by the ids under which cdk-nag reports them.

    The stack of a StackSet knows neither its Region nor its account.
    """
    return {f"Resource::{_reported(stack, resource)}": reason for resource in resources if "*" in resource}


def _reported(stack: Stack, resource: str) -> str:
    for token, reported in (
        (stack.partition, "<AWS::Partition>"),
        (stack.region, "<AWS::Region>"),
        (stack.account, "<AWS::AccountId>"),
    ):
        if Token.is_unresolved(token):
            resource = resource.replace(token, reported)
    return resource
