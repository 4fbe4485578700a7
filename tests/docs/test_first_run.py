"""The first minute of a newcomer whose machine lacks something."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Path:
    """What `make` needs of a fresh clone, before anything is installed."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "requirements-dev.txt", "requirements-uv.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def make(clone: Path, *arguments: str, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `make` with a PATH that holds these programs alone, and what a shell always has."""
    folder = clone.parent / "programs"
    folder.mkdir()
    for name in ("make", "sh", "expand", "grep", "sed"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        [str(shutil.which("make")), *arguments],
        cwd=clone,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({"python3": "exit 1", "node": "exit 0"}, "Python 3.11 or later is needed"),
        ({"node": "exit 0"}, "Python 3.11 or later is needed; name one: make PYTHON="),
        ({"python3": "exit 0"}, "Node.js 20 or later is needed"),
        ({"python3": "exit 0", "node": "exit 1"}, "Node.js 20 or later is needed"),
    ],
    ids=["old python", "no python", "no node", "old node"],
)
def test_what_is_missing_is_said_before_anything_is_installed(
    clone: Path, programs: dict[str, str], said: str
) -> None:
    """One sentence with the remedy, and no half-made environment."""
    done = make(clone, "demo", programs=programs)

    assert done.returncode != 0
    assert said in done.stdout
    assert not (clone / ".venv").exists()


def test_make_alone_lists_the_commands(clone: Path) -> None:
    """The first thing that many people type; it needs nothing installed."""
    done = make(clone, programs={})

    assert done.returncode == 0, done.stderr
    for command in ("make demo", "make test", "make synth", "make site"):
        assert f"\n{command} " in f"\n{done.stdout}"
