"""
Organizations tell StackSets who came and went.

moto: all ids are random; StackSets can't be delegated; nothing happens when an account is moved.
AWS: ids are what they are (here the caller of `given` says which), StackSets may have a delegated
administrator, and StackSets with automatic deployment follow accounts that join or leave a unit.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from moto.organizations import utils
from moto.organizations.models import FakeDelegatedAdministrator, OrganizationsBackend

from sandbox.aws.moto_pin import Corrections
from sandbox.aws.organization import STACK_SETS

_GIVEN: dict[str, str] = {}
_MAKERS = {
    "account": ("make_random_account_id", []),
    "organization": ("make_random_org_id", []),
    "root": ("make_random_root_id", []),
    "unit": ("make_random_ou_id", ["root_id"]),
}


@contextlib.contextmanager
def given(**ids: str | None) -> Iterator[None]:
    """Let what is created have these ids: of an `account`, an `organization`, a `root` or a `unit`."""
    _GIVEN.update({kind: found for kind, found in ids.items() if found is not None})
    try:
        yield
    finally:
        _GIVEN.clear()


def apply(corrections: Corrections, moved: Callable[[str], None]) -> None:
    """Correct Organizations; *moved* is told of each account that joined, left or changed its unit."""

    for kind, (name, parameters) in _MAKERS.items():
        _replace_maker(corrections, kind, name, parameters)

    def create_account(self: Any, **kwargs: Any) -> Any:
        status = original_create(self, **kwargs)
        moved(str(status["CreateAccountStatus"]["AccountId"]))
        return status

    def move_account(self: Any, **kwargs: Any) -> None:
        original_move(self, **kwargs)
        moved(str(kwargs["AccountId"]))

    def remove_account(self: Any, **kwargs: Any) -> None:
        # While it still belongs to the organization: its stacks go as those of an account that left a unit.
        account = self.get_account_by_id(kwargs["AccountId"])
        account.parent_id = None
        moved(str(kwargs["AccountId"]))
        original_remove(self, **kwargs)

    original_create = corrections.replace(
        OrganizationsBackend, "create_account", create_account, parameters=["self", "kwargs"]
    )
    original_move = corrections.replace(
        OrganizationsBackend, "move_account", move_account, parameters=["self", "kwargs"]
    )
    original_remove = corrections.replace(
        OrganizationsBackend,
        "remove_account_from_organization",
        remove_account,
        parameters=["self", "kwargs"],
    )
    corrections.replace_value(
        FakeDelegatedAdministrator,
        "SUPPORTED_SERVICES",
        [*FakeDelegatedAdministrator.SUPPORTED_SERVICES, STACK_SETS],
        kind=list,
    )


def _replace_maker(corrections: Corrections, kind: str, name: str, parameters: list[str]) -> None:
    def make(*arguments: str) -> str:
        return _GIVEN.get(kind) or str(original(*arguments))

    original = corrections.replace(utils, name, make, parameters=parameters)
