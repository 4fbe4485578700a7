"""
The bills of materials of what `make dist` builds, and of the functions, which the CDK packs when it deploys.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sbom

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "vbr-privatelink"


class Bills:
    """Writes the bills into a folder."""

    def __init__(self, folder: Path, *, version: str, commit: str, seconds: int) -> None:
        self._folder = folder
        self._version = version
        self._commit = commit
        self._seconds = seconds
        self._lock = sbom.locked(ROOT / "requirements-windows.txt")

    def of_wheel(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as opened:
            files = {name: sbom.sha256(opened.read(name)) for name in opened.namelist() if name[-1] != "/"}
        self._write(
            sbom.Artefact(
                name=f"{PROGRAM}-client",
                version=self._version,
                description=f"{wheel.name}, and the packages that it needs, as they were tested",
                sha256=sbom.sha256(wheel.read_bytes()),
                files=files,
            ),
            sbom.needed(self._lock, "botocore", "pywin32"),
        )

    def of_windows_folder(self, archive: Path, folder: Path, collected: dict[str, Any]) -> None:
        if collected["unknown"]:
            raise sbom.BillError(f"nobody knows where these come from: {', '.join(collected['unknown'][:5])}")
        self._write(
            sbom.Artefact(
                name=f"{PROGRAM}-windows",
                version=self._version,
                description=f"{archive.name}",
                sha256=sbom.sha256(archive.read_bytes()),
                files=sbom.files_below(folder),
            ),
            sbom.windows_parts(collected["parts"], self._lock),
        )

    def of_functions(self, assembly: Path) -> None:
        """The code is what the CDK would upload; boto3 is Lambda's own, in a version that AWS chooses."""
        asset = functions_asset(assembly)
        files = sbom.files_below(asset)
        powertools = sbom.locked(ROOT / "requirements-dev.txt")["aws-lambda-powertools"]
        self._write(
            sbom.Artefact(
                name=f"{PROGRAM}-functions",
                version=self._version,
                description="The functions' code, as the CDK packs it; the SHA-256 is of its files' list",
                sha256=sbom.digest_of(files),
                files=files,
            ),
            [
                sbom.Part(
                    name="aws-lambda-powertools",
                    version=powertools.version,
                    provided_by="AWS's public layer, which brings pydantic and aws-xray-sdk along",
                ),
                sbom.Part(name="boto3", version=None, provided_by="Lambda's runtime python3.13"),
            ],
        )

    def _write(self, artefact: sbom.Artefact, parts: Iterable[sbom.Part]) -> None:
        text = sbom.bill(artefact, parts, commit=self._commit, seconds=self._seconds)
        (self._folder / f"{artefact.name}-{artefact.version}.cdx.json").write_text(text)


def functions_asset(assembly: Path) -> Path:
    """Return the folder with the functions' code in a synthesized app."""
    [asset] = [folder for folder in assembly.glob("asset.*") if (folder / "lambdas").is_dir()]
    return asset
