"""
What a run replaces, kept in the item of its lease: `replaced_policies` {execution, policies}.

A bucket without a policy is kept as an empty text.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from lambdas.attach_bucket_policy.logic import Policy
from lambdas.core.errors import LeaseLostError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbReplacedPolicies:
    """The replaced policies of one run of one site."""

    def __init__(self, client: "DynamoDBClient", *, table: str, site: str, execution: str) -> None:
        self._client = client
        self._table = table
        self._site = site
        self._execution = execution

    def remember(self, policies: Mapping[str, Policy | None]) -> None:
        """Keep the first image of a run; raises LeaseLostError when the site is another run's by now."""
        kept: dict[str, Any] = {
            "M": {
                "execution": {"S": self._execution},
                "policies": {
                    "M": {
                        bucket: {"S": "" if policy is None else json.dumps(policy)}
                        for bucket, policy in policies.items()
                    }
                },
            }
        }
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"site": {"S": self._site}},
                UpdateExpression="SET #replaced = :kept",
                ConditionExpression=(
                    "#lease.#execution = :me AND "
                    "(attribute_not_exists(#replaced) OR #replaced.#execution <> :me)"
                ),
                ExpressionAttributeNames={
                    "#lease": "lease",
                    "#execution": "execution",
                    "#replaced": "replaced_policies",
                },
                ExpressionAttributeValues={":kept": kept, ":me": {"S": self._execution}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            item = cast("dict[str, Any]", error.response.get("Item", {}))
            holder = item.get("lease", {}).get("M", {}).get("execution", {}).get("S")
            if holder != self._execution:
                raise LeaseLostError(
                    f"site {self._site} is held by {holder or 'nobody'} now; this run must not change it"
                ) from error

    def recall(self) -> Mapping[str, Policy | None]:
        """Return what this run has replaced, and nothing that another run has."""
        answer = self._client.get_item(
            TableName=self._table, Key={"site": {"S": self._site}}, ConsistentRead=True
        )
        kept = cast("dict[str, Any]", answer.get("Item", {})).get("replaced_policies", {}).get("M", {})
        if kept.get("execution", {}).get("S") != self._execution:
            return {}
        return {
            bucket: json.loads(text["S"]) if text["S"] else None
            for bucket, text in kept["policies"]["M"].items()
        }
