"""
What may cross the border, said once more and in other words: JSON Schemas and patterns of the tests' own.

Written from the rules that AWS and Veeam publish and from the design, never derived from `contract`. A
document that the product takes and this module refuses, or the other way round, is a finding in one of both.
JSON is read by another parser than the product's.
"""

import datetime as dt
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import jsonschema
from pydantic_core import from_json

Schema = dict[str, Any]

_LARGEST_PARAMETER = 4096  # Parameter Store, Standard tier.

# Python's $ also matches before a last line end.
_SITE = r"\A[a-z0-9](?:|[a-z0-9-]{0,30}[a-z0-9])\Z"
_SERVER = r"\A[a-z0-9](?:|[a-z0-9._-]{0,61}[a-z0-9])\Z"
_REGION = r"\A(?!us-iso|eu-iso)[a-z]{2,4}-(?:[a-z]{1,12}-){1,3}[0-9]{1,2}\Z"
_ENDPOINT = r"\Avpce-[0-9a-f]{8,17}\Z"
_BUCKET = (
    r"\A(?!xn--|sthree-|amzn-s3-demo-)(?!.*(?:-s3alias|--ol-s3|--x-s3|--table-s3)\Z)"
    r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\Z"
)
_FOLDER = r"\A[A-Za-z0-9](?:|[A-Za-z0-9 _-]{0,62}[A-Za-z0-9])\Z"
_PRINCIPAL = r"\Aarn:aws(?:-[a-z]+)*:iam::[0-9]{12}:(?:role|user)/[A-Za-z0-9+=,.@_/-]{1,512}\Z"
_PREFIX = r"\A[a-z0-9](?:|[a-z0-9-]{0,18}[a-z0-9])\Z"


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def _printable(longest: int) -> Schema:
    return {"type": "string", "maxLength": longest, "pattern": r"\A[ -~]*\Z"}


def _list(items: Schema, most: int, *, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, schema]}


def _object(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_DAYS: Schema = {"type": "integer", "minimum": 0, "maximum": 999}
_TIME: Schema = {"type": "string", "format": "time in UTC"}

ENDPOINT_DOCUMENT = _object(
    {
        "schema_version": {"type": "integer", "const": 1},
        "site": _text(_SITE),
        "region": _text(_REGION),
        "account_id": _text(r"\A[0-9]{12}\Z"),
        "vpc_endpoint_id": _text(_ENDPOINT),
        "endpoint_host": {"type": "string"},
        "endpoint_addresses": _or_null(_list({"type": "string", "format": "address"}, 12)),
        "buckets": _list(
            _object({"name": _text(_BUCKET), "folder": _text(_FOLDER), "immutability_days": _DAYS}),
            10,
            least=1,
        ),
        "state": {"enum": ["active", "withdrawn"]},
        "published_at": _TIME,
        "execution": _printable(256),
    },
    optional=("endpoint_addresses",),
)

ADOPTION_REPORT = _object(
    {
        "schema_version": {"type": "integer", "const": 1},
        "server": _text(_SERVER),
        "client_version": _printable(40),
        "vbr_version": _or_null(_printable(40)),
        "vpc_endpoint_id": _text(_ENDPOINT),
        "document_version": {"type": "integer", "minimum": 1, "maximum": 2**53},
        "outcome": {"enum": ["adopted", "reverted", "failed"]},
        "checks": _or_null(
            _list(
                _object(
                    {
                        "id": _text(r"\A[a-z0-9][a-z0-9-]{0,39}\Z"),
                        "ok": {"type": "boolean"},
                        "detail": _printable(500),
                    }
                ),
                30,
            )
        ),
        "error": _or_null(_printable(500)),
        "at": _TIME,
    },
    optional=("checks",),
)

SITE_SETTINGS = _object(
    {
        "schema_version": {"type": "integer", "const": 1},
        "site": _text(_SITE),
        "vpc_id": _or_null(_text(r"\Avpc-[0-9a-f]{8,17}\Z")),
        "subnet_ids": _or_null(_list(_text(r"\Asubnet-[0-9a-f]{8,17}\Z"), 6)),
        "onprem_cidrs": _list({"type": "string", "format": "network"}, 20, least=1),
        "bucket_prefix": _or_null(_text(_PREFIX)),
        "buckets": _list(
            _object(
                {
                    "name": _or_null(_text(_BUCKET)),
                    "folder": _text(_FOLDER),
                    "immutability_days": _DAYS,
                },
                optional=("name",),
            ),
            10,
            least=1,
        ),
        "endpoint_policy": _or_null({"enum": ["restricted", "full"]}),
        "additional_buckets": _or_null(_list(_text(_BUCKET), 10)),
        "vpc_endpoint_id": _or_null(_text(_ENDPOINT)),
        "security_group_id": _or_null(_text(r"\Asg-[0-9a-f]{8,17}\Z")),
        "policy_administrators": _or_null(_list(_text(_PRINCIPAL), 10)),
        "additional_endpoint_ids": _or_null(_list(_text(_ENDPOINT), 10)),
        "expected_servers": _or_null(_list(_text(_SERVER), 20)),
        "release_deadline_hours": _or_null({"type": "integer", "minimum": 1, "maximum": 2160}),
    },
    optional=(
        "vpc_id",
        "subnet_ids",
        "bucket_prefix",
        "endpoint_policy",
        "additional_buckets",
        "vpc_endpoint_id",
        "security_group_id",
        "policy_administrators",
        "additional_endpoint_ids",
        "expected_servers",
        "release_deadline_hours",
    ),
)

_GRANT = {
    "principal": {**_text(_PRINCIPAL), "maxLength": 300},
    "hours": {"type": "integer", "minimum": 1, "maximum": 168},
    "reason": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\A[ -~]+\Z"},
}
_PLAIN_REQUEST: Schema = {
    **_object(
        {
            "site": _text(_SITE),
            "intent": _or_null({"enum": ["provisioned", "released"]}),
            "purpose": {"enum": ["reconcile", "check", "pending"]},
            "force": {"type": "boolean"},
            "grant": _or_null(_object(_GRANT)),
        },
        optional=("intent", "purpose", "force", "grant"),
    ),
    "allOf": [
        {
            "if": {"properties": {"force": {"const": True}}, "required": ["force"]},
            "then": {"properties": {"intent": {"const": "released"}}, "required": ["intent"]},
        },
        {
            "if": {"properties": {"purpose": {"enum": ["check", "pending"]}}, "required": ["purpose"]},
            "then": {"properties": {"intent": {"type": "null"}, "grant": {"type": "null"}}},
        },
    ],
}


def _event(source: str, kind: str, detail: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"source": {"const": source}, "detail-type": {"const": kind}, "detail": detail},
        "required": ["source", "detail-type", "detail"],
    }


