"""What `pipx install .` installs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import ROOT


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(list(command), cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(folder: Path) -> Path:
    """Build the wheel into a folder."""
    uv = Path(sys.executable).with_name("uv")
    options = ("--quiet", "--offline", "--wheel", "--no-create-gitignore")
    run(uv, "build", *options, "--out-dir", folder, cwd=ROOT)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_two_builds_give_the_same_wheel(tmp_path: Path) -> None:
    """Whoever builds it again can see that a published one was built from this source."""
    first, second = built(tmp_path / "first"), built(tmp_path / "second")

    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_the_wheel_holds_the_command_and_what_it_needs(tmp_path: Path) -> None:
    """A wheel without the table of prices, or with the client in it, is found out by its first user."""
    wheel = built(tmp_path)
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(installed)
    [metadata] = installed.glob("*.dist-info")
    question = ("cost", "--region", "us-west-2", "--zones", "2", "--gb", "0", "--json")
    priced = run(sys.executable, "-m", "site_cli", *question, cwd=installed)

    assert {folder.name for folder in installed.iterdir()} == {"contract", "site_cli", metadata.name}
    assert "vbr-privatelink-site = site_cli.cli:main" in (metadata / "entry_points.txt").read_text()
    assert json.loads(priced)["usd_a_month"] == 23.24
