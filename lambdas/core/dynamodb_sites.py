"""The table `sites`, read from its beginning to a cap."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from lambdas.core.known_sites import StoredRun, StoredSite, StoredSites
from lambdas.core.status import SiteStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A page is a megabyte, some hundred sites at least; who has more has a fleet, and its own dashboard.
MOST_PAGES = 4


class DynamoDbSites:
    """All items, without what only the workflow needs."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def read(self) -> StoredSites:
        """Read at most MOST_PAGES pages."""
        items: list[StoredSite] = []
        more: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            answer = self._client.scan(
                TableName=self._table,
                ProjectionExpression="#site, #intent, #status, #lease, #last",
                ExpressionAttributeNames={
                    "#site": "site",
                    "#intent": "intent",
                    "#status": "status",
                    "#lease": "lease",
                    "#last": "last_run",
                },
                **more,
            )
            items += [_stored(cast("dict[str, Any]", item)) for item in answer["Items"]]
            if not answer.get("LastEvaluatedKey"):
                return StoredSites(items=tuple(items), more=False)
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return StoredSites(items=tuple(items), more=True)


def _stored(item: dict[str, Any]) -> StoredSite:
    text = item.get("status", {}).get("S")
    status = SiteStatus.read(text)
    last = item.get("last_run", {}).get("S")
    return StoredSite(
        site=item["site"]["S"],
        intent=item.get("intent", {}).get("S"),
        status=status,
        unreadable=text is not None and status is None,
        holder=item.get("lease", {}).get("M", {}).get("execution", {}).get("S"),
        last_run=None if last is None else _run(json.loads(last)),
    )


def _run(last: dict[str, Any]) -> StoredRun:
    return StoredRun(
        execution=last["execution"],
        started_at=datetime.fromisoformat(last["started_at"]),
        purpose=last["purpose"],
        failed=last["failed"],
    )
