"""
The front of the emulator: every request passes here before moto sees it.

    host name → which call → who asks → does a fault strike → may they → moto → one line in the log

The gateway knows nothing of single services beyond S3's doors; it takes what it needs to know (an
endpoint's policy, a bucket's owner) from moto's own backends.
"""

import contextlib
import dataclasses
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from moto.ec2.models import ec2_backends
from moto.s3.models import s3_backends

from sandbox.aws import authorization, calls
from sandbox.aws.authorization import Circumstances, DeniedError
from sandbox.aws.calls import AwsCall
from sandbox.aws.correct_endpoints import current_state
from sandbox.aws.errors import ErrorAnswer
from sandbox.aws.faults import Fault, Faults, Refused
from sandbox.aws.hosts import Door, UnknownHostError, door_of
from sandbox.aws.identity import ANONYMOUS, Identities, Principal, UnknownKeyError
from sandbox.aws.listener import HOST_KEY, TLS_VERSION_KEY, WsgiApplication
from sandbox.aws.policy import MalformedPolicyError, PolicyError, require_bucket_policy
from sandbox.aws.request_log import RequestLog

LOGGER = logging.getLogger(__name__)

ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"
LARGEST_BUCKET_POLICY = 20 * 1024
ONE_AT_A_TIME = ("dynamodb", "ec2", "events", "iam", "s3", "ssm", "sts")
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")
# Operations that answer 403, not 404, for an object that isn't there, to callers who may not list.
_HIDES_MISSING = frozenset({"GetObject", "HeadObject"})


