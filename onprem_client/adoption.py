"""
Decide what the server should look like. Pure: values in, a value out.

Each site wants its region to follow its endpoint (adopt), to go back to Veeam's own endpoints (revert), or
to be left alone. All wishes go into one new region file, one registry value and one restart; a site whose
part can't be done is left out and keeps its problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from contract import names
from onprem_client.errors import ClientError, NotOursError, RegionFileError
from onprem_client.journal import Adopted, Memory, RegistryOriginal
from onprem_client.resources import registry_value
from onprem_client.resources.region_xml import (
    original_endpoints,
    region_endpoints,
    with_original_endpoints,
    with_region_endpoint,
)
from onprem_client.site_source import Published
from onprem_client.windows.protocols import RegistryValue


class Goal(StrEnum):
    """What is wanted of one region of this server."""

    ADOPT = "adopt"
    REVERT = "revert"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one site wants, and the document it comes from; a site that is left alone says why."""

    site: names.SiteName
    region: names.Region
    goal: Goal
    published: Published | None = None
    problem: ClientError | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The server as it should be, and what to remember once it is."""

    registry_before: RegistryValue | None
    registry_after: RegistryValue | None
    file_before: bytes
    file_after: bytes
    memory_before: Memory
    memory_after: Memory
    wishes: tuple[Wish, ...]

    @property
    def changes_server(self) -> bool:
        """Say whether anything on the server differs from what it should be."""
        return (self.registry_before, self.file_before) != (self.registry_after, self.file_after)

    @property
    def moved(self) -> frozenset[names.Region]:
        """Name the regions whose endpoints change."""
        before, after = self.memory_before.adopted, self.memory_after.adopted
        return frozenset(region for region in {*before, *after} if before.get(region) != after.get(region))


def decide(
    *, registry: RegistryValue | None, file: bytes, memory: Memory, wishes: Sequence[Wish]
) -> Decision:
    """Fold all wishes into one decision."""
    file_after, memory_after = file, memory
    decided: list[Wish] = []
    for wish in wishes:
        if wish.problem is not None:
            decided.append(wish)
            continue
        try:
            file_after, memory_after, note = _fold(file_after, memory_after, wish)
        except (RegionFileError, NotOursError) as problem:
            decided.append(replace(wish, problem=problem))
        else:
            decided.append(replace(wish, note=note or wish.note))
    # What could not be reverted still needs the value: without it VBR would rewrite the file.
    needed = bool(memory_after.adopted) or any(
        (wish.goal is Goal.ADOPT and wish.problem is None)
        or (wish.goal is Goal.REVERT and wish.problem is not None)
        for wish in decided
    )
    registry_after, memory_after = _registry(registry, memory_after, needed=needed)
    return Decision(
        registry_before=registry,
        registry_after=registry_after,
        file_before=file,
        file_after=file_after,
        memory_before=memory,
        memory_after=memory_after,
        wishes=tuple(decided),
    )


def _fold(file: bytes, memory: Memory, wish: Wish) -> tuple[bytes, Memory, str | None]:
    match wish.goal:
        case Goal.ADOPT:
            return _adopt(file, memory, wish)
        case Goal.REVERT:
            return _revert(file, memory, wish)
        case Goal.LEAVE:
            return file, memory, None


def _adopt(file: bytes, memory: Memory, wish: Wish) -> tuple[bytes, Memory, str | None]:
    if wish.published is None:
        raise AssertionError("only a published document can be adopted")
    document = wish.published.document
    now = region_endpoints(file, region=wish.region)
    if now == (document.endpoint_host,):
        return file, memory, None
    known = memory.adopted.get(wish.region)
    note: str | None = None
    if known is not None and known.host in now:
        original = known.original
        if known.host == document.endpoint_host:
            note = (
                f"somebody had put other S3 endpoints into {wish.region} beside ours; they are removed again"
            )
    else:
        # The first time, or somebody replaced the file: what is there now is what `undo` goes back to.
        original = original_endpoints(file, region=wish.region)
        if known is not None:
            note = (
                f"{wish.region} no longer followed the endpoint: an upgrade of VBR, or a person, had put "
                "other endpoints there; it is applied again, into the file as it is now"
            )
    adopted = Adopted(
        site=wish.site,
        host=document.endpoint_host,
        vpc_endpoint_id=document.vpc_endpoint_id,
        document_version=wish.published.version,
        original=original,
    )
    edited = with_region_endpoint(file, region=wish.region, host=document.endpoint_host)
    return edited, replace(memory, adopted={**memory.adopted, wish.region: adopted}), note


def _revert(file: bytes, memory: Memory, wish: Wish) -> tuple[bytes, Memory, str | None]:
    known = memory.adopted.get(wish.region)
    now = region_endpoints(file, region=wish.region)
    if known is None:
        host = wish.published.document.endpoint_host if wish.published else None
        if host in now:
            raise NotOursError(
                f"{wish.region} follows the endpoint, but this client did not put it there and doesn't know "
                "what was there before; put Veeam's own endpoints back by hand"
            )
        return file, memory, None
    others = {region: one for region, one in memory.adopted.items() if region != wish.region}
    forgotten = replace(memory, adopted=others)
    if known.host not in now:
        note = None
        if now != known.original.texts:
            note = (
                f"the S3 endpoints of {wish.region} were changed by somebody else since ({', '.join(now)}); "
                "they don't lead to the endpoint and are left as they are"
            )
        return file, forgotten, note
    restored = with_original_endpoints(file, region=wish.region, host=known.host, original=known.original)
    return restored, forgotten, None


def _registry(
    now: RegistryValue | None, memory: Memory, *, needed: bool
) -> tuple[RegistryValue | None, Memory]:
    if needed:
        if now == registry_value.WANTED:
            return now, memory
        return registry_value.WANTED, replace(memory, registry=memory.registry or RegistryOriginal(value=now))
    if memory.registry is None:
        return now, memory
    # A value that is no longer ours was set by somebody else since: it stays.
    original = memory.registry.value if now == registry_value.WANTED else now
    return original, replace(memory, registry=None)
