#!/usr/bin/env python3
"""
Build what an operator installs, into dist: the client's wheel, its Windows folder as a zip, and checksums.

    python packaging/dist.py              both; the Windows folder is built and tried inside wine
    python packaging/dist.py --here       both, on this Windows machine, with a list of what went in

The commit is written into what is built, not into the checkout. Beside each lies its bill of materials
(CycloneDX), and one of the functions, which the CDK packs when it deploys.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.aws import EmbeddedAws

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PACKAGES = ("contract", "onprem_client")
PROGRAM = "vbr-privatelink"
SPECIFICATION = ROOT / "packaging" / f"{PROGRAM}.spec"


class DistError(Exception):
    """It could not be built, or what was built does not work."""


def main() -> int:
    """Build; 0 when everything was built and the program says what it should."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--here", action="store_true", help="this is Windows: build without wine")
    options = parser.parse_args()
    version, commit = _version(), _commit()
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    try:
        with tempfile.TemporaryDirectory() as temporary:
            source = Path(temporary) / "source"
            _copy_source(source, version=version, commit=commit)
            wheel = _build_wheel(source)
            folder = Path(temporary) / PROGRAM
            (_build_here if options.here else _build_in_wine)(source, folder, f"{version} (commit {commit})")
            archive = DIST / f"{PROGRAM}-{version}-windows.zip"
            _zip(folder, archive)
            collected = source / "collected.json"
            if options.here:
                # The Python here holds what ships and nothing else, so that nothing else is collected.
                shutil.copy(collected, DIST / f"{archive.stem}-collected.json")
            else:
                _write_bills(wheel, archive, folder, collected, version=version, commit=commit)
    except DistError as error:
        print(f"dist: {error}", file=sys.stderr)
        return 1
    sums = "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(DIST.iterdir())
    )
    (DIST / "SHA256SUMS").write_text(sums)
    print(sums, end="")
    return 0


def _write_bills(
    wheel: Path, archive: Path, folder: Path, collected: Path, *, version: str, commit: str
) -> None:
    from bills import Bills
    from sbom import BillError

    from sandbox.assembly import synthesize

    try:
        bills = Bills(DIST, version=version, commit=commit, seconds=_seconds())
        bills.of_wheel(wheel)
        bills.of_windows_folder(archive, folder, json.loads(collected.read_text()))
        with tempfile.TemporaryDirectory() as assembly:
            synthesize(ROOT, Path(assembly))
            bills.of_functions(Path(assembly))
    except BillError as error:
        raise DistError(str(error)) from error


