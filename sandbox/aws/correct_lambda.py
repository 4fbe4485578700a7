"""
Functions run.

moto: Docker or a canned answer; layers must exist; CloudFormation drops layers, architectures, tracing and
the log group; code is taken from any bucket.
AWS: runs the code; a layer may be somebody else's (Powertools' public one); all properties are kept; code
comes from a bucket of the function's own Region that lets the function's account read it.
"""

import base64
import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend
from moto.core.utils import unix_time_millis
from moto.s3.models import s3_backends

from sandbox.aws import authorization
from sandbox.aws.lambda_runtime import FunctionSpec, LambdaRuntime, Outcome
from sandbox.aws.moto_pin import Corrections

LOGGER = logging.getLogger(__name__)

KEPT_PROPERTIES = (
    "Architectures",
    "Description",
    "Environment",
    "EphemeralStorage",
    "Handler",
    "KMSKeyArn",
    "Layers",
    "MemorySize",
    "PackageType",
    "ReservedConcurrentExecutions",
    "Runtime",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
)
REFUSED_PROPERTIES = ("FileSystemConfigs", "ImageConfig", "SnapStart")


def apply(corrections: Corrections, runtime: LambdaRuntime) -> None:
    """Let functions run in *runtime*."""

    def invoke(self: Any, body: Any, request_headers: Any, response_headers: Any) -> Any:
        event = json.loads(body) if body else {}
        kind = request_headers.get("x-amz-invocation-type", "RequestResponse")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            threading.Thread(target=run, args=(self, event, runtime), daemon=True).start()
            return b""
        outcome = run(self, event, runtime)
        response_headers["x-amz-executed-version"] = str(self.version)
        if outcome.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.payload.encode()

    corrections.replace(
        LambdaFunction, "invoke", invoke, parameters=["self", "body", "request_headers", "response_headers"]
    )
    corrections.replace(
        LambdaFunction, "_get_layers_data", _layers, parameters=["self", "layers_versions_arns"]
    )

    def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
        return _with_logging(self, original_configuration(self, on_create))

    original_configuration = corrections.replace(
        LambdaFunction, "get_configuration", get_configuration, parameters=["self", "on_create"]
    )
    corrections.replace(
        LambdaFunction,
        "create_from_cloudformation_json",
        _create,
        parameters=["cls", "resource_name", "cloudformation_json", "account_id", "region_name", "kwargs"],
    )
    corrections.replace(
        LambdaFunction,
        "update_from_cloudformation_json",
        _update,
        parameters=[
            "cls",
            "original_resource",
            "new_resource_name",
            "cloudformation_json",
            "account_id",
            "region_name",
        ],
    )


def run(function: Any, event: Any, runtime: LambdaRuntime) -> Outcome:
    """Invoke *function*, a moto model, and keep its log."""
    spec = FunctionSpec(
        arn=function.function_arn,
        name=function.function_name,
        version=str(function.version),
        region=function.region,
        handler=function.handler,
        runtime=function.run_time or "python3.13",
        role_arn=function.role,
        timeout=float(function.timeout),
        memory=int(function.memory_size),
        log_group=function.logs_group_name,
        environment=tuple(sorted((str(key), str(value)) for key, value in function.environment_vars.items())),
        code_digest=function.code_sha_256,
    )

    def emit(lines: list[str]) -> None:
        _to_cloudwatch(function, lines)

    return runtime.invoke(spec, function.code_bytes, event, emit)


_STREAM_LOCK = threading.Lock()


def _to_cloudwatch(function: Any, lines: list[str]) -> None:
    group, stream = function.logs_group_name, f"[{function.version}]sandbox"
    backend = function.logs_backend
    events = [{"timestamp": int(unix_time_millis()), "message": line} for line in lines]
    with _STREAM_LOCK:
        backend.ensure_log_group(group)
        if stream not in backend.groups[group].streams:
            backend.create_log_stream(group, stream)
        backend.put_log_events(group, stream, events)


def _layers(_self: Any, layers_versions_arns: list[str]) -> list[dict[str, Any]]:
    return [{"Arn": arn, "CodeSize": 0} for arn in layers_versions_arns]


def _with_logging(function: Any, configuration: dict[str, Any]) -> dict[str, Any]:
    return {**configuration, "LoggingConfig": {"LogFormat": "Text", "LogGroup": function.logs_group_name}}


def _require_readable(bucket: str, key: str, *, account_id: str, region: str) -> None:
    """Refuse code that Lambda could not take."""
    found = s3_backends.bucket_accounts.get(bucket)
    if found is None:
        raise InvalidParameterValueException(f"S3 Error Code: NoSuchBucket. There is no bucket {bucket}.")
    partition, owner = found
    model = s3_backends[owner][partition].buckets[bucket]
    if model.region_name != region:
        raise InvalidParameterValueException(
            f"S3 Error Code: PermanentRedirect. The bucket {bucket} is in {model.region_name}, the function"
            f" in {region}."
        )
    authorization.may_read_code(
        authorization.parsed(model.policy), account_id=account_id, owner=owner, bucket=bucket, key=key
    )


def _spec(name: str, properties: Mapping[str, Any], *, account_id: str, region: str) -> dict[str, Any]:
    if refused := [item for item in REFUSED_PROPERTIES if item in properties]:
        raise NotImplementedError(f"the sandbox runs no function with {', '.join(refused)}")
    code = dict(properties["Code"])
    if "ZipFile" in code:
        text = LambdaFunction._create_zipfile_from_plaintext_code(code["ZipFile"])
        code["ZipFile"] = base64.b64encode(text)
    if "S3Bucket" in code:
        _require_readable(str(code["S3Bucket"]), str(code["S3Key"]), account_id=account_id, region=region)
    spec = {key: properties[key] for key in KEPT_PROPERTIES if key in properties}
    for number in ("MemorySize", "Timeout"):
        if number in spec:
            spec[number] = int(spec[number])
    tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    return {**spec, "Code": code, "FunctionName": name, "Role": properties["Role"], "Tags": tags}


def _create(
    _cls: Any, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_kwargs: Any
) -> Any:
    properties = cloudformation_json["Properties"]
    function: Any = get_backend(account_id, region_name).create_function(
        _spec(resource_name, properties, account_id=account_id, region=region_name)
    )
    _use_log_group(function, properties)
    function.dead_letters = (properties.get("DeadLetterConfig") or {}).get("TargetArn")
    return function


def _update(
    cls: Any,
    original_resource: Any,
    new_resource_name: str,
    cloudformation_json: Any,
    account_id: str,
    region_name: str,
) -> Any:
    """
    Make the function anew under its name: every property that the template no longer has is gone with the
    old one.
    """
    properties = cloudformation_json["Properties"]
    name = properties.get("FunctionName", original_resource.function_name)
    policy = original_resource.policy
    original_resource.delete(account_id, region_name)
    function = _create(cls, name, cloudformation_json, account_id, region_name)
    if name == original_resource.function_name:
        # Permissions are resources of their own and outlive a change of the function.
        policy.parent = function
        function.policy = policy
    del new_resource_name
    return function


def _use_log_group(function: Any, properties: Mapping[str, Any]) -> None:
    group = (properties.get("LoggingConfig") or {}).get("LogGroup")
    if group:
        function.logs_group_name = group
