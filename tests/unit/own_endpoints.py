"""A stand-in for the endpoints and groups that the product has made for one site."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lambdas.core.errors import GroupInUseError


@dataclass
class InMemoryOwnEndpoints:
    """Things by the run that made them; `uses` says which group an endpoint has."""

    made: dict[str, list[str]] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)
    in_use: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)

    def endpoints(self, *, run: str | None) -> Sequence[str]:
        return self._left(run, "vpce-")

    def groups(self, *, run: str | None) -> Sequence[str]:
        return self._left(run, "sg-")

    def groups_of(self, endpoint_ids: Sequence[str]) -> Sequence[str]:
        return [self.uses[endpoint] for endpoint in endpoint_ids if endpoint in self.uses]

    def delete_endpoints(self, endpoint_ids: Sequence[str]) -> None:
        # EC2 refuses an empty list.
        assert endpoint_ids
        self.deleted.extend(endpoint_ids)

    def delete_group(self, group_id: str) -> None:
        if group_id in self.in_use:
            raise GroupInUseError(group_id)
        self.deleted.append(group_id)

    def _left(self, run: str | None, kind: str) -> list[str]:
        return [
            thing
            for maker, things in self.made.items()
            if run in (None, maker)
            for thing in things
            if thing.startswith(kind) and thing not in self.deleted
        ]
