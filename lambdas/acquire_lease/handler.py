"""The door of the workflow: validate the request, then take the site's lease."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from lambdas.acquire_lease.dynamodb_leases import DynamoDbLeases
from lambdas.acquire_lease.logic import LeaseOutcome, Order, acquire, require_known_account
from lambdas.acquire_lease.request import Purpose, ReconcileRequest, is_no_report, reconcile_request
from lambdas.acquire_lease.stepfunctions_executions import StepFunctionsExecutions
from lambdas.core.clients import CONFIG
from lambdas.core.errors import InvalidRequestError
from lambdas.core.execution import Execution
from lambdas.core.memory import Access
from lambdas.core.observability import logger
from lambdas.core.settings import FunctionSettings
from lambdas.core.step import Request, parse, step


class Settings(FunctionSettings):
    """
    `sites` is the table's items' keys that the stack has settings for, `recovery_accounts` the accounts
    beside the site's own whose principals may be granted access; both separated by commas.
    """

    sites: str
    recovery_accounts: str
    sites_table: str


class LeaseRequest(Request):
    """What Step Functions passes: the execution's whole input, and the execution's own ARN."""

    request: Any
    execution: str


@cache
def _leases(table: str) -> DynamoDbLeases:
    return DynamoDbLeases(boto3.client("dynamodb", config=CONFIG), table=table)


@cache
def _executions() -> StepFunctionsExecutions:
    return StepFunctionsExecutions(boto3.client("stepfunctions", config=CONFIG))


@step
def lambda_handler(event: dict[str, Any]) -> dict[str, Any]:
    """Return the site and the execution, whether this run is at work, and the intent it follows."""
    settings = Settings.from_env()
    door = parse(LeaseRequest, event)
    if is_no_report(door.request):
        logger.warning("a parameter among the reports is no server's; nothing to do")
        return {"execution": door.execution, "outcome": LeaseOutcome.IDLE}
    request = reconcile_request(door.request)
    if request.site not in settings.sites.split(","):
        raise InvalidRequestError(
            f"site: there are no settings for {request.site}; "
            f"add it to cdk.json or name one of: {settings.sites}"
        )
    if request.grant is not None:
        require_known_account(
            request.grant.principal,
            own=Execution.from_arn(door.execution).account_id,
            recovery_accounts=settings.recovery_accounts.split(","),
        )
    now = datetime.now(UTC)
    started_at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    attempt = acquire(
        _leases(settings.sites_table),
        _executions(),
        site=request.site,
        execution=door.execution,
        order=_order(request, now),
        now=started_at,
    )
    return {
        "site": request.site,
        "execution": door.execution,
        "outcome": attempt.outcome,
        "intent": attempt.intent,
        "repair": request.purpose is not Purpose.CHECK,
        "purpose": request.purpose,
        "started_at": started_at,
        "memory": attempt.memory.model_dump(mode="json"),
    }


def _order(request: ReconcileRequest, now: datetime) -> Order:
    grant = request.grant
    return Order(
        intent=request.intent,
        forced=request.force,
        grant=(
            None
            if grant is None
            else Access(principal=grant.principal, expires_at=grant.expires_at(now), reason=grant.reason)
        ),
        only_pending=request.purpose is Purpose.PENDING,
        checks=request.purpose is Purpose.CHECK,
    )
