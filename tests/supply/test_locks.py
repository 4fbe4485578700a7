"""Everything that is installed is named with its version and its checksum, wherever it is installed."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.supply.tools import AUDIT, SBOM

LOCKS = sorted(ROOT.glob("requirements*.txt"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_NAME = re.compile(r"^([A-Za-z0-9._-]+)", re.MULTILINE)


def entries(file: Path) -> list[str]:
    """Return each requirement of a lock file with its checksums, on one line."""
    text = re.sub(r"^\s*#.*$", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_there_are_locks() -> None:
    """A glob that finds nothing must not look green."""
    assert len(LOCKS) >= 6
    assert WORKFLOWS


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_every_requirement_is_pinned_and_has_its_checksums(file: Path) -> None:
    """Without a checksum, whoever can answer for the registry decides what runs here."""
    found = entries(file)

    assert found
    for entry in found:
        assert re.fullmatch(
            r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^ ;*]+( +;[^\\]*?)?( +--hash=sha256:[0-9a-f]{64})+", entry
        ), entry


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_no_checksum_stands_for_two_packages(file: Path) -> None:
    """A line that was copied by hand would let one package be installed as another."""
    owners: dict[str, str] = {}
    for entry in entries(file):
        for digest in set(re.findall(r"sha256:([0-9a-f]{64})", entry)):
            assert owners.setdefault(digest, entry.split()[0]) == entry.split()[0]

    assert owners


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_every_lock_holds_what_its_list_asks_for(file: Path) -> None:
    """A package that was added without `make lock` is found here, and not by the next person."""
    asked = file.with_suffix(".in")
    locked = set(SBOM.locked(file))
    wanted = {
        name[1].lower()
        for line in asked.read_text().splitlines()
        if line and not line.startswith(("#", "-")) and (name := _NAME.match(line))
    }

    assert wanted
    assert wanted <= locked


def test_the_locks_agree_about_what_they_share() -> None:
    """What is tested is what ships: one version of a package, but where an emulator pins its own."""
    alone = {"requirements-ministack.txt", "requirements-docs.txt", "requirements-audit.txt"}
    versions: dict[str, set[str]] = {}
    for file in LOCKS:
        if file.name not in alone:
            for name, package in SBOM.locked(file).items():
                versions.setdefault(name, set()).add(package.version)

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_what_runs_on_node_is_locked_with_checksums() -> None:
    """The same for npm; the lock file names no other registry than the default one."""
    lock = json.loads((ROOT / "tests/node/package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}

    assert packages
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_installs_only_what_is_locked_and_may_only_read(file: Path) -> None:
    """It runs other people's actions with the repository's token."""
    text = file.read_text()
    installs = [line for line in text.splitlines() if re.search(r"pip (install|sync)", line)]

    assert all("--require-hashes" in line for line in installs)
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE)
    assert not re.search(r"pull_request_target|secrets\.", text)


VULNERABLE = {
    "name": "left",
    "version": "1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
FINE = {"name": "right", "version": "1", "vulns": []}
UNSEEN = {"name": "far", "skip_reason": "Dependency not found on PyPI and could not be audited: far (1)"}


def audit_says(code: int, *packages: object) -> list[str]:
    return list(AUDIT.judge(code, json.dumps({"dependencies": packages, "fixes": []}), ""))


def test_the_audit_names_each_vulnerability() -> None:
    """With the version that a person should take."""
    assert audit_says(1, FINE, VULNERABLE) == [
        "left 1 has PYSEC-1, fixed in 2",
        "left 1 has PYSEC-2, fixed in no version yet",
    ]
    assert audit_says(0, FINE) == []


def test_a_package_that_was_not_looked_at_is_no_pass() -> None:
    """pip-audit says "No known vulnerabilities found" of it, and ends with 0."""
    assert audit_says(0, FINE, UNSEEN) == [
        "the vulnerability service knows nothing of far: it was not looked at"
    ]
    assert audit_says(1, FINE)[0].startswith("pip-audit ended with 1 and named nothing")


@pytest.mark.parametrize(
    "output", ["", "Traceback", '{"dependencies": []}', json.dumps({"dependencies": [UNSEEN, UNSEEN]})]
)
def test_an_audit_without_a_service_fails_in_one_sentence(output: str) -> None:
    """On a machine without the internet nothing was audited, and nobody should believe so."""
    with pytest.raises(
        AUDIT.UnreachableError, match=r"^PyPI's vulnerability service can't be reached"
    ) as raised:
        AUDIT.judge(0, output, "somewhere\nconnection refused")

    assert "\n" not in str(raised.value)
    assert "run `make audit` where it can" in str(raised.value)
