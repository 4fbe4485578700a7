"""
The lease's adapters beyond what the common tests show: releasing, and whether a run has ended.

Two steps write the same item, each with its own adapter: what one writes the other must read.
"""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from mypy_boto3_dynamodb import DynamoDBClient

from lambdas.acquire_lease.dynamodb_leases import DynamoDbLeases
from lambdas.acquire_lease.logic import Occupied, Order, Taken
from lambdas.acquire_lease.stepfunctions_executions import StepFunctionsExecutions
from lambdas.attach_bucket_policy.dynamodb_replaced_policies import DynamoDbReplacedPolicies
from lambdas.core.memory import Access, Memory
from lambdas.core.status import SiteStatus
from lambdas.release_lease.dynamodb_leases import DynamoDbLeases as ReleasableLeases
from lambdas.release_lease.logic import LastRun, Legacy
from tests.unit.conftest import TABLE
from tests.unit.sites import ENDPOINT_ID, a_grant, execution

A, B = execution("a"), execution("b")


NOTHING = Order()
EVERYTHING = Memory(
    intent="provisioned",
    forced=False,
    enforced=("backups", "archive"),
    endpoints=(ENDPOINT_ID, "vpce-0fedcba9876543210"),
    grants=(a_grant("archive"), a_grant()),
    locked="0123456789abcdef",
    pending=True,
    status=SiteStatus(state="enforced", intent="provisioned").to_json(),
)

LAST_RUN = LastRun(started_at="2026-01-31T12:00:00Z", purpose="reconcile", failed=True)


def take(client: DynamoDBClient, run: str, order: Order = NOTHING) -> Taken | Occupied:
    return DynamoDbLeases(client, table=TABLE).take("tokyo", execution=run, order=order, instead_of=None)


def taken(client: DynamoDBClient, run: str, order: Order = NOTHING) -> Memory:
    """Take the lease and return what is remembered."""
    answer = take(client, run, order)
    assert isinstance(answer, Taken)
    return answer.memory


def release(
    client: DynamoDBClient,
    run: str,
    memory: Memory = EVERYTHING,
    *,
    ended: tuple[Access, ...] = (),
    status: SiteStatus | None = None,
) -> bool:
    return ReleasableLeases(client, table=TABLE).release(
        "tokyo",
        execution=run,
        legacy=Legacy(memory=memory, ended=ended, status=status, last_run=LAST_RUN),
    )


