"""Start the workflow on a sandbox, and ask the outside world what became of it."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract.parameters import endpoint_parameter, settings_parameter
from contract.settings import settings_digest
from sandbox.running import Sandbox

_PATIENCE_SECONDS = 120.0
# Whatever isn't a read changes something.
_READS = ("Describe", "Get", "Head", "List", "Scan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An execution that has ended."""

    arn: str
    status: str
    error: str
    cause: str
    output: dict[str, Any]


class Workflow:
    """The state machine of one sandbox and what it works on."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._states = sandbox.aws.client("stepfunctions")
        self._ssm = sandbox.aws.client("ssm")
        self._ec2 = sandbox.aws.client("ec2")
        self._s3 = sandbox.aws.client("s3")
        self._iam = sandbox.aws.client("iam")

    def start(self, request: object | None = None) -> str:
        """Start an execution, for the site unless another request is given; return its ARN."""
        wanted = {"site": self.sandbox.settings.site} if request is None else request
        answer = self._states.start_execution(
            stateMachineArn=self.sandbox.state_machine_arn, input=json.dumps(wanted)
        )
        return str(answer["executionArn"])

    def end_of(self, execution: str) -> Run:
        """Wait until the execution has ended."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while (answer := self._states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < give_up, f"{execution} does not end"
            time.sleep(0.1)
        return Run(
            arn=execution,
            status=answer["status"],
            error=answer.get("error", ""),
            cause=answer.get("cause", ""),
            output=json.loads(answer.get("output") or "{}"),
        )

    def run(self, request: object | None = None) -> Run:
        """Start an execution and wait for its end."""
        return self.end_of(self.start(request))

    def stop(self, execution: str) -> None:
        """End an execution as a person in the console would: its Catch does not run."""
        self._states.stop_execution(executionArn=execution)

    def executions(self) -> list[str]:
        """The ARNs of all executions, the newest first."""
        answer = self._states.list_executions(stateMachineArn=self.sandbox.state_machine_arn)
        return [execution["executionArn"] for execution in answer["executions"]]

    def put_event(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """Send an event to the default bus."""
        answer = self.sandbox.aws.client("events").put_events(
            Entries=[{"Source": "vbr-privatelink", "DetailType": detail_type, "Detail": json.dumps(detail)}]
        )
        assert answer["FailedEntryCount"] == 0

    @contextlib.contextmanager
    def settings(self, **changed: object) -> Iterator[None]:
        """Change the settings as a deployment would, parameter and digest, and put them back."""
        before = self.deployed_settings()
        after = json.dumps({**json.loads(before), **changed})
        self._deploy(before, after)
        try:
            yield
        finally:
            self._deploy(after, before)

    def deployed_settings(self) -> str:
        """The settings parameter's value."""
        name = settings_parameter(self.sandbox.settings.site)
        return str(self._ssm.get_parameter(Name=name)["Parameter"]["Value"])

    def history(self, execution: str) -> str:
        """What has happened in an execution until now, as text."""
        return json.dumps(self._states.get_execution_history(executionArn=execution)["events"], default=str)

    def edit_settings(self, text: str) -> None:
        """Let somebody write the settings parameter by hand."""
        name = settings_parameter(self.sandbox.settings.site)
        self._ssm.put_parameter(Name=name, Value=text, Overwrite=True)

    def _deploy(self, old: str, new: str) -> None:
        functions = self.sandbox.aws.client("lambda")
        function = "vbr-privatelink-resolve-request"
        variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        name = "SETTINGS_DIGESTS"
        variables[name] = variables[name].replace(settings_digest(old), settings_digest(new))
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
        self.edit_settings(new)

    def denied(self, step: str, action: str) -> contextlib.AbstractContextManager[None]:
        """Take a permission away from the role of a step."""
        return self._further_policy(step, "Deny", action)

    def allowed(self, step: str, action: str) -> contextlib.AbstractContextManager[None]:
        """Give the role of a step a permission, as if the stack had been deployed with other settings."""
        return self._further_policy(step, "Allow", action)

    @contextlib.contextmanager
    def _further_policy(self, step: str, effect: str, action: str) -> Iterator[None]:
        function = self.sandbox.aws.client("lambda").get_function(FunctionName=f"vbr-privatelink-{step}")
        role = function["Configuration"]["Role"].split("/")[-1]
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": effect, "Action": action, "Resource": "*"}],
        }
        self._iam.put_role_policy(RoleName=role, PolicyName="further", PolicyDocument=json.dumps(policy))
        try:
            yield
        finally:
            self._iam.delete_role_policy(RoleName=role, PolicyName="further")

    def published(self) -> dict[str, Any] | None:
        """The endpoint parameter, or None."""
        try:
            answer = self._ssm.get_parameter(Name=endpoint_parameter(self.sandbox.settings.site))
        except self._ssm.exceptions.ParameterNotFound:
            return None
        parameter: dict[str, Any] = answer["Parameter"]
        return parameter

    def endpoints(self) -> list[str]:
        """The ids of the endpoints that are there."""
        found = self._ec2.describe_vpc_endpoints()["VpcEndpoints"]
        return [
            endpoint["VpcEndpointId"]
            for endpoint in found
            if endpoint["State"].lower() not in ("deleting", "deleted")
        ]

    def groups(self) -> list[str]:
        """The ids of the security groups that the product has made."""
        found = self._ec2.describe_security_groups(
            Filters=[{"Name": "tag-key", "Values": ["vbr-privatelink-created-by"]}]
        )
        return [group["GroupId"] for group in found["SecurityGroups"]]

    def buckets(self) -> list[str]:
        """The names of the account's buckets, without the one that holds the functions' code."""
        return [
            bucket["Name"]
            for bucket in self._s3.list_buckets()["Buckets"]
            if not bucket["Name"].startswith("cdk-")
        ]

    def policy(self) -> dict[str, Any] | None:
        """The site's bucket policy, or None."""
        try:
            answer = self._s3.get_bucket_policy(Bucket=self.sandbox.bucket)
        except self._s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchBucketPolicy", "NoSuchBucket"):
                raise
            return None
        policy: dict[str, Any] = json.loads(answer["Policy"])
        return policy

    def lease(self) -> dict[str, Any]:
        """The site's item in the table."""
        answer = self.sandbox.aws.client("dynamodb").get_item(
            TableName=self.sandbox.sites_table,
            Key={"site": {"S": self.sandbox.settings.site}},
        )
        item: dict[str, Any] = answer.get("Item", {})
        return item

    def seen(self) -> int:
        """How many AWS calls were made so far."""
        return len(self.sandbox.aws.requests())

    def writes(self, *, since: int = 0) -> list[str]:
        """What the functions have written, as service:Action, as the outside world has seen it."""
        return [
            f"{call['service']}:{call['action']}"
            for call in self.sandbox.aws.requests()[since:]
            if call["source"].startswith("lambda:")
            and not call["action"].startswith(_READS)
            and call["status"] < 300
        ]
