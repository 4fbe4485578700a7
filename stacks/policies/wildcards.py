"""Reasons for wildcards in resources, as cdk-nag wants them."""

from collections.abc import Sequence

from aws_cdk import Stack


def explained(stack: Stack, resources: Sequence[str], reason: str) -> dict[str, str]:
    """Say why these resources end in a wildcard, by the ids under which cdk-nag reports them."""
    return {
        f"Resource::{resource.replace(stack.partition, '<AWS::Partition>')}": reason
        for resource in resources
        if "*" in resource
    }
