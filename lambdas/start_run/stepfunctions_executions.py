"""Start the workflow, which is all that this function may do."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsExecutions:
    """Executions of one state machine."""

    def __init__(self, client: "SFNClient", *, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, request: dict[str, str]) -> str:
        """Start one and return its ARN."""
        answer = self._client.start_execution(
            stateMachineArn=self._state_machine_arn, input=json.dumps(request)
        )
        return answer["executionArn"]
