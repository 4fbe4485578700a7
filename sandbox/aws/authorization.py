"""
Decide whether a call may happen: put together what identity, bucket and endpoint policies say.

moto lets every call through unless it is asked to check, and then it understands one condition operator.
Here every call of a client is checked before moto sees it, with the rules of AWS: an explicit deny wins;
within one account an allow of either side is enough (a bucket policy that allows the account as a whole
leaves it to the caller's own policies); across accounts both sides must allow; an endpoint's policy, a
permissions boundary and a session policy only ever take away. An event bus of another account asks its own
policy as well. Service control policies don't exist in the sandbox.

The texts are AWS's own, because the product reads them: a denial by a bucket policy proves the lock-down,
any other one doesn't.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from moto.events.models import events_backends

from sandbox.aws import identity, organization, resources, s3_actions
from sandbox.aws.calls import AwsCall
from sandbox.aws.identity import Principal
from sandbox.aws.policy import ContextValue, PolicyRequest, Verdict, evaluate

# No policy has to allow these: everybody may ask who they are.
ALWAYS_ALLOWED = frozenset({("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")})


class DeniedError(Exception):
    """The call is refused; the text is the one that AWS gives."""

    def __init__(self, message: str, *, code: str = "AccessDenied") -> None:
        self.code = code
        super().__init__(message)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of a call beside its parameters."""

    secure: bool
    tls_version: str | None
    endpoint_id: str | None = None
    endpoint_policy: Mapping[str, Any] | None = None
    vpc_id: str | None = None
    bucket_owner: str | None = None
    bucket_policy: Mapping[str, Any] | None = None
    resource_tags: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """Tags of the resources that exist, by ARN."""
    now: dt.datetime = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC))


def authorize(call: AwsCall, principal: Principal, circumstances: Circumstances) -> None:
    """Raise `DeniedError` unless *principal* may make *call*."""
    if principal.internal or (call.service, call.operation) in ALWAYS_ALLOWED:
        return
    if call.service in ("s3", "s3control"):
        _authorize_s3(call, principal, circumstances)
        return
    if principal.kind == "anonymous":
        raise DeniedError("Request is missing Authentication Token", code="MissingAuthenticationToken")
    for action, resource in resources.needed(call, principal.account_id):
        request = _request(call, principal, circumstances, action=action, resource=resource)
        decision = _identity_decision(principal, request, call.access_key_id)
        if decision is None and action == "events:PutEvents":
            decision = _bus_decision(principal, request)
        if decision is not None:
            raise _denied(call, principal, action=action, resource=resource, reason=decision)


def _authorize_s3(call: AwsCall, principal: Principal, circumstances: Circumstances) -> None:
    operation = call.operation or "Unknown"
    owner = circumstances.bucket_owner
    expected = call.parameters.get("ExpectedBucketOwner")
    if expected and owner is not None and expected != owner:
        raise DeniedError("Access Denied")
    for action, resource in s3_actions.required(operation, call.parameters):
        request = _request(call, principal, circumstances, action=action, resource=resource)
        same_account = owner is None or owner == principal.account_id
        reason = _s3_decision(call, principal, circumstances, request, same_account=same_account)
        if reason is None:
            continue
        if principal.kind == "anonymous" or not same_account:
            # AWS explains itself only to callers of the bucket's own account.
            raise DeniedError("Access Denied")
        raise DeniedError(_s3_text(principal, action=action, resource=resource, reason=reason))


def _s3_text(principal: Principal, *, action: str, resource: str, reason: str) -> str:
    return f'User: {principal.arn} is not authorized to perform: {action} on resource: "{resource}" {reason}'


def may_list(call: AwsCall, principal: Principal, circumstances: Circumstances) -> str | None:
    """
    Return why *principal* may not list the bucket: then S3 answers 403, not 404, for an object that isn't
    there.
    """
    bucket = call.parameters["Bucket"]
    request = _request(
        call, principal, circumstances, action="s3:ListBucket", resource=f"arn:aws:s3:::{bucket}"
    )
    same_account = circumstances.bucket_owner in (None, principal.account_id)
    reason = _s3_decision(call, principal, circumstances, request, same_account=same_account)
    if reason is None:
        return None
    return _s3_text(principal, action=request.action, resource=request.resource, reason=reason)