RECONCILE_REQUEST: Schema = {
    "type": "object",
    "if": {"required": ["detail-type"]},
    "then": {
        "anyOf": [
            _event("vbr-privatelink", "Provision Requested", _object({"site": _text(_SITE)})),
            _event(
                "vbr-privatelink",
                "Release Requested",
                _object({"site": _text(_SITE), "force": {"type": "boolean"}}, optional=("force",)),
            ),
            _event("vbr-privatelink", "Check Requested", _object({"site": _text(_SITE)})),
            _event("vbr-privatelink", "Access Grant Requested", _object({"site": _text(_SITE), **_GRANT})),
            _event(
                "aws.ssm",
                "Parameter Store Change",
                {
                    "type": "object",
                    "properties": {
                        "name": _text(
                            r"\A/vbr-privatelink/[a-z0-9](?:|[a-z0-9-]{0,30}[a-z0-9])"
                            r"/adoption/[a-z0-9._-]{1,63}\Z"
                        )
                    },
                    "required": ["name"],
                },
            ),
        ]
    },
    "else": _PLAIN_REQUEST,
}


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", value):
        return False
    try:
        dt.datetime(*(int(part) for part in re.findall(r"[0-9]+", value)), tzinfo=dt.UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return False
    return True


def _is_address(value: object) -> bool:
    """As the C library writes it; no IPv6 address that stands for an IPv4 one or for the machine itself."""
    if not isinstance(value, str):
        return True
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, value)
        except (OSError, ValueError):
            continue
        return socket.inet_ntop(family, packed) == value and packed[:10] != bytes(10)
    return False


def _is_network(value: object) -> bool:
    """A network in CIDR notation: four plain numbers, a length from 1 to 32, no bit behind it."""
    if not isinstance(value, str):
        return True
    plain = r"(0|[1-9][0-9]{0,2})"
    match = re.fullmatch(rf"{plain}\.{plain}\.{plain}\.{plain}/([1-9]|[12][0-9]|3[0-2])", value)
    if match is None:
        return False
    *octets, length = (int(part) for part in match.groups())
    if max(octets) > 255:
        return False
    address = int.from_bytes(bytes(octets))
    behind = (1 << (32 - length)) - 1
    return address & behind == 0


_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("time in UTC")(_is_time)
_FORMATS.checks("address")(_is_address)
_FORMATS.checks("network")(_is_network)

# JSON Schema calls 1.0 an integer; in these documents it is none.
_TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
_extend: Any = jsonschema.validators.extend
_Validator = _extend(jsonschema.Draft202012Validator, type_checker=_TYPES)


def _validator(schema: Schema) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return _Validator(schema, format_checker=_FORMATS)


_VALIDATORS = {
    "endpoint document": _validator(ENDPOINT_DOCUMENT),
    "adoption report": _validator(ADOPTION_REPORT),
    "site settings": _validator(SITE_SETTINGS),
    "request": _validator(RECONCILE_REQUEST),
}

