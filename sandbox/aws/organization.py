"""
Who belongs to which organization: read from moto's Organizations, for policies and for StackSets.

An organization is seen from any of its accounts; the management account belongs to it as well.
"""

from collections.abc import Iterator
from typing import Any

from moto.organizations.models import organizations_backends

PARTITION = "aws"
STACK_SETS = "member.org.stacksets.cloudformation.amazonaws.com"
"""The service whose trusted access and delegated administrators are asked for."""


def backend_of(account_id: str) -> Any:
    """Return the backend of the organization that *account_id* belongs to; None outside of any."""
    found = organizations_backends.master_accounts.get(account_id)
    management, partition = found or (account_id, PARTITION)
    if management not in organizations_backends:
        return None
    backend: Any = organizations_backends[management][partition]
    return backend if backend.org is not None else None


def organization_id(account_id: str) -> str | None:
    """Return `aws:PrincipalOrgID` of a principal of *account_id*."""
    backend = backend_of(account_id)
    return None if backend is None else str(backend.org.id)


def organization_path(account_id: str) -> str | None:
    """Return `aws:PrincipalOrgPaths` of a principal of *account_id*: `o-…/r-…/ou-…/`."""
    backend = backend_of(account_id)
    if backend is None:
        return None
    units = [unit.id for unit in _line(backend, _account(backend, account_id).parent_id)]
    return "/".join([str(backend.org.id), *reversed(units), ""])


def is_management(account_id: str) -> bool:
    """Tell whether *account_id* is the management account of its organization."""
    backend = backend_of(account_id)
    return backend is not None and backend.org.master_account_id == account_id


def trusts_stack_sets(account_id: str) -> bool:
    """Tell whether the organization of *account_id* has switched on trusted access for StackSets."""
    backend = backend_of(account_id)
    return backend is not None and any(item["ServicePrincipal"] == STACK_SETS for item in backend.services)


def administers_stack_sets(account_id: str) -> bool:
    """Tell whether *account_id* is a delegated administrator for StackSets."""
    backend = backend_of(account_id)
    return backend is not None and any(
        admin.account.id == account_id and STACK_SETS in admin.services for admin in backend.admins
    )


def accounts_below(account_id: str, unit_ids: list[str]) -> list[str]:
    """
    Return the active accounts in these units (or roots) and the units in them, but the management account;
    *account_id* is of the organization. Raise LookupError for a unit that isn't there.
    """
    backend = backend_of(account_id)
    known = {unit.id for unit in backend.ou}
    if unknown := [unit for unit in unit_ids if unit not in known]:
        raise LookupError(f"there is no organizational unit {', '.join(unknown)}")
    return [
        str(account.id)
        for account in list(backend.accounts)
        if account.id != backend.org.master_account_id
        and account.status == "ACTIVE"
        and any(unit.id in unit_ids for unit in _line(backend, account.parent_id))
    ]


def _account(backend: Any, account_id: str) -> Any:
    return next(account for account in backend.accounts if account.id == account_id)


def _line(backend: Any, unit_id: str | None) -> Iterator[Any]:
    """Yield the unit and those above it, up to the root."""
    while unit_id is not None:
        unit = next(item for item in backend.ou if item.id == unit_id)
        yield unit
        unit_id = unit.parent_id
