"""
Say what is in what people install, as CycloneDX 1.6: the client's wheel, its Windows folder, the functions.

The same input gives the same bytes: the serial number is made of the contents, the time is the commit's or
SOURCE_DATE_EPOCH. Versions and checksums come from the lock files, licences from the table below, which is
read by a person and compared with the installed packages by a test. Every bill is checked against
CycloneDX's own schema before it is written.
"""

import hashlib
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

# Of everything that ships or is shipped with; what is not here must not ship.
LICENCES: Mapping[str, str] = {
    "aws-lambda-powertools": "MIT-0",
    "boto3": "Apache-2.0",
    "botocore": "Apache-2.0",
    "cpython": "PSF-2.0",
    "expat": "MIT",
    "jmespath": "MIT",
    "openssl": "Apache-2.0",
    # The programs that it makes may have any licence: the exception in its own licence says so.
    "pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "pywin32": "PSF-2.0",
    "six": "MIT",
    "urllib3": "MIT",
    "zlib": "Zlib",
}
OWN_LICENCE = "Apache-2.0"
_PROPERTY = "vbr-privatelink"


class BillError(Exception):
    """Something would ship of which it isn't known what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A package in a lock file: its version, the SHA-256 of its distributions, and what needs it."""

    version: str
    sha256: tuple[str, ...]
    via: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    Something that the artefact consists of, or needs to be there.

    `sha256` of whatever it may have been installed from; `provided_by` says who brings it if we don't.
    """

    name: str
    version: str | None
    sha256: tuple[str, ...] = ()
    provided_by: str | None = None
    is_package: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """What people install: its name, version, SHA-256, and the SHA-256 of each of its own files."""

    name: str
    version: str
    description: str
    sha256: str
    files: Mapping[str, str] = field(default_factory=dict)


def locked(file: Path) -> dict[str, Locked]:
    """Read a lock file of `uv pip compile --generate-hashes`."""
    packages: dict[str, Locked] = {}
    for entry in re.split(r"^(?=[A-Za-z0-9])", file.read_text(), flags=re.MULTILINE):
        head = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", entry)
        if head is None:
            continue
        _, _, comments = entry.partition("# via")
        packages[head[1].lower()] = Locked(
            version=head[2],
            sha256=tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))),
            via=frozenset(re.findall(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?:#|$)", comments, re.MULTILINE)),
        )
    return packages


def needed(packages: Mapping[str, Locked], *roots: str) -> Iterator[Part]:
    """Yield *roots* and everything that they need, in the order of their names."""
    names = set(roots)
    while more := {name for name, one in packages.items() if one.via & names} - names:
        names |= more
    for name in sorted(names):
        yield Part(name=name, version=packages[name].version, sha256=packages[name].sha256)


def sha256(content: bytes) -> str:
    """Return the digest as it is written everywhere here."""
    return hashlib.sha256(content).hexdigest()


def bill(artefact: Artefact, parts: Iterable[Part], *, commit: str, seconds: int) -> str:
    """Write the bill; `seconds` since 1970 are when the commit was made. Raises BillError."""
    parts = list(parts)
    subject = Component(
        name=artefact.name,
        version=artefact.version,
        type=ComponentType.APPLICATION,
        bom_ref=artefact.name,
        description=artefact.description,
        hashes=[_hash(artefact.sha256)],
        licenses=[LicenseExpression(OWN_LICENCE)],
        properties=[Property(name=f"{_PROPERTY}:commit", value=commit)],
        components=[
            Component(name=name, type=ComponentType.FILE, bom_ref=f"file:{name}", hashes=[_hash(digest)])
            for name, digest in sorted(artefact.files.items())
        ],
    )
    components = [_component(part) for part in parts]
    bom = Bom(
        components=components,
        serial_number=uuid.uuid5(
            uuid.NAMESPACE_OID, f"{artefact.name} {artefact.version} {commit} {artefact.sha256} {parts!r}"
        ),
        dependencies=[
            Dependency(
                subject.bom_ref, dependencies=[Dependency(component.bom_ref) for component in components]
            )
        ],
    )
    bom.metadata.timestamp = datetime.fromtimestamp(seconds, tz=UTC)
    bom.metadata.component = subject
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"
    if (problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
        raise BillError(f"the bill of {artefact.name} breaks CycloneDX's schema: {problem}")
    return text


def _component(part: Part) -> Component:
    try:
        licence = LICENCES[part.name]
    except KeyError:
        raise BillError(
            f"{part.name} would ship, and packaging/sbom.py has no licence for it; look at it and add it"
        ) from None
    properties = [Property(name=f"{_PROPERTY}:installed-from-sha256", value=one) for one in part.sha256]
    if part.provided_by is not None:
        properties.append(Property(name=f"{_PROPERTY}:provided-by", value=part.provided_by))
    kind = "pypi" if part.is_package else "generic"
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{kind}:{part.name}",
        scope=ComponentScope.REQUIRED,
        licenses=[LicenseExpression(licence)],
        purl=PackageURL(type=kind, name=part.name, version=part.version),
        properties=properties,
    )


def _hash(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def files_below(folder: Path, *, at: str = "") -> dict[str, str]:
    """Return the SHA-256 of each file below *folder*, by its name from there."""
    return {
        f"{at}{file.relative_to(folder).as_posix()}": sha256(file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def digest_of(files: Mapping[str, str]) -> str:
    """Return one digest of many files: of their list as `sha256sum` would print it."""
    return sha256("".join(f"{digest}  {name}\n" for name, digest in sorted(files.items())).encode())


def windows_parts(collected: Mapping[str, str], lock: Mapping[str, Locked]) -> Sequence[Part]:
    """
    Return what PyInstaller has collected: each package as it is locked, and what CPython brings.

    `collected` is written by the specification: names of packages, and of the libraries in CPython, with
    their versions. A package in another version than the locked one is refused.
    """
    parts = []
    for name, version in sorted(collected.items()):
        if name in lock:
            if lock[name].version != version:
                raise BillError(f"{name} {version} was collected, and {lock[name].version} is locked")
            parts.append(Part(name=name, version=version, sha256=lock[name].sha256))
        else:
            parts.append(Part(name=name, version=version, is_package=False))
    return parts
