"""
Who makes a request: the principal behind an access key, and the policies attached to it.

moto lets any access key in. AWS refuses an unknown one, and tells users, sessions of roles and the account
root apart. Keys of users and role sessions are looked up in moto's IAM and STS; the emulator's own keys (it
acts as each account's root) are kept here and are the only ones whose calls are not logged.
"""

import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

Kind = Literal["root", "user", "session", "service", "anonymous"]
PARTITION = "aws"


class UnknownKeyError(Exception):
    """No principal has this access key."""

    def __init__(self, access_key_id: str) -> None:
        self.access_key_id = access_key_id
        super().__init__(f"the access key {access_key_id} does not exist")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks."""

    kind: Kind
    account_id: str
    arn: str
    """As GetCallerIdentity gives it; the session's ARN for an assumed role."""
    principal_arn: str
    """As `aws:PrincipalArn` gives it; the role's ARN for an assumed role."""
    user_id: str
    source: str = "client"
    internal: bool = False
    """The emulator itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client signs with."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


ANONYMOUS = Principal(
    kind="anonymous", account_id="", arn="anonymous", principal_arn="anonymous", user_id="anonymous"
)


def service_principal(name: str) -> Principal:
    """Return AWS's own service *name*, as it assumes a role or calls a function."""
    return Principal(kind="service", account_id="", arn=name, principal_arn=name, user_id=name, source=name)


def root_of(account_id: str, *, internal: bool = False) -> Principal:
    """Return the root of an account."""
    arn = f"arn:{PARTITION}:iam::{account_id}:root"
    return Principal(
        kind="root", account_id=account_id, arn=arn, principal_arn=arn, user_id=account_id, internal=internal
    )


class Identities:
    """Access keys and what is behind them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: dict[str, Principal] = {}
        self._sources: dict[str, str] = {}

    def root_credentials(self, account_id: str, *, internal: bool) -> Credentials:
        """Make a key for the root of *account_id*."""
        key = f"AKIAROOT{secrets.token_hex(6).upper()}"
        with self._lock:
            self._own[key] = root_of(account_id, internal=internal)
        return Credentials(access_key_id=key, secret_access_key=secrets.token_hex(20))

    def tell_source(self, access_key_id: str, source: str) -> None:
        """Remember that calls signed with this key come from *source* (`lambda:<function>`)."""
        with self._lock:
            self._sources[access_key_id] = source

    def principal(self, access_key_id: str | None) -> Principal:
        """Return who has this key; a request without one is anonymous."""
        if access_key_id is None:
            return ANONYMOUS
        with self._lock:
            own = self._own.get(access_key_id)
            source = self._sources.get(access_key_id, "client")
        if own is not None:
            return own
        for account_id, by_partition in list(iam_backends.items()):
            backend = by_partition[PARTITION]
            if access_key_id not in backend.access_keys:
                continue
            session = sts_backends[account_id][PARTITION].get_assumed_role_from_access_key(access_key_id)
            if session is not None:
                return Principal(
                    kind="session",
                    account_id=account_id,
                    arn=session.arn,
                    principal_arn=session.role_arn,
                    user_id=session.user_id,
                    source=source,
                )
            key = backend.access_keys[access_key_id]
            if key.status != "Active":
                raise UnknownKeyError(access_key_id)
            user = backend.get_user(str(key.user_name))
            return Principal(
                kind="user",
                account_id=account_id,
                arn=user.arn,
                principal_arn=user.arn,
                user_id=user.id,
                source=source,
            )
        raise UnknownKeyError(access_key_id)


def identity_policies(principal: Principal) -> list[dict[str, Any]]:
    """Return the documents that are attached to *principal*, inline, managed and through groups."""
    if principal.kind not in ("user", "session"):
        return []
    backend = iam_backends[principal.account_id][PARTITION]
    name = principal.principal_arn.rsplit("/", 1)[-1]
    if principal.kind == "session":
        role = _role(principal.account_id, principal.principal_arn)
        return [] if role is None else list(_documents(role))
    documents = list(_documents(backend.get_user(name)))
    for group in backend.get_groups_for_user(name):
        documents.extend(_documents(group))
    return documents


def boundary(principal: Principal) -> dict[str, Any] | None:
    """Return the permissions boundary of *principal*'s role, if it has one."""
    if principal.kind != "session":
        return None
    role = _role(principal.account_id, principal.principal_arn)
    arn = getattr(role, "permissions_boundary_arn", None)
    if not arn:
        return None
    return _default_version(iam_backends[principal.account_id][PARTITION].managed_policies[arn])


def session_policy(principal: Principal, access_key_id: str | None) -> dict[str, Any] | None:
    """Return the policy that was handed to AssumeRole with this session."""
    if principal.kind != "session" or access_key_id is None:
        return None
    session = sts_backends[principal.account_id][PARTITION].get_assumed_role_from_access_key(access_key_id)
    return _parsed(session.policy) if session is not None and session.policy else None


def trust_policy(role_arn: str) -> dict[str, Any] | None:
    """Return who may assume the role; None when there is no such role."""
    role = _role(role_arn.split(":")[4], role_arn)
    return None if role is None else _parsed(role.assume_role_policy_document)


def _role(account_id: str, arn: str) -> Any:
    for role in list(iam_backends[account_id][PARTITION].roles.values()):
        if role.arn == arn:
            return role
    return None


def _documents(holder: Any) -> Iterator[dict[str, Any]]:
    for inline in list(holder.policies.values()):
        yield _parsed(inline)
    for managed in list(holder.managed_policies.values()):
        yield _default_version(managed)


def _default_version(managed: Any) -> dict[str, Any]:
    return _parsed(next(version.document for version in managed.versions if version.is_default))


def _parsed(document: Any) -> dict[str, Any]:
    loaded = json.loads(document) if isinstance(document, str | bytes) else document
    if not isinstance(loaded, dict):
        raise TypeError(f"a policy document is an object, not {type(loaded).__name__}")
    return loaded
