"""
After a failed run: remove the endpoint and the group that this run created and nobody published.

They are found by the run's own tag, not by what earlier steps said: a step that died said nothing.
Buckets stay: an empty one is adopted by the next run, and no role of the product may delete one.
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


def undo(own: OwnEndpoints, *, run: str, published_endpoint: str | None) -> list[str]:
    """Remove what *run* left; return the ids that were removed."""
    endpoints = list(own.endpoints(run=run))
    if published_endpoint in endpoints:
        return []
    if endpoints:
        own.delete_endpoints(endpoints)
    # A run may have given the published endpoint a new group: what servers rely on stays.
    used = set(own.groups_of([published_endpoint])) if published_endpoint else set()
    groups = [group for group in own.groups(run=run) if group not in used]
    for group in groups:
        own.delete_group(group)
    return [*endpoints, *groups]
