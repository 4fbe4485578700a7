"""Whether a run is still at work, as Step Functions knows it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsExecutions:
    """Executions of the workflow."""

    def __init__(self, client: "SFNClient") -> None:
        self._client = client

    def is_running(self, execution: str) -> bool:
        """Say whether the execution has not ended; one that Step Functions has forgotten has ended."""
        try:
            answer = self._client.describe_execution(executionArn=execution)
        except self._client.exceptions.ExecutionDoesNotExist:
            return False
        return answer["status"] in ("RUNNING", "PENDING_REDRIVE")