class EndpointUnreachableError(Exception):
    """The host names an interface endpoint that doesn't take requests."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])


class Gateway:
    """A WSGI application in front of moto's."""

    def __init__(
        self,
        application: WsgiApplication,
        *,
        identities: Identities,
        log: RequestLog,
        faults: Faults,
        account_id: str,
        region: str,
    ) -> None:
        self._application = application
        self._identities = identities
        self._log = log
        self._faults = faults
        self._account_id = account_id
        self._region = region
        # moto reads, decides and writes without locks; a conditional write must not be overtaken in between.
        self._locks = {service: threading.Lock() for service in ONE_AT_A_TIME}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ.pop(ACCOUNT_HEADER, None)
        answer = self._answer(environ)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _answer(self, environ: dict[str, Any]) -> _Answer:
        host = environ.get(HOST_KEY, "")
        try:
            door = door_of(host)
            endpoint = _endpoint_behind(door)
        except (UnknownHostError, EndpointUnreachableError) as error:
            # No AWS server would have been reached: a proxy's answer, not S3's, and no AWS call in the log.
            LOGGER.info("%s", error)
            return _Answer(
                status="502 Bad Gateway", headers=[("Content-Type", "text/plain")], body=f"{error}\n".encode()
            )
        _use_path_style(environ, door)
        # From here on moto's own idea of a virtual host must not interfere; it is set to the service's own
        # name below.
        environ["HTTP_HOST"] = "127.0.0.1"
        call = calls.understand(environ, default_region=door.region or self._region)
        principal, fault = ANONYMOUS, None
        try:
            principal = self._identities.principal(call.access_key_id)
            fault = self._faults.at(call, principal)
            answer = (
                _refusal(call, fault.answer)
                if isinstance(fault, Refused)
                else self._checked(environ, call, principal, door, endpoint)
            )
        except UnknownKeyError as error:
            answer = _refusal(call, _unknown_key(call, error))
        except DeniedError as error:
            answer = _refusal(
                call, ErrorAnswer(status=_denied_status(call, error), code=error.code, message=str(error))
            )
        except MalformedPolicyError as error:
            answer = _refusal(call, ErrorAnswer(status=400, code="MalformedPolicy", message=str(error)))
        except PolicyError as error:
            LOGGER.exception("a policy that the sandbox can't judge")
            answer = _refusal(call, ErrorAnswer(status=500, code="SandboxUnsupported", message=str(error)))
        except Exception as error:  # the boundary: a fault of ours is an answer too, not a dead connection
            LOGGER.exception("%s:%s failed inside the gateway", call.service, call.operation)
            text = f"the sandbox failed: {error!r}"
            answer = _refusal(call, ErrorAnswer(status=500, code="InternalFailure", message=text))
        if environ["REQUEST_METHOD"] == "HEAD":
            answer = dataclasses.replace(answer, body=b"")
        if not principal.internal:
            self._write(environ, call, principal, door, answer, fault)
        self._faults.before_answering(fault, principal)
        return answer

    def _checked(
        self, environ: dict[str, Any], call: AwsCall, principal: Principal, door: Door, endpoint: Any
    ) -> _Answer:
        # Creating needs no owner's consent: a taken name is a conflict, not a refusal.
        existing = call.service == "s3" and call.operation != "CreateBucket"
        bucket = call.parameters.get("Bucket") if existing else None
        owner, policy = _bucket_facts(str(bucket)) if bucket else (None, None)
        circumstances = Circumstances(
            secure=environ[TLS_VERSION_KEY] is not None,
            tls_version=environ[TLS_VERSION_KEY],
            endpoint_id=door.endpoint_id,
            endpoint_policy=authorization.parsed(endpoint.policy_document) if endpoint is not None else None,
            vpc_id=endpoint.vpc_id if endpoint is not None else None,
            bucket_owner=owner,
            bucket_policy=policy,
            resource_tags=_EndpointTags(call, principal),
        )
        authorization.authorize(call, principal, circumstances)
        if call.service == "sts" and call.operation == "AssumeRole" and not principal.internal:
            authorization.may_assume(str(call.parameters.get("RoleArn")), principal, call.parameters)
        if call.service == "s3" and call.operation == "PutBucketPolicy":
            _check_new_policy(call)
        environ[ACCOUNT_HEADER] = self._account_for(principal, owner)
        environ["HTTP_HOST"] = f"{_host_label(call.service)}.{call.region}.amazonaws.com"
        answer = self._from_moto(environ, call)
        if answer.code == 404 and call.operation in _HIDES_MISSING and owner is not None:
            reason = (
                authorization.may_list(call, principal, circumstances) if not principal.internal else None
            )
            if reason is not None:
                raise DeniedError(reason)
        return answer

    def _account_for(self, principal: Principal, bucket_owner: str | None) -> str:
        """
        Return the account whose backend answers: a bucket lives with its owner, the rest with the caller.
        """
        return bucket_owner or principal.account_id or self._account_id

    def _from_moto(self, environ: dict[str, Any], call: AwsCall) -> _Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: Any = None
        ) -> Callable[..., Any]:
            started[:] = [(status, headers)]
            return lambda _data: None

        try:
            with self._locks.get(call.service, contextlib.nullcontext()):
                chunks = self._application(environ, start_response)
                body = b"".join(chunks)
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        except DeniedError:
            raise
        except NotImplementedError as error:
            # 501, which clients don't retry: it would not come about by waiting.
            return _refusal(
                call, ErrorAnswer(status=501, code="NotImplemented", message=f"the sandbox: {error}")
            )
        except Exception as error:
            LOGGER.warning("%s:%s failed inside the emulator", call.service, call.operation, exc_info=True)
            summary = traceback.format_exception_only(error)[-1].strip()
            return _refusal(
                call,
                ErrorAnswer(status=500, code="InternalFailure", message=f"the emulator failed: {summary}"),
            )
        status, headers = started[0]
        return _Answer(status=status, headers=headers, body=body)

    def _write(
        self,
        environ: Mapping[str, Any],
        call: AwsCall,
        principal: Principal,
        door: Door,
        answer: _Answer,
        fault: Fault | None,
    ) -> None:
        code, message = _error_of(answer) if answer.code >= 300 else (None, None)
        self._log.write(
            service=call.service,
            action=call.operation,
            parameters=calls.loggable(call.parameters),
            principal=principal.arn,
            account=principal.account_id or None,
            source=principal.source,
            host=environ.get(HOST_KEY),
            region=call.region,
            vpce=door.endpoint_id,
            tls=environ[TLS_VERSION_KEY],
            readonly=call.readonly,
            status=answer.code,
            error_code=code,
            error_message=message,
            user_agent=environ.get("HTTP_USER_AGENT"),
            fault=None if fault is None else str(fault),
        )


