"""What people install holds the product and what it needs, under licences that somebody has read."""

import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.conftest import ROOT
from tests.supply.tools import BILLS, DIST, SBOM

FUNCTIONS_ZIP = 200 * 1024
COMMIT, SECONDS = "0123456789ab", 1_767_225_600
# What may be linked into, shipped with and used by software under the Apache License 2.0 without a further
# condition on it; the exception is PyInstaller's, for the programs that it makes.
PERMISSIVE = {
    "Apache-2.0",
    "Apache-2.0 OR BSD-3-Clause",
    "GPL-2.0-or-later WITH Bootloader-exception",
    "MIT",
    "MIT-0",
    "PSF-2.0",
    "Zlib",
}
# Words of the packages' own metadata, by the licence that the table says.
WORDS = {
    "Apache-2.0": r"Apache(-2\.0| License,? (Version )?2\.0| Software License)",
    "Apache-2.0 OR BSD-3-Clause": r"Dual License",
    "MIT": r"MIT",
    "MIT-0": r"MIT( No Attribution|-0)",
}


def tracked(*folders: str) -> set[str]:
    """Return the files of the repository below *folders*, also those that are new."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in done.stdout.split("\n") if name and (ROOT / name).is_file()}


def zipped(folder: Path, target: Path) -> int:
    """Pack *folder* as the CDK does, and return the size in bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return target.stat().st_size


