"""
Organizations tell StackSets who came and went.

moto: account ids are random; StackSets can't be delegated; nothing happens when an account is moved.
AWS: ids are what they are (here the caller of `numbered` says which), StackSets may have a delegated
administrator, and StackSets with automatic deployment follow accounts that join or leave a unit.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from moto.organizations import utils
from moto.organizations.models import FakeDelegatedAdministrator, OrganizationsBackend

from sandbox.aws.moto_pin import Corrections
from sandbox.aws.organization import STACK_SETS

_NEXT: list[str] = []


@contextlib.contextmanager
def numbered(account_id: str) -> Iterator[None]:
    """Let the next account that is created have this id."""
    _NEXT.append(account_id)
    try:
        yield
    finally:
        _NEXT.clear()


def apply(corrections: Corrections, moved: Callable[[str], None]) -> None:
    """Correct Organizations; *moved* is told of each account that joined, left or changed its unit."""

    def make_random_account_id() -> str:
        return _NEXT.pop() if _NEXT else str(original_id())

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

    original_id = corrections.replace(utils, "make_random_account_id", make_random_account_id, parameters=[])
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
