"""What became of the runs that hold a lease."""

from typing import TYPE_CHECKING

from lambdas.core.console_links import execution_link
from lambdas.show_sites.logic import Execution

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsRuns:
    """Executions of the workflow."""

    def __init__(self, client: "SFNClient") -> None:
        self._client = client

    def look_at(self, execution: str) -> Execution | None:
        """Return how the run stands; None for one that Step Functions has forgotten."""
        try:
            answer = self._client.describe_execution(executionArn=execution)
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(status=answer["status"], started_at=answer["startDate"])

    def link(self, execution: str) -> str | None:
        """Return the run's page in the console."""
        return execution_link(execution)