def may_assume(role_arn: str, principal: Principal, parameters: Mapping[str, Any]) -> None:
    """Raise `DeniedError` unless the role's trust policy lets *principal* in."""
    trust = identity.trust_policy(role_arn)
    action = "sts:AssumeRole"
    refused = DeniedError(
        f"User: {principal.arn} is not authorized to perform: {action} on resource: {role_arn}"
    )
    if trust is None:
        raise refused
    context = _identity_context(principal)
    if parameters.get("ExternalId"):
        context["sts:externalid"] = str(parameters["ExternalId"])
    if parameters.get("RoleSessionName"):
        context["sts:rolesessionname"] = str(parameters["RoleSessionName"])
    for key in ("aws:sourceaccount", "aws:sourcearn"):
        if parameters.get(key):
            context[key] = str(parameters[key])
    request = dataclasses.replace(_blank(principal), action=action, resource=role_arn, context=context)
    if evaluate(trust, request, trust=True) not in (Verdict.ALLOWED, Verdict.ALLOWED_TO_ACCOUNT):
        raise refused


def may_invoke(
    policy: Mapping[str, Any] | None, service: str, *, action: str, resource: str, source_arn: str
) -> bool:
    """Tell whether a resource policy (of a function, queue or topic) lets an AWS service in."""
    if policy is None:
        return False
    principal = identity.service_principal(service)
    context = _identity_context(principal)
    source_account = source_arn.split(":")[4]
    context["aws:sourcearn"] = source_arn
    context["aws:sourceaccount"] = source_account
    source_organization = organization.organization_id(source_account)
    if source_organization is not None:
        context["aws:sourceorgid"] = source_organization
    context["aws:securetransport"] = "true"
    request = dataclasses.replace(_blank(principal), action=action, resource=resource, context=context)
    return evaluate(policy, request) is Verdict.ALLOWED


def session_of(role_arn: str) -> Principal:
    """Return a session of the role, as an AWS service has it; whether it may be assumed is asked before."""
    account_id, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    return Principal(
        kind="session",
        account_id=account_id,
        arn=f"arn:aws:sts::{account_id}:assumed-role/{name}/service",
        principal_arn=role_arn,
        user_id=f"{name}:service",
    )


def role_may(principal: Principal, action: str, resource: str) -> None:
    """Raise `DeniedError` unless the policies of the principal's role allow the action."""
    request = dataclasses.replace(
        _blank(principal), action=action, resource=resource, context=_identity_context(principal)
    )
    reason = _identity_decision(principal, request, None)
    if reason is not None:
        raise DeniedError(
            f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource} {reason}"
        )


def may_forward_events(*, role_arn: str, bus_arn: str, rule_arn: str) -> None:
    """
    Raise `DeniedError` unless a rule may hand events on to a bus: its role trusts EventBridge and may put
    events there, and a bus of another account lets it in.
    """
    facts = {
        "RoleSessionName": "events",
        "aws:sourcearn": rule_arn,
        "aws:sourceaccount": rule_arn.split(":")[4],
    }
    may_assume(role_arn, identity.service_principal("events.amazonaws.com"), facts)
    principal = session_of(role_arn)
    role_may(principal, "events:PutEvents", bus_arn)
    context = _identity_context(principal)
    context |= {"aws:sourcearn": rule_arn, "aws:sourceaccount": rule_arn.split(":")[4]}
    request = dataclasses.replace(
        _blank(principal), action="events:PutEvents", resource=bus_arn, context=context
    )
    reason = _bus_decision(principal, request)
    if reason is not None:
        raise DeniedError(
            f"User: {principal.arn} is not authorized to perform: events:PutEvents on resource: {bus_arn}"
            f" {reason}"
        )


