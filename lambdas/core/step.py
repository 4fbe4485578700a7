"""
The frame around every step: the door (parse), the logger and metrics, and the one place where
errors of AWS and of the contract become errors that Step Functions can match by name.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from pydantic import BaseModel, ConfigDict, ValidationError

from contract.errors import ContractError
from contract.names import shown
from lambdas.core.errors import (
    AccessDeniedError,
    AwsRefusedError,
    AwsUnavailableError,
    ConcurrentChangeError,
    InvalidRequestError,
    NotSeenYetError,
    QuotaReachedError,
    StepError,
)
from lambdas.core.observability import logger, metrics

_UNAVAILABLE = {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyUpdates",
    "Unavailable",
}
_CONCURRENT = {
    "ConflictException",
    "OperationAborted",
    "ConcurrentModification",
    "TransactionConflictException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
# Error codes of EC2 and S3 for "no more of these", and what to do; the codes in brackets are Service Quotas'.
_QUOTAS = {
    "InsufficientFreeAddressesInSubnet": "a subnet of the site has no free address; tag or name another one",
    "RulesPerSecurityGroupLimitExceeded": (
        "name fewer and larger networks in onprem_cidrs, or ask for more rules (vpc, L-0EA8095F)"
    ),
    "SecurityGroupLimitExceeded": "ask for more security groups (vpc, L-E79EC296), or remove unused ones",
    "TooManyBuckets": "ask for more buckets (s3, L-DC2B2D3D), or name an existing one in the settings",
    "VpcEndpointLimitExceeded": (
        "ask for more interface endpoints for each VPC (vpc, L-29B6F2EB), or remove unused ones"
    ),
}

_SERVER_ERROR = 500
# The problems that a refusal names: it becomes the cause of an execution, which has a limit.
_MOST = 5


class Request(BaseModel):
    """Base of what a step accepts: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


R = TypeVar("R", bound=Request)


def parse(model: type[R], event: object) -> R:
    """Read a step's input; raises InvalidRequestError that names the field and the fix."""
    try:
        return model.model_validate(event)
    except ValidationError as error:
        problems = [
            f"{_field(problem['loc'])}: {_sentence(problem['type'], problem['msg'])}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)[:_MOST]
        ]
        raise InvalidRequestError("; ".join(problems)) from error


def _field(location: tuple[int | str, ...]) -> str:
    return shown(".".join(str(part) for part in location))[1:-1] or "request"


def _sentence(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "is not a known field; remove it"
        case "missing":
            return "is missing"
        case _:
            return message.removeprefix("Value error, ")


def step(
    function: Callable[[dict[str, Any]], Mapping[str, Any]],
) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """
    Make a Lambda handler of *function*.

    Its result is the step's output in the execution; a true `changed` in it is counted as a metric, so
    that a site that is repaired every day is noticed.
    """

    @metrics.log_metrics
    @functools.wraps(function)
    def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        changed = False
        try:
            with step_errors():
                result = dict(function(event))
            changed = bool(result.get("changed"))
        finally:
            # A failed step counts as well: Powertools warns when a call leaves no metric.
            metrics.add_metric(name="Changed", unit=MetricUnit.Count, value=int(changed))
        logger.info("step done", result=result)
        return result

    handler: Callable[[dict[str, Any], LambdaContext], dict[str, Any]] = logger.inject_lambda_context(
        lambda_handler, clear_state=True
    )
    return handler


@contextmanager
def step_errors() -> Iterator[None]:
    """Turn what boto3 and the contract raise into the errors of `lambdas.core.errors`."""
    try:
        yield
    except StepError:
        raise
    except ContractError as error:
        raise InvalidRequestError(str(error)) from error
    except ClientError as error:
        raise _translated(error) from error
    except (HTTPClientError, NoConnectionError) as error:
        raise AwsUnavailableError(f"AWS did not answer: {error}") from error
    except BotoCoreError as error:
        raise AwsRefusedError(f"the request could not be sent: {error}") from error


def _translated(error: ClientError) -> StepError:
    code = error.response["Error"]["Code"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"{error.operation_name}: {code}: {error.response['Error'].get('Message', '')}"
    if code in _CONCURRENT:
        return ConcurrentChangeError(text)
    if code in _UNAVAILABLE or status >= _SERVER_ERROR:
        return AwsUnavailableError(text)
    if code == "NoSuchBucket" or code.endswith(".NotFound"):
        return NotSeenYetError(text)
    if code in _DENIED:
        return AccessDeniedError(text)
    if code in _QUOTAS:
        return QuotaReachedError(f"{text}; {_QUOTAS[code]}")
    return AwsRefusedError(text)
