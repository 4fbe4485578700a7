"""The lease's adapters beyond what the common tests show: releasing, and whether a run has ended."""

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from mypy_boto3_dynamodb import DynamoDBClient

from lambdas.acquire_lease.dynamodb_leases import DynamoDbLeases
from lambdas.acquire_lease.logic import Occupied, Taken
from lambdas.acquire_lease.stepfunctions_executions import StepFunctionsExecutions
from lambdas.attach_bucket_policy.dynamodb_replaced_policies import DynamoDbReplacedPolicies
from lambdas.release_lease.dynamodb_leases import DynamoDbLeases as ReleasableLeases
from tests.unit.conftest import TABLE
from tests.unit.sites import execution

A, B = execution("a"), execution("b")


def take(client: DynamoDBClient, run: str) -> Taken | Occupied:
    return DynamoDbLeases(client, table=TABLE).take("tokyo", execution=run, intent=None, instead_of=None)


def test_a_released_lease_is_free_for_the_next_run(dynamodb: DynamoDBClient) -> None:
    """Released once; the second time nothing is left to release, and that is no error."""
    leases = ReleasableLeases(dynamodb, table=TABLE)
    take(dynamodb, A)

    first, second = leases.release("tokyo", execution=A), leases.release("tokyo", execution=A)

    assert (first, second) == (True, False)
    assert isinstance(take(dynamodb, B), Taken)


def test_another_runs_lease_is_never_released(dynamodb: DynamoDBClient) -> None:
    """A run that was believed dead comes to its end: the site is somebody else's by now."""
    take(dynamodb, B)

    released = ReleasableLeases(dynamodb, table=TABLE).release("tokyo", execution=A)

    assert not released
    assert isinstance(take(dynamodb, A), Occupied)


def test_releasing_keeps_the_intent_and_the_line(dynamodb: DynamoDBClient) -> None:
    """
    What a site should be outlives the run that was told so, and who waits goes on waiting; what the run
    has replaced is nobody's business any more.
    """
    leases = DynamoDbLeases(dynamodb, table=TABLE)
    leases.take("tokyo", execution=A, intent="released", instead_of=None)
    DynamoDbReplacedPolicies(dynamodb, table=TABLE, site="tokyo", execution=A).remember({"backups": None})
    leases.line_up("tokyo", execution=B, intent=None, instead_of=None)

    ReleasableLeases(dynamodb, table=TABLE).release("tokyo", execution=A)
    item = dynamodb.get_item(TableName=TABLE, Key={"site": {"S": "tokyo"}})["Item"]

    assert set(item) == {"site", "intent", "successor"}
    assert item["intent"] == {"S": "released"}


def test_releasing_a_site_that_nobody_ever_had_makes_no_item(dynamodb: DynamoDBClient) -> None:
    """UpdateItem creates what is missing unless a condition keeps it from doing so."""
    released = ReleasableLeases(dynamodb, table=TABLE).release("osaka", execution=A)

    assert not released
    assert dynamodb.scan(TableName=TABLE)["Items"] == []


@pytest.mark.parametrize(
    ("status", "running"),
    [
        ("RUNNING", True),
        ("PENDING_REDRIVE", True),
        ("SUCCEEDED", False),
        ("FAILED", False),
        ("TIMED_OUT", False),
        ("ABORTED", False),
    ],
)
def test_whether_a_run_has_ended(status: str, *, running: bool) -> None:
    """Taking the site from a run that still works would be the very thing the lease is for."""
    client = boto3.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_execution",
            {
                "executionArn": A,
                "stateMachineArn": A,
                "status": status,
                "startDate": "2026-01-31T22:00:00Z",
            },
            {"executionArn": A},
        )

        assert StepFunctionsExecutions(client).is_running(A) is running


def test_a_run_that_step_functions_has_forgotten_has_ended() -> None:
    """Executions are forgotten after 90 days; a lease must not outlive that."""
    client = boto3.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("describe_execution", "ExecutionDoesNotExist")

        assert StepFunctionsExecutions(client).is_running(A) is False


def test_a_throttled_look_is_not_taken_for_an_ended_run() -> None:
    """Only one answer means "ended"; every other error must be seen, or two runs would work."""
    client = boto3.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("describe_execution", "ThrottlingException")

        with pytest.raises(ClientError, match="ThrottlingException"):
            StepFunctionsExecutions(client).is_running(A)


def test_an_error_of_the_table_is_not_taken_for_an_occupied_site() -> None:
    """The same for DynamoDB: only a failed condition means that somebody else has the lease."""
    client = boto3.client("dynamodb")
    with Stubber(client) as stub:
        for _ in range(3):
            stub.add_client_error("update_item", "ProvisionedThroughputExceededException")
        leases = DynamoDbLeases(client, table=TABLE)

        with pytest.raises(ClientError, match="ProvisionedThroughput"):
            leases.take("tokyo", execution=A, intent=None, instead_of=None)
        with pytest.raises(ClientError, match="ProvisionedThroughput"):
            leases.line_up("tokyo", execution=A, intent=None, instead_of=None)
        with pytest.raises(ClientError, match="ProvisionedThroughput"):
            ReleasableLeases(client, table=TABLE).release("tokyo", execution=A)
