"""
Which AWS operation a request is, and with which parameters: read with botocore's own service models.

moto already has the routers and parsers (they follow the models); this module only finds the service, calls
them, and shortens what a log must not hold.
"""

import functools
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import botocore.session
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]+/([^/]+)/([^/]+)/aws4_request")

# Signing names that differ from boto3's service name, for the services this project and its users may call.
SERVICE_BY_SIGNING_NAME = {
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
    "rolesanywhere": "rolesanywhere",
    "servicequotas": "service-quotas",
}
READING = re.compile(
    r"(Get|List|Head|Describe|BatchGet|Lookup|Search|Query|Scan|Select|Filter|Simulate|Test|Validate|Estimate|Detect|Decode)"
)
HIDDEN = frozenset({"Body", "ZipFile", "SecretString", "SecretBinary", "Password", "TemplateBody"})
LONGEST_TEXT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCall:
    """One request, understood."""

    service: str
    """boto3's name of the service."""
    operation: str | None
    """The operation's name, or None when no operation of the service matches."""
    region: str
    access_key_id: str | None
    """None: the request isn't signed."""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The service's prefix in IAM actions."""
        return iam_prefix(self.service)

    @property
    def readonly(self) -> bool | None:
        """Whether the operation changes nothing; None when that depends on what it starts."""
        if self.operation is None:
            return None
        if self.service == "sts":
            return True
        if self.service == "lambda" and self.operation.startswith("Invoke"):
            return None
        return READING.match(self.operation) is not None


@functools.cache
def iam_prefix(service: str) -> str:
    """Return the prefix of *service* in IAM actions (`states` for Step Functions)."""
    if service == "cloudwatch":
        return "cloudwatch"
    if service == "resourcegroupstaggingapi":
        return "tag"
    model = botocore.session.get_session().get_service_model(service)
    return str(model.signing_name)


def credential_scope(environ: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return access key id, region and signing name of a signed request."""
    match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if match:
        return match[1], match[2], match[3]
    credential = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential")
    if credential and credential[0].count("/") >= 4:
        key, _date, region, service, _end = credential[0].rsplit("/", 4)
        return key, region, service
    return None


def understand(environ: dict[str, Any], *, default_region: str) -> AwsCall:
    """Read the request in *environ*; its input stream is left as it was found."""
    body = environ["wsgi.input"].read()
    environ["wsgi.input"] = io.BytesIO(body)
    scope = credential_scope(environ)
    if scope is None:
        key, region, signing_name = None, default_region, _unsigned_service(body)
    else:
        key, region, signing_name = scope
    service = SERVICE_BY_SIGNING_NAME.get(signing_name, signing_name)
    if service == "s3" and environ["PATH_INFO"].startswith("/v20180820/"):
        service = "s3control"
    operation, parameters = _operation(service, {**environ, "wsgi.input": io.BytesIO(body)})
    return AwsCall(
        service=service,
        operation=operation,
        region=region,
        access_key_id=key,
        parameters=parameters,
    )


def loggable(value: Any, name: str = "") -> Any:
    """Return *value* as JSON can hold it, without secrets and long texts."""
    if name in HIDDEN:
        return "***"
    if isinstance(value, Mapping):
        cut = {str(key): loggable(item, str(key)) for key, item in value.items()}
        if value.get("Type") == "SecureString":
            cut["Value"] = "***"
        return cut
    if isinstance(value, list | tuple):
        return [loggable(item) for item in value]
    if isinstance(value, bytes):
        return loggable(value.decode("utf-8", "replace"), name)
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return str(value)


def _unsigned_service(body: bytes) -> str:
    return "sts" if b"Action=AssumeRoleWith" in body else "s3"


def _operation(service: str, environ: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    request = Request(environ)
    try:
        operation, uri_parameters = get_service_router(service).match(request)
    except (HTTPException, NotImplementedError):
        return None, {}
    except botocore.exceptions.UnknownServiceError:
        return None, {}
    model = get_service_model(service)
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](operation)
    raw: Any = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": b"" if _streams(operation) else request.get_data(),
        "url_path": request.path,
        "url_params": uri_parameters,
    }
    try:
        parsed = parser.parse(raw)
    except Exception as error:  # noqa: BLE001 - whatever a malformed request does to the parser, moto shall answer it
        parsed = {**uri_parameters, "unreadable": str(error)}
    return str(operation.name), dict(parsed)


def _streams(operation: Any) -> bool:
    return bool(operation.has_streaming_input)
