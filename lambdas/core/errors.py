"""
What can go wrong in a step, and whether trying again can help.

    StepError
    ├── TransientError                  Step Functions retries it, as patiently as the class says
    │   ├── AwsUnavailableError         throttled, 5xx, or the connection dropped
    │   ├── ConcurrentChangeError       AWS is still busy with another change of the same thing
    │   ├── EndpointPendingError        the interface endpoint is not available yet
    │   ├── GroupInUseError             the security group still belongs to an endpoint that is going away
    │   ├── LeaseHeldError              another run of the same site is at work
    │   ├── LockdownNotEffectiveError   the bucket policy does not keep others out (yet)
    │   ├── NotSeenYetError             AWS doesn't know (yet) what was made or seen a moment ago
    │   └── SettingsNotDeployedError    the settings parameter is not what the stack wrote
    └── PermanentError                  Step Functions catches it and stops the run
        ├── AccessDeniedError           the step's role was refused
        ├── AwsRefusedError             AWS refused the call for another reason
        ├── BucketRefusedError          a bucket is not ours to use, or not fit for backups
        ├── EndpointFailedError         the endpoint went to a state it never leaves
        ├── EndpointRefusedError        an endpoint or a group named in the settings is not fit
        ├── InvalidRequestError         the request or the settings break a rule
        ├── LeaseLostError              another run holds the site now
        ├── LockdownUnprovenError       the proof came out in a way that proves nothing
        ├── NetworkNotFoundError        the VPC or its subnets were not found
        ├── PolicyTooLargeError         the bucket policy would be over S3's limit
        ├── QuotaReachedError           the account may not have more of something
        └── ServersNotBackError         a released site's servers have not gone back in time

Step Functions matches names, not classes: `retry_rules` lists every name that may be retried, and
the state machine takes its Retry lists from there. This module imports nothing, because the stack
imports it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How Step Functions retries: the first delay and its growth, the longest delay, the attempts."""

    interval_seconds: int
    backoff_rate: float
    max_delay_seconds: int
    max_attempts: int


class StepError(Exception):
    """Base of every error that a step raises on purpose."""


class TransientError(StepError):
    """Trying again can help."""

    patience: ClassVar[Patience] = Patience(
        interval_seconds=2, backoff_rate=2, max_delay_seconds=30, max_attempts=6
    )


class AwsUnavailableError(TransientError):
    """Throttled, answered 5xx, or the connection dropped: AWS may or may not have done it."""


class ConcurrentChangeError(TransientError):
    """AWS is still busy with another change of the same thing (409, OperationAborted)."""

    patience = Patience(interval_seconds=3, backoff_rate=2, max_delay_seconds=60, max_attempts=8)


class EndpointPendingError(TransientError):
    """The interface endpoint is not available yet; minutes are usual, ten must be allowed."""

    patience = Patience(interval_seconds=1, backoff_rate=1.5, max_delay_seconds=20, max_attempts=90)


class GroupInUseError(TransientError):
    """The security group still belongs to an endpoint that is being deleted."""

    patience = Patience(interval_seconds=1, backoff_rate=1.5, max_delay_seconds=20, max_attempts=60)


class LeaseHeldError(TransientError):
    """Another run of the same site is at work, for as long as an endpoint may take."""

    patience = Patience(interval_seconds=1, backoff_rate=1.5, max_delay_seconds=20, max_attempts=180)

    def __init__(self, *, site: str, holder: str) -> None:
        self.site = site
        self.holder = holder
        super().__init__(f"site {site} is being worked on by {holder}")


class LockdownNotEffectiveError(TransientError):
    """A write from outside the endpoint was not denied; a fresh policy may need a moment."""

    patience = Patience(interval_seconds=1, backoff_rate=2, max_delay_seconds=30, max_attempts=14)


class NotSeenYetError(TransientError):
    """
    AWS doesn't know what a step names, which it has made or seen a moment ago.

    EC2 and S3 are eventually consistent. What may really be absent, the steps ask for where absence is an
    answer; it never becomes this error.
    """


class SettingsNotDeployedError(TransientError):
    """
    The settings parameter is not what the stack wrote.

    Transient, because a deployment changes the parameter and the function that knows its digest one after
    the other.
    """


class PermanentError(StepError):
    """Trying again can't help: somebody has to change something first."""


class AccessDeniedError(PermanentError):
    """The step's role was refused."""


class AwsRefusedError(PermanentError):
    """AWS refused the call for a reason that is neither permission nor load."""


class BucketRefusedError(PermanentError):
    """A bucket is somebody else's, or its configuration would harm backups."""

    def __init__(self, *, bucket: str, problem: str) -> None:
        self.bucket = bucket
        super().__init__(f"bucket {bucket}: {problem}")


class EndpointFailedError(PermanentError):
    """The endpoint failed, was rejected or expired."""


class EndpointRefusedError(PermanentError):
    """An endpoint or security group that the settings name is not fit for the site."""


class InvalidRequestError(PermanentError):
    """The request or the settings break a rule; the message names the field and the fix."""


class LeaseLostError(PermanentError):
    """Another run holds the site now, so this one must not write."""


class LockdownUnprovenError(PermanentError):
    """The probe was refused, but not by the bucket policy: that proves nothing."""


class NetworkNotFoundError(PermanentError):
    """The VPC or its subnets were not found."""


class PolicyTooLargeError(PermanentError):
    """The bucket policy would be larger than S3 allows."""


class QuotaReachedError(PermanentError):
    """The account may not have more of something; the message names the quota."""


class ServersNotBackError(PermanentError):
    """Servers have not gone back to Veeam's own endpoints by the deadline of a release."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        self.servers = servers
        super().__init__(
            f"{', '.join(servers)}: no report of going back to Veeam's own endpoints, and the deadline has "
            "passed; run the client there, or release the site again with force"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """Names of errors that are retried alike."""

    names: tuple[str, ...]
    patience: Patience


def retry_rules() -> tuple[RetryRule, ...]:
    """Group the names of all transient errors by their patience, in a fixed order."""
    groups: dict[Patience, list[str]] = {}
    for error in sorted(_tree(TransientError), key=lambda kind: kind.__name__):
        groups.setdefault(error.patience, []).append(error.__name__)
    return tuple(RetryRule(names=tuple(names), patience=patience) for patience, names in groups.items())


def _tree(root: type[TransientError]) -> Iterator[type[TransientError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)
