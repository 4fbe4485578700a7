"""Look whether the fleet's table knows a site."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbKnownSites:
    """The fleet's table, for whoever asks for one site by name."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def knows(self, *, account_id: str, region: str, site: str) -> bool:
        """Say whether the hub has heard of a site."""
        answer = self._client.get_item(
            TableName=self._table,
            Key={"account": {"S": account_id}, "place": {"S": f"{region}/{site}"}},
            ProjectionExpression="account",
        )
        return "Item" in answer
