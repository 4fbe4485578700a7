"""
The lease in DynamoDB: one item per site in the table `sites`.

    site        partition key
    intent      what the site should be; only an explicit request writes it
    forced      a release needn't wait for its servers
    grants      {principal: {expires_at, reason}}: exceptions in the bucket policy
    lease       {execution}: the run at work
    successor   {execution, intent}: the run that waits
    enforced    the buckets that are locked; forgotten as soon as somebody wants the site released
    remembered  {endpoints, locked, pending}: what the last run left, see release_lease
    status      what was last said of the site, as JSON
    last_run    {execution, started_at, purpose, failed} as JSON, for whoever looks at the site
"""

from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from lambdas.acquire_lease.logic import Occupied, Order, Taken
from lambdas.core.memory import Access, Memory

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbLeases:
    """Leases in one table; every method but `memory` is one conditional UpdateItem."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def memory(self, site: str) -> Memory:
        """Read what is remembered, without a lease."""
        answer = self._client.get_item(TableName=self._table, Key={"site": {"S": site}}, ConsistentRead=True)
        return _memory(cast("dict[str, Any]", answer.get("Item", {})))

    def take(self, site: str, *, execution: str, order: Order, instead_of: str | None) -> Taken | Occupied:
        """Take a lease that is free, ours already, or held by *instead_of*; else say who has it."""
        values: dict[str, Any] = {
            ":lease": {"M": {"execution": {"S": execution}}},
            ":me": {"S": execution},
        }
        names = {"#lease": "lease", "#execution": "execution"}
        condition = "attribute_not_exists(#lease) OR #lease.#execution = :me"
        update = "SET #lease = :lease"
        if instead_of is not None:
            values[":ended"] = {"S": instead_of}
            condition += " OR #lease.#execution = :ended"
        if order.intent is not None:
            values |= {":intent": {"S": order.intent}, ":forced": {"BOOL": order.forced}}
            names |= {"#intent": "intent", "#forced": "forced"}
            update += ", #intent = :intent, #forced = :forced"
        if order.grant is not None:
            # One attribute for each principal: a map inside the item would have to exist first.
            values[":grant"] = {
                "M": {
                    "expires_at": {"S": order.grant.expires_at},
                    "reason": {"S": order.grant.reason},
                }
            }
            names["#grant"] = f"{_GRANT}{order.grant.principal}"
            update += ", #grant = :grant"
        if order.intent == "released":
            # The lock comes off, and servers go back: should the site be wanted again, they are asked anew,
            # even if the release was stopped half-way and could remember nothing.
            names["#enforced"] = "enforced"
            update += " REMOVE #enforced"
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
        return Taken(memory=_memory(answer["Attributes"]))

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


_GRANT = "grant "


def _memory(item: dict[str, Any]) -> Memory:
    remembered = item.get("remembered", {}).get("M", {})
    return Memory(
        intent=item.get("intent", {}).get("S"),
        forced=item.get("forced", {}).get("BOOL", False),
        enforced=tuple(one["S"] for one in item.get("enforced", {}).get("L", [])),
        endpoints=tuple(one["S"] for one in remembered.get("endpoints", {}).get("L", [])),
        grants=tuple(
            Access(
                principal=name.removeprefix(_GRANT),
                expires_at=grant["M"]["expires_at"]["S"],
                reason=grant["M"]["reason"]["S"],
            )
            for name, grant in sorted(item.items())
            if name.startswith(_GRANT)
        ),
        locked=remembered.get("locked", {}).get("S"),
        status=item.get("status", {}).get("S"),
        pending=remembered.get("pending", {}).get("BOOL", False),
    )


def _occupied(item: dict[str, Any]) -> Occupied:
    successor = item.get("successor", {}).get("M", {})
    return Occupied(
        holder=item["lease"]["M"]["execution"]["S"],
        successor=successor.get("execution", {}).get("S"),
        successor_intent=successor.get("intent", {}).get("S"),
    )
