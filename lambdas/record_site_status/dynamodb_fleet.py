"""Write the fleet's table; what is in it, `lambdas.core.fleet` says."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.core.fleet import FleetStatus
from lambdas.record_site_status.logic import Report

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbFleet:
    """The table; its keys are the envelope's account and Region, and the site."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def knows(self, report: Report) -> bool:
        """Say whether there is an item for the report's site already."""
        answer = self._client.get_item(
            TableName=self._table, Key=_key(report), ProjectionExpression="account"
        )
        return "Item" in answer

    def count(self, report: Report) -> int:
        """Return how many sites the report's account has in its Region."""
        answer = self._client.query(
            TableName=self._table,
            Select="COUNT",
            KeyConditionExpression="account = :account AND begins_with(place, :region)",
            ExpressionAttributeValues={
                ":account": {"S": report.account_id},
                ":region": {"S": f"{report.region}/"},
            },
        )
        return answer["Count"]

    def write(self, report: Report) -> bool:
        """
        Keep what the report says, unless something newer is kept; say whether it was.

        EventBridge delivers in any order, and sometimes twice. Status and drift have times of their own.
        """
        told, time = ("status", "told_at") if isinstance(report.said, FleetStatus) else ("drift", "drift_at")
        values: dict[str, Any] = {
            ":at": {"S": report.at},
            ":told": {"S": report.said.model_dump_json()},
            ":forget": {"N": str(report.forget_at)},
        }
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(report),
                UpdateExpression="SET #time = :at, #told = :told, expires_at = :forget",
                ConditionExpression="attribute_not_exists(#time) OR #time <= :at",
                ExpressionAttributeNames={"#time": time, "#told": told},
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True


def _key(report: Report) -> dict[str, Any]:
    return {"account": {"S": report.account_id}, "place": {"S": f"{report.region}/{report.site}"}}
