"""The frame around every step: which error Step Functions sees decides whether it tries again."""

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from contract.errors import ContractError
from lambdas.core import errors
from lambdas.core.errors import (
    AccessDeniedError,
    AwsRefusedError,
    AwsUnavailableError,
    BucketRefusedError,
    ConcurrentChangeError,
    InvalidRequestError,
    LeaseHeldError,
    NotSeenYetError,
    PermanentError,
    QuotaReachedError,
    StepError,
    TransientError,
    retry_rules,
)
from lambdas.core.step import step_errors


def tree(root: type[StepError]) -> Iterator[type[StepError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


TRANSIENT = sorted(tree(TransientError), key=lambda error: error.__name__)


def test_every_transient_error_is_retried_and_no_other() -> None:
    """Step Functions matches names: a subclass whose own name is missing is never retried."""
    named = [name for rule in retry_rules() for name in rule.names]

    assert len(TRANSIENT) > 5
    assert sorted(named) == [error.__name__ for error in TRANSIENT]
    assert not {error.__name__ for error in tree(PermanentError)} & set(named)


def test_the_rules_are_the_same_each_time() -> None:
    """Two machines must synthesize the same template."""
    assert retry_rules() == retry_rules()


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: error.__name__)
def test_each_error_is_retried_with_its_own_patience(error: type[TransientError]) -> None:
    """Grouped with others of the same patience, never with those of another."""
    (rule,) = [rule for rule in retry_rules() if error.__name__ in rule.names]

    assert rule.patience == error.patience
    assert rule.patience.interval_seconds <= rule.patience.max_delay_seconds


def patience_in_seconds(error: type[TransientError]) -> float:
    """Return how long Step Functions goes on, without jitter."""
    delay, total = float(error.patience.interval_seconds), 0.0
    for _ in range(error.patience.max_attempts):
        total += min(delay, error.patience.max_delay_seconds)
        delay *= error.patience.backoff_rate
    return total


def test_patience_is_long_enough() -> None:
    """Jitter halves it on average: ten minutes for an endpoint, and a waiting run outlasts one."""
    pending = patience_in_seconds(errors.EndpointPendingError) / 2

    assert pending > 10 * 60
    assert patience_in_seconds(errors.LeaseHeldError) / 2 > pending
    assert patience_in_seconds(errors.GroupInUseError) / 2 > 5 * 60


def test_every_error_is_transient_or_permanent_and_its_name_says_error() -> None:
    """The operator reads the name in the console."""
    leaves = set(tree(StepError)) - {StepError, TransientError, PermanentError}

    assert leaves == (set(tree(TransientError)) | set(tree(PermanentError))) - {
        TransientError,
        PermanentError,
    }
    assert all(error.__name__.endswith("Error") and error.__doc__ for error in leaves)


def test_the_tree_at_the_head_of_the_module_is_complete() -> None:
    """A drawing that lacks an error is worse than none."""
    drawing = errors.__doc__ or ""

    assert all(error.__name__ in drawing for error in tree(StepError))


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "SomeCall",
    )


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        *((client_error(code), ConcurrentChangeError) for code in ("OperationAborted", "ConflictException")),
        (client_error("OperationAborted", 409), ConcurrentChangeError),
        (client_error("TransactionConflictException"), ConcurrentChangeError),
        *(
            (client_error(code), AwsUnavailableError)
            for code in (
                "Throttling",
                "ThrottlingException",
                "RequestLimitExceeded",
                "ProvisionedThroughputExceededException",
                "SlowDown",
                "ServiceUnavailable",
                "InternalError",
                "InternalFailure",
                "InternalServerError",
                "RequestTimeout",
                "TooManyUpdates",
                "Unavailable",
            )
        ),
        (client_error("AnythingAtAll", 500), AwsUnavailableError),
        (client_error("AnythingAtAll", 503), AwsUnavailableError),
        (client_error("AccessDenied", 403), AccessDeniedError),
        (client_error("AccessDeniedException"), AccessDeniedError),
        (client_error("UnauthorizedOperation", 403), AccessDeniedError),
        (client_error("403", 403), AccessDeniedError),
        (client_error("MalformedPolicy"), AwsRefusedError),
        *(
            (client_error(code), QuotaReachedError)
            for code in (
                "InsufficientFreeAddressesInSubnet",
                "RulesPerSecurityGroupLimitExceeded",
                "SecurityGroupLimitExceeded",
                "TooManyBuckets",
                "VpcEndpointLimitExceeded",
            )
        ),
        # Right after it was created; a step that copes with absence never lets these out.
        (client_error("NoSuchBucket", 404), NotSeenYetError),
        (client_error("InvalidGroup.NotFound"), NotSeenYetError),
        (client_error("InvalidNetworkInterfaceID.NotFound"), NotSeenYetError),
        (client_error("NoSuchTagSet", 404), AwsRefusedError),
        (EndpointConnectionError(endpoint_url="https://ec2"), AwsUnavailableError),
        (ConnectTimeoutError(endpoint_url="https://ec2"), AwsUnavailableError),
        (ReadTimeoutError(endpoint_url="https://ec2"), AwsUnavailableError),
        (ConnectionClosedError(endpoint_url="https://ec2"), AwsUnavailableError),
        # What could not even be sent stays so, however often it is tried.
        (ParamValidationError(report="Invalid length"), AwsRefusedError),
        (NoCredentialsError(), AwsRefusedError),
        (ContractError("site", "is wrong"), InvalidRequestError),
        (LeaseHeldError(site="tokyo", holder="run"), LeaseHeldError),
        (BucketRefusedError(bucket="b", problem="p"), BucketRefusedError),
    ],
    ids=str,
)
def test_each_error_becomes_one_that_the_state_machine_knows(
    raised: Exception, seen: type[StepError]
) -> None:
    """Throttling taken for a refusal undoes a run for nothing; the other way round it retries for hours."""
    with pytest.raises(StepError) as caught, step_errors():
        raise raised

    assert type(caught.value) is seen
    # The cause is kept for the log.
    assert caught.value is raised or caught.value.__cause__ is raised


def test_the_message_of_aws_reaches_the_operator() -> None:
    """Which call, which code, AWS's own words: that is what support asks for first."""
    with pytest.raises(AwsRefusedError, match=r"^SomeCall: MalformedPolicy: words$"), step_errors():
        raise client_error("MalformedPolicy")


def test_a_reached_quota_says_which_one_and_what_to_do() -> None:
    """AWS's own words name neither the quota's code nor the way out."""
    with (
        pytest.raises(QuotaReachedError, match=r"^SomeCall: VpcEndpointLimitExceeded: words; ask for more.*"),
        step_errors(),
    ):
        raise client_error("VpcEndpointLimitExceeded")


def test_a_bug_stays_a_bug() -> None:
    """An error that nobody foresaw must not be dressed as one that was."""

    def bug() -> NoReturn:
        nothing: dict[str, Any] = {}
        raise KeyError(nothing)

    with pytest.raises(KeyError), step_errors():
        bug()
