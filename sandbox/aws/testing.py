"""
For tests: an embedded AWS in a folder of their own, and the few policy documents that every test needs.

    @pytest.fixture(name="aws", scope="module")
    def _aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
        with embedded_aws(tmp_path_factory.mktemp("aws")) as aws:
            yield aws
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sandbox.aws.embedded import EmbeddedAws, EmbeddedAwsOptions

Document = dict[str, Any]


@contextlib.contextmanager
def embedded_aws(state: Path, *, pending_seconds: float = 0.2) -> Iterator[EmbeddedAws]:
    """Run an embedded AWS that is quicker than AWS."""
    with EmbeddedAws(EmbeddedAwsOptions(state=state, pending_seconds=pending_seconds)) as aws:
        yield aws


def trust(service: str) -> Document:
    """Return the trust policy of a role for an AWS service."""
    return _document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def allow(*actions: str, resource: str | list[str] = "*") -> Document:
    """Return an identity policy that allows *actions*."""
    return _document({"Effect": "Allow", "Action": list(actions), "Resource": resource})


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = 15.0) -> None:
    """Wait for *condition*, or fail and say what was awaited."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s still not: {what}")
        time.sleep(0.03)


def finished(states: Any, execution_arn: str, *, seconds: float = 30.0) -> dict[str, Any]:
    """Wait for an execution to end and return its description."""
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(states.describe_execution(executionArn=execution_arn))
        return bool(found["status"] != "RUNNING")

    wait_until(ended, what=f"{execution_arn} ended", seconds=seconds)
    return found


def _document(statement: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": [statement]}
