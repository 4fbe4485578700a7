"""
How the demo is shown to be able to fail.

Each mistake is made in a copy of the product, and `python -m sandbox demo` is run on it: it must go red, with
the statement that is not true, and not with a traceback.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.stories.mutations import CLIENT, FUNCTIONS, TEMPLATE, Mutation


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


def tell_of_the_fleet(assembly: Path, state: Path, *, accounts: int) -> subprocess.CompletedProcess[str]:
    """Run the demo of many accounts on a synthesized app."""
    options = ["--assembly", str(assembly), "--state", str(state), "--accounts", str(accounts)]
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "demo-fleet", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def mutated(mutation: Mutation, *, assembly: Path, folder: Path) -> tuple[Path, Path]:
    """Copy the synthesized app and the client, and make the mistake in the copies."""
    copy, client = folder / "assembly", folder / "client"
    shutil.copytree(assembly, copy)
    for package in ("onprem_client", "contract"):
        shutil.copytree(ROOT / package, client / package, ignore=shutil.ignore_patterns("__pycache__"))
    [asset] = [package.parent for package in copy.glob("asset.*/lambdas")]
    places = {FUNCTIONS: asset, TEMPLATE: copy, CLIENT: client}
    for edit in mutation.edits:
        edit.make(places[edit.place])
    return copy, client


def assert_noticed(mutation: Mutation, *, assembly: Path, folder: Path) -> None:
    """Make the mistake in a copy, and see the demo go red for it."""
    copy, client = mutated(mutation, assembly=assembly, folder=folder)

    told = tell(copy, client, folder / "state")

    _assert_red(told, mutation)


def assert_noticed_in_the_fleet(mutation: Mutation, *, assembly: Path, folder: Path) -> None:
    """The same with the demo of many accounts; the fewest that it can be told with are enough."""
    copy, _client = mutated(mutation, assembly=assembly, folder=folder)

    told = tell_of_the_fleet(copy, folder / "state", accounts=3)

    _assert_red(told, mutation)


def _assert_red(told: subprocess.CompletedProcess[str], mutation: Mutation) -> None:
    [untrue] = [line for line in told.stdout.splitlines() if "NOT TRUE" in line] or [
        told.stdout + told.stderr
    ]
    assert mutation.noticed in untrue
    assert told.returncode == 1
    assert told.stderr == ""
