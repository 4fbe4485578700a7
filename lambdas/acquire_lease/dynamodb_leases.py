"""
The lease in DynamoDB: one item per site in the table `sites`.

    site        partition key
    intent      what the site should be; only an explicit request writes it
    lease       {execution}: the run at work
    successor   {execution, intent}: the run that waits
"""

from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from lambdas.acquire_lease.logic import Occupied, Taken

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbLeases:
    """Leases in one table; every method is one conditional UpdateItem."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def take(
        self, site: str, *, execution: str, intent: str | None, instead_of: str | None
    ) -> Taken | Occupied:
        """Take a lease that is free, ours already, or held by *instead_of*; else say who has it."""
        values: dict[str, Any] = {
            ":lease": {"M": {"execution": {"S": execution}}},
            ":me": {"S": execution},
        }
        condition = "attribute_not_exists(#lease) OR #lease.#execution = :me"
        update = "SET #lease = :lease"
        names = {"#lease": "lease", "#execution": "execution"}
        if instead_of is not None:
            values[":ended"] = {"S": instead_of}
            condition += " OR #lease.#execution = :ended"
        if intent is not None:
            values[":intent"] = {"S": intent}
            update += ", #intent = :intent"
            names["#intent"] = "intent"
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"site": {"S": site}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return _occupied(cast("dict[str, Any]", error.response.get("Item", {})))
        return Taken(intent=answer["Attributes"].get("intent", {}).get("S"))

    def line_up(self, site: str, *, execution: str, intent: str | None, instead_of: str | None) -> bool:
        """Become the successor, if there is none or it is *instead_of*; say whether that worked."""
        place: dict[str, Any] = {"execution": {"S": execution}}
        if intent is not None:
            place["intent"] = {"S": intent}
        values: dict[str, Any] = {":place": {"M": place}}
        condition = "attribute_not_exists(#successor)"
        names = {"#successor": "successor"}
        if instead_of is not None:
            values[":ended"] = {"S": instead_of}
            names["#execution"] = "execution"
            condition += " OR #successor.#execution = :ended"
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"site": {"S": site}},
                UpdateExpression="SET #successor = :place",
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True


def _occupied(item: dict[str, Any]) -> Occupied:
    successor = item.get("successor", {}).get("M", {})
    return Occupied(
        holder=item["lease"]["M"]["execution"]["S"],
        successor=successor.get("execution", {}).get("S"),
        successor_intent=successor.get("intent", {}).get("S"),
    )
