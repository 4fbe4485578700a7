"""
Evaluate one IAM policy document against one request: pure functions, no moto.

An evaluator that doesn't know a condition must not guess: moto counts what it doesn't understand as met,
which makes any policy look as if it worked. Here an unknown operator, condition key, policy element or
policy variable raises `UnsupportedPolicyError`.

    evaluate(document, request)  →  Verdict.DENIED | ALLOWED | ALLOWED_TO_ACCOUNT | SILENT

How verdicts of several documents are put together is `authorization.py`'s business.
"""

import datetime as dt
import functools
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Document = Mapping[str, Any]
ContextValue = str | Sequence[str]


class PolicyError(Exception):
    """A policy document can't be evaluated."""


class UnsupportedPolicyError(PolicyError):
    """The document uses something this evaluator doesn't know; guessing would hide a mistake."""


class MalformedPolicyError(PolicyError):
    """The document isn't a policy; AWS would refuse to store it."""


class Verdict(Enum):
    """What one document says about one request."""

    DENIED = "explicit deny"
    ALLOWED = "allow"
    ALLOWED_TO_ACCOUNT = "allow, to the caller's account as a whole: the caller's own policies decide"
    SILENT = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRequest:
    """What is asked, by whom, under which circumstances. Context keys are in lower case."""

    action: str
    resource: str
    caller_arns: tuple[str, ...] = ()
    """Every ARN by which a policy may name the caller: the session's and the role's, or the user's."""
    caller_account: str = ""
    caller_is_root: bool = False
    caller_service: str | None = None
    anonymous: bool = False
    context: Mapping[str, ContextValue] = field(default_factory=dict)


# Keys that a request may have. A key of this list that a request lacks is absent, as on AWS; any other is
# unsupported.
KNOWN_KEYS = frozenset(
    {
        "aws:calledvia",
        "aws:currenttime",
        "aws:multifactorauthpresent",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalservicename",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:resourceorgid",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:tagkeys",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
        "dynamodb:attributes",
        "dynamodb:leadingkeys",
        "dynamodb:select",
        "ec2:createaction",
        "ec2:vpceservicename",
        "ec2:vpceserviceregion",
        "ec2:region",
        "ec2:vpc",
        "events:detail-type",
        "events:source",
        "iam:passedtoservice",
        "lambda:functionarn",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:locationconstraint",
        "s3:max-keys",
        "s3:objectcreationoperation",
        "s3:prefix",
        "s3:resourceaccount",
        "s3:tlsversion",
        "s3:x-amz-acl",
        "s3:x-amz-server-side-encryption",
        "ssm:overwrite",
        "ssm:recursive",
        "states:statemachinequalifier",
        "sts:externalid",
        "sts:rolesessionname",
    }
)
KNOWN_KEY_PREFIXES = (
    "aws:requesttag/",
    "aws:resourcetag/",
    "aws:principaltag/",
    "ec2:resourcetag/",
    "ssm:resourcetag/",
)

_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def evaluate(document: Document, request: PolicyRequest, *, trust: bool = False) -> Verdict:
    """
    Return what *document* says about *request*.

    *trust* is for trust policies of roles, whose statements have no resource.
    """
    verdict = Verdict.SILENT
    for statement in statements(document):
        if not _applies(statement, request, trust=trust):
            continue
        if statement["Effect"] == "Deny":
            return Verdict.DENIED
        if _names_only_account(statement, request):
            verdict = Verdict.ALLOWED_TO_ACCOUNT if verdict is Verdict.SILENT else verdict
        else:
            verdict = Verdict.ALLOWED
    return verdict


