"""Read the fleet's table as a whole; it holds some hundred bytes for each site."""

from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import ValidationError

from lambdas.core.fleet import FleetDrift, FleetSite, FleetStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

D = TypeVar("D", FleetStatus, FleetDrift)


class DynamoDbFleetTable:
    """The table, for whoever only looks."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def sites(self) -> "Iterator[FleetSite]":
        """Yield every site in the order of account, Region and name; one call for each megabyte."""
        items: list[dict[str, Any]] = []
        for page in self._client.get_paginator("scan").paginate(TableName=self._table):
            items += cast("list[dict[str, Any]]", page["Items"])
        for item in sorted(items, key=lambda one: (one["account"]["S"], one["place"]["S"])):
            yield _site(item)


def _site(item: dict[str, Any]) -> FleetSite:
    region, _, site = item["place"]["S"].partition("/")
    return FleetSite(
        account_id=item["account"]["S"],
        region=region,
        site=site,
        told_at=_text(item, "told_at"),
        status=_document(FleetStatus, _text(item, "status")),
        drift_at=_text(item, "drift_at"),
        drift=_document(FleetDrift, _text(item, "drift")),
    )


def _text(item: dict[str, Any], name: str) -> str | None:
    text: str | None = item[name]["S"] if name in item else None
    return text


def _document(model: type[D], text: str | None) -> D | None:
    if text is None:
        return None
    try:
        return model.model_validate_json(text)
    except ValidationError:
        # Of another version of the hub: the next event writes it anew.
        return None