def _bus_decision(principal: Principal, request: PolicyRequest) -> str | None:
    """
    Return None when the bus that the request names lets the caller in, else the end of AWS's sentence.

    Callers of the bus's own account need no policy, but may be denied by one.
    """
    _, _, _, region, account_id, name = request.resource.split(":", 5)
    bus = events_backends[account_id][region].event_buses.get(name.removeprefix("event-bus/"))
    document = parsed(bus.policy) if bus is not None else None
    verdict = Verdict.SILENT if document is None else evaluate(document, request)
    if verdict is Verdict.DENIED:
        return "with an explicit deny in a resource-based policy"
    if account_id == principal.account_id or verdict in (Verdict.ALLOWED, Verdict.ALLOWED_TO_ACCOUNT):
        return None
    return "because no resource-based policy allows the events:PutEvents action"


def may_read_code(
    policy: Mapping[str, Any] | None, *, account_id: str, owner: str, bucket: str, key: str
) -> None:
    """
    Raise `DeniedError` unless an account may take a function's code from a bucket: whoever creates a
    function reads it, here the account's CloudFormation.
    """
    principal = identity.root_of(account_id)
    context = _identity_context(principal)
    context |= {"aws:securetransport": "true", "aws:calledvia": ("cloudformation.amazonaws.com",)}
    context |= {"aws:resourceaccount": owner, "s3:resourceaccount": owner}
    request = dataclasses.replace(
        _blank(principal), action="s3:GetObject", resource=f"arn:aws:s3:::{bucket}/{key}", context=context
    )
    verdict = Verdict.SILENT if policy is None else evaluate(policy, request)
    foreign = account_id != owner
    if verdict is Verdict.DENIED or (
        foreign and verdict not in (Verdict.ALLOWED, Verdict.ALLOWED_TO_ACCOUNT)
    ):
        raise DeniedError(
            f"Your access has been denied by S3, please make sure your request credentials have permission"
            f" to GetObject for {bucket}/{key}. S3 Error Code: AccessDenied."
        )


def _s3_decision(
    call: AwsCall,
    principal: Principal,
    circumstances: Circumstances,
    request: PolicyRequest,
    *,
    same_account: bool,
) -> str | None:
    """Return None when allowed, else the end of AWS's sentence."""
    root_repairs = (
        principal.kind == "root" and same_account and call.operation in s3_actions.BUCKET_POLICY_OPERATIONS
    )
    by_bucket = (
        Verdict.SILENT
        if circumstances.bucket_policy is None or root_repairs
        else evaluate(circumstances.bucket_policy, request)
    )
    by_endpoint = (
        None if circumstances.endpoint_policy is None else evaluate(circumstances.endpoint_policy, request)
    )
    identity_says = _identity_decision(principal, request, call.access_key_id)
    if identity_says is not None and identity_says.startswith("with an explicit deny"):
        return identity_says
    if by_bucket is Verdict.DENIED:
        # Where the caller has no permission of its own either, AWS names one of the two and doesn't
        # document which. The missing permission is named: it is the answer that proves nothing.
        if same_account and identity_says is not None and principal.kind != "anonymous":
            return identity_says
        return "with an explicit deny in a resource-based policy"
    if by_endpoint is Verdict.DENIED:
        return "with an explicit deny in a VPC endpoint policy"
    if by_endpoint is Verdict.SILENT:
        return f"because no VPC endpoint policy allows the {request.action} action"
    if principal.kind == "anonymous":
        return None if by_bucket is Verdict.ALLOWED else "because no resource-based policy allows it"
    if same_account:
        if identity_says is None or by_bucket is Verdict.ALLOWED:
            return None
        return identity_says
    if by_bucket not in (Verdict.ALLOWED, Verdict.ALLOWED_TO_ACCOUNT):
        return f"because no resource-based policy allows the {request.action} action"
    return identity_says


