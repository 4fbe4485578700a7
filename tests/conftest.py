"""What several folders of tests share."""

import fcntl
from pathlib import Path

import pytest

from sandbox.assembly import synthesize

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", name="assembly")
def _assembly(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The synthesized app, made once for all workers: it takes seconds, and nobody writes to it."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder = shared / "assembly"
    with (shared / "assembly.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            synthesize(ROOT, folder)
            (folder / "complete").touch()
    return folder