def item(client: DynamoDBClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get_item(TableName=TABLE, Key={"site": {"S": "tokyo"}})["Item"]
    return found


def test_a_released_lease_is_free_for_the_next_run(dynamodb: DynamoDBClient) -> None:
    """Released once; the second time nothing is left to release, and that is no error."""
    take(dynamodb, A)

    first, second = release(dynamodb, A), release(dynamodb, A)

    assert (first, second) == (True, False)
    assert isinstance(take(dynamodb, B), Taken)


def test_another_runs_lease_is_never_released(dynamodb: DynamoDBClient) -> None:
    """A run that was believed dead comes to its end: the site is somebody else's by now."""
    take(dynamodb, B)
    before = item(dynamodb)

    released = release(dynamodb, A, ended=(a_grant(),))

    assert not released
    assert isinstance(take(dynamodb, A), Occupied)
    # Nor does it overwrite what the new holder relies on.
    assert item(dynamodb) == before


def test_releasing_keeps_the_intent_and_the_line(dynamodb: DynamoDBClient) -> None:
    """
    What a site should be outlives the run that was told so, and who waits goes on waiting; what the run
    has replaced is nobody's business any more.
    """
    leases = DynamoDbLeases(dynamodb, table=TABLE)
    taken(dynamodb, A, Order(intent="released", grant=a_grant()))
    DynamoDbReplacedPolicies(dynamodb, table=TABLE, site="tokyo", execution=A).remember({"backups": None})
    leases.line_up("tokyo", execution=B, intent=None, instead_of=None)

    release(dynamodb, A)
    left = item(dynamodb)

    assert set(left) == {
        "site",
        "intent",
        "forced",
        "successor",
        "enforced",
        "remembered",
        "last_run",
        f"grant {a_grant().principal}",
    }
    assert left["intent"] == {"S": "released"}
    assert left["successor"]["M"]["execution"] == {"S": B}


def test_releasing_a_site_that_nobody_ever_had_makes_no_item(dynamodb: DynamoDBClient) -> None:
    """UpdateItem creates what is missing unless a condition keeps it from doing so."""
    released = release(dynamodb, A)

    assert not released
    assert dynamodb.scan(TableName=TABLE)["Items"] == []


def test_what_one_run_leaves_the_next_one_remembers(dynamodb: DynamoDBClient) -> None:
    """Word for word, in order: the current endpoint is the first, and a text is compared as a whole."""
    for grant in EVERYTHING.grants:
        take(dynamodb, A, Order(intent="provisioned", grant=grant))
    status = SiteStatus(state="enforced", intent="provisioned")

    release(dynamodb, A, status=status)
    looked = DynamoDbLeases(dynamodb, table=TABLE).memory("tokyo")
    remembered = taken(dynamodb, B)

    assert remembered == EVERYTHING
    assert looked == EVERYTHING
    assert Memory.model_validate_json(remembered.model_dump_json()) == EVERYTHING


def test_a_run_that_leaves_nothing_leaves_nothing(dynamodb: DynamoDBClient) -> None:
    """Empty lists and missing texts are read as what they were, and not as an error."""
    take(dynamodb, A)

    release(dynamodb, A, Memory())

    assert taken(dynamodb, B) == Memory()


def test_a_later_run_overwrites_what_is_remembered_and_keeps_what_was_said(dynamodb: DynamoDBClient) -> None:
    """A run that has nothing to say (it only checked) must not blank the status that people read."""
    take(dynamodb, A)
    release(dynamodb, A, status=SiteStatus(state="enforced", intent="provisioned"))
    take(dynamodb, B)

    release(dynamodb, B, Memory(enforced=("archive",)))
    remembered = taken(dynamodb, A)

    assert (remembered.enforced, remembered.endpoints, remembered.locked) == (("archive",), (), None)
    assert remembered.status == EVERYTHING.status
    assert remembered.pending is False


def test_only_the_grants_that_have_ended_are_forgotten(dynamodb: DynamoDBClient) -> None:
    """Each is an attribute of its own, with everything that a principal's name may hold."""
    odd = a_grant("a.b/c=d,e@f+g_h-i/" + "x" * 200)
    for grant in (a_grant(), a_grant("archive"), odd):
        take(dynamodb, A, Order(grant=grant))

    release(dynamodb, A, ended=(odd, a_grant()))

    assert taken(dynamodb, B).grants == (a_grant("archive"),)


def test_a_release_order_forgets_what_was_locked_before_anything_is_done(dynamodb: DynamoDBClient) -> None:
    """In the same write as the intent: there is no moment at which the run could be stopped in between."""
    take(dynamodb, A)
    release(dynamodb, A)

    told = [taken(dynamodb, B, Order(intent="released")) for _ in range(2)]

    assert [one.enforced for one in told] == [(), ()]
    assert told[0].endpoints == EVERYTHING.endpoints
    assert DynamoDbLeases(dynamodb, table=TABLE).memory("tokyo").enforced == ()


def test_looking_at_what_is_remembered_makes_no_item(dynamodb: DynamoDBClient) -> None:
    """The hourly run of a site that nobody has provisioned yet."""
    assert DynamoDbLeases(dynamodb, table=TABLE).memory("tokyo") == Memory()
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
        stub.add_client_error("get_item", "ProvisionedThroughputExceededException")
        leases = DynamoDbLeases(client, table=TABLE)

        with pytest.raises(ClientError, match="ProvisionedThroughput"):
            leases.take("tokyo", execution=A, order=NOTHING, instead_of=None)
        with pytest.raises(ClientError, match="ProvisionedThroughput"):
            leases.line_up("tokyo", execution=A, intent=None, instead_of=None)
        with pytest.raises(ClientError, match="ProvisionedThroughput"):
            release(client, A)
        with pytest.raises(ClientError, match="ProvisionedThroughput"):
            leases.memory("tokyo")
