"""
What the client remembers: one file, journal.json in the state folder, replaced as a whole.

It is written before anything on the server changes, and again when all is done. `pending` is what is under
way: both images of everything, so that the next start can finish it or take it back without AWS. `memory` is
what `undo` needs: the endpoints of each region as they were before our first change, and the registry value.
`aside` names the jobs that are disabled because of us, from before the first is until all are enabled again.

The names of the file and of the service are never taken from here: they are read from the server again, so
the journal can't be used to make the client write somewhere else.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from contract import names
from onprem_client.errors import JournalError
from onprem_client.resources.region_xml import OriginalEndpoints
from onprem_client.resources.service_restart import SERVICE, ServiceImage
from onprem_client.windows.protocols import Files, RegistryValue

FORMAT = 1


class Direction(StrEnum):
    """Which way an unfinished transaction is going."""

    FORWARD = "forward"
    BACK = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """One region of this server that follows an endpoint, and how it was before."""

    site: names.SiteName
    host: str
    vpc_endpoint_id: names.EndpointId
    document_version: int
    original: OriginalEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A site that `undo` has taken back; only `apply` brings it on again."""

    region: names.Region
    adopted: tuple[names.EndpointId, int] | None  # The endpoint and the version of its document.


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOriginal:
    """The registry value as it was before our first change; None stands for absent."""

    value: RegistryValue | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the client has changed on this server, and what it has said about it."""

    registry: RegistryOriginal | None = None
    adopted: Mapping[names.Region, Adopted] = field(default_factory=dict)
    held: Mapping[names.SiteName, Held] = field(default_factory=dict)
    reported: Mapping[names.SiteName, str] = field(default_factory=dict)
    repositories: Mapping[names.SiteName, str] = field(default_factory=dict)
    """What a site's repositories were when they were last seen to be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What is under way, with the images before and after."""

    command: str
    direction: Direction
    registry_before: RegistryValue | None
    registry_after: RegistryValue | None
    file_before: bytes
    file_after: bytes
    service: ServiceImage
    service_touched: bool
    memory_after: Memory
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Jobs that were enabled before us and are disabled because of us: each id with its name."""

    jobs: Mapping[str, str]
    since: str

    @property
    def names(self) -> list[str]:
        """Name them."""
        return list(self.jobs.values())


class Journal:
    """journal.json; every change of it is one replaced file."""

    def __init__(self, folder: Path, *, files: Files) -> None:
        self._file = folder / "journal.json"
        self._files = files
        self.memory = Memory()
        self.pending: Pending | None = None
        self.aside: Aside | None = None
        content = files.read(self._file)
        if content is not None:
            try:
                self.memory, self.pending, self.aside = _read(content)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise JournalError(
                    f"{self._file} can't be read ({type(error).__name__}); put it back from a backup, or "
                    "move it away: then the client knows no more what it has changed here"
                ) from error

    def begin(self, pending: Pending) -> None:
        """Remember what is about to be done, before anything is."""
        self._save(self.memory, pending, self.aside)

    def put_aside(self, aside: Aside) -> None:
        """Remember jobs before they are disabled, with those that are put aside already."""
        if self.aside is not None:
            aside = replace(aside, jobs={**self.aside.jobs, **aside.jobs})
        self._save(self.memory, self.pending, aside)

    def take_back(self) -> None:
        """All jobs are enabled again."""
        self._save(self.memory, self.pending, None)

    def service_will_stop(self) -> None:
        """From here on, a stopped service is our doing."""
        if self.pending is not None:
            self._save(self.memory, replace(self.pending, service_touched=True), self.aside)

    def turn_back(self) -> None:
        """From here on, what is under way is being undone."""
        if self.pending is not None:
            self._save(self.memory, replace(self.pending, direction=Direction.BACK), self.aside)

    def abandon(self) -> None:
        """All is as before `begin`."""
        self._save(self.memory, None, self.aside)

    def commit(self, memory: Memory) -> None:
        """All is done; *memory* is what holds from now on."""
        self._save(memory, None, self.aside)

    def _save(self, memory: Memory, pending: Pending | None, aside: Aside | None) -> None:
        value = {
            "format": FORMAT,
            "memory": _memory_value(memory),
            "pending": None if pending is None else _pending_value(pending),
            "aside": None if aside is None else {"jobs": dict(aside.jobs), "since": aside.since},
        }
        self._files.stage(self._file, (json.dumps(value, indent=2) + "\n").encode())
        self._files.put_in_place(self._file)
        self.memory, self.pending, self.aside = memory, pending, aside


def _memory_value(memory: Memory) -> dict[str, Any]:
    return {
        "registry": None if memory.registry is None else {"value": _registry_value(memory.registry.value)},
        "adopted": {
            region: {
                "site": one.site,
                "host": one.host,
                "vpc_endpoint_id": one.vpc_endpoint_id,
                "document_version": one.document_version,
                "original": {
                    "encoding": one.original.encoding,
                    "texts": list(one.original.texts),
                    "elements": [_packed(part) for part in one.original.elements],
                    "gaps": [_packed(part) for part in one.original.gaps],
                },
            }
            for region, one in memory.adopted.items()
        },
        "held": {site: asdict(one) for site, one in memory.held.items()},
        "reported": dict(memory.reported),
        "repositories": dict(memory.repositories),
    }


def _pending_value(pending: Pending) -> dict[str, Any]:
    return {
        "command": pending.command,
        "direction": pending.direction,
        "registry_before": _registry_value(pending.registry_before),
        "registry_after": _registry_value(pending.registry_after),
        "file_before": _packed(pending.file_before),
        "file_after": _packed(pending.file_after),
        "dependents": list(pending.service.dependents),
        "service_touched": pending.service_touched,
        "memory_after": _memory_value(pending.memory_after),
        "since": pending.since,
    }


def _registry_value(value: RegistryValue | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value)


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _read(content: bytes) -> tuple[Memory, Pending | None, Aside | None]:
    value = json.loads(content)
    if value["format"] != FORMAT:
        raise ValueError("another version of the client has written it")
    pending, aside = value["pending"], value.get("aside")
    return (
        _memory(value["memory"]),
        None if pending is None else _pending(pending),
        None if aside is None else _aside(aside),
    )


def _aside(value: Any) -> Aside:
    return Aside(
        jobs={_text(job): _text(name) for job, name in value["jobs"].items()}, since=_text(value["since"])
    )


def _memory(value: Any) -> Memory:
    registry = value["registry"]
    return Memory(
        registry=None if registry is None else RegistryOriginal(value=_registry(registry["value"])),
        adopted={
            names.region(region): Adopted(
                site=names.site_name(one["site"]),
                host=_text(one["host"]),
                vpc_endpoint_id=names.endpoint_id(one["vpc_endpoint_id"]),
                document_version=int(one["document_version"]),
                original=OriginalEndpoints(
                    encoding=_text(one["original"]["encoding"]),
                    texts=tuple(_text(text) for text in one["original"]["texts"]),
                    elements=tuple(_unpacked(part) for part in one["original"]["elements"]),
                    gaps=tuple(_unpacked(part) for part in one["original"]["gaps"]),
                ),
            )
            for region, one in value["adopted"].items()
        },
        held={
            names.site_name(site): Held(
                region=names.region(one["region"]),
                adopted=None
                if one["adopted"] is None
                else (names.endpoint_id(one["adopted"][0]), int(one["adopted"][1])),
            )
            for site, one in value["held"].items()
        },
        reported={names.site_name(site): _text(said) for site, said in value["reported"].items()},
        repositories={
            names.site_name(site): _text(seen) for site, seen in value.get("repositories", {}).items()
        },
    )


def _pending(value: Any) -> Pending:
    return Pending(
        command=_text(value["command"]),
        direction=Direction(value["direction"]),
        registry_before=_registry(value["registry_before"]),
        registry_after=_registry(value["registry_after"]),
        file_before=_unpacked(value["file_before"]),
        file_after=_unpacked(value["file_after"]),
        service=ServiceImage(service=SERVICE, dependents=tuple(_text(name) for name in value["dependents"])),
        service_touched=value["service_touched"] is True,
        memory_after=_memory(value["memory_after"]),
        since=_text(value["since"]),
    )


def _registry(value: Any) -> RegistryValue | None:
    if value is None:
        return None
    content = value["value"]
    return RegistryValue(_text(value["type"]), content if isinstance(content, int) else _text(content))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _unpacked(value: object) -> bytes:
    return base64.b64decode(_text(value), validate=True)