def test_the_functions_are_one_small_asset_with_the_product_and_nothing_else(
    assembly: Path, tmp_path: Path
) -> None:
    """No test, no sandbox, no settings, no cache of somebody's machine; one download for all functions."""
    asset = BILLS.functions_asset(assembly)
    files = set(SBOM.files_below(asset))
    size = zipped(asset, tmp_path / "functions.zip")
    functions = [
        resource["Properties"]
        for template in assembly.glob("*.template.json")
        for resource in json.loads(template.read_text())["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]

    assert files == {name for name in tracked("lambdas", "contract") if name.endswith(".py")}
    assert size <= FUNCTIONS_ZIP, f"{size} bytes"
    assert len(functions) > 10
    assert {json.dumps(one["Code"], sort_keys=True) for one in functions} == {
        json.dumps(functions[0]["Code"], sort_keys=True)
    }
    assert asset.name.removeprefix("asset.") in json.dumps(functions[0]["Code"])


@pytest.fixture(scope="module", name="wheel")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


def built_wheel(folder: Path) -> Path:
    """Build the client's wheel as `make dist` does."""
    before = DIST.DIST
    DIST.DIST = folder / "dist"
    try:
        DIST.DIST.mkdir()
        DIST._copy_source(folder / "source", version="1.2.3", commit=COMMIT)
        return Path(DIST._build_wheel(folder / "source"))
    finally:
        DIST.DIST = before


def test_the_wheel_holds_the_client_and_nothing_else(wheel: Path) -> None:
    """Nothing of tests, sandbox, functions or stacks goes to a backup server."""
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if not name.endswith("/")}
    info = {name for name in names if ".dist-info/" in name}

    assert names - info == tracked("contract", "onprem_client")
    assert {Path(name).name for name in info} <= {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses",
    }


def bills(folder: Path, wheel: Path, assembly: Path, collected: dict[str, Any]) -> dict[str, bytes]:
    """Write all bills as `make dist` does, but with the synthesized app of the tests."""
    maker = BILLS.Bills(folder, version="1.2.3", commit=COMMIT, seconds=SECONDS)
    maker.of_wheel(wheel)
    windows = folder / "windows"
    windows.mkdir()
    (windows / "vbr-privatelink.exe").write_bytes(b"MZ")
    DIST._zip(windows, folder / "windows.zip")
    maker.of_windows_folder(folder / "windows.zip", windows, collected)
    maker.of_functions(assembly)
    return {file.name: file.read_bytes() for file in folder.glob("*.cdx.json")}


COLLECTED: dict[str, Any] = {
    "parts": {
        "cpython": "3.11.9",
        "openssl": "3.0.13",
        "botocore": SBOM.locked(ROOT / "requirements-windows.txt")["botocore"].version,
    },
    "unknown": [],
}


def test_every_bill_is_valid_complete_and_the_same_twice(wheel: Path, assembly: Path, tmp_path: Path) -> None:
    """Who compares two releases must see what has changed, and not when somebody ran the build."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (bills(folder, wheel, assembly, COLLECTED) for folder in folders)

    assert first == second
    assert sorted(first) == [
        f"vbr-privatelink-{name}-1.2.3.cdx.json" for name in ("client", "functions", "windows")
    ]
    for text in first.values():
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode()) is None
        bill = json.loads(text)
        assert bill["metadata"]["timestamp"] == "2026-01-01T00:00:00+00:00"
        assert bill["metadata"]["component"]["hashes"][0]["alg"] == "SHA-256"
        assert all(one["licenses"] for one in bill["components"])
    client = json.loads(first["vbr-privatelink-client-1.2.3.cdx.json"])
    functions = json.loads(first["vbr-privatelink-functions-1.2.3.cdx.json"])
    own = {one["name"] for one in functions["metadata"]["component"]["components"]}
    assert [one["name"] for one in client["components"]] == [
        "botocore",
        "jmespath",
        "python-dateutil",
        "pywin32",
        "six",
        "urllib3",
    ]
    assert client["metadata"]["component"]["hashes"][0]["content"] == SBOM.sha256(wheel.read_bytes())
    assert [one["name"] for one in functions["components"]] == ["aws-lambda-powertools", "boto3"]
    assert "lambdas/acquire_lease/handler.py" in own
    # Another input has another serial number: two bills of different things are never taken for one.
    assert len({json.loads(text)["serialNumber"] for text in first.values()}) == 3


def test_a_bill_of_what_nobody_knows_is_not_written(wheel: Path, assembly: Path, tmp_path: Path) -> None:
    """A file from somewhere, a package in another version than the locked one, one without a licence."""
    strange: list[dict[str, Any]] = [
        {**COLLECTED, "unknown": ["evil (C:\\temp\\evil.dll)"]},
        {**COLLECTED, "parts": {**COLLECTED["parts"], "botocore": "0.1"}},
        {**COLLECTED, "parts": {**COLLECTED["parts"], "left-pad": "1"}},
    ]
    for number, collected in enumerate(strange):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(SBOM.BillError, match=r"evil|0\.1 was collected|left-pad would ship"):
            bills(folder, wheel, assembly, collected)


def test_the_windows_python_holds_no_more_than_what_ships_and_what_builds_and_tests_it() -> None:
    """Whatever else is there may be collected: urllib3 takes `idna` along as soon as it is installed."""
    lock = SBOM.locked(ROOT / "requirements-windows.txt")
    ships = {part.name for part in SBOM.needed(lock, "botocore", "pywin32")}
    tools = {part.name for part in SBOM.needed(lock, "pyinstaller", "pytest")}

    assert set(lock) == ships | tools
    assert ships <= set(SBOM.LICENCES)


def test_the_wheel_is_the_same_twice(wheel: Path, tmp_path: Path) -> None:
    """Its checksum is in the bill."""
    assert built_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_every_licence_is_one_that_the_product_may_ship_with() -> None:
    """Somebody has read them; a new one has to be read first."""
    assert set(SBOM.LICENCES.values()) <= PERMISSIVE


def test_the_licences_are_what_the_installed_packages_say() -> None:
    """A package may change its licence with a version; the table must not go on saying the old one."""
    seen = 0
    for name, licence in SBOM.LICENCES.items():
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        said = " ".join(
            [
                *metadata.get_all("License-Expression", ()),
                *(one[:100] for one in metadata.get_all("License", ())),
                *(one for one in metadata.get_all("Classifier", ()) if one.startswith("License")),
            ]
        )
        assert re.search(WORDS[licence], said), f"{name} says {said!r}, and the table says {licence}"
        seen += 1

    assert seen >= 6


def test_the_client_needs_no_more_than_the_bill_says() -> None:
    """By the installed packages' own metadata, and not by the comments of a lock file."""
    needed, left = set[str](), ["botocore"]
    while left:
        name = left.pop()
        needed.add(name)
        for requirement in importlib.metadata.requires(name) or ():
            if "extra ==" not in requirement and "python_version" not in requirement:
                other = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()
                left += [] if other in needed else [other]
    lock = SBOM.locked(ROOT / "requirements-windows.txt")

    assert {part.name for part in SBOM.needed(lock, "botocore", "pywin32")} == {*needed, "pywin32"}


def test_the_client_imports_nothing_else() -> None:
    """What isn't in the bill would be missing on the backup server."""
    program = (
        "import pkgutil, sys, importlib\n"
        "before = set(sys.modules)\n"
        "import onprem_client, contract\n"
        "for package in (onprem_client, contract):\n"
        "    for one in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not one.name.endswith('__main__'): importlib.import_module(one.name)\n"
        "print('\\n'.join(sorted({name.split('.')[0] for name in set(sys.modules) - before})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    packages = importlib.metadata.packages_distributions()
    imported = {distribution.lower() for top in done.stdout.split() for distribution in packages.get(top, ())}

    assert imported <= {
        part.name for part in SBOM.needed(SBOM.locked(ROOT / "requirements-windows.txt"), "botocore")
    }