def _identity_decision(principal: Principal, request: PolicyRequest, access_key_id: str | None) -> str | None:
    """Return None when the caller's own policies allow it, else the end of AWS's sentence."""
    if principal.kind in ("root", "service"):
        return None
    if principal.kind == "anonymous":
        return f"because no identity-based policy allows the {request.action} action"
    verdicts = [evaluate(document, request) for document in identity.identity_policies(principal)]
    limits = {
        "a permissions boundary": identity.boundary(principal),
        "a session policy": identity.session_policy(principal, access_key_id),
    }
    limited = {name: evaluate(document, request) for name, document in limits.items() if document is not None}
    if Verdict.DENIED in verdicts:
        return "with an explicit deny in an identity-based policy"
    for name, verdict in limited.items():
        if verdict is Verdict.DENIED:
            return f"with an explicit deny in {name}"
    if Verdict.ALLOWED not in verdicts:
        return f"because no identity-based policy allows the {request.action} action"
    for name, verdict in limited.items():
        if verdict is Verdict.SILENT:
            return f"because no {name.split(' ', 1)[1]} allows the {request.action} action"
    return None


def _denied(call: AwsCall, principal: Principal, *, action: str, resource: str, reason: str) -> DeniedError:
    if call.service == "ec2":
        return DeniedError(
            f"You are not authorized to perform this operation. User: {principal.arn} is not authorized to"
            f" perform: {action} on resource: {resource} {reason}",
            code="UnauthorizedOperation",
        )
    code = "AccessDenied" if call.service in ("sts", "iam", "cloudformation") else "AccessDeniedException"
    if call.service == "sns":
        code = "AuthorizationError"
    return DeniedError(
        f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource} {reason}",
        code=code,
    )


def _blank(principal: Principal) -> PolicyRequest:
    return PolicyRequest(
        action="",
        resource="",
        caller_arns=tuple(dict.fromkeys((principal.arn, principal.principal_arn))),
        caller_account=principal.account_id,
        caller_is_root=principal.kind == "root",
        caller_service=principal.arn if principal.kind == "service" else None,
        anonymous=principal.kind == "anonymous",
    )


def _request(
    call: AwsCall, principal: Principal, circumstances: Circumstances, *, action: str, resource: str
) -> PolicyRequest:
    context = _identity_context(principal)
    context["aws:securetransport"] = "true" if circumstances.secure else "false"
    context["aws:requestedregion"] = call.region
    context["aws:currenttime"] = circumstances.now.isoformat()
    context["aws:sourceip"] = "127.0.0.1"
    if circumstances.endpoint_id:
        context["aws:sourcevpce"] = circumstances.endpoint_id
        # The endpoint's private addresses aren't public ones: AWS leaves aws:SourceIp out.
        del context["aws:sourceip"]
    if circumstances.vpc_id:
        context["aws:sourcevpc"] = circumstances.vpc_id
    if circumstances.tls_version and call.service == "s3":
        context["s3:tlsversion"] = (
            circumstances.tls_version.removeprefix("TLSv")
            if ("." in circumstances.tls_version)
            else f"{circumstances.tls_version.removeprefix('TLSv')}.0"
        )
    if circumstances.bucket_owner:
        context["aws:resourceaccount"] = circumstances.bucket_owner
        context["s3:resourceaccount"] = circumstances.bucket_owner
    owner = resource.split(":")[4] if resource.count(":") >= 5 else ""
    if owner:
        context["aws:resourceaccount"] = owner
        organization_id = organization.organization_id(owner)
        if organization_id is not None:
            context["aws:resourceorgid"] = organization_id
    for tag, value in circumstances.resource_tags.get(resource, {}).items():
        context[f"aws:resourcetag/{tag.lower()}"] = value
        context[f"{call.prefix}:resourcetag/{tag.lower()}"] = value
    context.update(_parameter_context(call, action))
    return dataclasses.replace(_blank(principal), action=action, resource=resource, context=context)