def _seconds() -> int:
    """When what is built was made, in seconds since 1970: SOURCE_DATE_EPOCH, or the commit's time."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def _version() -> str:
    text = (ROOT / "onprem_client" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise DistError("onprem_client/__init__.py has no __version__")
    return found[1]


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", *PACKAGES)
    return git("rev-parse", "--short=12", "HEAD") + (", with changes" if changed else "")


def _copy_source(target: Path, *, version: str, commit: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    stamp = target / "onprem_client" / "build.py"
    text, count = re.subn(r"^COMMIT = .*$", f"COMMIT = {commit!r}", stamp.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise DistError("onprem_client/build.py has no COMMIT")
    stamp.write_text(text)
    project = (ROOT / "packaging" / "pyproject.toml").read_text()
    (target / "pyproject.toml").write_text(project.replace('version = "0"', f'version = "{version}"'))


def _build_wheel(source: Path) -> Path:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise DistError("uv is missing; `make` installs it into .venv")
    build = [uv, "build", "--quiet", "--offline", "--wheel", "--no-create-gitignore"]
    _run([*build, "--out-dir", str(DIST), str(source)])
    (wheel,) = DIST.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        tops = {name.split("/", 1)[0] for name in opened.namelist()}
    foreign = {top for top in tops if not top.endswith(".dist-info")} - set(PACKAGES)
    if foreign:
        raise DistError(f"the wheel holds what is not the client's: {', '.join(sorted(foreign))}")
    return wheel


def _build_here(source: Path, folder: Path, says: str) -> None:
    work = folder.parent / "work"
    arguments = ["-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "--distpath", str(folder.parent)]
    _run([sys.executable, *arguments, "--workpath", str(work), str(SPECIFICATION), "--", str(source)])
    done = subprocess.run([folder / PROGRAM, "--version"], capture_output=True, text=True, check=False)
    if says not in done.stdout:
        raise DistError(f"the program should say {says!r} and says {done.stdout + done.stderr!r}")


def _build_in_wine(source: Path, folder: Path, says: str) -> None:
    from sandbox.aws import EmbeddedAws, EmbeddedAwsOptions
    from tests.windows.rig import PYTHON, Rig, RigError, windows_path

    def checked(run: Callable[[], tuple[int, str]]) -> str:
        code, output = run()
        if code:
            raise DistError(f"{output[-3000:]}\n(ended with {code})")
        return output

    try:
        with Rig() as rig:
            shutil.copytree(source, rig.drive / "source")
            specification = windows_path(SPECIFICATION)
            build = [str(PYTHON), "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
            build += ["--distpath", r"C:\dist", "--workpath", r"C:\work", specification, "--", r"C:\source"]
            checked(lambda: rig.run(build, seconds=1200))
            shutil.copytree(rig.drive / "dist" / PROGRAM, folder)
            shutil.copy(rig.drive / "source" / "collected.json", source)
            program = rf"C:\dist\{PROGRAM}\{PROGRAM}.exe"
            said = checked(lambda: rig.run([program, "--version"], seconds=60))
            if says not in said:
                raise DistError(f"the program should say {says!r} and says {said!r}")
            with EmbeddedAws(EmbeddedAwsOptions(state=rig.drive / "aws")) as aws:
                _try(rig.drive, aws, lambda *more: checked(lambda: rig.run([program, *more], seconds=60)))
    except RigError as error:
        raise DistError(str(error)) from error


def _try(drive: Path, aws: "EmbeddedAws", program: Callable[..., str]) -> None:
    """Let the program read a document from Parameter Store: TLS, the service's model, the configuration."""
    from tests.client.server import document
    from tests.windows.rig import windows_path

    ssm = aws.client("ssm")
    ssm.put_parameter(Name="/vbr-privatelink/tokyo/endpoint", Value=document(), Type="String")
    (drive / "client.toml").write_text(
        'strategy = "regions-file"\nstate_folder = "state"\n'
        '[[site]]\nname = "tokyo"\nregion = "ap-northeast-1"\n[aws]\ncredentials_file = "credentials"\n'
        f"endpoint_url = '{aws.endpoint_url}'\nca_bundle = '{windows_path(aws.ca_file)}'\n"
    )
    (drive / "credentials").write_text(
        f"[default]\naws_access_key_id = {aws.administrator.access_key_id}\n"
        f"aws_secret_access_key = {aws.administrator.secret_access_key}\n"
    )
    status = json.loads(program("status", "--json", "--config", r"C:\client.toml"))
    found = status["sites"]["tokyo"]
    if not found["document"] or found["problem"]:
        raise DistError(f"the program could not read a document: {found}")
    if "1060" not in str(status["server"]["service"]):
        raise DistError(f"the program could not ask the service manager: {status['server']}")
    if "PT10M" not in program("task", "install", "--print", "--config", r"C:\client.toml"):
        raise DistError("the program does not show the scheduled task")


def _zip(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                # Without the time, so that the same source gives the same list of contents.
                entry = zipfile.ZipInfo(f"{PROGRAM}/{file.relative_to(folder).as_posix()}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistError(
            f"`{Path(command[0]).name} {command[1]} …` failed:\n{(done.stdout + done.stderr)[-3000:]}"
        )


if __name__ == "__main__":
    sys.exit(main())
