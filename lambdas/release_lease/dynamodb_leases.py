"""Give the lease back."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbLeases:
    """Leases in the table `sites`, as far as this step needs them."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def release(self, site: str, *, execution: str) -> bool:
        """End the lease and forget the replaced policies, if the lease is still this run's."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"site": {"S": site}},
                UpdateExpression="REMOVE #lease, replaced_policies",
                ConditionExpression="#lease.#execution = :me",
                ExpressionAttributeNames={"#lease": "lease", "#execution": "execution"},
                ExpressionAttributeValues={":me": {"S": execution}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True
