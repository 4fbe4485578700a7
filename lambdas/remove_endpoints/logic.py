"""
Delete the site's endpoints that nobody uses any more, and their groups.

Either those that have been replaced, after every server has moved, or all of them when the site is
released. Only what carries the product's tags is found at all.
"""

from collections.abc import Sequence
from typing import Protocol


class OwnEndpoints(Protocol):
    """What this step needs from EC2; only what the product has made for the site is ever named."""

    def endpoints(self, *, run: str | None) -> Sequence[str]: ...
    def groups(self, *, run: str | None) -> Sequence[str]: ...
    def groups_of(self, endpoint_ids: Sequence[str]) -> Sequence[str]: ...
    def delete_endpoints(self, endpoint_ids: Sequence[str]) -> None: ...
    def delete_group(self, group_id: str) -> None:
        """Raises GroupInUseError while an endpoint that is going away still uses it."""
        ...


def remove(own: OwnEndpoints, *, keep: Sequence[str]) -> list[str]:
    """Delete all endpoints but *keep*, and the groups that no kept one uses; return what was removed."""
    endpoints = [endpoint for endpoint in own.endpoints(run=None) if endpoint not in keep]
    if endpoints:
        own.delete_endpoints(endpoints)
    used = set(own.groups_of(keep))
    groups = [group for group in own.groups(run=None) if group not in used]
    for group in groups:
        own.delete_group(group)
    return [*endpoints, *groups]