class _EndpointTags(Mapping[str, Mapping[str, str]]):
    """Tags of EC2 resources by ARN, read only when a policy asks."""

    def __init__(self, call: AwsCall, principal: Principal) -> None:
        self._call = call
        self._principal = principal

    def __getitem__(self, arn: str) -> Mapping[str, str]:
        if self._call.service != "ec2" or not self._principal.account_id:
            raise KeyError(arn)
        backend = ec2_backends[self._principal.account_id][self._call.region]
        return dict(backend.tags.get(arn.rsplit("/", 1)[-1], {}))

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def _endpoint_behind(door: Door) -> Any:
    """Return the endpoint that the host names; None when the request didn't come through one."""
    if door.endpoint_id is None or door.region is None:
        return None
    for by_region in list(ec2_backends.values()):
        if door.region not in by_region:
            continue
        endpoint = by_region[door.region].vpc_end_points.get(door.endpoint_id)
        if endpoint is None:
            continue
        names = [
            entry["dns_name"].removeprefix("*.").split(".", 1)[0]
            for entry in endpoint.dns_entries or []
            if ".vpce." in entry["dns_name"]
        ]
        if door.endpoint_name not in names:
            raise EndpointUnreachableError(f"{door.endpoint_name} is no name of {door.endpoint_id}")
        if current_state(endpoint) != "available":
            raise EndpointUnreachableError(f"{door.endpoint_id} is {endpoint.state}: nobody answers there")
        return endpoint
    raise EndpointUnreachableError(f"there is no endpoint {door.endpoint_id} in {door.region}")


def _use_path_style(environ: dict[str, Any], door: Door) -> None:
    """Turn `bucket.host/key` and absolute URIs into `/bucket/key`, the one form that moto then sees."""
    raw = environ["RAW_URI"]
    parts = urlsplit(raw)
    path = parts.path if parts.scheme else raw.split("?", 1)[0]
    if door.bucket:
        path = f"/{quote(door.bucket)}{path if path.startswith('/') else '/' + path}"
    query = environ.get("QUERY_STRING", "")
    environ["RAW_URI"] = environ["REQUEST_URI"] = f"{path}?{query}" if query else path
    environ["PATH_INFO"] = unquote(path, "latin-1")


def _bucket_facts(bucket: str) -> tuple[str | None, Mapping[str, Any] | None]:
    found = s3_backends.bucket_accounts.get(bucket)
    if found is None:
        return None, None
    partition, owner = found
    stored = s3_backends[owner][partition].buckets[bucket].policy
    return owner, authorization.parsed(stored)


def _check_new_policy(call: AwsCall) -> None:
    text = call.parameters.get("Policy") or b""
    raw = text.encode() if isinstance(text, str) else bytes(text)
    if len(raw) > LARGEST_BUCKET_POLICY:
        raise MalformedPolicyError("Policies must not be larger than 20 KB")
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise MalformedPolicyError("This policy contains invalid Json") from error
    if not isinstance(document, dict):
        raise MalformedPolicyError("This policy contains invalid Json")
    require_bucket_policy(document, str(call.parameters["Bucket"]))


def _host_label(service: str) -> str:
    return {"stepfunctions": "states", "cloudwatch": "monitoring"}.get(service, service)


def _unknown_key(call: AwsCall, error: UnknownKeyError) -> ErrorAnswer:
    if call.service == "s3":
        text = "The AWS Access Key Id you provided does not exist in our records."
        return ErrorAnswer(status=403, code="InvalidAccessKeyId", message=text)
    if call.service == "ec2":
        text = "AWS was not able to validate the provided access credentials"
        return ErrorAnswer(status=401, code="AuthFailure", message=text)
    text = "The security token included in the request is invalid."
    code = (
        "InvalidClientTokenId"
        if call.service in ("sts", "iam", "cloudformation", "sns")
        else "UnrecognizedClientException"
    )
    LOGGER.info("%s", error)
    return ErrorAnswer(status=403 if code == "InvalidClientTokenId" else 400, code=code, message=text)


def _denied_status(call: AwsCall, error: DeniedError) -> int:
    if error.code == "AccessDeniedException" and call.service in (
        "ssm",
        "stepfunctions",
        "events",
        "dynamodb",
        "logs",
    ):
        return 400
    return 403


def _refusal(call: AwsCall, error: ErrorAnswer) -> _Answer:
    headers, body = error.body(call.service)
    return _Answer(status=error.status_line, headers=headers, body=body)


def _error_of(answer: _Answer) -> tuple[str | None, str | None]:
    code, message = _CODE.search(answer.body), _MESSAGE.search(answer.body)
    if code:
        return code[1].decode(), message[1].decode() if message else None
    for name, value in answer.headers:
        if name.lower() == "x-amzn-errortype":
            return value.split(":", 1)[0], _json_message(answer.body)
    try:
        document = json.loads(answer.body)
    except ValueError:
        return (str(answer.code), None) if answer.code >= 400 else (None, None)
    if not isinstance(document, dict):
        return None, None
    kind = document.get("__type") or document.get("code")
    return (str(kind).rsplit("#", 1)[-1] if kind else None), _json_message(answer.body)


def _json_message(body: bytes) -> str | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return str(document.get("message") or document.get("Message")) if isinstance(document, dict) else None