def _identity_context(principal: Principal) -> dict[str, ContextValue]:
    context: dict[str, ContextValue] = {
        "aws:principalisawsservice": "true" if principal.kind == "service" else "false",
    }
    match principal.kind:
        case "anonymous":
            # An anonymous request has no principal keys at all, which is why Bool needs IfExists in a deny.
            del context["aws:principalisawsservice"]
            context["aws:principaltype"] = "Anonymous"
            context["aws:userid"] = "anonymous"
        case "service":
            context["aws:principalservicename"] = principal.arn
        case "root" | "user" | "session":
            context["aws:principalarn"] = principal.principal_arn
            context["aws:principalaccount"] = principal.account_id
            context["aws:userid"] = principal.user_id
            kinds = {"root": "Account", "user": "User", "session": "AssumedRole"}
            context["aws:principaltype"] = kinds[principal.kind]
            if principal.kind == "user":
                context["aws:username"] = principal.arn.rsplit("/", 1)[-1]
            organization_id = organization.organization_id(principal.account_id)
            if organization_id is not None:
                path = organization.organization_path(principal.account_id)
                context["aws:principalorgid"] = organization_id
                context["aws:principalorgpaths"] = (str(path),)
    return context


def _parameter_context(call: AwsCall, action: str) -> dict[str, ContextValue]:
    """Return the keys that come from the request's own parameters."""
    parameters = call.parameters
    context: dict[str, ContextValue] = {}
    names = {
        "Prefix": "s3:prefix",
        "Delimiter": "s3:delimiter",
        "MaxKeys": "s3:max-keys",
        "ACL": "s3:x-amz-acl",
        "ServerSideEncryption": "s3:x-amz-server-side-encryption",
        "IfMatch": "s3:if-match",
        "IfNoneMatch": "s3:if-none-match",
    }
    if call.service == "s3":
        context.update(
            {key: str(parameters[name]) for name, key in names.items() if parameters.get(name) is not None}
        )
        location = (parameters.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
        if location:
            context["s3:locationconstraint"] = str(location)
    if call.service == "ec2":
        if parameters.get("ServiceName"):
            context["ec2:vpceservicename"] = str(parameters["ServiceName"])
        if action == "ec2:CreateTags" and call.operation != "CreateTags":
            context["ec2:createaction"] = str(call.operation)
        context["ec2:region"] = call.region
    if call.service == "ssm" and parameters.get("Overwrite") is not None:
        context["ssm:overwrite"] = "true" if parameters["Overwrite"] else "false"
    if call.service == "events" and call.operation == "PutEvents":
        entries = parameters.get("Entries", [])
        context["events:source"] = tuple(str(entry.get("Source")) for entry in entries)
        context["events:detail-type"] = tuple(str(entry.get("DetailType")) for entry in entries)
        for key in ("events:source", "events:detail-type"):
            if len(set(context[key])) == 1:
                context[key] = context[key][0]
    tags = _request_tags(call)
    if tags:
        context["aws:tagkeys"] = tuple(tags)
        context.update({f"aws:requesttag/{key.lower()}": value for key, value in tags.items()})
    return context


def _request_tags(call: AwsCall) -> dict[str, str]:
    parameters = call.parameters
    found: list[Any] = []
    for specification in parameters.get("TagSpecifications") or []:
        found += specification.get("Tags") or []
    own = parameters.get("Tags")
    found += own if isinstance(own, list) else []
    found += (parameters.get("CreateBucketConfiguration") or {}).get("Tags") or []
    found += (
        (parameters.get("Tagging") or {}).get("TagSet") or []
        if isinstance(parameters.get("Tagging"), dict)
        else []
    )
    return {
        str(tag["Key"]): str(tag.get("Value", ""))
        for tag in found
        if isinstance(tag, Mapping) and "Key" in tag
    }


def parsed(document: str | bytes | None) -> Mapping[str, Any] | None:
    """Read a stored policy document."""
    if not document:
        return None
    loaded = json.loads(document)
    return loaded if isinstance(loaded, dict) else None