_SUFFIXES = (("cn-", "amazonaws.com.cn"), ("eusc-", "amazonaws.eu"), ("", "amazonaws.com"))


def is_endpoint_host(host: str, *, region: str, endpoint_id: str) -> bool:
    """Whether this is the regional name of that endpoint, with `bucket` for the asterisk."""
    suffix = next(suffix for beginning, suffix in _SUFFIXES if region.startswith(beginning))
    parts = host.split(".")
    begin, name, rest = parts[0], parts[1] if len(parts) > 1 else "", ".".join(parts[2:])
    return (
        begin == "bucket"
        and re.fullmatch(rf"{endpoint_id}-[0-9a-z]{{4,16}}", name) is not None
        and rest == f"s3.{region}.vpce.{suffix}"
    )


def accepts(kind: str, text: str) -> bool:
    """Whether *text* is a document of this kind."""
    if len(text) > _LARGEST_PARAMETER or any(ord(character) > 127 for character in text):
        return False
    document = _parsed(text)
    if not _VALIDATORS[kind].is_valid(document):
        return False
    return _RULES[kind](document)


def accepts_request(value: object) -> bool:
    """Whether an execution may be started with this."""
    return bool(_VALIDATORS["request"].is_valid(value))


def _parsed(text: str) -> Any:
    """Return the document; None, which is no document of ours, for anything that isn't strict JSON."""
    repeated = False

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        names = [name for name, _ in found]
        repeated |= len(names) != len(set(names))
        return dict(found)

    try:
        document = from_json(text, allow_inf_nan=False)
        # The strict parser takes the last of two fields with one name, and says nothing.
        json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return None
    return None if repeated else document


def _endpoint_document(document: dict[str, Any]) -> bool:
    names = [bucket["name"] for bucket in document["buckets"]]
    return len(names) == len(set(names)) and is_endpoint_host(
        document["endpoint_host"], region=document["region"], endpoint_id=document["vpc_endpoint_id"]
    )


def _site_settings(document: dict[str, Any]) -> bool:
    names = [bucket.get("name") for bucket in document["buckets"]]
    # Of buckets without a name only one can have the default name, so None may stand there once as well.
    unique = len(names) == len(set(names))
    return unique and (bool(document.get("vpc_id")) or not document.get("subnet_ids"))


def _always(_document: dict[str, Any]) -> bool:
    return True


_RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "endpoint document": _endpoint_document,
    "adoption report": _always,
    "site settings": _site_settings,
}


# What VBR answers. Names are compared without case there, so the schemas speak in lower case.

_ID = _text(r"\A[0-9A-Za-z][0-9A-Za-z-]{0,63}\Z")
_SAYS_SOMETHING = {"type": "string", "pattern": r"\S"}


def _page(entry: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"data": {"type": "array", "items": entry}},
        "required": ["data"],
    }


def _with(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _id_if_it_has(name: str) -> Schema:
    return {"if": _with(**{name: _SAYS_SOMETHING}), "then": _with(id=_ID)}


_REST_ANSWERS = {
    "info": _validator({}),
    "jobs": _validator(_page(_with(id=_ID))),
    "repositories": _validator(_page(_with(id=_ID))),
    "online": _validator(_page({})),
    "credentials": _validator(_page(_id_if_it_has("accesskey"))),
    "managed servers": _validator(_page(_id_if_it_has("name"))),
    "session": _validator(_with(id=_ID)),
    "configuration backup": _validator(_with(id=_ID)),
    "token": _validator(_with(access_token={"type": "string", "pattern": r"\A[ -~]+\Z"})),
}


def accepts_answer(kind: str, document: object) -> bool:
    """Whether VBR's answer to this call has what the client can't do without."""
    return bool(_REST_ANSWERS[kind].is_valid(_in_lower_case(document)))


def _in_lower_case(value: object) -> object:
    """Of two names that differ in case only, the first counts."""
    if isinstance(value, dict):
        found: dict[str, object] = {}
        for name, item in value.items():
            found.setdefault(name.lower(), _in_lower_case(item))
        return found
    if isinstance(value, list):
        return [_in_lower_case(item) for item in value]
    return value


_BUTTON: dict[str, Schema] = {
    "request": {"enum": ["provision", "check", "release"]},
    "site": {"const": "tokyo"},
    "widgetContext": {},
}
_PRESSES = {
    "site": _validator(_object(_BUTTON, optional=("widgetContext",))),
    "fleet": _validator(
        _object(
            {**_BUTTON, "account": {"const": "111122223333"}, "region": {"const": "ap-northeast-1"}},
            optional=("widgetContext",),
        )
    ),
}


def accepts_press(kind: str, event: object) -> bool:
    """Whether a button of the one site that is known could have sent this."""
    return bool(_PRESSES[kind].is_valid(event))