def statements(document: Document) -> Iterator[Document]:
    """Yield the statements of *document*, checked for what AWS would refuse in any policy."""
    version = document.get("Version", "2008-10-17")
    if version not in ("2012-10-17", "2008-10-17"):
        raise MalformedPolicyError(f"the policy has an invalid version: {version!r}")
    found = document.get("Statement")
    listed = [found] if isinstance(found, Mapping) else found
    if not isinstance(listed, list) or not listed:
        raise MalformedPolicyError("the policy has no statement")
    for statement in listed:
        if not isinstance(statement, Mapping):
            raise MalformedPolicyError("a statement is an object")
        if unknown := set(statement) - _ELEMENTS:
            raise MalformedPolicyError(f"a statement has unknown elements: {', '.join(sorted(unknown))}")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise MalformedPolicyError(f"invalid effect: {statement.get('Effect')!r}")
        if ("Action" in statement) == ("NotAction" in statement):
            raise MalformedPolicyError("a statement has either Action or NotAction")
        yield statement


def require_bucket_policy(document: Document, bucket: str, *, partition: str = "aws") -> None:
    """Refuse what S3 refuses in a bucket policy."""
    own = f"arn:{partition}:s3:::{bucket}"
    for statement in statements(document):
        if ("Principal" in statement) == ("NotPrincipal" in statement):
            raise MalformedPolicyError("Missing required field Principal")
        resources = _strings(statement.get("Resource", statement.get("NotResource", [])))
        if not resources:
            raise MalformedPolicyError("Missing required field Resource")
        for resource in resources:
            if resource != own and not resource.startswith(f"{own}/"):
                raise MalformedPolicyError("Policy has invalid resource")
        for action in _strings(statement.get("Action", statement.get("NotAction"))):
            if action != "*" and not action.lower().startswith("s3:"):
                raise MalformedPolicyError("Policy has invalid action")
        for operator, keys in _conditions(statement):
            _operator(operator)
            for key in keys:
                _require_known(key)


def _applies(statement: Document, request: PolicyRequest, *, trust: bool) -> bool:
    return (
        _principal_matches(statement, request)
        and _action_matches(statement, request.action)
        and (trust or _resource_matches(statement, request))
        and _condition_holds(statement, request)
    )


# Principal


def _principal_matches(statement: Document, request: PolicyRequest) -> bool:
    if "Principal" in statement:
        return any(_names_caller(kind, name, request) for kind, name in _principals(statement["Principal"]))
    if "NotPrincipal" in statement:
        # An account in NotPrincipal exempts its root only, not everybody in it.
        return not any(
            (_names_caller(kind, name, request) and not _is_account(name)) or _names_root(name, request)
            for kind, name in _principals(statement["NotPrincipal"])
        )
    return True  # an identity policy has no principal


def _principals(element: Any) -> Iterator[tuple[str, str]]:
    if element == "*":
        yield "AWS", "*"
        return
    if not isinstance(element, Mapping):
        raise MalformedPolicyError(f"invalid principal: {element!r}")
    for kind, names in element.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            raise MalformedPolicyError(f"invalid kind of principal: {kind}")
        for name in _strings(names):
            yield kind, name


def _names_caller(kind: str, name: str, request: PolicyRequest) -> bool:
    match kind:
        case "AWS" if name == "*":
            return True
        case "AWS" if _is_account(name):
            return bool(request.caller_account) and request.caller_account in name
        case "AWS":
            if "*" in name:
                raise MalformedPolicyError(f"a principal can't have a wildcard inside: {name}")
            return name in request.caller_arns
        case "Service":
            return request.caller_service is not None and name == request.caller_service
        case "Federated":
            return False
        case _:
            raise UnsupportedPolicyError(f"principals of the kind {kind} aren't supported by the sandbox")


def _names_root(name: str, request: PolicyRequest) -> bool:
    return _is_account(name) and request.caller_is_root and request.caller_account in name


def _is_account(name: str) -> bool:
    return re.fullmatch(r"(?:arn:aws[a-z-]*:iam::)?\d{12}(?::root)?", name) is not None


