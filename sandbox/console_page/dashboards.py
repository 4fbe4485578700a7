"""
What a viewer of the CloudWatch console asks AWS for, each call with the viewer's own credentials: so what the
viewer's policies refuse is refused here, too.
"""

import json
import threading
from dataclasses import dataclass
from typing import Any, Literal

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.aws import Credentials, EmbeddedAws
from sandbox.console_page.clean_html import clean

Kind = Literal["html", "json", "error"]


class RefusedError(Exception):
    """What the page asks for can't be had; the text says why, in AWS's own words if AWS refused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a function gave back: cleaned HTML, or a text (JSON, or why there is nothing to show)."""

    kind: Kind
    content: str


class Viewer:
    """Somebody who has signed in to the console."""

    def __init__(self, aws: EmbeddedAws, credentials: Credentials) -> None:
        self._aws = aws
        self._credentials = credentials
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def dashboards(self) -> list[str]:
        """Return the names of the account's dashboards."""
        try:
            entries = self._client("cloudwatch").list_dashboards()["DashboardEntries"]
        except (ClientError, BotoCoreError) as error:
            raise RefusedError(_words(error)) from error
        return [str(entry["DashboardName"]) for entry in entries]

    def dashboard(self, name: str) -> dict[str, Any]:
        """Return the body of a dashboard: its widgets, as CloudWatch keeps them."""
        try:
            body = self._client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
        except (ClientError, BotoCoreError) as error:
            raise RefusedError(_words(error)) from error
        found: dict[str, Any] = json.loads(body)
        return found

    def alarms(self, arns: list[str]) -> list[dict[str, str]]:
        """Return name, state and reason of the alarms, in the order given."""
        names = [arn.rsplit(":", 1)[-1] for arn in arns]
        try:
            found = self._client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
        except (ClientError, BotoCoreError) as error:
            raise RefusedError(_words(error)) from error
        alarms = {
            str(alarm["AlarmName"]): {
                "name": str(alarm["AlarmName"]),
                "state": str(alarm["StateValue"]),
                "description": str(alarm.get("AlarmDescription") or ""),
            }
            for alarm in found
        }
        return [alarms[name] for name in names if name in alarms]

    def call(self, function: str, event: dict[str, Any]) -> Answer:
        """Invoke the function of a custom widget or of a button in it, and return what is to be shown."""
        try:
            answer = self._client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
            payload = json.loads(answer["Payload"].read() or b"null")
        except (ClientError, BotoCoreError) as error:
            return Answer(kind="error", content=_words(error))
        if answer.get("FunctionError"):
            said = f"{payload.get('errorType', 'Error')}: {payload.get('errorMessage', '')}"
            return Answer(kind="error", content=f"The function failed. {said}")
        if isinstance(payload, str):
            return Answer(kind="html", content=clean(payload))
        return Answer(kind="json", content=json.dumps(payload, indent=2, ensure_ascii=False))

    def _client(self, service: str) -> Any:
        # boto3 isn't safe to make clients with from several threads; the clients themselves are.
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._aws.client(
                    service,
                    self._credentials,
                    # The console doesn't press a button a second time when the first answer is late.
                    config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
                )
            return self._clients[service]


def _words(error: ClientError | BotoCoreError) -> str:
    """Return what AWS said, without what boto3 adds to it."""
    if not isinstance(error, ClientError):
        return str(error)
    said = error.response["Error"]
    return f"{said['Code']}: {said['Message']}"
