"""
Where AWS's console shows an execution.

Source: AWS General Reference, "AWS Management Console endpoints" (`<region>.console.aws.amazon.com`), and the
consoles of the other partitions.
"""

from urllib.parse import quote

from lambdas.core.errors import InvalidRequestError
from lambdas.core.execution import Execution

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def execution_link(arn: str) -> str | None:
    """Return the page of an execution; None where the ARN is none, or its console is not known."""
    try:
        execution = Execution.from_arn(arn)
    except (InvalidRequestError, ValueError):
        return None
    console = _CONSOLES.get(execution.partition)
    if console is None:
        return None
    region = execution.region
    return f"https://{region}.{console}/states/home?region={region}#/v2/executions/details/{quote(arn)}"