def _names_only_account(statement: Document, request: PolicyRequest) -> bool:
    if "Principal" not in statement or request.caller_is_root:
        return False
    matching = [
        name for kind, name in _principals(statement["Principal"]) if _names_caller(kind, name, request)
    ]
    return all(_is_account(name) for name in matching)


# Action and resource


def _action_matches(statement: Document, action: str) -> bool:
    if "Action" in statement:
        return any(_matches(pattern.lower(), action.lower()) for pattern in _strings(statement["Action"]))
    return not any(_matches(pattern.lower(), action.lower()) for pattern in _strings(statement["NotAction"]))


def _resource_matches(statement: Document, request: PolicyRequest) -> bool:
    if "Resource" in statement:
        return any(
            _matches(_filled(item, request), request.resource) for item in _strings(statement["Resource"])
        )
    if "NotResource" in statement:
        return not any(
            _matches(_filled(item, request), request.resource) for item in _strings(statement["NotResource"])
        )
    raise MalformedPolicyError("a statement has either Resource or NotResource")


def _strings(element: Any) -> list[str]:
    listed = element if isinstance(element, list | tuple) else [element]
    if not all(isinstance(item, str) for item in listed):
        raise MalformedPolicyError(f"expected text, found {element!r}")
    return list(listed)


def _filled(text: str, request: PolicyRequest) -> str:
    """Put values in the place of policy variables."""

    def value(match: re.Match[str]) -> str:
        key = match[1].strip().lower()
        if key in ("*", "?", "$"):
            raise UnsupportedPolicyError(f"the escaped wildcard ${{{key}}} isn't supported by the sandbox")
        _require_known(key)
        found = request.context.get(key)
        if not isinstance(found, str):
            # AWS: a variable without a value matches nothing.
            return "\0"
        return found

    return _VARIABLE.sub(value, text)


@functools.lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(piece, re.escape(piece)) for piece in re.split(r"([*?])", pattern)]
    return re.compile("".join(parts), re.DOTALL)


