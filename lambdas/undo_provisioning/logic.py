"""
After a failed run: remove the endpoint and the group that this run created and nobody published.

They are found by the run's own tag, not by what earlier steps said: a step that died said nothing.
Buckets stay: an empty one is adopted by the next run, and no role of the product may delete one.
"""

from collections.abc import Sequence
from typing import Protocol


class Leftovers(Protocol):
    """What this step needs from EC2; only things that carry the run's own tag are ever named."""

    def endpoints(self, *, site: str, run: str) -> Sequence[str]: ...
    def groups(self, *, site: str, run: str) -> Sequence[str]: ...
    def delete_endpoints(self, endpoint_ids: Sequence[str]) -> None: ...
    def delete_group(self, group_id: str) -> None:
        """Raises GroupInUseError while an endpoint that is going away still uses it."""
        ...


def undo(leftovers: Leftovers, *, site: str, run: str, published_endpoint: str | None) -> list[str]:
    """Remove what *run* left; return the ids that were removed."""
    endpoints = list(leftovers.endpoints(site=site, run=run))
    if published_endpoint in endpoints:
        return []
    if endpoints:
        leftovers.delete_endpoints(endpoints)
    groups = list(leftovers.groups(site=site, run=run))
    for group in groups:
        leftovers.delete_group(group)
    return [*endpoints, *groups]
