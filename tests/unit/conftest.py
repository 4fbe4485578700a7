"""What every test of a step gets: no network, and the environment of a function that has no account."""

import socket
from collections.abc import Iterator
from typing import NoReturn

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

from lambdas.core.observability import metrics

TABLE = "sites"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> NoReturn:
        raise AssertionError("a test tried to open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def _function_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    # Powertools reads its variable when the module is imported, which may have happened before.
    monkeypatch.setattr(metrics.provider, "namespace", "Test")


@pytest.fixture(name="dynamodb")
def _dynamodb() -> Iterator[DynamoDBClient]:
    """The table `sites`, as the stack makes it."""
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "site", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "site", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client