def _matches(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


# Conditions


def _conditions(statement: Document) -> Iterator[tuple[str, Document]]:
    condition = statement.get("Condition", {})
    if not isinstance(condition, Mapping):
        raise MalformedPolicyError("a condition is an object")
    for operator, keys in condition.items():
        if not isinstance(keys, Mapping):
            raise MalformedPolicyError(f"the condition {operator} is an object")
        yield operator, keys


def _condition_holds(statement: Document, request: PolicyRequest) -> bool:
    # Everything is looked at, also behind a condition that fails: what isn't supported must be heard of in
    # any case.
    results = [
        _key_holds(operator, key, [str(_text(item)) for item in _listed(wanted)], request)
        for operator, keys in _conditions(statement)
        for key, wanted in keys.items()
    ]
    return all(results)


def _listed(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _text(item: Any) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)


def _require_known(key: str) -> None:
    lowered = key.lower()
    if lowered not in KNOWN_KEYS and not lowered.startswith(KNOWN_KEY_PREFIXES):
        raise UnsupportedPolicyError(f"the sandbox has no value for the condition key {key}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operator:
    """A condition operator without its set prefix and IfExists."""

    compare: Callable[[str, str], bool]
    negated: bool = False


def _key_holds(operator: str, key: str, wanted: list[str], request: PolicyRequest) -> bool:
    _require_known(key)
    present = request.context.get(key.lower())
    actual = None if present is None else [present] if isinstance(present, str) else list(present)
    if operator == "Null":
        return (actual is None) == (wanted[0].lower() == "true")
    quantifier, basic, if_exists = _operator(operator)
    filled = [_filled(item, request) for item in wanted]
    if not actual:
        if if_exists or quantifier == "ForAllValues":
            return True
        return basic.negated and quantifier is None

    def one(value: str) -> bool:
        met = any(basic.compare(value, item) for item in filled)
        return not met if basic.negated else met

    match quantifier:
        case "ForAllValues":
            return all(one(value) for value in actual)
        case "ForAnyValue":
            return any(one(value) for value in actual)
        case _:
            if len(actual) > 1:
                raise UnsupportedPolicyError(
                    f"{key} has several values; {operator} needs ForAnyValue or ForAllValues"
                )
            return one(actual[0])


def _operator(name: str) -> tuple[str | None, _Operator, bool]:
    if name == "Null":
        return None, _Operator(compare=_equal), False
    quantifier, _, rest = name.rpartition(":")
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise UnsupportedPolicyError(f"the sandbox doesn't know the condition operator {name}")
    if_exists = rest.endswith("IfExists")
    basic = OPERATORS.get(rest.removesuffix("IfExists"))
    if basic is None:
        raise UnsupportedPolicyError(f"the sandbox doesn't know the condition operator {name}")
    return quantifier or None, basic, if_exists


def _equal(actual: str, wanted: str) -> bool:
    return actual == wanted


def _like(actual: str, wanted: str) -> bool:
    return _matches(wanted, actual)


def _arn_like(actual: str, wanted: str) -> bool:
    """Compare ARNs piece by piece: a wildcard doesn't reach over a colon."""
    found, asked = actual.split(":", 5), wanted.split(":", 5)
    if len(asked) == 1:
        return _matches(wanted, actual)
    return len(found) == len(asked) and all(
        _matches(one, other) for one, other in zip(asked, found, strict=True)
    )


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compared(actual: str, wanted: str) -> bool:
        try:
            return compare(float(actual), float(wanted))
        except ValueError as error:
            raise MalformedPolicyError(f"{wanted!r} or {actual!r} isn't a number") from error

    return compared


def _moment(text: str) -> float:
    if text.isdigit():
        return float(text)
    return dt.datetime.fromisoformat(text).timestamp()


def _date(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compared(actual: str, wanted: str) -> bool:
        return compare(_moment(actual), _moment(wanted))

    return compared


def _in_network(actual: str, wanted: str) -> bool:
    return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)


OPERATORS: Mapping[str, _Operator] = {
    "StringEquals": _Operator(compare=_equal),
    "StringNotEquals": _Operator(compare=_equal, negated=True),
    "StringEqualsIgnoreCase": _Operator(compare=lambda one, other: one.lower() == other.lower()),
    "StringNotEqualsIgnoreCase": _Operator(
        compare=lambda one, other: one.lower() == other.lower(), negated=True
    ),
    "StringLike": _Operator(compare=_like),
    "StringNotLike": _Operator(compare=_like, negated=True),
    "ArnEquals": _Operator(compare=_arn_like),
    "ArnLike": _Operator(compare=_arn_like),
    "ArnNotEquals": _Operator(compare=_arn_like, negated=True),
    "ArnNotLike": _Operator(compare=_arn_like, negated=True),
    "Bool": _Operator(compare=lambda one, other: one.lower() == other.lower()),
    "NumericEquals": _Operator(compare=_number(lambda one, other: one == other)),
    "NumericNotEquals": _Operator(compare=_number(lambda one, other: one == other), negated=True),
    "NumericLessThan": _Operator(compare=_number(lambda one, other: one < other)),
    "NumericLessThanEquals": _Operator(compare=_number(lambda one, other: one <= other)),
    "NumericGreaterThan": _Operator(compare=_number(lambda one, other: one > other)),
    "NumericGreaterThanEquals": _Operator(compare=_number(lambda one, other: one >= other)),
    "DateLessThan": _Operator(compare=_date(lambda one, other: one < other)),
    "DateLessThanEquals": _Operator(compare=_date(lambda one, other: one <= other)),
    "DateGreaterThan": _Operator(compare=_date(lambda one, other: one > other)),
    "DateGreaterThanEquals": _Operator(compare=_date(lambda one, other: one >= other)),
    "IpAddress": _Operator(compare=_in_network),
    "NotIpAddress": _Operator(compare=_in_network, negated=True),
}
