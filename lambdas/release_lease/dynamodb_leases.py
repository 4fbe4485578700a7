"""Give the lease back, and keep what the next run must know (see acquire_lease.dynamodb_leases)."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.release_lease.logic import Legacy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbLeases:
    """Leases in the table `sites`, as far as this step needs them."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def release(self, site: str, *, execution: str, legacy: Legacy) -> bool:
        """End the lease in one write with what is remembered, if the lease is still this run's."""
        memory = legacy.memory
        names = {
            "#lease": "lease",
            "#execution": "execution",
            "#enforced": "enforced",
            "#remembered": "remembered",
            "#last": "last_run",
        }
        remembered: dict[str, Any] = {
            "endpoints": {"L": [{"S": endpoint} for endpoint in memory.endpoints]},
            "pending": {"BOOL": memory.pending},
        }
        if memory.locked is not None:
            remembered["locked"] = {"S": memory.locked}
        values: dict[str, Any] = {
            ":me": {"S": execution},
            ":enforced": {"L": [{"S": bucket} for bucket in memory.enforced]},
            ":remembered": {"M": remembered},
            # One text, not a map: whoever looks at a thousand sites reads a thousand of them.
            ":last": {"S": json.dumps({"execution": execution, **asdict(legacy.last_run)})},
        }
        update = "SET #enforced = :enforced, #remembered = :remembered, #last = :last"
        if legacy.status is not None:
            names["#status"] = "status"
            values[":status"] = {"S": legacy.status.to_json()}
            update += ", #status = :status"
        update += " REMOVE #lease, replaced_policies"
        for number, grant in enumerate(legacy.ended):
            names[f"#grant{number}"] = f"grant {grant.principal}"
            update += f", #grant{number}"
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"site": {"S": site}},
                UpdateExpression=update,
                ConditionExpression="#lease.#execution = :me",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True
