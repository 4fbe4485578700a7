"""
The demo can fail.

Each mistake is made in a copy of the product, and `python -m sandbox demo` is run on it: it must go red, with
the statement that is not true, and not with a traceback.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.stories.mutations import CLIENT, FUNCTIONS, MUTATIONS, TEMPLATE, Mutation


def tell(assembly: Path, client: Path, state: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo on a synthesized app and a client."""
    options = [
        "--assembly",
        str(assembly),
        "--client",
        str(client),
        "--state",
        str(state),
        "--pending",
        "0.5",
    ]
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "demo", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def mutated(mutation: Mutation, *, assembly: Path, folder: Path) -> tuple[Path, Path]:
    """Copy the synthesized app and the client, and make the mistake in the copies."""
    copy, client = folder / "assembly", folder / "client"
    shutil.copytree(assembly, copy)
    for package in ("onprem_client", "contract"):
        shutil.copytree(ROOT / package, client / package, ignore=shutil.ignore_patterns("__pycache__"))
    [asset] = copy.glob("asset.*")
    places = {FUNCTIONS: asset, TEMPLATE: copy, CLIENT: client}
    for edit in mutation.edits:
        edit.make(places[edit.place])
    return copy, client


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_demo_notices_a_mistake(mutation: Mutation, assembly: Path, tmp_path: Path) -> None:
    """A demo that stays green when the product is broken would prove nothing."""
    copy, client = mutated(mutation, assembly=assembly, folder=tmp_path)

    told = tell(copy, client, tmp_path / "state")

    [untrue] = [line for line in told.stdout.splitlines() if "NOT TRUE" in line] or [
        told.stdout + told.stderr
    ]
    assert mutation.noticed in untrue
    assert told.returncode == 1
    assert told.stderr == ""


def test_the_demo_is_green_without_a_mistake(assembly: Path, tmp_path: Path) -> None:
    """Otherwise the tests above would pass for the wrong reason."""
    told = tell(assembly, ROOT, tmp_path / "state")

    assert told.stderr == ""
    assert told.returncode == 0
    assert "NOT TRUE" not in told.stdout
